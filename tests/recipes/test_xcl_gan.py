"""XCL-GAN from end to end on the digits: a trained generator, images between classes, a stored transfer set."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kdzoo.base.errors import ModelError, UsageError
from kdzoo.engine.step import MixedBatch, Step, StepContext
from kdzoo.engine.teachers import Answers
from kdzoo.planning.run import run
from kdzoo.planning.transfer_set import write_transfer_set
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.xcl_gan import RECIPE, XclGan, XclGanSettings
from kdzoo.zoo.generators import load_generator, save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator

from .conftest import small_plan
from .golden_losses import check_golden, terms

CLASSES, BATCH = 10, 6


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that has seen the digits once."""
    out = tmp_path_factory.mktemp("gan") / "run"
    run(small_plan("class_gan", "tiny", student__model="class_discriminator_tiny", optimizer__lr=4e-4), out=out)
    return out


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_generator(ConditionalGenerator(CLASSES, 8, 4, 6, 7), tmp_path / "generator", {})


def objective(**settings: object) -> XclGan:
    changed = override(RECIPE, {f"objective.{key}": value for key, value in settings.items()}).objective
    assert isinstance(changed, XclGanSettings)
    labels = np.array([0, 1, -1]) if changed.mode == "offline" else None
    built = changed.build(
        Shapes(
            num_classes=CLASSES,
            num_teachers=1,
            student_features=5,
            teacher_features=(5,),
            num_training_images=99,
            labels=labels,
        )
    )
    assert isinstance(built, XclGan)
    return built


class Seen:
    """A linear teacher and a linear student that keep what they were shown."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.student, self.teacher = nn.Linear(192, CLASSES), nn.Linear(192, CLASSES)
        self.images: list[Tensor] = []

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.images.append(images)
        logits = self.student(images.flatten(1))
        return logits, logits

    @torch.no_grad()
    def __call__(self, images: Tensor, **_: object) -> Answers:
        self.images.append(images)
        logits = (self.teacher(images.flatten(1)),)
        return Answers(logits, logits)


def make_step(seen: Seen, labels: Tensor | None = None, step: int = 0, ids: Tensor | None = None) -> Step:
    torch.manual_seed(9)
    ids = torch.arange(BATCH) if ids is None else ids
    labels = (torch.arange(BATCH) if labels is None else labels)[: len(ids)]
    batch = MixedBatch(images=torch.rand(BATCH, 3, 8, 8)[: len(ids)], labels=labels, sample_ids=ids)
    run = StepContext(student=seen.answer, teachers=seen, num_training_images=99)  # type: ignore[arg-type]
    return Step(batch, run, epoch=step, step=step)


def reference(seen: Seen, images: Tensor) -> float:
    """KL(teacher ‖ student), mean over the images, in float64 numpy."""

    def probabilities(network: nn.Linear) -> np.ndarray:
        weight, bias = (p.detach().double().numpy() for p in (network.weight, network.bias))
        z = images.flatten(1).double().numpy() @ weight.T + bias
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    p, q = probabilities(seen.teacher), probabilities(seen.student)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def test_online_every_second_image_is_generated_and_both_see_the_same(stored: Path):
    seen = Seen()
    step = make_step(seen)
    terms = objective(generator=str(stored)).terms("student", step)
    assert torch.equal(seen.images[0], seen.images[1])
    shown = seen.images[0]
    assert torch.equal(shown[0::2], step.images[0::2])
    assert (shown[1::2] != step.images[1::2]).flatten(1).any(dim=1).all()
    assert terms["kl_real"].item() == pytest.approx(reference(seen, shown[0::2]) / 2, abs=1e-6)
    assert terms["kl_generated"].item() == pytest.approx(reference(seen, shown[1::2]) / 2, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(reference(seen, shown), abs=1e-6)


def test_generated_images_are_new_at_each_epoch_and_lie_between_two_classes(stored: Path):
    def shown(step: int = 0, **settings: object) -> Tensor:
        seen = Seen()
        objective(generator=str(stored), **settings).terms("student", make_step(seen, step=step))
        return seen.images[0][1::2]

    assert torch.equal(shown(), shown())
    assert not torch.equal(shown(), shown(step=1))
    assert not torch.equal(shown(), shown(mixed_classes=False))
    assert torch.equal(shown(class_mix_alpha=1e-9)[0], shown(class_mix_alpha=1e-9)[0])


def test_labels_are_never_read_online(stored: Path):
    def terms(labels: Tensor) -> list[float]:
        found = objective(generator=str(stored)).terms("student", make_step(Seen(), labels))
        return [value.item() for value in found.values()]

    assert terms(torch.arange(BATCH)) == terms(torch.full((BATCH,), -1))


def test_the_generator_stays_as_it_was_stored(stored: Path):
    built = objective(generator=str(stored)).train()
    seen = Seen()
    built.set_modes(seen.student)
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    sum(built.terms("student", make_step(seen)).values()).backward()
    assert before
    assert all(torch.equal(before[name], tensor) for name, tensor in built.state_dict().items())
    moved = {id(p) for phase in built.phases(seen.student) for group in phase.groups for _, p in group.parameters}
    assert moved == {id(p) for p in seen.student.parameters()}
    assert seen.student.weight.grad.abs().max() > 0
    assert seen.teacher.weight.grad is None


def test_offline_the_loss_is_the_mean_over_the_batch_of_both_kinds():
    seen = Seen()
    step = make_step(seen, torch.tensor([3, -1, 0, -1, 2, -1]))
    terms = objective(mode="offline").terms("student", step)
    assert torch.equal(seen.images[0], step.images)
    assert terms["kl_real"].item() == pytest.approx(reference(seen, step.images[0::2]) / 2, abs=1e-6)
    assert terms["kl_generated"].item() == pytest.approx(reference(seen, step.images[1::2]) / 2, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(reference(seen, step.images), abs=1e-6)


def test_what_is_missing_or_does_not_fit_is_one_clear_line(stored: Path):
    with pytest.raises(UsageError, match="xcl_gan needs a generator") as error:
        objective()
    assert "class_gan" in error.value.hint
    settings = override(RECIPE, {"objective.generator": str(stored)}).objective
    shapes = Shapes(
        num_classes=7, num_teachers=1, student_features=5, teacher_features=(5,), num_training_images=9,
        labels=np.zeros(9, np.int64),
    )  # fmt: skip
    with pytest.raises(ModelError, match="has 10 classes, the data has 7"):
        settings.build(shapes)
    with pytest.raises(UsageError, match="needs a stored transfer set"):
        override(RECIPE, {"objective.mode": "offline"}).objective.build(shapes)
    with pytest.raises(UsageError, match="not between 0 and 1"):
        override(RECIPE, {"objective.generated_share": 1.0}).objective.build(shapes)


@pytest.mark.numeric
def test_the_generators_first_losses_are_the_golden_ones(gan: Path):
    assert len(terms(gan)) == 1437 // 256
    check_golden("class_gan", gan)


def test_the_trained_generator_lies_beside_the_model(gan: Path):
    generator = load_generator(gan, num_classes=10)
    assert (generator.image_size, generator.width) == (16, 16)
    block = json.loads((gan / "generator" / "config.json").read_text())["kdzoo"]
    assert (block["recipe"], *block) == ("class_gan", "recipe", "weights_sha256")
    assert (gan / "model" / "config.json").is_file()


def test_a_transfer_set_goes_on_where_it_stopped(gan: Path, tmp_path: Path):
    def pixels(folder: Path) -> list[np.ndarray]:
        return [np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))]

    whole, halves = tmp_path / "whole", tmp_path / "halves"
    generator = load_generator(gan)
    assert write_transfer_set(generator, whole, 70) == 70
    assert [write_transfer_set(generator, halves, count) for count in (30, 70)] == [30, 40]
    assert len(pixels(whole)) == 70
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(pixels(whole), pixels(halves), strict=True))
    assert pixels(whole)[0].shape == (16, 16, 3)


@pytest.mark.slow
@pytest.mark.numeric
def test_an_interrupted_run_repeats_itself(gan: Path, stored_teacher: str, tmp_path: Path):
    online = small_plan(
        "xcl_gan", teachers__models=(stored_teacher,), objective__generator=str(gan), training__checkpoint_every_steps=2
    )
    run(online, out=tmp_path / "online")
    found = terms(tmp_path / "online")
    assert all(line["kl_real"] > 0 and line["kl_generated"] > 0 for line in found)
    metrics, weights = (tmp_path / "online" / name for name in ("metrics.jsonl", "model/model.safetensors"))
    before = metrics.read_bytes(), weights.read_bytes()
    checkpoints = sorted((tmp_path / "online" / "checkpoints").glob("*.safetensors"))
    for path in checkpoints[-1:]:
        path.unlink()
    (tmp_path / "online" / "result.json").unlink()
    run(online, out=tmp_path / "online", resume=True)
    assert (metrics.read_bytes(), weights.read_bytes()) == before


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_first_losses_are_the_golden_ones(mode: str, stored_teacher: str, tmp_path: Path):
    torch.manual_seed(0)
    place = save_generator(ConditionalGenerator(CLASSES, 16, 4, 6, 7), tmp_path / "generator", {})
    given: dict[str, object] = {"objective__generator": str(place)}
    if mode == "offline":
        write_transfer_set(load_generator(place), tmp_path / "set", 200)
        given = {"data__unlabeled": str(tmp_path / "set")}
    variants = [mode] if mode == "offline" else []
    plan = small_plan("xcl_gan", *variants, teachers__models=(stored_teacher,), **given)
    run(plan, out=tmp_path / "run")
    assert plan.steps_per_epoch == len(terms(tmp_path / "run")) == 1437 // 256
    assert all(line["kl_real"] > 0 and line["kl_generated"] > 0 for line in terms(tmp_path / "run"))
    check_golden(f"xcl_gan-{mode}", tmp_path / "run")
