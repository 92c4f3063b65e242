"""Hard-label terms against float64 references written with numpy alone."""

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.hard_labels import (
    balanced_weights,
    cross_entropy,
    label_distribution,
    mixed_cross_entropy,
    smoothed_targets,
)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(0, 3, (8, 6)), rng.integers(0, 6, 8), rng.integers(0, 6, 8)


def reference(logits: np.ndarray, labels: np.ndarray, smoothing: float, definition: str) -> float:
    classes = logits.shape[1]
    total = 0.0
    for row, label in zip(log_softmax(logits), labels, strict=True):
        for c in range(classes):
            if definition == "all_classes":
                q = smoothing / classes + (1 - smoothing) * (c == label)
            else:
                q = 1 - smoothing if c == label else smoothing / (classes - 1)
            total -= q * row[c]
    return total / len(labels)


@pytest.mark.parametrize("definition", ["all_classes", "other_classes"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.8])
def test_cross_entropy_equals_reference(batch, definition, smoothing):
    logits, labels, _ = batch
    found = cross_entropy(torch.from_numpy(logits).float(), torch.from_numpy(labels), smoothing, definition)
    assert found.item() == pytest.approx(reference(logits, labels, smoothing, definition), abs=1e-6)


def test_the_two_definitions_differ_and_the_first_is_torchs(batch):
    logits, labels, _ = batch
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    all_classes, other_classes = (cross_entropy(z, y, 0.1, d).item() for d in ("all_classes", "other_classes"))
    torchs = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.1).item()
    assert all_classes == pytest.approx(torchs, abs=1e-12)
    assert abs(all_classes - other_classes) > 1e-3


@pytest.mark.parametrize("definition", ["all_classes", "other_classes"])
def test_labels_are_distributions(definition):
    rows = label_distribution(torch.tensor([0, 3]), 4, 0.2, definition)
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(2))
    assert rows.argmax(dim=1).tolist() == [0, 3]


def test_mixed_labels_equal_reference(batch):
    logits, labels, others = batch
    expected = 0.7 * reference(logits, labels, 0.1, "other_classes") + 0.3 * reference(
        logits, others, 0.1, "other_classes"
    )
    z, y, other = torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(others)
    found = mixed_cross_entropy(z, y, other, 0.7, 0.1, "other_classes")
    assert found.item() == pytest.approx(expected, abs=1e-9)
    assert mixed_cross_entropy(z, y, None, 0.7).item() == pytest.approx(reference(logits, labels, 0, "all_classes"))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_with_a_third_of_the_images_counts_as_much_as_the_others(batch, smoothing):
    logits = torch.from_numpy(batch[0]).float()
    labels = torch.arange(len(logits)) % 4 // 3  # class 0 three times as often as class 1; class 2 never
    weights = balanced_weights(torch.cat([labels, torch.tensor([-1])]), logits.shape[1])
    assert weights[0] * 3 == weights[1]
    assert weights[2:].sum() == 0
    found = cross_entropy(logits, labels, smoothing, weights=weights)
    means = [cross_entropy(logits[labels == label], labels[labels == label], smoothing) for label in (0, 1)]
    torch.testing.assert_close(found, (means[0] + means[1]) / 2)


def test_a_weighted_batch_is_the_mean_of_its_halves(batch):
    logits, labels = torch.from_numpy(batch[0]).float(), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    weights = balanced_weights(labels, logits.shape[1])
    halves = [cross_entropy(logits[part], labels[part], weights=weights) for part in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(cross_entropy(logits, labels, weights=weights), (halves[0] + halves[1]) / 2)


def test_targets_of_classes_by_themselves_are_smoothed_as_two_outcomes():
    targets = torch.tensor([[1.0, 0.0, torch.nan]])
    for definition in ("all_classes", "other_classes"):
        two = label_distribution(torch.tensor([1, 0]), 2, 0.2, definition)[:, 1]
        found = smoothed_targets(targets, 0.2, definition)[0]
        torch.testing.assert_close(found[:2], two)
        assert found[2].isnan()
        assert torch.equal(smoothed_targets(targets, 0.0, definition)[0, :2], targets[0, :2])
