"""Several classes an image: precisions against scikit-learn's, what a pass counts, and what teachers must show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from kdzoo.base.errors import DataError, TeacherError
from kdzoo.base.metrics import MEAN_AP, Metrics
from kdzoo.data import ArraySource, EvalTransform, ImageSource
from kdzoo.data.several_labels import label_groups
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings, evaluate
from kdzoo.engine.metrics.precision import chance_precision
from kdzoo.engine.multilabel import check_kind, precision_verdict, sigmoid_cross_entropy
from kdzoo.engine.result_warnings import result_warnings
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))
WHOLE = EvalTransform(image_size=4, crop_pct=1.0, interpolation="bilinear")


def source_of(targets: np.ndarray) -> ImageSource:
    """Images whose first pixel is their number; they show what the targets say."""
    names = [f"class{column}" for column in range(targets.shape[1])]
    pixels = np.zeros((len(targets), 4, 4, 3), dtype=np.uint8)
    pixels[:] = np.arange(len(targets), dtype=np.uint8)[:, None, None, None]
    rows = [str(row) for row in range(len(targets))]
    none = np.full(len(targets), -1)
    return ArraySource("several", "val", names, none, pixels, rows, target_names=names, targets=targets)


def measured(scores: np.ndarray, targets: np.ndarray, batch_size: int = 7) -> Metrics:
    """What a pass over the images gives a network of these answers."""

    def predict(images: Tensor) -> tuple[Tensor]:
        rows = (images[:, 0, 0, 0] * 255).round().long()
        return (torch.from_numpy(scores)[rows].float(),)

    how = PassSettings(batch_size=batch_size, workers=0, processes=CPU)
    return evaluate(predict, source_of(targets), WHOLE, how)[0]


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((60, 4)) < (0.5, 0.2, 0.05, 0.0)).astype(np.float32)
    targets[:2, :3] = 1
    return np.round(rng.normal(size=(60, 4)) + targets, 1).astype(np.float32), targets  # rounded: some are equal


@pytest.mark.parametrize("seed", range(3))
def test_the_pass_gives_scikit_learns_precision_and_the_loss(seed: int) -> None:
    scores, targets = random_case(seed)
    targets[5:9, 0] = np.nan
    found, values = measured(scores, targets), []
    for column in range(3):  # no image shows the last class: it is left out
        known = ~np.isnan(targets[:, column])
        values.append(average_precision_score(targets[known, column], scores[known, column]))
    assert found["mAP"] == pytest.approx(100 * np.mean(values), abs=1e-9)
    p = 1 / (1 + np.exp(-scores.astype(np.float64)))
    losses = -np.where(targets == 1, np.log(p), np.log(1 - p))
    assert found["loss"] == pytest.approx(np.where(np.isnan(targets), 0, losses).sum() / 60, rel=1e-6)
    assert found.num_images == 60
    assert measured(scores, targets, batch_size=60).to_dict() == pytest.approx(found.to_dict())


def test_an_answer_that_is_no_number_comes_last() -> None:
    targets = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    scores = np.array([[np.nan, 0], [1, 1], [0, np.inf]], dtype=np.float32)
    assert measured(scores, targets)["mAP"] == pytest.approx(100 * (1 / 3 + 1) / 2)


def test_images_without_any_class_are_refused() -> None:
    with pytest.raises(DataError, match="shows any of the classes"):
        measured(np.zeros((3, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(DataError, match="has 2 classes, the model has other ones"):
        measured(np.zeros((3, 4), dtype=np.float32), np.ones((3, 2), dtype=np.float32))


def test_the_loss_is_nothing_where_it_is_sure_and_has_its_gradient() -> None:
    targets = torch.tensor([[1.0, 0.0, torch.nan]], dtype=torch.float64)
    assert sigmoid_cross_entropy(torch.tensor([[50.0, -50.0, 3.0]]), targets).item() == pytest.approx(0, abs=1e-12)
    logits = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: sigmoid_cross_entropy(z, targets), logits)
    sigmoid_cross_entropy(logits, targets).sum().backward()
    expected = torch.where(targets.isnan(), 0.0, logits.sigmoid() - targets.nan_to_num())
    assert torch.allclose(logits.grad, expected)


def test_a_teacher_must_beat_the_same_answer_to_each_image() -> None:
    scores, targets = random_case(0)
    scores, source = scores + 2 * targets, source_of(targets)
    good, chance = measured(scores, targets), chance_precision(targets)
    assert precision_verdict(good, None, source, range(60)) is None
    shuffled = np.random.default_rng(1).permutation(scores)
    assert "no better than the same answer" in str(
        precision_verdict(measured(shuffled, targets), None, source, range(60))
    )
    assert "is promised" in str(precision_verdict(Metrics(MEAN_AP, {"mAP": chance}, 60), 99.0, source, range(60)))
    assert precision_verdict(good, good.value, source, range(60)) is None


def test_a_result_near_chance_says_so() -> None:
    _, targets = random_case(0)
    chance = chance_precision(targets)
    assert "near chance" in result_warnings(Metrics(MEAN_AP, {"mAP": chance + 1}, 60), targets, 4, ())[0]
    assert result_warnings(Metrics(MEAN_AP, {"mAP": 80.0}, 60), targets, 4, ()) == ()


def test_teachers_of_the_other_kind_of_labels_are_refused() -> None:
    several = source_of(np.ones((2, 10), dtype=np.float32))
    one = ArraySource("one", "val", several.class_names, np.zeros(2), np.zeros((2, 4, 4, 3), np.uint8), ["a", "b"])
    member = load_model("cifar_resnet8", pretrained=False, num_classes=10)
    check_kind(member, several)  # nothing says how it was trained: its precision is looked at
    for task, fits, other in (("multilabel", several, one), (None, one, several)):
        member.provenance = {"recipe": "finetune", **({"task": task} if task else {})}
        check_kind(member, fits)
        with pytest.raises(TeacherError, match="an image"):
            check_kind(member, other)


def test_an_image_counts_for_its_rarest_class() -> None:
    targets = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 0, 1]], dtype=np.float32)
    assert label_groups(source_of(targets)).tolist() == [1, 0, 2, -1, 2]
