"""Mixing: the box of the CutMix paper, weights, and the same global batch for any number of processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kdzoo.base.errors import UsageError
from kdzoo.data import Mix, Mixing, apply_mix, draw_mix, generator

EITHER = Mixing(mixup_alpha=0.2, mixup_prob=0.5, cutmix_alpha=1.0, cutmix_prob=0.5)


def test_off_by_default() -> None:
    assert draw_mix(Mixing(), 8, 4, 4, seed=0, epoch=0, step=0) is None


def test_one_choice_a_batch_with_the_given_probabilities() -> None:
    mixing = Mixing(mixup_prob=0.3, cutmix_prob=0.5)
    kinds = [mix.kind if (mix := draw_mix(mixing, 4, 8, 8, 0, 0, step)) else None for step in range(3000)]
    for kind, prob in (("mixup", 0.3), ("cutmix", 0.5), (None, 0.2)):
        assert kinds.count(kind) / 3000 == pytest.approx(prob, abs=0.03)


def test_a_mix_is_a_function_of_seed_epoch_and_step() -> None:
    first, again = (draw_mix(EITHER, 16, 8, 8, 1, 2, 3) for _ in range(2))
    assert repr(first) == repr(again)
    others = [draw_mix(EITHER, 16, 8, 8, *where) for where in ((0, 2, 3), (1, 1, 3), (1, 2, 4))]
    assert all(repr(first) != repr(other) for other in others)


def test_draws_are_pinned() -> None:
    assert repr(draw_mix(EITHER, 6, 32, 32, 7, 0, 0)) == (
        "Mix(kind='cutmix', weight=0.31640625, partner=array([0, 1, 2, 5, 4, 3]), box=(3, 0, 28, 25))"
    )
    assert repr(draw_mix(EITHER, 6, 32, 32, 7, 0, 1)) == (
        "Mix(kind='mixup', weight=0.11965909316181768, partner=array([3, 4, 1, 2, 5, 0]), box=None)"
    )


def test_the_partner_is_a_permutation() -> None:
    for step in range(20):
        mix = draw_mix(EITHER, 33, 8, 8, 0, 0, step)
        assert sorted(mix.partner.tolist()) == list(range(33))
        assert mix.partner.dtype == np.int64


def test_mixup_equals_its_equation() -> None:
    mix = draw_mix(Mixing(mixup_alpha=0.4, mixup_prob=1.0), 5, 6, 7, 0, 0, 0)
    images = torch.rand(5, 3, 6, 7, dtype=torch.float64)
    mixed = apply_mix(images, images[mix.partner], mix)
    for i in range(5):
        j = int(mix.partner[i])
        expected = mix.weight * images[i].numpy() + (1 - mix.weight) * images[j].numpy()
        assert np.allclose(mixed[i].numpy(), expected, atol=1e-12)


def test_mixup_weight_follows_its_beta_distribution() -> None:
    from scipy.stats import beta, kstest

    weights = [draw_mix(Mixing(mixup_alpha=0.4, mixup_prob=1.0), 2, 8, 8, 0, 0, step).weight for step in range(1500)]
    assert kstest(weights, beta(0.4, 0.4).cdf).pvalue > 0.01


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 80)])
def test_cutmix_box_and_weight(height: int, width: int) -> None:
    """Against the paper's code (rand_bbox), with height and width in their places, on the same draws."""
    mixing = Mixing(cutmix_alpha=1.0, cutmix_prob=1.0)
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, height, width).contiguous()
    for step in range(200):
        mix = draw_mix(mixing, 4, height, width, 5, 1, step)
        rng = generator(5, "mix", 1, step)
        rng.random()
        ratio = math.sqrt(1.0 - rng.beta(1.0, 1.0))
        cut_height, cut_width = int(height * ratio), int(width * ratio)
        cy, cx = int(rng.random() * height), int(rng.random() * width)
        y1, y2 = np.clip([cy - cut_height // 2, cy + cut_height // 2], 0, height)
        x1, x2 = np.clip([cx - cut_width // 2, cx + cut_width // 2], 0, width)
        assert mix.box == (y1, x1, y2 - y1, x2 - x1)
        mixed = apply_mix(images, images[mix.partner], mix)
        for i in range(4):
            own = (mixed[i, 0] == i).double().mean().item()
            assert own == pytest.approx(1.0 if mix.partner[i] == i else mix.weight)
        assert torch.equal(images, torch.arange(4.0)[:, None, None, None].expand(4, 3, height, width))


def test_cutmix_with_everything_kept_or_taken() -> None:
    images = torch.rand(2, 3, 4, 4)
    partner = np.array([1, 0])
    none = Mix(kind="cutmix", weight=1.0, partner=partner, box=(0, 0, 0, 0))
    assert torch.equal(apply_mix(images, images[partner], none), images)
    whole = Mix(kind="cutmix", weight=0.0, partner=partner, box=(0, 0, 4, 4))
    assert torch.equal(apply_mix(images, images[partner], whole), images[partner])


@pytest.mark.parametrize("world_size", [2, 4])
def test_mixed_batches_are_the_same_for_any_number_of_processes(world_size: int) -> None:
    images = torch.rand(16, 3, 8, 8)
    for step in range(10):
        mix = draw_mix(EITHER, 16, 8, 8, 0, 0, step)
        whole = apply_mix(images, images[mix.partner], mix)
        parts = []
        for rank in range(world_size):
            mine = slice(rank * 16 // world_size, (rank + 1) * 16 // world_size)
            own_draw = draw_mix(EITHER, 16, 8, 8, 0, 0, step)
            parts.append(apply_mix(images[mine], images[own_draw.partner[mine]], own_draw))
        assert torch.equal(torch.cat(parts), whole)


def test_channels_last_stays_channels_last() -> None:
    images = torch.rand(4, 3, 8, 8).to(memory_format=torch.channels_last)
    for step in range(6):
        mix = draw_mix(EITHER, 4, 8, 8, 0, 0, step)
        mixed = apply_mix(images, images[mix.partner].to(memory_format=torch.channels_last), mix)
        assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"mixup_prob": 0.6, "cutmix_prob": 0.6}, {"mixup_prob": -0.1}, {"mixup_prob": 1, "mixup_alpha": 0}):
        with pytest.raises(UsageError):
            Mixing(**wrong)
