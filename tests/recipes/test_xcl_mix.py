"""XCL-Mix: the target is the teachers' answer to the mixed image, and no label is read."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.errors import UsageError
from kdzoo.data import Mixing
from kdzoo.data.batch import Batch
from kdzoo.engine.objective import Objective
from kdzoo.engine.step import Step, StepContext, split_step
from kdzoo.engine.teachers import Answers
from kdzoo.planning.resolution import resolve
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Recipe, Shapes
from kdzoo.recipes.xcl_mix import RECIPE

from .conftest import small_plan

CLASSES, BATCH = 10, 6
SHAPES = Shapes(
    num_classes=CLASSES, num_teachers=2, student_features=5, teacher_features=(4, 4), num_training_images=99
)


def flat(images: Tensor) -> Tensor:
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
        logits = tuple(4 * network(flat(images)) for network in self.networks)
        return Answers(logits, logits)


@pytest.fixture
def student() -> nn.Linear:
    torch.manual_seed(4)
    return nn.Linear(12, CLASSES)


def steps(student: nn.Linear, teachers: Teachers, mixing: Mixing, labels: Tensor) -> Callable[[int], Step]:
    """Steps over the same six images of uneven brightness."""
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (BATCH, 3, 8, 8), dtype=torch.uint8)
    batch = Batch(images=pixels, labels=labels, sample_ids=torch.arange(BATCH))

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = student(flat(images))
        return logits, logits

    def step(index: int) -> Step:
        run = StepContext(student=forward, teachers=teachers, num_training_images=99, mixing=mixing)
        return split_step(batch, run, epoch=0, step=index)[0]

    return step


def objective(**settings: object) -> Objective:
    return override(RECIPE, {f"objective.{key}": value for key, value in settings.items()}).objective.build(SHAPES)


def reference(student: nn.Linear, teachers: Teachers, images: Tensor, temperature: float) -> float:
    """KL(mean teacher probabilities ‖ student) in float64 numpy, not scaled by T²."""

    def probabilities(network: nn.Linear, scale: float) -> np.ndarray:
        weight, bias = (p.detach().double().numpy() for p in (network.weight, network.bias))
        z = scale * (flat(images.double()).numpy() @ weight.T + bias) / temperature
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    p = np.mean([probabilities(network, 4.0) for network in teachers.networks], axis=0)
    q = probabilities(student, 1.0)
    return float((p * np.log(p / q)).sum(axis=1).mean())


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_target_is_the_teachers_answer_to_the_mixed_image(kind, student):
    mixing = override(RECIPE, next(v for v in RECIPE.variants if v.name == kind).overrides).data.mixing
    teachers = Teachers()
    part = steps(student, teachers, mixing, torch.arange(BATCH))(3)
    plain = steps(student, teachers, Mixing(), torch.arange(BATCH))(3)
    assert (part.images != plain.images).any()
    terms = objective().terms("student", part)
    assert set(terms) == {"kl"}
    assert [torch.equal(seen, part.images) for seen in teachers.seen] == [True]
    assert terms["kl"].item() == pytest.approx(reference(student, teachers, part.images, 1.0), abs=1e-6)
    of_the_plain_images = reference(student, teachers, plain.images, 1.0)
    assert abs(terms["kl"].item() - of_the_plain_images) > 1e-5


def test_every_batch_is_mixed_by_one_or_the_other(student):
    step = steps(student, Teachers(), RECIPE.data.mixing, torch.arange(BATCH))
    plain = steps(student, Teachers(), Mixing(), torch.arange(BATCH))(0).images
    kinds = []
    for index in range(40):
        of_some_image = (step(index).images[:, None] == plain[None]).any(dim=1).all()
        kinds.append("cutmix" if of_some_image else "mixup")
    assert 10 < kinds.count("mixup") < 30


def test_labels_are_never_read(student):
    def loss(labels: Tensor) -> float:
        return objective().terms("student", steps(student, Teachers(), RECIPE.data.mixing, labels)(3))["kl"].item()

    assert loss(torch.arange(BATCH)) == loss(torch.full((BATCH,), -1))
    assert not RECIPE.objective.uses_labels


@pytest.mark.parametrize(("squared", "factor"), [(True, 25.0), (False, 1.0)])
def test_temperature_with_and_without_its_square(squared, factor, student):
    teachers = Teachers()
    part = steps(student, teachers, Mixing(), torch.arange(BATCH))(0)
    loss = objective(temperature=5.0, squared_temperature=squared).terms("student", part)["kl"]
    assert loss.item() == pytest.approx(factor * reference(student, teachers, part.images, 5.0), rel=1e-4)


def test_the_loss_is_zero_where_they_agree_and_the_teachers_get_no_gradient(student):
    teachers = Teachers()
    part = steps(student, teachers, RECIPE.data.mixing, torch.arange(BATCH))(3)
    objective().terms("student", part)["kl"].backward()
    assert student.weight.grad.abs().max() > 0
    assert all(p.grad is None for network in teachers.networks for p in network.parameters())
    teachers.networks = [teachers.networks[0], teachers.networks[0]]
    with torch.no_grad():
        student.weight.copy_(4 * teachers.networks[0].weight)
        student.bias.copy_(4 * teachers.networks[0].bias)
    agreed = steps(student, teachers, RECIPE.data.mixing, torch.arange(BATCH))(3)
    assert objective().terms("student", agreed)["kl"].item() == pytest.approx(0.0, abs=1e-6)


def changed(*names: str) -> Recipe:
    recipe = RECIPE
    for name in names:
        recipe = override(recipe, next(v for v in recipe.variants if v.name == name).overrides)
    return recipe


def test_weight_decay_is_ten_times_smaller_for_xcl_on_imagenet_alone():
    assert RECIPE.optimizer.weight_decay == 1e-5
    assert changed("kd").optimizer.weight_decay == 1e-4
    assert changed("kd").data.mixing == changed("cifar", "unmixed").data.mixing
    assert changed("cifar").optimizer.weight_decay == changed("cifar", "unmixed").optimizer.weight_decay == 5e-4
    assert changed("cifar_pyramidnet").optimizer.weight_decay == 1e-4
    binary = changed("cifar_binary").optimizer
    assert (binary.name, binary.lr, binary.weight_decay, binary.momentum) == ("adam", 2e-4, 0.0, 0.9)


def test_the_unpublished_teacher_is_asked_for():
    with pytest.raises(UsageError, match="xcl_mix needs a teacher") as error:
        resolve("xcl_mix")
    assert "--teacher" in error.value.hint


def test_the_cifar_variant_brings_its_students_eight_teachers():
    plan = resolve("xcl_mix", variants=("cifar",))
    assert plan.student == "cifar_resnet18"
    assert plan.teachers == ("cifar_resnet18",) * 8
    assert plan.image_size == 32
    assert plan.recipe.schedule.milestones == (120, 240, 320)


@pytest.mark.parametrize(
    ("variant", "student"),
    [("cifar_pyramidnet", "cifar_pyramidnet200_a240"), ("cifar_binary", "cifar_binary_resnet18")],
)
def test_the_other_cifar_students_ask_for_a_teacher_and_take_any(variant, student):
    with pytest.raises(UsageError, match="needs a teacher"):
        resolve("xcl_mix", variants=(variant,))
    plan = small_plan("xcl_mix", variant, student__model=student, teachers__models=("cifar_resnet18",))
    assert (plan.student, plan.recipe.student.init) == (student, "random")
    assert plan.recipe.data.augmentation.crop == "pad4"
