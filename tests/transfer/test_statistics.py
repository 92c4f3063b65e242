"""Means, intervals and sentences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from kdzoo.transfer.statistics import paired_difference

NAMES = ("runs/student", "runs/baseline")


def test_the_difference_is_paired() -> None:
    """The seeds' own ups and downs are the same in both and cancel out."""
    ours, theirs = [80.0, 85.0, 90.0], [79.0, 83.9, 88.9]
    found = paired_difference("top1", "top-1", NAMES, ours, theirs)
    expected = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.over == "seeds"
    assert found.sentence == (
        "runs/student is better than runs/baseline by 1.1 points of top-1 (95 % interval 0.9 to 1.2, 3 seeds)"
    )


def test_a_worse_backbone_is_called_worse() -> None:
    found = paired_difference("top1", "top-1", NAMES, [70.0, 71.0, 70.5], [75.0, 76.2, 75.1])
    assert found.sentence.startswith(
        "runs/student is worse than runs/baseline by 4.9 points of top-1 (95 % interval 4."
    )


def test_no_difference_is_said_so() -> None:
    found = paired_difference("top1", "top-1", NAMES, [70.0, 75.0], [71.0, 72.0])
    assert found.sentence.startswith("no difference between runs/student and runs/baseline can be told: +1.0 points")
    equal = paired_difference("top1", "top-1", NAMES, [70.0, 75.0], [70.0, 75.0])
    assert (equal.low, equal.high) == (0, 0)
    assert "no difference" in equal.sentence


def test_one_seed_has_an_interval_over_the_images_alone() -> None:
    right = (np.array([True] * 60 + [False] * 40), np.array([True] * 40 + [False] * 60))
    found = paired_difference("top1", "top-1", NAMES, [60.0], [40.0], right=right)
    assert (found.over, found.count) == ("images", 100)
    assert "over 100 test images, 1 seed" in found.sentence
    assert found.low is not None
    assert found.low > 0
    bare = paired_difference("mAP", "mAP", NAMES, [60.0], [40.0])
    assert bare.low is None
    assert "cannot be told" in bare.sentence
