"""The metric, the sliding window and the loss against independent references."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score

from kdzoo.data.segmentation import IGNORED
from kdzoo.transfer.segmentation.inference import predicted_labels, slide
from kdzoo.transfer.segmentation.metrics import confusion, measure
from kdzoo.transfer.segmentation.torchvision_engine import pixel_loss

CLASSES = 6


def fixed(number: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Labels with ignored pixels and a class that never occurs (5), and predictions that are mostly right."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(number):
        labels = rng.integers(0, 5, (40, 50)).astype(np.uint8)
        predicted = np.where(rng.random(labels.shape) < 0.7, labels, rng.integers(0, 5, labels.shape)).astype(np.uint8)
        labels[rng.random(labels.shape) < 0.1] = IGNORED
        found.append((torch.from_numpy(labels), torch.from_numpy(predicted)))
    return found


def matrix_of(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
    total = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    for labels, predicted in pairs:
        total += confusion(labels, predicted, CLASSES)
    return total.numpy()


def test_the_metric_is_scikit_learns() -> None:
    pairs = fixed()
    labels, predicted = (torch.cat([pair[index].flatten() for pair in pairs]).numpy() for index in (0, 1))
    counted = labels != IGNORED
    matrix = matrix_of(pairs)
    assert (matrix == confusion_matrix(labels[counted], predicted[counted], labels=range(CLASSES))).all()
    measured = measure(matrix)
    iou = 100 * jaccard_score(labels[counted], predicted[counted], labels=range(5), average=None)
    assert measured.iou[5] is None
    np.testing.assert_allclose(measured.iou[:5], iou)
    assert measured.metrics["mIoU"] == pytest.approx(iou.mean())
    assert measured.metrics["aAcc"] == pytest.approx(100 * (labels == predicted)[counted].mean())
    assert measured.pixels == tuple(int((labels == label).sum()) for label in range(CLASSES))


def test_the_metric_is_mmsegmentations(mmseg: None) -> None:
    from kdzoo.transfer.segmentation import mmseg_import  # noqa: F401

    IoUMetric = import_module("mmseg.evaluation").IoUMetric
    areas = [IoUMetric.intersect_and_union(predicted, labels, CLASSES, IGNORED) for labels, predicted in fixed()]
    total = [sum(part) for part in zip(*areas, strict=True)]
    theirs = IoUMetric.total_area_to_metrics(*total, ["mIoU"])
    measured = measure(matrix_of(fixed()))
    np.testing.assert_allclose(100 * np.asarray(theirs["IoU"])[:5], measured.iou[:5], rtol=1e-6)
    assert measured.metrics["mIoU"] == pytest.approx(100 * float(np.nanmean(theirs["IoU"])), rel=1e-6)
    assert measured.metrics["mAcc"] == pytest.approx(100 * float(np.nanmean(theirs["Acc"])), rel=1e-6)
    assert measured.metrics["aAcc"] == pytest.approx(100 * float(theirs["aAcc"]), rel=1e-6)


def test_nothing_annotated_is_no_score() -> None:
    measured = measure(np.zeros((3, 3), dtype=np.int64))
    assert measured.metrics == {"mIoU": 0.0, "mAcc": 0.0, "aAcc": 0.0}
    assert measured.iou == (None, None, None)


def test_a_window_that_sees_all_and_many_that_overlap() -> None:
    images = torch.linspace(0, 1, 3 * 21 * 33).reshape(1, 3, 21, 33)
    seen: list[tuple[int, ...]] = []

    def logits(part: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(part.shape[2:]))
        return part[:, :2] * 2

    for window, stride in (((8, 8), (5, 5)), ((40, 40), (20, 20)), ((21, 9), (21, 7))):
        seen.clear()
        torch.testing.assert_close(slide(logits, images, window, stride), images[:, :2] * 2)
        assert set(seen) == {(min(window[0], 21), min(window[1], 33))}
    assert predicted_labels(images[:, :2], (21, 33)).dtype == torch.uint8
    assert predicted_labels(images[:, :2], (42, 66)).shape == (42, 66)


def test_the_sliding_window_is_mmsegmentations(mmseg: None) -> None:
    from kdzoo.transfer.segmentation.mmseg_engine import MmsegEngine
    from kdzoo.transfer.segmentation.mmseg_import import mmengine
    from kdzoo.transfer.segmentation.settings import SegmentationSettings
    from kdzoo.zoo import load_model

    settings = SegmentationSettings(channels=16, aux_channels=8, output_stride=16)
    segmentor = MmsegEngine().build(load_model("test_resnet", pretrained=False, seed=0), settings, 4, 0)
    model = segmentor.model.eval()
    images = torch.linspace(-2, 2, 3 * 70 * 90).reshape(1, 3, 70, 90)
    with torch.no_grad():
        model.test_cfg = mmengine.ConfigDict(mode="slide", crop_size=(48, 64), stride=(32, 40))  # type: ignore[assignment]
        theirs = model.slide_inference(images, [{"img_shape": images.shape[2:]}])  # type: ignore[operator]
        mine = slide(lambda part: segmentor.logits(model, part), images, (48, 64), (32, 40))
    torch.testing.assert_close(mine, theirs)


@pytest.mark.filterwarnings("ignore:Default ``avg_non_ignore``")
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_mmsegmentations(weighted: bool, mmseg: None) -> None:
    from kdzoo.transfer.segmentation.mmseg_import import MODELS

    weights = [0.5, 2.0, 1.0] if weighted else None
    theirs = MODELS.build({"type": "CrossEntropyLoss", "class_weight": weights, "loss_weight": 1.0})
    logits = torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(3, (2, 8, 9), generator=torch.Generator().manual_seed(1))
    labels[:, :3] = IGNORED
    mine = pixel_loss(logits, labels, None if weights is None else torch.tensor(weights))
    torch.testing.assert_close(mine, theirs(logits, labels, ignore_index=IGNORED))
    nothing = pixel_loss(logits, torch.full_like(labels, IGNORED), None if weights is None else torch.tensor(weights))
    assert float(nothing) == 0
