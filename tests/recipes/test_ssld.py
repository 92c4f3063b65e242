"""SSLD's objective: its terms against float64 references, what it trains and decays, and that it reads no label."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.settings import Given
from kdzoo.engine.objective import student_group
from kdzoo.engine.optim import build_optimizer
from kdzoo.engine.step import MixedBatch, Step, StepContext
from kdzoo.engine.teachers import Answers
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.recipes.overrides import override
from kdzoo.recipes.parameter_groups import without_norm_decay
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.ssld import RECIPE, SSLD
from kdzoo.zoo import load_model

CLASSES, BATCH = 10, 6
LOSSES = ("half_symmetric_kl", "jensen_shannon", "soft_cross_entropy", "hard_label")


def objective_of(**changes: object) -> SSLD:
    settings = override(RECIPE, {f"objective.{key}": value for key, value in changes.items()}).objective
    shapes = Shapes(
        num_classes=CLASSES, num_teachers=2, student_features=5, teacher_features=(4, 4), num_training_images=99
    )
    objective = settings.build(shapes)
    assert isinstance(objective, SSLD)
    return objective


def make_step(student: nn.Module, teacher_logits: tuple[Tensor, ...], labels: Tensor | None = None) -> Step:
    torch.manual_seed(9)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = student(images.flatten(1))
        return logits, logits

    labels = torch.full((BATCH,), -1) if labels is None else labels
    batch = MixedBatch(images=torch.rand(BATCH, 3, 2, 2), labels=labels, sample_ids=torch.arange(BATCH))
    run = StepContext(
        student=forward,
        teachers=lambda images, **_: Answers(teacher_logits, teacher_logits),  # type: ignore[arg-type]
        num_training_images=99,
    )
    return Step(batch, run, epoch=0, step=0)


@pytest.fixture
def student() -> nn.Linear:
    torch.manual_seed(4)
    return nn.Linear(12, CLASSES)


def teacher_logits(count: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return tuple(3 * torch.randn(BATCH, CLASSES, generator=generator) for _ in range(count))


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def reference(loss: str, p: np.ndarray, q: np.ndarray, labels: np.ndarray) -> float:
    """The loss in float64: ``p`` are the student's probabilities, ``q`` the teacher's."""

    def kl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a * (np.log(a) - np.log(b))).sum(axis=1)

    values = {
        "half_symmetric_kl": lambda: (kl(q, p) + kl(p, q)) / 2,
        "jensen_shannon": lambda: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2,
        "soft_cross_entropy": lambda: -(q * np.log(p)).sum(axis=1),
        "hard_label": lambda: -np.log(p[np.arange(len(p)), labels]),
    }
    return float(values[loss]().mean())


@pytest.mark.parametrize("num_teachers", [1, 2])
@pytest.mark.parametrize("loss", LOSSES)
def test_terms_equal_the_reference(loss, num_teachers, student):
    labels, answers = torch.arange(BATCH), teacher_logits(num_teachers)
    step = make_step(student, answers, labels)
    terms = objective_of(loss=loss).terms("student", step)
    p = softmax(step.student().logits.detach().double().numpy())
    q = np.mean([softmax(z.double().numpy()) for z in answers], axis=0)
    assert set(terms) == {"hard_label" if loss == "hard_label" else "soft_label"}
    assert next(iter(terms.values())).item() == pytest.approx(reference(loss, p, q, labels.numpy()), rel=1e-5)


def test_the_published_expression_is_the_default_and_several_times_the_true_divergence(student):
    answers = teacher_logits(1)
    step = make_step(student, answers)
    default = objective_of().terms("student", step)["soft_label"]
    p, q = step.student().logits.softmax(dim=1), answers[0].softmax(dim=1)
    # As released: the mean over batch and classes of C·p·log(p/q), both ways, halved.
    released = 0.5 * ((CLASSES * q * (q / p).log()).mean() + (CLASSES * p * (p / q).log()).mean())
    assert default.item() == pytest.approx(released.item(), rel=1e-5)
    true = objective_of(loss="jensen_shannon").terms("student", step)["soft_label"]
    assert 0 < true.item() < math.log(2)
    assert default.item() > 3 * true.item()


@pytest.mark.parametrize("loss", LOSSES[:3])
def test_the_gradient_is_the_references_and_reaches_the_student_alone(loss, student):
    answers = tuple(z.requires_grad_() for z in teacher_logits(1))
    detached = tuple(z.detach() for z in answers)
    objective_of(loss=loss).terms("student", make_step(student, detached))["soft_label"].backward()
    assert answers[0].grad is None
    weight = student.weight.detach().double().clone()
    images = make_step(student, detached).images.flatten(1).double().numpy()
    q, labels = softmax(detached[0].double().numpy()), np.zeros(BATCH, int)

    def value(w: Tensor) -> float:
        return reference(loss, softmax(images @ w.numpy().T + student.bias.detach().double().numpy()), q, labels)

    for row, column in ((0, 0), (3, 7), (9, 11)):
        moved = [weight.clone() for _ in range(2)]
        moved[0][row, column] += 1e-5
        moved[1][row, column] -= 1e-5
        slope = (value(moved[0]) - value(moved[1])) / 2e-5
        assert student.weight.grad[row, column].item() == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES[:3])
def test_it_is_lowest_where_both_agree(loss, student):
    with torch.no_grad():
        same = make_step(student, (student(make_step(student, ()).images.flatten(1)),))
    term = objective_of(loss=loss).terms("student", same)["soft_label"]
    student.zero_grad()
    term.backward()
    assert student.weight.grad.abs().max() < 1e-6
    if loss != "soft_cross_entropy":
        assert term.item() == pytest.approx(0.0, abs=1e-6)


def test_norms_can_be_spared_weight_decay_and_other_biases_not():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=True), nn.BatchNorm2d(4), nn.Linear(4, 2))
    groups = without_norm_decay(student_group(network), network)
    assert [[name for name, _ in group.parameters] for group in groups] == [
        ["0.weight", "0.bias", "2.weight", "2.bias"],
        ["1.weight", "1.bias"],
    ]
    phase = objective_of(decay_norms=False).phases(network)[0]
    decays = {g["name"]: g["weight_decay"] for g in build_optimizer(phase, RECIPE.optimizer).param_groups}
    assert decays == {"student": 4e-5, "student_norms": 0.0}
    everything = objective_of().phases(network)[0]
    assert [g["weight_decay"] for g in build_optimizer(everything, RECIPE.optimizer).param_groups] == [4e-5]


def test_timms_norms_are_found_too():
    network = load_model("mobilenetv3_small_100", pretrained=False, num_classes=10).model
    spared = {name for name, _ in without_norm_decay(student_group(network), network)[1].parameters}
    assert {"bn1.weight", "blocks.0.0.bn1.bias"} <= spared
    assert not any("se." in name or name.startswith("classifier") for name in spared)


def test_fixres_trains_the_classifier_alone_and_nothing_else_moves():
    network = load_model("cifar_resnet8", pretrained=False, num_classes=10).model
    objective = objective_of(trains="classifier")
    phase = objective.phases(network)[0]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = build_optimizer(phase, RECIPE.optimizer)
    network.train()
    objective.set_modes(network)
    network(torch.rand(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def plan(*variants: str, **given: object) -> Plan:
    entries = {key.replace("__", "."): Given(value, "--flag") for key, value in given.items()}
    return resolve("ssld", given={"teachers.models": Given(("resnet50d",), "--teacher"), **entries}, variants=variants)


def test_settings_follow_the_student():
    large, mobile = plan(), plan(student__model="mobilenetv3_large_100").recipe
    assert (large.recipe.optimizer.weight_decay, large.recipe.data.augmentation.policy) == (4e-5, "ssld_autoaugment")
    assert large.recipe.objective.decay_norms
    assert (mobile.optimizer.weight_decay, mobile.data.augmentation.policy) == (1e-5, None)
    assert not mobile.objective.decay_norms
    v1 = plan(student__model="mobilenetv1_100").recipe
    assert v1.objective.decay_norms
    assert large.recipe.student.init == "random"
    assert large.student == "resnet50d"


@pytest.mark.parametrize(
    ("student", "first", "second"),
    [
        ("resnet50d", (1024, 0.4, 7e-5, 360), (1024, 0.004, 7e-5, 60)),
        ("mobilenetv2_100", (3072, 0.54, 1e-5, 360), (3072, 0.0054, 1e-5, 30)),
        ("mobilenetv3_large_100", (5760, 3.65625, 1e-5, 360), (2048, 0.008, 1e-5, 30)),
        ("mobilenetv3_small_100", (5760, 3.65625, 1e-5, 360), (6400, 0.025, 1e-5, 30)),
    ],
)
def test_the_documentations_table(student, first, second):
    found = plan("docs", student__model=student)
    rows = []
    for stage in found.stages:
        recipe = stage.recipe
        size, lr = recipe.training.batch_size, recipe.optimizer.lr
        rows.append((size, lr, recipe.optimizer.weight_decay, recipe.training.epochs))
    assert rows == [first, second]
    assert found.stages[1].recipe.data.augmentation.policy is None


def test_variants_reach_the_stages_that_they_are_for():
    both = plan("finetune_labels").stages
    assert [stage.recipe.objective.loss for stage in both] == ["half_symmetric_kl", "hard_label"]
    assert [stage.teachers for stage in both] == [("resnet50d.ra2_in1k",), ()]
    third = plan("fixres").stages[2]
    augmentation = third.recipe.data.augmentation
    assert (third.image_size, augmentation.crop, augmentation.policy) == (320, "center", None)
    assert (third.recipe.objective.trains, third.recipe.objective.loss) == ("classifier", "half_symmetric_kl")
    assert plan("fixres_labels").stages[2].recipe.objective.loss == "hard_label"
    assert all(stage.recipe.objective.loss == "jensen_shannon" for stage in plan("jensen_shannon").stages)
