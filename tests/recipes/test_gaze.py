"""XCL's regression end to end: teacher, student, baselines, what preflight sees, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mini_mpiigaze import PEOPLE, write_mpiigaze

from kdzoo.base.errors import DataError, ModelError, TeacherError, UsageError
from kdzoo.base.run_documents import TrainResult
from kdzoo.data import Mixing
from kdzoo.data.batch import Batch
from kdzoo.engine.objective import mixed_targets
from kdzoo.engine.step import Step, StepContext, split_step
from kdzoo.engine.teachers import Answers
from kdzoo.evaluation.report import write_report
from kdzoo.planning.cost import estimate
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run
from kdzoo.recipes.gaze import RECIPE as GAZE
from kdzoo.recipes.objectives.gaussian import Gaussian, mean_gaussian
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.xcl_gaze import RECIPE as XCL_GAZE
from kdzoo.zoo import load_model, save_model

from .conftest import small_plan
from .gaze_runs import gaze_plan, write_teacher
from .golden_losses import check_golden, terms

SLOWLY = {"optimizer__lr": 1e-5}  # Adam's first steps leap, and with them a rounding error, where a student is far off
CASES = {
    "gaze": ("gaze", (), {}),
    "gaze-mse": ("gaze", ("mse",), {"student__model": "gaze_lenet_pose"}),
    "xcl_gaze": ("xcl_gaze", (), SLOWLY),
    "xcl_gaze-either": ("xcl_gaze", ("either", "variance"), {"student__model": "gaze_lenet_pose", **SLOWLY}),
    "xcl_gaze-mse": ("xcl_gaze", ("kd", "mse"), SLOWLY),
}
QUICK = ("gaze", "xcl_gaze", "xcl_gaze-either")
"""The squared errors, of either recipe, are slow."""


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eyes") / "MPIIGaze"
    write_mpiigaze(path, people=PEOPLE[:4], images_a_day=8)
    return path


@pytest.fixture(scope="module")
def gaze_teacher(eyes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A teacher that has seen a few eyes."""
    plan = gaze_plan(eyes, "gaze", training__epochs=4, training__batch_size=16, training__evaluate_every_epochs=2)
    return run(plan, out=tmp_path_factory.mktemp("gaze_teacher") / "run")


@pytest.mark.numeric
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_recipe_takes_real_steps_and_lands_on_its_golden_losses(case, eyes, tmp_path: Path):
    recipe, variants, given = CASES[case]
    taught = {"teachers__models": (write_teacher(tmp_path / "teacher"),)} if recipe == "xcl_gaze" else {}
    plan = gaze_plan(eyes, recipe, *variants, **taught, **given)
    result = run(plan, out=tmp_path / "run", trust_teacher=True)
    assert len(terms(tmp_path / "run")) == result.steps == 96 // 32
    check_golden(case, tmp_path / "run")
    loaded = load_model(result.model)
    assert loaded.num_classes == (2 if "mse" in variants else 3)
    assert loaded.preprocessing.input_size == (1, 36, 60)


def test_a_teachers_result_is_an_angular_error_everywhere(eyes, gaze_teacher: TrainResult):
    folder = Path(gaze_teacher.run)
    document = json.loads((folder / "result.json").read_text())
    assert document["angular_error"] == gaze_teacher.metrics["angular_error"] > document["best_angular_error"] - 1e-9
    assert not {"top1", "top5", "best_top1"} & set(document)
    provenance = load_model(gaze_teacher.model).provenance
    assert provenance["angular_error"] == gaze_teacher.metrics["angular_error"]
    assert (provenance["task"], provenance["targets"], provenance["data"]) == (
        "regression", ["pitch", "yaw"], "mpiigaze@p00",
    )  # fmt: skip
    assert provenance["output"] == {"form": "gaussian", "scale": "std", "positivity": "softplus", "floor": 1e-4}
    assert "gaze estimation model" in (folder / "model/README.md").read_text()
    page = write_report(folder).read_text()
    assert f"{gaze_teacher.metrics['angular_error']:.2f}°" in page
    assert "Angular error, held-out images" in page
    assert "pitch and yaw of each" in page
    assert "top-1" not in page.lower()
    assert "0 classes" not in page
    again = run(
        gaze_plan(eyes, "gaze", training__epochs=4, training__batch_size=16, training__evaluate_every_epochs=2),
        out=folder, resume=True,
    )  # fmt: skip
    assert again == gaze_teacher


def test_the_teacher_is_what_it_was_after_the_run_and_a_pose_reaches_both(eyes, gaze_teacher, tmp_path: Path):
    before = load_model(gaze_teacher.model).model.state_dict()
    plan = gaze_plan(eyes, "xcl_gaze", teachers__models=(gaze_teacher.model,) * 2)
    result = run(plan, out=tmp_path / "run", trust_teacher=True)
    after = load_model(gaze_teacher.model).model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    reports = json.loads((tmp_path / "run/config.json").read_text())["teacher_reports"]
    assert [report["angular_error"] for report in reports] == pytest.approx([gaze_teacher.metrics.value] * 3, rel=1e-4)
    assert reports[0]["promised_error"] == gaze_teacher.metrics["angular_error"]
    assert "Measured angular error" in write_report(Path(result.run)).read_text()


def renamed(model: str, to: Path, **block: object) -> str:
    """A copy of a model folder with another record."""
    loaded = load_model(model)
    save_model(loaded, to, provenance={**loaded.provenance, **block})
    return str(to)


def test_a_teacher_that_misses_its_promise_stops_the_run(eyes, gaze_teacher, tmp_path: Path):
    teacher = renamed(gaze_teacher.model, tmp_path / "teacher", angular_error=0.001)
    with torch.no_grad():
        bad = load_model(teacher)
        bad.model.fc.bias[:2] += 1.0
        save_model(bad, tmp_path / "teacher", provenance=bad.provenance)
    plan = gaze_plan(eyes, "xcl_gaze", teachers__models=(teacher,))
    with pytest.raises(TeacherError, match=r"errs by .*° on 32 images where 0\.00° is promised"):
        run(plan, out=tmp_path / "run")
    unpromised = renamed(teacher, tmp_path / "other", data="mpiigaze@p01")
    with pytest.raises(TeacherError, match="no better than their mean gaze"):
        run(gaze_plan(eyes, "xcl_gaze", teachers__models=(unpromised,)), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_teachers_of_another_kind_are_refused(eyes, gaze_teacher, tmp_path: Path):
    knows = load_model("gaze_lenet", num_classes=3)
    knows.class_names = ("left", "right", "ahead")
    save_model(knows, tmp_path / "classes", provenance={})
    with pytest.raises(TeacherError, match="knows 3 classes, mpiigaze@p00 has pitch and yaw"):
        run(gaze_plan(eyes, "xcl_gaze", teachers__models=(str(tmp_path / "classes"),)), out=tmp_path / "run")
    save_model(load_model("gaze_lenet", num_classes=5), tmp_path / "five", provenance={})
    with pytest.raises(TeacherError, match="has 5 outputs"):
        run(gaze_plan(eyes, "xcl_gaze", teachers__models=(str(tmp_path / "five"),)), out=tmp_path / "run")
    save_model(load_model("gaze_lenet", num_classes=2), tmp_path / "two", provenance={})
    plan = gaze_plan(eyes, "xcl_gaze", teachers__models=(str(tmp_path / "two"),))
    with pytest.raises(UsageError, match="teacher 1 has 2 outputs and no uncertainty"):
        run(plan, out=tmp_path / "run", trust_teacher=True)
    other = renamed(gaze_teacher.model, tmp_path / "roll", targets=["roll", "pitch"])
    with pytest.raises(TeacherError, match="predicts roll and pitch"):
        run(gaze_plan(eyes, "xcl_gaze", teachers__models=(other,)), out=tmp_path / "run")
    plan = small_plan("hinton_kd", teachers__models=(gaze_teacher.model,))
    with pytest.raises(TeacherError, match="predicts pitch and yaw, digits has classes"):
        run(plan, out=tmp_path / "run")
    strange = renamed(gaze_teacher.model, tmp_path / "strange", output={"form": "gaussian", "scale": "inches"})
    with pytest.raises(TeacherError, match="makes no sense"):
        run(gaze_plan(eyes, "xcl_gaze", teachers__models=(strange,)), out=tmp_path / "run", trust_teacher=True)
    assert not (tmp_path / "run").exists()


def test_recipes_and_data_of_different_kinds_do_not_go_together(eyes, tmp_path: Path):
    with pytest.raises(UsageError, match=r"supervised needs data with one class an image, .* has numbers to predict"):
        gaze_plan(eyes, "supervised", student__model="cifar_resnet8")
    with pytest.raises(UsageError, match="gaze needs data with numbers to predict, digits has one class an image"):
        small_plan("gaze", student__model="gaze_lenet")
    with pytest.raises(UsageError, match="a mirrored eye looks the other way"):
        gaze_plan(eyes, "gaze", data__augmentation__hflip_prob=0.5)
    with pytest.raises(ModelError, match="built for images of 36×60 px, the run shows 72×60"):
        run(gaze_plan(eyes, "gaze", student__model="gaze_lenet", data__augmentation__image_size=72), out=tmp_path)
    plan = gaze_plan(eyes, "xcl_gaze", student__model="gaze_lenet_pose", teachers__models=("gaze_lenet",),
                     data__unlabeled=f"mpiigaze@p01:{eyes}")  # fmt: skip
    assert plan.facts.num_images == 192
    with pytest.raises(ModelError, match="without published weights"):
        run(plan, out=tmp_path / "run")


def test_images_without_a_pose_are_refused_for_a_network_that_takes_one(eyes, gaze_teacher, tmp_path: Path):
    folder = tmp_path / "more"
    folder.mkdir()
    from PIL import Image

    for index in range(8):
        Image.fromarray(np.full((36, 60), 20 * index, np.uint8)).save(folder / f"{index}.png")
    given = {"teachers__models": (gaze_teacher.model,), "data__unlabeled": str(folder)}
    plan = gaze_plan(eyes, "xcl_gaze", student__model="gaze_lenet_pose", **given)
    with pytest.raises(DataError, match="takes the head's pose beside the image"):
        run(plan, out=tmp_path / "run", trust_teacher=True)
    result = run(gaze_plan(eyes, "xcl_gaze", **given), out=tmp_path / "run", trust_teacher=True)
    assert result.steps == 104 // 32


def test_a_dry_run_tells_the_cost_with_and_without_the_data(eyes):
    cost = estimate(gaze_plan(eyes, "gaze", student__model="gaze_lenet_pose"))
    assert (cost.num_classes, cost.num_images, cost.missing) == (3, 96, ())
    assert cost.measurement is not None
    plan = resolve("gaze")
    assert (plan.facts.num_targets, plan.facts.num_images, plan.image_size) == (2, 36_000, 36)
    assert "mpiigaze not found" in estimate(plan, measure=False).missing[0]
    assert (plan.recipe.optimizer.lr, plan.recipe.data.mixing.mixup_prob) == (1e-3, 1.0)
    student = gaze_plan(eyes, "gaze", student__model="gaze_lenet").recipe
    assert student.data.mixing.mixup_prob == 0.0


# -- the objectives against float64 references -----------------------------------------------------------------------


class Teachers:
    """Fixed answers, as the engine calls an ensemble."""

    def __init__(self, *answers: torch.Tensor) -> None:
        self.answers = answers

    def __call__(self, images: torch.Tensor, conditions: torch.Tensor | None = None, **_: object) -> Answers:
        return Answers(self.answers, self.answers)


def step(outputs: torch.Tensor, teachers: Teachers | None = None, mixing: Mixing | None = None) -> Step:
    """A step of six eyes with a gaze each."""
    generator = torch.Generator().manual_seed(2)
    batch = Batch(
        images=torch.randint(0, 256, (6, 3, 16, 24), dtype=torch.uint8, generator=generator),
        labels=torch.full((6,), -1),
        sample_ids=torch.arange(6),
        targets=torch.randn(6, 2, generator=generator),
        conditions=torch.randn(6, 2, generator=generator),
    )
    run = StepContext(
        student=lambda images, conditions: (outputs, conditions),
        teachers=teachers,
        num_training_images=6,
        mixing=mixing or Mixing(),
    )
    return split_step(batch, run, epoch=0, step=1)[0]


def gaussian(outputs: torch.Tensor, scale: str, positivity: str) -> torch.distributions.MultivariateNormal:
    """The distribution behind three outputs, in float64."""
    outputs = outputs.double()
    raw = outputs[:, 2]
    value = (torch.log1p(raw.exp()) if positivity == "softplus" else raw.exp()) + 1e-4
    variance = value.square() if scale == "std" else value
    return torch.distributions.MultivariateNormal(outputs[:, :2], variance[:, None, None] * torch.eye(2).double())


def objective(recipe, forms=(), outputs=(3,), **settings):
    changed = override(recipe, {f"objective.{name}": value for name, value in settings.items()}).objective
    shapes = Shapes(
        num_classes=3,
        num_teachers=len(forms),
        student_features=5,
        teacher_features=(),
        num_training_images=9,
        num_targets=2,
        teacher_outputs=outputs,
        teacher_forms=forms,
    )
    return changed.build(shapes)


@pytest.mark.parametrize("scale", ["std", "variance"])
@pytest.mark.parametrize("positivity", ["softplus", "exp"])
def test_the_divergence_and_the_likelihood_are_torchs_own(scale, positivity):
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 3), torch.randn(6, 3)
    form = {"form": "gaussian", "scale": scale, "positivity": positivity, "floor": 1e-4}
    built = objective(XCL_GAZE, forms=(form,))  # the student's own reading is the recipe's, the teacher's its folder's
    found = built.terms("student", step(student, Teachers(teacher)))["kl"]
    expected = torch.distributions.kl_divergence(
        gaussian(teacher, scale, positivity), gaussian(student, "std", "softplus")
    )
    assert found.item() == pytest.approx(expected.mean().item(), rel=1e-5)
    likelihood = objective(GAZE, scale=scale, positivity=positivity)
    part = step(student)
    expected = -gaussian(student, scale, positivity).log_prob(part.targets.double()).mean()
    assert likelihood.terms("student", part)["nll"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_divergence_is_zero_where_both_agree_and_the_mse_ignores_the_scale():
    torch.manual_seed(1)
    answers = torch.randn(6, 3)
    form = {"form": "gaussian", "scale": "std", "positivity": "softplus", "floor": 1e-4}
    same = objective(XCL_GAZE, forms=(form,)).terms("student", step(answers, Teachers(answers)))
    assert same["kl"].item() == pytest.approx(0.0, abs=1e-6)
    gaze = objective(XCL_GAZE, forms=(form, {}), outputs=(3, 2), loss="mse")
    terms = gaze.terms("student", step(answers[:, :2], Teachers(answers, answers[:, :2] + 0.5)))
    assert terms["mse"].item() == pytest.approx(0.25**2, rel=1e-4)


def test_several_teachers_become_the_gaussian_of_their_mixture():
    rng = np.random.default_rng(0)
    means, stds = torch.tensor([[[0.0, 1.0]], [[2.0, -1.0]]]), torch.tensor([[[0.5]], [[1.0]]])
    joined = mean_gaussian([Gaussian(mean, std) for mean, std in zip(means, stds, strict=True)])
    which = rng.integers(0, 2, 400_000)
    samples = means[which, 0].numpy() + stds[which, 0].numpy() * rng.normal(size=(len(which), 2))
    np.testing.assert_allclose(joined.mean[0].numpy(), samples.mean(axis=0), atol=0.01)
    assert joined.std.item() ** 2 == pytest.approx(samples.var(axis=0).mean(), rel=0.01)
    alone = Gaussian(means[0], stds[0])
    assert torch.equal(mean_gaussian([alone]).mean, alone.mean)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_targets_and_poses_are_mixed_as_the_images_are(kind):
    mixing = Mixing(**{f"{kind}_prob": 1.0})
    plain, mixed = step(torch.zeros(6, 3)), step(torch.zeros(6, 3), mixing=mixing)
    assert (mixed.images != plain.images).any()
    weight = mixed.mix_weight
    assert 0 < weight < 1
    partners = [int((plain.targets == row).all(dim=1).nonzero()[0]) for row in mixed.mixed_targets]
    expected = weight * plain.targets + (1 - weight) * plain.targets[partners]
    torch.testing.assert_close(mixed_targets(mixed), expected)
    torch.testing.assert_close(mixed_targets(plain), plain.targets)
    poses = plain.student().features
    torch.testing.assert_close(mixed.student().features, weight * poses + (1 - weight) * poses[partners])
    if kind == "mixup":
        torch.testing.assert_close(mixed.images, weight * plain.images + (1 - weight) * plain.images[partners])
