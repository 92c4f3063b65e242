"""Metrics against scikit-learn and against definitions written down again, on random and on edge cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, top_k_accuracy_score

from kdzoo.engine.metrics.precision import average_precision, eleven_point_precision, multilabel_precisions
from kdzoo.transfer.classification.answers import measure_scores, shown_metrics
from kdzoo.transfer.classification.linear import Labels


def voc_eleven_points(scores: list[float], positive: list[bool]) -> float:
    """VOC 2007's definition by its own words: at each recall level the best precision there or further down."""
    total = sum(positive)
    thresholds = sorted(set(scores), reverse=True)
    curve = []
    for threshold in thresholds:
        answered = [truth for score, truth in zip(scores, positive, strict=True) if score >= threshold]
        curve.append((sum(answered), len(answered)))
    sum_of_points = 0.0
    for tenth in range(11):
        reached = [hits / count for hits, count in curve if hits * 10 >= tenth * total]
        sum_of_points += max(reached, default=0.0)
    return 100 * sum_of_points / 11


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_average_precisions_equal_independent_ones(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 60))
    scores = rng.integers(0, 5, count).astype(float) if ties else rng.normal(size=count)
    positive = rng.random(count) < rng.uniform(0.05, 0.95)
    positive[int(rng.integers(count))] = True
    assert average_precision(scores, positive) == pytest.approx(100 * average_precision_score(positive, scores))
    expected = voc_eleven_points(scores.tolist(), positive.tolist())
    assert eleven_point_precision(scores, positive) == pytest.approx(expected)


@pytest.mark.parametrize("total", range(1, 31))
def test_a_recall_of_exactly_a_tenth_counts(total: int) -> None:
    """In floats 0.1 + 0.2 is more than 0.3: a recall of 3 in 10 would be missed by a comparison of floats."""
    count = 2 * total
    scores = np.arange(count, 0, -1.0)
    positive = np.arange(count) % 2 == 0
    expected = voc_eleven_points(scores.tolist(), positive.tolist())
    assert eleven_point_precision(scores, positive) == pytest.approx(expected)


def test_perfect_worst_and_constant_rankings() -> None:
    scores, positive = np.array([4.0, 3, 2, 1]), np.array([True, True, False, False])
    assert average_precision(scores, positive) == eleven_point_precision(scores, positive) == 100
    assert average_precision(scores, positive[::-1]) == pytest.approx(100 * (1 / 3 + 2 / 4) / 2)
    assert average_precision(np.zeros(4), positive) == eleven_point_precision(np.zeros(4), positive) == 50


def test_a_class_that_nothing_shows_has_no_precision() -> None:
    for measure in (average_precision, eleven_point_precision):
        assert np.isnan(measure(np.arange(3.0), np.zeros(3, dtype=bool)))
        assert measure(np.arange(3.0), np.ones(3, dtype=bool)) == 100


def test_difficult_objects_are_left_out_of_their_class_alone() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.3, 0.6], [0.1, 0.2]])
    targets = np.array([[np.nan, 0], [1, 1], [0, np.nan], [1, 0]])
    found = multilabel_precisions(scores, targets, eleven_points=False)
    assert found[0] == pytest.approx(100 * average_precision_score([1, 0, 1], [0.8, 0.3, 0.1]))
    assert found[1] == pytest.approx(100 * average_precision_score([0, 1, 0], [0.1, 0.7, 0.2]))
    wrongly_counted = multilabel_precisions(scores, np.nan_to_num(targets), eleven_points=False)
    assert not np.allclose(found, wrongly_counted)


@pytest.mark.parametrize("seed", range(4))
def test_accuracies_equal_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(80, 7)), rng.integers(0, 7, 80)
    found = measure_scores(scores, Labels(labels, None, 7)).metrics
    for k in (1, 5):
        assert found[f"top{k}"] == pytest.approx(100 * top_k_accuracy_score(labels, scores, k=k))
    expected = 100 * balanced_accuracy_score(labels, scores.argmax(axis=1))
    assert found["mean_per_class"] == pytest.approx(expected)


def test_absent_classes_are_left_out_of_the_mean() -> None:
    labels, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    found = measure_scores(np.eye(4)[predicted], Labels(labels, None, 4))
    assert found.class_values[[0, 2]].tolist() == [50, 100]
    assert np.isnan(found.class_values[[1, 3]]).all()
    assert found.class_counts.tolist() == [2, 0, 2, 0]
    assert found.metrics["mean_per_class"] == 75


def test_images_of_one_class_only() -> None:
    labels = np.zeros(5, dtype=np.int64)
    scores = np.tile([0.2, 0.5, 0.3], (5, 1))
    measured = measure_scores(scores, Labels(labels, None, 3))
    assert measured.metrics == {"top1": 0.0, "mean_per_class": 0.0}


def test_ties_go_to_the_lower_class() -> None:
    found = measure_scores(np.zeros((3, 3)), Labels(np.array([0, 1, 2]), None, 3))
    assert found.predictions.top5.tolist() == [[0, 1, 2, -1, -1]] * 3
    assert found.metrics["top1"] == pytest.approx(100 / 3)


def test_what_is_kept_of_each_answer() -> None:
    scores, labels = np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0])
    kept = measure_scores(scores, Labels(labels, None, 2)).predictions
    assert kept.correct.tolist() == [True, False]
    assert kept.counted.tolist() == [True, True]
    assert kept.confidence == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-3))])
    targets = np.array([[1, 0], [1, np.nan]], dtype=np.float32)
    several = measure_scores(scores, Labels(np.array([-1, -1]), targets, 2)).predictions
    assert several.correct.tolist() == [True, False]
    assert several.counted.tolist() == [True, False]
    assert several.confidence == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-3))])


def test_each_data_set_has_its_metrics() -> None:
    one = Labels(np.array([0]), None, 2)
    assert shown_metrics("aircraft", one) == ("top1", "mean_per_class")
    assert shown_metrics("cub200", one) == ("top1",)
    assert shown_metrics("voc2007", Labels(np.array([-1]), np.ones((1, 2)), 2)) == ("mAP11", "mAP")
