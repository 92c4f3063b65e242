"""Part of a data set."""

from __future__ import annotations

import numpy as np

from kdzoo.data import open_source
from kdzoo.data.subset import SubsetSource, held_out_indices


def test_a_subset_has_its_images_and_labels() -> None:
    source = open_source("digits", "val")
    part = SubsetSource(source, [7, 3])
    assert [part.identity(0), part.identity(1)] == [source.identity(7), source.identity(3)]
    assert part.labels.tolist() == source.labels[[7, 3]].tolist()
    assert np.array_equal(np.asarray(part.load(0)), np.asarray(source.load(7)))
    assert part.fingerprint() != SubsetSource(source, [3, 7]).fingerprint()


def test_each_class_is_held_out_in_proportion() -> None:
    labels = np.array([0] * 10 + [1] * 20 + [2] + [3] * 2)
    stay, held = held_out_indices(labels, 0.2, 0)
    assert sorted([*stay, *held]) == list(range(len(labels)))
    assert np.bincount(labels[held], minlength=4).tolist() == [2, 4, 0, 1]
    assert held_out_indices(labels, 0.2, 0)[1].tolist() == held.tolist()
    assert held_out_indices(labels, 0.2, 1)[1].tolist() != held.tolist()
