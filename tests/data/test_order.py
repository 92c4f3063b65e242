"""Batches that are drawn from two sets, labelled and unlabeled."""

import numpy as np
import pytest

from kdzoo.base.errors import UsageError
from kdzoo.data import BatchOrder

LABELLED, UNLABELED = 50, 13


def order(batch_size: int = 8, share: float = 0.5, seed: int = 5, rank: int = 0, world_size: int = 1) -> BatchOrder:
    return BatchOrder(
        LABELLED + UNLABELED, batch_size, 4, seed, rank, world_size, num_unlabeled=UNLABELED, unlabeled_share=share
    )


def all_ids(of: BatchOrder) -> np.ndarray:
    return np.stack([of.ids(epoch, step) for epoch in range(4) for step in range(of.steps_per_epoch)])


@pytest.mark.parametrize(("share", "drawn"), [(0.5, 4), (0.25, 2), (0.75, 6), (0.3, 2)])
def test_each_batch_has_its_share_of_unlabeled_images_evenly_spread(share: float, drawn: int):
    rows = all_ids(order(share=share)) >= LABELLED
    assert (rows.sum(axis=1) == drawn).all()
    assert (rows == rows[0]).all()
    assert abs(rows[0][:4].sum() - rows[0][4:].sum()) <= 1


def test_each_set_is_gone_through_whole_before_it_begins_again():
    ids = all_ids(order())
    for name, chosen, size in (("labelled", ids < LABELLED, LABELLED), ("unlabeled", ids >= LABELLED, UNLABELED)):
        taken = ids[chosen]
        turns = [sorted(taken[start : start + size].tolist()) for start in range(0, len(taken) - size + 1, size)]
        assert turns == [turns[0]] * len(turns), name
        assert len(set(turns[0])) == size
        assert taken[:size].tolist() != taken[size : 2 * size].tolist() if len(turns) > 1 else True


def test_an_epoch_has_the_steps_of_the_labelled_images_alone():
    assert order().steps_per_epoch == LABELLED // 8
    assert BatchOrder(LABELLED + UNLABELED, 8, 4, 5, num_unlabeled=UNLABELED).steps_per_epoch == 63 // 8


def test_a_batch_depends_on_seed_epoch_and_step_alone():
    late = order().ids(2, 3)
    assert late.tolist() == all_ids(order())[2 * 6 + 3].tolist()
    assert late.tolist() != order(seed=6).ids(2, 3).tolist()


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_ranks_slices_are_the_global_batch_and_each_has_both_kinds(world_size: int):
    for step in range(6):
        parts = [order(rank=rank, world_size=world_size).ids(1, step) for rank in range(world_size)]
        assert np.concatenate(parts).tolist() == order().ids(1, step).tolist()
        assert {int((part >= LABELLED).sum()) for part in parts} == {4 // world_size}


@pytest.mark.parametrize(
    ("batch_size", "share", "message"),
    [
        (8, 0.1, "makes 0 of a batch of 8"),
        (8, 1.0, "makes 8 of a batch of 8"),
        (30, 0.5, "needs 15 unlabeled images, there are 13"),
        (60, 0.2, "needs 60 labelled images, there are 50"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(batch_size: int, share: float, message: str):
    with pytest.raises(UsageError, match=message) as error:
        order(batch_size, share)
    assert "--batch-size" in error.value.hint
