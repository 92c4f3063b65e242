"""ExRep's objective: what each phase moves, in which order, and what the student and the teacher see."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from kdzoo.engine.distributed import Processes
from kdzoo.engine.phases import run_phases, start_phases
from kdzoo.engine.step import MixedBatch, Step, StepContext
from kdzoo.engine.teachers import Answers
from kdzoo.recipes.exrep import RECIPE, ExRep
from kdzoo.recipes.objectives.input_distiller import InputDistiller, distil
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Shapes

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
BATCH, CLASSES, WIDTH = 6, 4, 5
SMALL = {"distiller.width": 4, "distiller.max_width": 8, "contrast.num_negatives": 9, "critic_hidden": (8,)}


class Student(nn.Module):
    """Pooled pixels, BatchNorm, a linear feature layer and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.features, self.fc = nn.BatchNorm1d(12), nn.Linear(12, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(images.detach())
        features = self.features(self.norm(functional.adaptive_avg_pool2d(images, 2).flatten(1)))
        return self.fc(features), features


class Teacher(Student):
    @torch.no_grad()
    def __call__(self, images: Tensor, **_: object) -> Answers:
        logits, features = super().__call__(images)
        return Answers((logits,), (features,))


def build(**changes: object) -> ExRep:
    torch.manual_seed(2)
    settings = override(RECIPE, {f"objective.{key}": value for key, value in {**SMALL, **changes}.items()}).objective
    labels = torch.arange(20).numpy() % CLASSES
    shapes = Shapes(
        num_classes=CLASSES, num_teachers=1, student_features=WIDTH, teacher_features=(WIDTH,),
        num_training_images=20, labels=labels, image_size=16, mean=MEAN, std=STD,
    )  # fmt: skip
    objective = settings.build(shapes)
    assert isinstance(objective, ExRep)
    return objective


def make_step(student: Student, teacher: Teacher) -> Step:
    torch.manual_seed(9)
    ids = torch.arange(BATCH)
    batch = MixedBatch(images=torch.rand(BATCH, 3, 16, 16), labels=ids % CLASSES, sample_ids=ids)
    run = StepContext(student=student, teachers=teacher, num_training_images=20)  # type: ignore[arg-type]
    return Step(batch, run, epoch=0, step=0)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(4)
    return Student()


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(5)
    return Teacher().eval()


def test_the_student_sees_x_plus_g_of_the_normalised_x_and_the_teacher_x(student, teacher):
    objective, step = build(), make_step(student, teacher)
    objective.set_modes(student)
    objective.terms("student", step)
    offset, scale = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))
    normalised = (step.images - offset) / scale
    expected = objective.distiller(normalised) * scale + offset  # Eq. 1, where the student's normalisation undoes both
    torch.testing.assert_close(student.seen[0], expected.detach(), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(student.seen[0], step.images)
    assert torch.equal(teacher.seen[0], step.images)


def test_equation_6_as_printed_shows_the_teacher_what_the_student_sees(student, teacher):
    objective = build(teacher_input="distilled")
    objective.terms("student", make_step(student, teacher))
    assert torch.equal(teacher.seen[0], student.seen[0])


def gradients(module: nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)


def test_the_critics_phase_reaches_the_critic_alone_and_the_student_runs_once_a_step(student, teacher):
    objective, step = build(), make_step(student, teacher)
    torch.stack(list(objective.terms("critic", step).values())).sum().backward()
    assert gradients(objective.critic) > 0
    assert gradients(student) == gradients(objective.distiller) == gradients(objective.contrast) == 0
    terms = objective.terms("student", step)
    assert len(student.seen) == 1
    terms["adversarial"].backward()
    assert gradients(student) > 0
    assert gradients(objective.distiller) > 0
    assert not objective._answers


def test_terms_equal_a_reference(student, teacher):
    objective, step = build(), make_step(student, teacher)
    objective.set_modes(student)
    critic, terms = objective.terms("critic", step), objective.terms("student", step)
    logits, features = (tensor.detach().double() for tensor in student(student.seen[0]))
    answer = teacher(step.images)
    target, wanted = (answer.logits[0].double() / 4).softmax(dim=1), answer.features[0].double()
    kd = 16 * (target * (target.log() - (logits / 4).log_softmax(dim=1))).sum(dim=1).mean()
    smooth = functional.cross_entropy(logits, step.labels, label_smoothing=0.1)
    judge = objective.critic.double()
    real, fake = judge(wanted).sigmoid().detach(), judge(features).sigmoid().detach()
    expected = {
        "kd": kd,
        "hard_label": smooth,
        "adversarial": -0.1 * fake.log().mean(),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    assert critic["critic_real"].item() == pytest.approx(-0.1 * real.log().mean().item(), rel=1e-4)
    assert critic["critic_fake"].item() == pytest.approx(-(1 - fake).log().mean().item(), rel=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_step_moves_the_critic_first_and_then_distiller_embeddings_and_an_unfrozen_student(frozen, student, teacher):
    objective = build(freeze_student=frozen)
    phases = start_phases(objective, student, RECIPE.optimizer, RECIPE.schedule, "fp32", torch.device("cpu"))
    assert [running.phase.name for running in phases] == ["critic", "student"]
    groups = [group.name for group in phases[1].phase.groups]
    assert groups == [*([] if frozen else ["student"]), "distiller", "embeddings"]
    modules = {"student": student, "distiller": objective.distiller, "critic": objective.critic}
    before = {name: [p.detach().clone() for p in module.parameters()] for name, module in modules.items()}
    statistics = [buffer.clone() for buffer in student.buffers()]
    student.train()
    objective.set_modes(student)
    run_phases(
        phases, objective, [make_step(student, teacher)], RECIPE.training, Processes(0, 1, torch.device("cpu")),
        steps_per_epoch=1,
    )  # fmt: skip
    moved = {
        name: any(not torch.equal(a, b) for a, b in zip(before[name], module.parameters(), strict=True))
        for name, module in modules.items()
    }
    assert moved == {"student": not frozen, "distiller": True, "critic": True}
    assert all(torch.equal(a, b) for a, b in zip(statistics, student.buffers(), strict=True))


def test_without_a_distiller_the_student_sees_the_images_and_there_is_one_phase(student, teacher):
    changes = next(item for item in RECIPE.variants if item.name == "no_distiller").overrides
    objective = build(**{key.removeprefix("objective."): value for key, value in changes.items()})
    step = make_step(student, teacher)
    assert set(objective.terms("student", step)) == {"kd", "hard_label", "contrast"}
    assert torch.equal(student.seen[0], step.images)
    assert [phase.name for phase in objective.phases(student)] == ["student"]


def test_the_mse_ablation_compares_the_features(student, teacher):
    objective, step = build(adversary="mse"), make_step(student, teacher)
    objective.set_modes(student)
    terms = objective.terms("student", step)
    difference = student(student.seen[0])[1] - teacher(step.images).features[0]
    assert terms["feature_mse"].item() == pytest.approx(difference.square().mean().item(), rel=1e-5)
    assert [phase.name for phase in objective.phases(student)] == ["student"]


@pytest.mark.parametrize(("variant", "parameters"), [(None, 3_662_851), ("head_distiller", 8_385_539)])
def test_the_distillers_have_the_published_size(variant, parameters):
    changes = {} if variant is None else next(v for v in RECIPE.variants if v.name == variant).overrides
    network = override(RECIPE, changes).objective.distiller.build(240)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_distil_of_a_distiller_that_gives_nothing_is_the_image():
    network = InputDistiller(4, max_width=4)
    nn.init.zeros_(network.to_image[2].weight)
    nn.init.zeros_(network.to_image[2].bias)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(distil(network, images, MEAN, STD), images)
