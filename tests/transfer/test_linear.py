"""The classifiers on fixed features against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from kdzoo.engine.metrics.precision import multilabel_precisions
from kdzoo.transfer.classification.answers import measure_scores
from kdzoo.transfer.classification.knn import neighbour_scores
from kdzoo.transfer.classification.linear import (
    Labels,
    _optimum,
    apply_layer,
    classification_loss,
    train_lbfgs,
    train_sgd,
)
from kdzoo.transfer.classification.protocols import MEAL_V2, Protocol

pytestmark = pytest.mark.numeric


def top1(scores: np.ndarray, known: Labels) -> float:
    return measure_scores(scores, known).metrics["top1"]


CPU = torch.device("cpu")


def blobs(seed: int, count: int = 120, width: int = 6, classes: int = 3) -> tuple[np.ndarray, Labels]:
    """Features around a centre a class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    return (centres[labels] + rng.normal(size=(count, width))).astype(np.float32), Labels(labels, None, classes)


def several(seed: int, count: int = 90, width: int = 6, classes: int = 4) -> tuple[np.ndarray, Labels]:
    """Features of images that show several classes; some are not counted."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((count, classes)) < 0.4).astype(np.float32)
    directions = np.random.default_rng(98).normal(size=(classes, width))
    features = (targets @ directions + 0.3 * rng.normal(size=(count, width))).astype(np.float32)
    targets[rng.random((count, classes)) < 0.05] = np.nan
    return features, Labels(np.full(count, -1), targets, classes)


@pytest.mark.parametrize("strength", [1e-3, 0.1, 1.0])
def test_the_optimum_is_scikit_learns(strength: float) -> None:
    features, known = blobs(0)
    inputs = features.astype(np.float64)
    weights = _optimum(inputs, known, strength, None).numpy()
    other = LogisticRegression(C=1 / (strength * len(inputs)), tol=1e-10, max_iter=10_000).fit(inputs, known.labels)
    ours = inputs @ weights[:, :-1].T + weights[:, -1]
    theirs = other.decision_function(inputs)
    np.testing.assert_allclose(ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True), atol=2e-4)


def test_the_optimum_of_several_classes_is_one_regression_a_class() -> None:
    features, known = several(1)
    inputs = features.astype(np.float64)
    assert known.targets is not None
    targets = np.nan_to_num(known.targets)
    weights = _optimum(inputs, Labels(known.labels, targets, 4), 0.05, None).numpy()
    for column in range(4):
        # The loss is a mean over the four classes too.
        other = LogisticRegression(C=1 / (4 * 0.05 * len(inputs)), tol=1e-10, max_iter=10_000)
        theirs = other.fit(inputs, targets[:, column]).decision_function(inputs)
        np.testing.assert_allclose(inputs @ weights[column, :-1] + weights[column, -1], theirs, atol=2e-4)


def test_lbfgs_reads_features_as_they_are() -> None:
    """The layer is trained on standardised features and given back for the features themselves."""
    features, known = blobs(2)
    scaled = features * np.array([1e3, 1, 1e-3, 1, 1, 1], dtype=np.float32) + 5
    layer, strength = train_lbfgs(scaled, known, 0, top1)
    assert 1e-6 <= strength <= 1e2
    test, expected = blobs(3)
    scores = apply_layer(layer, test * np.array([1e3, 1, 1e-3, 1, 1, 1], dtype=np.float32) + 5)
    accuracy = top1(scores, expected)
    other = LogisticRegression().fit(features, known.labels).score(test, expected.labels)
    assert accuracy == pytest.approx(100 * other, abs=5)


def test_sgd_learns_and_depends_on_the_seed_alone() -> None:
    features, known = blobs(4)
    look = Protocol(**{**vars(MEAL_V2.settings), "epochs": 40, "batch_size": 16, "lr": 0.1})
    one, again, other = (train_sgd(features, known, look, seed, CPU) for seed in (0, 0, 1))
    assert torch.equal(one.weight, again.weight)
    assert not torch.equal(one.weight, other.weight)
    test, expected = blobs(5)
    best = LogisticRegression().fit(features, known.labels).score(test, expected.labels)
    assert top1(apply_layer(one, test), expected) == pytest.approx(100 * best, abs=5)


def test_sgd_learns_several_classes() -> None:
    features, known = several(6)
    look = Protocol(**{**vars(MEAL_V2.settings), "epochs": 60, "batch_size": 16, "lr": 0.1})
    test, expected = several(7)
    assert expected.targets is not None
    scores = apply_layer(train_sgd(features, known, look, 0, CPU), test)
    assert multilabel_precisions(scores, expected.targets, eleven_points=False).min() > 90


def test_what_is_not_counted_has_no_gradient() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    targets = torch.tensor([[1, 0, float("nan"), 0]] * 3)
    classification_loss(logits, torch.tensor([-1] * 3), targets).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 2] == 0).all()
    assert (logits.grad[:, [0, 1, 3]] != 0).all()


def test_neighbours_equal_scikit_learns() -> None:
    train, known = blobs(8)
    test, _ = blobs(9)
    found = neighbour_scores(train, known, test, neighbours=7, temperature=0.5)
    norm = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (train, test)]
    weights = lambda distances: np.exp((1 - distances**2 / 2) / 0.5)  # noqa: E731 (of unit vectors: the cosine)
    other = KNeighborsClassifier(7, weights=weights).fit(norm[0], known.labels).predict_proba(norm[1])
    np.testing.assert_allclose(found, other, atol=1e-5)


def test_neighbours_vote_for_all_their_classes() -> None:
    train, known = several(10)
    test, expected = several(11)
    assert expected.targets is not None
    scores = neighbour_scores(train, known, test, neighbours=5, temperature=0.1)
    assert 0 <= scores.min() <= scores.max() <= 1 + 1e-6
    assert multilabel_precisions(scores, expected.targets, eleven_points=True).min() > 70
    few = neighbour_scores(train[:3], known.part(np.arange(3)), test, neighbours=20, temperature=0.1)
    assert few.shape == (90, 4)
