"""Teachers stay what they were, whatever is done around them, and a wrong one is caught before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kdzoo.base.errors import TeacherError
from kdzoo.data import ArraySource, EvalTransform, open_source
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings
from kdzoo.engine.preflight import check_classes, even_slice, preflight, verdict
from kdzoo.engine.teachers import TeacherEnsemble, freeze, normalise, resize
from kdzoo.zoo import LoadedModel, load_model

CPU = Processes(0, 1, torch.device("cpu"))
TRANSFORM = EvalTransform(image_size=32, crop_pct=1.0, interpolation="bilinear")


def _teacher(seed: int = 0, num_classes: int = 10) -> LoadedModel:
    return load_model("cifar_resnet8", pretrained=False, num_classes=num_classes, seed=seed)


def test_training_mode_never_reaches_a_teacher() -> None:
    ensemble = TeacherEnsemble([_teacher(0), _teacher(1)], CPU.device)
    before = ensemble.digest()

    class Careless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teachers = nn.ModuleList(member.model for member in ensemble.members)

    around = Careless().train()
    for module in around.modules():
        module.train()
    images = torch.rand(4, 3, 32, 32)
    for _ in range(3):
        ensemble(images)
    assert not any(member.model.training for member in ensemble.members)
    assert ensemble.digest() == before
    ensemble.verify_unchanged()


def test_no_gradient_enters_a_teacher() -> None:
    ensemble = TeacherEnsemble([_teacher()], CPU.device)
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    assert not ensemble(images).logits[0].requires_grad
    assert not any(parameter.requires_grad for parameter in ensemble.members[0].model.parameters())


def test_a_changed_teacher_is_noticed() -> None:
    ensemble = TeacherEnsemble([_teacher()], CPU.device)
    with torch.no_grad():
        next(ensemble.members[0].model.parameters()).add_(1e-6)
    with pytest.raises(TeacherError, match="changed during the run"):
        ensemble.verify_unchanged()


def test_a_changed_buffer_is_noticed() -> None:
    ensemble = TeacherEnsemble([_teacher()], CPU.device)
    norm = next(m for m in ensemble.members[0].model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean.add_(1e-6)
    with pytest.raises(TeacherError, match="changed during the run"):
        ensemble.verify_unchanged()


def test_each_teacher_sees_its_own_normalisation_and_resolution() -> None:
    first, second = _teacher(0), _teacher(0)
    second.preprocessing = replace(second.preprocessing, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=24)
    ensemble = TeacherEnsemble([first, second], CPU.device, channels_last=False)
    images = torch.rand(2, 3, 32, 32)
    answers = ensemble(images).logits
    network = freeze(_teacher(0).model)
    look = first.preprocessing
    mean, std = torch.tensor(look.mean)[:, None, None], torch.tensor(look.std)[:, None, None]
    torch.testing.assert_close(answers[0], network((images - mean) / std))
    small = nn.functional.interpolate(images, (24, 24), mode=look.interpolation, antialias=True)
    torch.testing.assert_close(answers[1], network((small - 0.5) / 0.25))


def test_a_teacher_looks_at_the_rendering_of_its_own_size() -> None:
    small, large = _teacher(0), _teacher(1)
    large.preprocessing = replace(large.preprocessing, image_size=40)
    ensemble = TeacherEnsemble([small, large], CPU.device, channels_last=False)
    images, rendering, other = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 40, 40), torch.rand(2, 3, 36, 36)
    answers = ensemble(images, renderings=(other, rendering)).logits
    assert torch.equal(answers[0], ensemble(images).logits[0])
    assert torch.equal(answers[1], ensemble.one(1, rendering)[0])
    assert not torch.allclose(answers[1], ensemble(images).logits[1])
    assert torch.equal(ensemble(images, renderings=(other,)).logits[1], ensemble(images).logits[1])
    all_at_36 = TeacherEnsemble([_teacher(0), _teacher(1)], CPU.device, channels_last=False, image_size=36)
    at_36 = all_at_36(images, renderings=(other,)).logits
    look = small.preprocessing
    for answer, seed in zip(at_36, (0, 1), strict=True):
        expected = freeze(_teacher(seed).model)(normalise(other, look.mean, look.std))
        torch.testing.assert_close(answer, expected)


def test_an_evaluation_leaves_nothing_behind_that_training_cannot_use() -> None:
    images, mean, std = torch.rand(2, 3, 4, 4), (0.11, 0.22, 0.33), (0.44, 0.55, 0.66)
    with torch.inference_mode():
        normalise(images, mean, std)
    wanted = images.clone().requires_grad_()
    normalise(wanted, mean, std).sum().backward()
    torch.testing.assert_close(wanted.grad[0, :, 0, 0], 1 / torch.tensor(std))


def test_normalising_equals_torchvision() -> None:
    from torchvision.transforms.functional import normalize

    images = torch.rand(2, 3, 8, 8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert torch.equal(normalise(images, mean, std), normalize(images, mean, std))
    assert resize(images, 8, "bicubic") is images


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (("a", "b", "c"), "has 2 classes, here has 3"),
        (("b", "a"), "another class order than here: class 0 is 'a' for the teacher and 'b' in the data"),
    ],
)
def test_other_classes_are_refused(class_names: tuple[str, ...], message: str) -> None:
    teacher = _teacher(num_classes=2)
    teacher.class_names = ("a", "b")
    with pytest.raises(TeacherError, match=message):
        check_classes(teacher, class_names, "here")
    check_classes(teacher, ("a", "b"), "here")


def test_a_verdict_allows_for_the_size_of_the_slice() -> None:
    assert verdict(75.0, 76.0, 1024, 1000) is None
    assert verdict(60.0, 76.0, 1024, 1000) is not None
    assert verdict(60.0, 76.0, 20, 1000) is None  # twenty images say little
    assert verdict(10.4, None, 1000, 10) is not None
    assert verdict(60.0, None, 1000, 10) is None
    assert verdict(90.0, 76.0, 1024, 1000) is None


def test_a_slice_is_even() -> None:
    assert even_slice(5, 10) == [0, 1, 2, 3, 4]
    positions = even_slice(50_000, 1000)
    assert len(set(positions)) == 1000
    assert positions[0] == 0
    assert positions[-1] == 49_999
    assert max(np.diff(positions)) <= 51


class _ReadsTheClass(nn.Module):
    """Answers with the class that an image's brightness encodes; a real, perfect teacher for such images."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.order = nn.Parameter(torch.tensor(order, dtype=torch.float32), requires_grad=False)
        self.num_classes = len(order)
        self.classifier = nn.Identity()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 2, 3))[:, None]

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        return x if pre_logits else -((x * 100 - self.order) ** 2)

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


def _brightness_source() -> ArraySource:
    labels = np.arange(200) % 10
    pixels = np.repeat(np.round(labels * 2.55).astype(np.uint8), 32 * 32 * 3).reshape(200, 32, 32, 3)
    return ArraySource("brightness", "val", [str(i) for i in range(10)], labels, pixels, [str(i) for i in range(200)])


@pytest.mark.parametrize(("order", "right"), [(list(range(10)), True), ([*range(1, 10), 0], False)])
def test_preflight_catches_a_shifted_class_order(order: list[int], right: bool) -> None:
    teacher = _teacher()
    teacher.model = _ReadsTheClass(order)
    teacher.preprocessing = replace(teacher.preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3)
    teacher.promised_top1, teacher.promised_on = 100.0, "brightness"
    ensemble = TeacherEnsemble([teacher], CPU.device)
    how = PassSettings(batch_size=64, workers=0, processes=CPU)
    if right:
        reports, warnings = preflight(ensemble, _brightness_source(), TRANSFORM, how, trust=False)
        assert [report.metrics["top1"] for report in reports] == [100.0, 100.0]
        assert (
            reports[0]
            .summary()
            .endswith("names no classes, their order is taken to be the data's (its answers were looked at)")
        )
        assert not warnings
        return
    with pytest.raises(TeacherError, match=r"scores 0\.0 % on 200 images where 100\.0 % is promised"):
        preflight(ensemble, _brightness_source(), TRANSFORM, how, trust=False)
    _, warnings = preflight(ensemble, _brightness_source(), TRANSFORM, how, trust=True)
    assert "going on because it is trusted" in warnings[0]


def _only_sharp(seed: int = 0) -> LoadedModel:
    """A perfect teacher of `_brightness_source` for images of 48 px, where a pixel of theirs is a pixel of its own."""
    teacher = _teacher(seed)
    teacher.model = _ReadsSharpClasses(list(range(10)))
    look = replace(teacher.preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3, image_size=48, interpolation="bilinear")
    teacher.preprocessing = look
    teacher.promised_top1, teacher.promised_on = 100.0, "stripes"
    return teacher


class _ReadsSharpClasses(_ReadsTheClass):
    """Reads the class from how far neighbouring pixels differ: nothing of that is left in images that were smaller."""

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return (x[..., 1:] - x[..., :-1]).abs().mean(dim=(1, 2, 3))[:, None]


def _stripes() -> ArraySource:
    """Images of 48 px in stripes a pixel wide, whose contrast is their class."""
    labels = np.arange(200) % 10
    stripes = np.tile(np.arange(48) % 2, (48, 1))[None, :, :, None] * np.round(labels * 2.55)[:, None, None, None]
    pixels = np.broadcast_to(stripes, (200, 48, 48, 3)).astype(np.uint8)
    return ArraySource("stripes", "val", [str(i) for i in range(10)], labels, pixels, [str(i) for i in range(200)])


def test_preflight_measures_a_teacher_as_it_will_be_seen() -> None:
    transform = replace(TRANSFORM, image_size=24)
    how = PassSettings(batch_size=64, workers=0, processes=CPU)
    with pytest.raises(TeacherError, match=r"where 100\.0 % is promised") as found:
        preflight(TeacherEnsemble([_only_sharp()], CPU.device), _stripes(), transform, how, trust=False)
    assert found.value.hint.startswith("the student's images are enlarged for it: --set teachers.view=own")
    own = replace(how, teacher_sizes=(48,))
    reports, warnings = preflight(TeacherEnsemble([_only_sharp()], CPU.device), _stripes(), transform, own, trust=False)
    assert [report.metrics["top1"] for report in reports] == [100.0, 100.0]
    assert not warnings
    elsewhere = TeacherEnsemble([_only_sharp()], CPU.device, image_size=36)
    at_36 = replace(how, teacher_sizes=(36,))
    _, warnings = preflight(elsewhere, _stripes(), transform, at_36, trust=True)
    assert warnings[-1].endswith("was trained at 48 px, and is run at 36 px")
    _, warnings = preflight(TeacherEnsemble([_only_sharp()], CPU.device), _stripes(), transform, how, trust=True)
    assert warnings[-1].endswith("was trained at 48 px, the run shows 24 px: its images are resized")


@pytest.mark.numeric
def test_a_teacher_that_says_the_same_of_all_is_no_better_than_chance() -> None:
    teacher = _teacher()
    torch.nn.init.zeros_(teacher.model.fc.weight)
    torch.nn.init.zeros_(teacher.model.fc.bias)
    with pytest.raises(TeacherError, match="no better than chance"):
        preflight(
            TeacherEnsemble([teacher], CPU.device),
            open_source("digits", "val"),
            TRANSFORM,
            PassSettings(batch_size=120, workers=0, processes=CPU),
            trust=False,
        )
