"""Counts against scikit-learn, ties, few classes, slices of several processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, top_k_accuracy_score
from torch import Tensor

from kdzoo.base.errors import DataError
from kdzoo.data import ArraySource, EvalTransform
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings, evaluate

CPU = Processes(0, 1, torch.device("cpu"))
TRANSFORM = EvalTransform(image_size=8, crop_pct=1.0, interpolation="bilinear")


def how(batch_size: int, **more: object) -> PassSettings:
    return PassSettings(batch_size=batch_size, workers=0, processes=CPU, **more)  # type: ignore[arg-type]


def _source(num_images: int, num_classes: int) -> ArraySource:
    """Images whose brightness is their position."""
    labels = np.random.default_rng(0).integers(0, num_classes, num_images)
    pixels = np.repeat(np.arange(num_images, dtype=np.uint8), 8 * 8 * 3).reshape(num_images, 8, 8, 3)
    names = [str(index) for index in range(max(num_images, num_classes))]
    return ArraySource("bright", "val", names[:num_classes], labels, pixels, names[:num_images])


@pytest.mark.parametrize(("num_classes", "batch_size"), [(10, 7), (3, 64), (1000, 16)])
def test_counts_equal_scikit_learns(num_classes: int, batch_size: int) -> None:
    source = _source(101, num_classes)
    logits = torch.randn(101, num_classes, generator=torch.Generator().manual_seed(1))

    def predict(images: Tensor) -> Sequence[Tensor]:
        positions = (images.mean(dim=(1, 2, 3)) * 255).round().long()
        return logits[positions], -logits[positions]

    first, second = evaluate(predict, source, TRANSFORM, how(batch_size))
    classes = list(range(num_classes))
    for result, scores in ((first, logits.numpy()), (second, -logits.numpy())):
        assert result.num_images == 101
        expected = top_k_accuracy_score(source.labels, scores, k=1, labels=classes)
        assert result["top1"] == pytest.approx(100 * expected)
        if num_classes > 5:
            expected = top_k_accuracy_score(source.labels, scores, k=5, labels=classes)
            assert result["top5"] == pytest.approx(100 * expected)
        else:
            assert result["top5"] == 100.0
        probabilities = torch.from_numpy(scores).double().softmax(dim=1).numpy()
        assert result["loss"] == pytest.approx(log_loss(source.labels, probabilities, labels=classes), rel=1e-6)


def test_answers_that_are_no_numbers_are_wrong() -> None:
    source = _source(20, 3)

    def predict(images: Tensor) -> Sequence[Tensor]:
        right = torch.nn.functional.one_hot(torch.tensor(source.labels.tolist()), 3).float()
        return right, torch.full((20, 3), float("nan"))

    right, broken = evaluate(predict, source, TRANSFORM, how(20))
    assert (right["top1"], right["top5"]) == (100.0, 100.0)
    assert (broken["top1"], broken["top5"]) == (0.0, 0.0)


def test_a_part_of_the_images() -> None:
    source = _source(50, 4)
    result = evaluate(
        lambda images: [torch.zeros(len(images), 4)],
        source,
        TRANSFORM,
        how(8, limit=[3, 4, 40]),
    )[0]
    assert result.num_images == 3
    assert result["top1"] == pytest.approx(100 * float(np.mean(source.labels[[3, 4, 40]] == 0)))


def test_labels_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(DataError, match="labels outside the model's 3 classes"):
        evaluate(
            lambda images: [torch.zeros(len(images), 3)],
            _source(20, 10),
            TRANSFORM,
            how(20),
        )


def test_no_image_is_an_error() -> None:
    with pytest.raises(DataError, match="has no image"):
        evaluate(
            lambda images: [torch.zeros(len(images), 3)],
            _source(5, 3),
            TRANSFORM,
            how(20, limit=[]),
        )
