"""MEAL V2's objective: its terms, and where their gradients go, in every mode."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.errors import UsageError
from kdzoo.data import Mixing
from kdzoo.data.batch import Batch
from kdzoo.engine.distributed import Processes
from kdzoo.engine.phases import run_phase, start_phases
from kdzoo.engine.step import MixedBatch, Step, StepContext, split_step
from kdzoo.engine.teachers import Answers
from kdzoo.recipes.meal_v2 import RECIPE, MealV2
from kdzoo.recipes.objectives.discriminator import discrimination_loss
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Shapes

CLASSES, BATCH, FEATURES = 10, 6, 5
ONE_PROCESS = Processes(0, 1, torch.device("cpu"))


def objective_of(mode: str, classes: int = CLASSES, **changes: object) -> MealV2:
    torch.manual_seed(2)
    settings = override(
        RECIPE, {f"objective.{key}": value for key, value in {"discriminator": mode, **changes}.items()}
    )
    shapes = Shapes(
        num_classes=classes, num_teachers=2, student_features=FEATURES, teacher_features=(4, 4), num_training_images=99
    )
    objective = settings.objective.build(shapes)
    assert isinstance(objective, MealV2)
    if objective.discriminator is not None:
        with torch.no_grad():  # alive on both outputs
            objective.discriminator.layers[-1].bias.fill_(0.5)
    return objective


def flat(images: Tensor) -> Tensor:
    """(B, 3, H, W) to the linear networks' (B, 12)."""
    return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


class Teachers:
    """Two linear teachers as the engine calls an ensemble."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.networks = [nn.Linear(12, CLASSES) for _ in range(2)]
        self.seen: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, images: Tensor, **_: object) -> Answers:
        self.seen.append(images)
        logits = tuple(network(flat(images)) for network in self.networks)
        return Answers(logits, logits)


def make_step(student: nn.Module, teachers: Callable[[Tensor], Answers]) -> Step:
    torch.manual_seed(9)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = student(flat(images))
        return logits, logits

    ids = torch.arange(BATCH)
    batch = MixedBatch(images=torch.rand(BATCH, 3, 2, 2), labels=torch.full((BATCH,), -1), sample_ids=ids)
    run = StepContext(student=forward, teachers=teachers, num_training_images=99)  # type: ignore[arg-type]
    return Step(batch, run, epoch=0, step=0)


@pytest.fixture
def student() -> nn.Linear:
    torch.manual_seed(4)
    return nn.Linear(12, CLASSES)


def reference_terms(objective: MealV2, step: Step) -> tuple[float, float, float]:
    """soft_label, discriminator and deception in float64 numpy."""
    z_s = step.student().logits.detach().double().numpy()
    z_t = [z.detach().double().numpy() for z in step.teachers().logits]

    def softmax(z: np.ndarray) -> np.ndarray:
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    soft = -(np.mean([softmax(z) for z in z_t], axis=0) * np.log(softmax(z_s))).sum(axis=1).mean()

    def score(x: np.ndarray) -> np.ndarray:
        for layer in objective.discriminator.layers:
            x = np.maximum(x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy(), 0)
        return 1 / (1 + np.exp(-x))

    def bce(p: np.ndarray, column: int) -> np.ndarray:
        y = np.zeros_like(p)
        y[:, column] = 1
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))

    rows = np.concatenate([bce(score(z_s), 0), bce(score(np.mean(z_t, axis=0)), 1)])
    return float(soft), float(rows.mean()), float(bce(score(z_s), 1).mean())


@pytest.mark.parametrize("mode", ["published", "reversed", "alternating"])
def test_terms_equal_reference(mode, student):
    objective, step = objective_of(mode), make_step(student, Teachers())
    soft, discriminator, deception = reference_terms(objective, step)
    terms = objective.terms("student", step)
    assert terms["soft_label"].item() == pytest.approx(soft, abs=1e-6)
    if mode == "alternating":
        assert set(terms) == {"soft_label", "deception"}
        assert terms["deception"].item() == pytest.approx(deception, abs=1e-6)
        critic = objective.terms("discriminator", step)
        assert critic["discriminator"].item() == pytest.approx(discriminator, abs=1e-6)
    else:
        assert set(terms) == {"soft_label", "discriminator"}
        assert terms["discriminator"].item() == pytest.approx(discriminator, abs=1e-6)


def test_without_discriminator_there_is_one_term_and_no_module(student):
    objective = objective_of("none")
    assert set(objective.terms("student", make_step(student, Teachers()))) == {"soft_label"}
    assert not list(objective.parameters())
    assert [group.name for phase in objective.phases(student) for group in phase.groups] == ["student"]


def gradients(mode: str, student: nn.Linear) -> tuple[dict[str, Tensor], MealV2, Teachers]:
    """The student's gradient of the discriminator's term alone."""
    objective, teachers = objective_of(mode), Teachers()
    student.zero_grad()
    objective.terms("student", make_step(student, teachers))["discriminator"].backward()
    return {name: parameter.grad.clone() for name, parameter in student.named_parameters()}, objective, teachers


def test_published_gradient_reaches_the_student_unreversed_and_reversed_is_its_exact_negation(student):
    published, objective, _ = gradients("published", student)
    step = make_step(student, Teachers())
    logits = step.student().logits.detach().requires_grad_()
    target = torch.stack(step.teachers().logits).mean(dim=0).detach()
    discrimination_loss(objective.discriminator, logits, target).backward()
    by_hand = torch.einsum("bc,bi->ci", logits.grad, flat(step.images))
    torch.testing.assert_close(published["weight"], by_hand, atol=1e-7, rtol=1e-5)
    assert published["weight"].abs().max() > 0
    critic = [parameter.grad.clone() for parameter in objective.discriminator.parameters()]
    reverse, other, _ = gradients("reversed", student)
    for name, gradient in published.items():
        assert torch.equal(reverse[name], -gradient)
    other_critic = [parameter.grad for parameter in other.discriminator.parameters()]
    published_again, _, _ = gradients("published", student)
    assert torch.equal(published_again["weight"], published["weight"])
    # The discriminator itself learns the same in both modes (half of `critic` is the second backward above).
    for one, two in zip(critic, other_critic, strict=True):
        torch.testing.assert_close(one, 2 * two, atol=1e-7, rtol=1e-5)


def test_alternating_phases_move_their_own_parameters_only(student):
    objective = objective_of("alternating")
    phases = start_phases(objective, student, RECIPE.optimizer, RECIPE.schedule, "fp32", torch.device("cpu"))
    assert [running.phase.name for running in phases] == ["discriminator", "student"]
    step = make_step(student, Teachers())
    for moved, kept, running in (
        (objective.discriminator, student, phases[0]),
        (student, objective.discriminator, phases[1]),
    ):
        before = [parameter.detach().clone() for parameter in moved.parameters()]
        still = [parameter.detach().clone() for parameter in kept.parameters()]
        run_phase(running, objective, [step], RECIPE.training, ONE_PROCESS, lr=0.5)
        assert any(not torch.equal(a, b) for a, b in zip(before, moved.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(still, kept.parameters(), strict=True))


def test_discriminator_phase_gives_the_student_no_gradient(student):
    objective = objective_of("alternating")
    objective.terms("discriminator", make_step(student, Teachers()))["discriminator"].backward()
    assert all(parameter.grad is None for parameter in student.parameters())
    assert all(parameter.grad is not None for parameter in objective.discriminator.parameters())


def test_discriminator_learning_rate_is_tied_as_released_and_can_be_its_own(student):
    def scales(objective: MealV2) -> dict[str, float]:
        return {group.name: group.lr_scale for phase in objective.phases(student) for group in phase.groups}

    assert scales(objective_of("published")) == {"student": 1.0, "discriminator": 1.0}
    assert scales(objective_of("published", discriminator_lr_scale=0.01)) == {"student": 1.0, "discriminator": 0.01}
    own = next(variant for variant in RECIPE.variants if variant.name == "own_discriminator_lr")
    changed = override(RECIPE, own.overrides)
    lr = changed.optimizer.lr * changed.objective.discriminator_lr_scale
    assert lr == pytest.approx(1e-4)


def test_form_follows_the_number_of_classes():
    def shape(classes: int, **changes: object) -> list[int]:
        layers = objective_of("published", classes, **changes).discriminator.layers
        return [layers[0].in_features, *(layer.out_features for layer in layers)]

    assert shape(1000) == [1000, 125, 15, 2]
    assert shape(10) == [10, 8, 8, 2]
    assert shape(100) == [100, 12, 8, 2]
    assert shape(1000, discriminator_form="few_classes") == [1000, 125, 15, 2]
    assert shape(100, discriminator_form="published") == [100, 12, 1, 2]
    with pytest.raises(UsageError, match="no unit") as error:
        shape(10, discriminator_form="published")
    assert "auto" in error.value.hint
    assert RECIPE.objective.notes(1000) == ()
    assert "10-8-8-2" in RECIPE.objective.notes(10)[0]


def test_cutmix_variant_trains_on_the_teachers_answer_to_the_mixed_image(student):
    changes = next(variant for variant in RECIPE.variants if variant.name == "cutmix").overrides
    mixing = override(RECIPE, changes).data.mixing
    assert (mixing.cutmix_prob, mixing.cutmix_alpha, mixing.mixup_prob) == (1.0, 1.0, 0.0)
    teachers, objective = Teachers(), objective_of("published")
    pixels = torch.arange(BATCH, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous() * 40
    batch = Batch(images=pixels, labels=torch.full((BATCH,), -1), sample_ids=torch.arange(BATCH))

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = student(flat(images))
        return logits, logits

    def part(mixing: Mixing, step: int) -> Step:
        run = StepContext(student=forward, teachers=teachers, num_training_images=99, mixing=mixing)
        return split_step(batch, run, epoch=0, step=step)[0]

    mixed = next(
        step for step in (part(mixing, index) for index in range(20)) if (step.images != part(Mixing(), 0).images).any()
    )
    teachers.seen.clear()
    terms = objective.terms("student", mixed)
    assert len(teachers.seen) == 1
    assert torch.equal(teachers.seen[0], mixed.images)
    target = torch.stack([network(flat(mixed.images)).softmax(dim=1) for network in teachers.networks]).mean(dim=0)
    expected = -(target * forward(mixed.images)[0].log_softmax(dim=1)).sum(dim=1).mean()
    assert terms["soft_label"].item() == pytest.approx(expected.item(), abs=1e-6)
    relabelled = dataclasses.replace(batch, labels=torch.arange(BATCH))
    batch = relabelled
    again = objective.terms("student", part(mixing, mixed.step))
    assert again["soft_label"].item() == terms["soft_label"].item()


def test_first_loss_starts_near_the_teachers_entropy_plus_ln_2():
    objective = objective_of("published", 1000)
    torch.manual_seed(0)
    z = torch.randn(8, 1000)

    class Same:
        logits = z
        features = z

    step = make_step(nn.Linear(12, 1000), lambda images, **_: Answers((z, z), (z, z)))
    step._student_answer = Same  # type: ignore[assignment]
    terms = objective.terms("student", step)
    entropy = -(z.softmax(dim=1) * z.log_softmax(dim=1)).sum(dim=1).mean()
    assert terms["soft_label"].item() == pytest.approx(entropy.item(), abs=1e-5)
    assert terms["discriminator"].item() == pytest.approx(math.log(2), abs=0.1)
