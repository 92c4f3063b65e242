"""Metrics against scikit-learn and against sums written out in float64; ties, absent classes, one class only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp
from sklearn.metrics import log_loss, recall_score, top_k_accuracy_score

from kdzoo.engine.class_match import ClassMatch
from kdzoo.engine.metrics.accuracy import class_accuracies
from kdzoo.engine.metrics.agreement import kl_divergence
from kdzoo.engine.metrics.calibration import expected_calibration_error, reliability_bins
from kdzoo.engine.metrics.intervals import mean_interval
from kdzoo.engine.metrics.ranking import (
    first_classes,
    log_probabilities,
    negative_log_likelihood,
    rank_classes,
    rank_of_label,
)
from kdzoo.evaluation.classification.answers import judge
from kdzoo.evaluation.classification.summary import classification_metrics

SAME = ClassMatch("same")


def scores(images: int, classes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(images, classes, generator=torch.Generator().manual_seed(seed)) * 2


def single(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.int32)[:, None]


def measured(logits: torch.Tensor, accepted: np.ndarray, match: ClassMatch = SAME, crops: int = 1) -> dict[str, float]:
    answers, _ = judge(logits, torch.from_numpy(accepted.astype(np.int64)), match, crops=crops)
    return classification_metrics(answers.numpy(), accepted, logits.shape[1], subset=match.kind == "subset")


@pytest.mark.parametrize(("images", "classes"), [(300, 10), (200, 100), (50, 3), (20, 2)])
def test_accuracies_and_loss_equal_scikit_learns(images: int, classes: int) -> None:
    labels = np.random.default_rng(1).integers(0, classes, images)
    labels[labels == 1] = 0  # class 1 is absent
    logits = scores(images, classes)
    found, every = measured(logits, single(labels)), list(range(classes))
    values = logits.double().numpy() if classes > 2 else (logits[:, 1] - logits[:, 0]).double().numpy()
    assert found["top1"] == pytest.approx(100 * top_k_accuracy_score(labels, values, k=1, labels=every))
    if classes > 5:
        assert found["top5"] == pytest.approx(100 * top_k_accuracy_score(labels, values, k=5, labels=every))
    else:
        assert found["top5"] == 100.0
    p = logits.double().softmax(dim=1).numpy()
    assert found["loss"] == pytest.approx(log_loss(labels, p, labels=every), rel=1e-12)
    per_class, counts = class_accuracies(p.argmax(axis=1) == labels, single(labels), classes)
    recalls = recall_score(labels, p.argmax(axis=1), labels=every, average=None, zero_division=np.nan)
    np.testing.assert_allclose(per_class, 100 * recalls)
    assert found["mean_per_class"] == pytest.approx(100 * np.nanmean(recalls))
    assert math.isnan(per_class[1])
    assert counts.tolist() == np.bincount(labels, minlength=classes).tolist()


def test_ties_go_to_the_lower_class_everywhere() -> None:
    logits = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    order = rank_classes(logits)
    assert order.tolist() == [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert rank_of_label(order, torch.tensor([[0], [1], [2]])).tolist() == [0, 1, 2]
    assert rank_of_label(order, torch.tensor([0, 1, 2])).tolist() == [0, 1, 2]
    assert first_classes(order, 2).tolist() == [[0, 1]] * 3
    answers, _ = judge(logits, torch.tensor([[0], [1], [2]]), SAME, crops=1)
    assert answers.ahead.tolist() == [0, 1, 2]
    assert answers.top5.tolist() == [[0, 1, 2, -1, -1]] * 3


def test_a_thousand_equal_logits_are_no_luck() -> None:
    labels = np.arange(1000)
    found = measured(torch.zeros(1000, 1000), single(labels))
    assert found["top1"] == pytest.approx(0.1)
    assert found["top5"] == pytest.approx(0.5)


def test_one_class_only() -> None:
    found = measured(scores(9, 1), single(np.zeros(9)))
    assert found == {"top1": 100.0, "top5": 100.0, "loss": 0.0, "mean_per_class": 100.0, "ece": 0.0}
    found = measured(scores(40, 5), single(np.full(40, 3)))  # the data has one class of the model's five
    assert found["mean_per_class"] == found["top1"]


def test_several_right_answers_and_none() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0], [5.0, 0.0, 0.0, 0.0]])
    accepted = torch.tensor([[2, 1], [0, -1], [-1, -1]])
    assert rank_of_label(rank_classes(logits), accepted).tolist() == [1, 3, 4]
    p = logits.double().softmax(dim=1)
    expected = [-math.log(p[0, 1] + p[0, 2]), -math.log(p[1, 0]), 0.0]
    assert negative_log_likelihood(log_probabilities(logits), accepted).tolist() == pytest.approx(expected)
    found = measured(logits, accepted.numpy().astype(np.int32))
    assert (found["top1"], found["top5"]) == (0.0, 100.0)  # two images count
    assert found["loss"] == pytest.approx(sum(expected) / 2)


def test_several_crops_average_probabilities() -> None:
    logits = scores(12, 6)
    expected = logits.double().softmax(dim=1).unflatten(0, (4, 3)).mean(dim=1).log()
    torch.testing.assert_close(log_probabilities(logits, crops=3), expected)
    labels = np.array([0, 1, 2, 3])
    found = measured(logits, single(labels), crops=3)
    assert found["top1"] == 100 * float(np.mean(expected.numpy().argmax(axis=1) == labels))


def test_a_subset_is_answered_among_its_own_classes_and_among_all() -> None:
    logits = scores(200, 8, seed=3)
    columns = (6, 1, 4)
    labels = np.random.default_rng(0).integers(0, 3, 200)
    match = ClassMatch("subset", columns)
    answers, _ = judge(logits, torch.from_numpy(labels)[:, None], match, crops=1)
    found = classification_metrics(answers.numpy(), single(labels), 3, subset=True)
    values = logits.numpy()
    assert found["top1"] == pytest.approx(100 * np.mean(values[:, columns].argmax(axis=1) == labels))
    assert found["top1_all_classes"] == pytest.approx(100 * np.mean(values.argmax(axis=1) == np.array(columns)[labels]))
    assert found["top1_all_classes"] < found["top1"]


def written_out_ece(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Guo et al., Eq. 3, bin by bin."""
    total = 0.0
    for m in range(15):
        inside = [i for i, p in enumerate(confidence) if m / 15 < float(p) <= (m + 1) / 15]
        if inside:
            accuracy = sum(bool(correct[i]) for i in inside) / len(inside)
            total += (
                len(inside) / len(confidence) * abs(accuracy - sum(float(confidence[i]) for i in inside) / len(inside))
            )
    return 100 * total


@pytest.mark.parametrize("seed", range(4))
def test_ece_equals_the_sum_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.01, 1, 500).astype(np.float32)
    correct = rng.uniform(size=500) < confidence**2
    bins = reliability_bins(confidence, correct)
    assert expected_calibration_error(bins) == pytest.approx(written_out_ece(confidence, correct), rel=1e-9)
    assert sum(one.count for one in bins) == 500
    assert len(bins) == 15


def test_calibration_at_its_ends() -> None:
    sure = np.ones(10, dtype=np.float32)
    assert expected_calibration_error(reliability_bins(sure, np.ones(10, dtype=bool))) == 0.0
    assert expected_calibration_error(reliability_bins(sure, np.zeros(10, dtype=bool))) == 100.0
    edge = reliability_bins(np.array([0.2, np.nextafter(0.2, 1)]), np.array([True, False]))
    assert [index for index, one in enumerate(edge) if one.count] == [2, 3]  # (2/15, 3/15] and (3/15, 4/15]
    assert edge[0].accuracy is None


def test_divergence_equals_torchs_and_is_zero_for_equals() -> None:
    student, teacher = (log_probabilities(scores(30, 7, seed)) for seed in (1, 2))
    expected = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="none").sum(dim=1)
    torch.testing.assert_close(kl_divergence(student, teacher), expected)
    assert kl_divergence(student, student).abs().max() == 0
    sure = log_probabilities(torch.tensor([[1000.0, 0.0]]))
    assert kl_divergence(sure, sure).item() == 0
    assert kl_divergence(log_probabilities(torch.zeros(1, 2)), sure).item() == pytest.approx(math.log(2))


def test_the_interval_is_students() -> None:
    values = [90.1, 91.4, 89.8, 90.9]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert found is not None
    assert found == pytest.approx((np.mean(values), expected.low, expected.high))
    assert mean_interval([90.0]) is None
