"""The angle between gazes against NumPy, evaluation of a gaze, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from kdzoo.base.errors import DataError
from kdzoo.base.metrics import ANGULAR_ERROR, TOP1, Metrics
from kdzoo.data import ArraySource, EvalTransform
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings, evaluate
from kdzoo.engine.position import Position
from kdzoo.engine.regression import angular_errors, directions

CPU = Processes(0, 1, torch.device("cpu"))
TRANSFORM = EvalTransform(image_size=4, image_width=6, crop_pct=1.0, interpolation="bilinear")


def rotated(angles: np.ndarray) -> np.ndarray:
    """Directions by rotating (0, 0, -1): about x by the pitch, then about y by the yaw."""
    return Rotation.from_euler("xy", np.stack([angles[:, 0], angles[:, 1]], axis=1)).apply([0.0, 0.0, -1.0]) * [
        1,
        -1,
        1,
    ]


def reference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees between directions, from the length of the chord."""
    chord = np.linalg.norm(rotated(first) - rotated(second), axis=1)
    return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1)))


def test_angles_equal_numpys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(-1.4, 1.4, (2, 200, 2))
    second[:50] = first[:50] + rng.normal(0, 1e-6, (50, 2))
    np.testing.assert_allclose(directions(torch.from_numpy(first)).numpy(), signed(first), atol=1e-12)
    found = angular_errors(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(found, reference(first, second), rtol=1e-6, atol=1e-9)
    assert angular_errors(torch.zeros(1, 2), torch.tensor([[0.0, np.pi]])).item() == pytest.approx(180.0)
    assert angular_errors(torch.zeros(1, 2), torch.zeros(1, 2)).item() == 0.0


def signed(angles: np.ndarray) -> np.ndarray:
    """The convention as MPIIGaze's users write it down."""
    pitch, yaw = angles.T
    return np.stack([-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw)], axis=1)


def source(targets: np.ndarray, names: tuple[str, ...] = ("pitch", "yaw"), **more: object) -> ArraySource:
    """Images whose brightness is their position."""
    pixels = np.repeat(np.arange(len(targets), dtype=np.uint8), 24).reshape(-1, 4, 6)
    identities = [f"eye_{index}" for index in range(len(targets))]
    return ArraySource(
        "eyes", "val", (), np.full(len(targets), -1), pixels, identities, target_names=names, targets=targets, **more
    )  # type: ignore[arg-type]


def measure(answers: Tensor, eyes: ArraySource, **more: object) -> Metrics:
    def predict(images: Tensor, conditions: Tensor | None = None) -> list[Tensor]:
        found = answers[(images.mean(dim=(1, 2, 3)) * 255).round().long()]
        return [found if conditions is None else found + conditions]

    how = PassSettings(batch_size=7, workers=0, processes=CPU, **more)  # type: ignore[arg-type]
    return evaluate(predict, eyes, TRANSFORM, how)[0]


def test_an_evaluation_is_the_mean_over_all_images() -> None:
    rng = np.random.default_rng(1)
    targets = rng.normal(0, 0.3, (40, 2)).astype(np.float32)
    answers = rng.normal(0, 0.3, (40, 3)).astype(np.float32)
    expected = reference(answers[:, :2].astype(float), targets.astype(float))
    result = measure(torch.from_numpy(answers), source(targets))
    assert result["angular_error"] == pytest.approx(expected.mean(), rel=1e-9)
    assert result["angular_spread"] == pytest.approx(expected.std(), rel=1e-9)
    assert result["loss"] == pytest.approx(((answers[:, :2].astype(float) - targets) ** 2).mean(), rel=1e-9)
    assert set(result.to_dict()) == {"angular_error", "angular_spread", "loss", "num_images"}
    assert "angular error" in result.summary()
    assert measure(torch.from_numpy(targets), source(targets))["angular_error"] == pytest.approx(0.0, abs=1e-9)
    poses = rng.normal(0, 0.3, (40, 2)).astype(np.float32)
    result = measure(torch.from_numpy(targets - poses), source(targets, conditions=poses))
    assert result["angular_error"] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("targets", "names", "width", "message"),
    [
        (np.array([[0.1, 0.2], [np.nan, 0.1]]), ("pitch", "yaw"), 2, "has no gaze for eye_1"),
        (np.zeros((3, 2)), ("pitch", "yaw"), 4, "the model has 4 outputs, eyes has the targets pitch and yaw"),
        (np.zeros((3, 2)), ("pitch", "yaw"), 1, "the model has 1 outputs"),
        (np.zeros((3, 1)), ("age",), 2, "has targets age"),
    ],
)
def test_what_cannot_be_measured_is_refused(targets, names, width, message) -> None:
    with pytest.raises(DataError, match=message):
        measure(torch.zeros(len(targets), width), source(targets, names))


@pytest.mark.parametrize(
    ("primary", "values", "is_best", "best"),
    [
        (ANGULAR_ERROR, (5.0, 6.0, 4.0, 4.0), [True, False, True, False], 4.0),
        (TOP1, (5.0, 6.0, 4.0, 6.0), [True, True, False, False], 6.0),
        (ANGULAR_ERROR, (float("nan"), 9.0, float("nan"), 8.0), [True, True, False, True], 8.0),
    ],
)
def test_the_best_is_what_the_primary_metric_says(primary, values, is_best, best) -> None:
    at = Position()
    results = [Metrics(primary, {primary.name: value, "loss": 1.0}, 9) for value in values]
    assert [at.count_evaluation(result) for result in results] == is_best
    assert at.best == best


def test_a_checkpoint_with_a_best_value_of_a_task_goes_on() -> None:
    """As checkpoints were written before: each task had a name for its best value, the other's was -1."""
    before = {"step": 8, "evaluated": 8, "best_step": 8, "last": {}, "sums": {}, "count": 0, "unreadable": {}}
    assert Position.from_dict({**before, "best_top1": 70.5, "best_error": -1.0}).best == 70.5
    assert Position.from_dict({**before, "best_top1": -1.0, "best_error": 4.5}).best == 4.5
    assert Position.from_dict({**before, "best_top1": -1.0, "best_error": -1.0}).best is None
    assert Position.from_dict({**before, "best": 3.5}).best == 3.5
