"""McNemar's test and the paired bootstrap against independent computations, and where there is nothing to test."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from kdzoo.engine.metrics.intervals import mcnemar
from kdzoo.evaluation.comparison import paired_test
from kdzoo.evaluation.comparison.paired import why_not_paired
from kdzoo.evaluation.results import Predictions


def predictions(correct, *, counted=None, first_answer=None, labels=None):
    correct = np.asarray(correct, dtype=bool)
    labels = np.arange(len(correct)) % 7 if labels is None else np.asarray(labels)
    top5 = np.tile(np.arange(5), (len(correct), 1))
    top5[:, 0] = np.where(correct, labels, 7) if first_answer is None else first_answer
    counted = np.ones(len(correct), dtype=bool) if counted is None else np.asarray(counted)
    return Predictions(
        labels=labels, top5=top5, confidence=np.full(len(correct), 0.5), correct=correct & counted, counted=counted
    )


@pytest.mark.parametrize(
    "pair", [(0, 0), (1, 0), (0, 1), (3, 3), (0, 6), (7, 1), (12, 25), (150, 190), (2000, 2300), (40000, 40000)]
)
def test_mcnemar_is_the_exact_binomial_test(pair):
    first, second = pair
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(second, first) == mcnemar(first, second)


@pytest.mark.parametrize("pair", [(0, 5), (2, 9), (4, 4), (30, 11)])
def test_mcnemar_equals_counting_every_outcome(pair):
    total, least = sum(pair), min(pair)
    tail = Fraction(sum(comb(total, k) for k in range(least + 1)), 2**total)
    assert mcnemar(*pair) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)


def test_the_interval_is_that_of_resampled_images():
    rng = np.random.default_rng(3)
    one = rng.random(900) < 0.7
    other = np.where(rng.random(900) < 0.2, rng.random(900) < 0.8, one)
    found = paired_test(predictions(one), predictions(other))
    points = 100.0 * (other.astype(float) - one)
    reference = bootstrap(
        (points,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(8)
    ).confidence_interval
    assert found.difference == pytest.approx(points.mean())
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.2)
    assert found.low < found.difference < found.high
    assert (found.only_first, found.only_second) == (int((one & ~other).sum()), int((other & ~one).sum()))


def test_the_bootstrap_depends_on_its_seed_alone():
    rng = np.random.default_rng(0)
    pair = predictions(rng.random(3000) < 0.6), predictions(rng.random(3000) < 0.6)
    assert paired_test(*pair, seed=4) == paired_test(*pair, seed=4)
    ends = {(found.low, found.high) for found in (paired_test(*pair, seed=seed) for seed in range(8))}
    assert len(ends) > 1


def test_the_other_way_round_is_the_mirror_image():
    rng = np.random.default_rng(1)
    one, other = predictions(rng.random(500) < 0.9), predictions(rng.random(500) < 0.6)
    there, back = paired_test(one, other), paired_test(other, one)
    assert there.p_value == back.p_value < 1e-3
    assert there.difference == -back.difference
    assert there.sentence("a", "b").startswith("b is right less often than a, by ")
    assert back.sentence("b", "a").startswith("a is right more often than b, by ")


def test_identical_answers_are_called_that():
    one = predictions([True, False, True])
    found = paired_test(one, one)
    assert (found.p_value, found.low, found.high, found.difference) == (1.0, 0.0, 0.0, 0.0)
    assert found.sentence("a", "b") == "a and b give the same first answer to all 3 images"


def test_no_discordant_pair_says_nothing_tells_them_apart():
    one = predictions([True, False, True])
    other = predictions([True, False, True], first_answer=[0, 6, 2])
    found = paired_test(one, other)
    assert found.same_answers == 2
    assert found.sentence("a", "b") == "a and b are right on exactly the same of 3 images: nothing tells them apart"


def test_a_small_difference_is_not_called_one():
    one, other = predictions([True] * 9 + [False]), predictions([True] * 10)
    assert paired_test(one, other).sentence("a", "b").startswith("no difference between a and b can be told: +10.00")


def test_images_that_do_not_count_are_left_out():
    counted = [True, True, False, True]
    one = predictions([True, False, True, True], counted=counted)
    other = predictions([False, True, False, True], counted=counted)
    found = paired_test(one, other)
    assert (found.num_images, found.only_first, found.only_second) == (3, 1, 1)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (predictions([True] * 3), "to 4 and to 3 images"),
        (predictions([True] * 4, labels=[0, 1, 2, 4]), "other labels"),
        (predictions([True] * 4, counted=[True, True, True, False]), "other images count"),
    ],
)
def test_answers_to_other_images_are_refused(other, says):
    one = predictions([True] * 4)
    assert says in why_not_paired(one, other)
    with pytest.raises(ValueError, match=says):
        paired_test(one, other)


def test_nothing_that_counts_is_no_test():
    none = predictions([True, True], counted=[False, False])
    assert why_not_paired(none, none) == "no image counts"
