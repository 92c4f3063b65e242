"""What a generator is asked for."""

import pytest
import torch

from kdzoo.data import generator
from kdzoo.recipes.generated_images import Wanted, draw_wanted


def wanted(ids: list[int], alpha: float | None = 1.0, classes: int = 5, seed: int = 3) -> Wanted:
    return draw_wanted(
        lambda sample: generator(seed, "test", 0, sample),
        ids,
        latent_features=8,
        num_classes=classes,
        class_mix_alpha=alpha,
    )


def test_an_image_is_a_function_of_its_id_alone():
    whole, part, other = wanted([4, 9, 2, 7]), wanted([2, 4]), wanted([2, 4], seed=4)
    for field in range(4):
        assert torch.equal(part[field], whole[field][[2, 0]])
    assert not torch.equal(part.latent, other.latent)


def test_classes_differ_and_are_uniform_and_their_weight_too():
    drawn = wanted(list(range(4000)))
    assert (drawn.classes != drawn.others).all()
    for chosen in (drawn.classes, drawn.others):
        counts = torch.bincount(chosen, minlength=5)
        assert (counts - 800).abs().max() < 150
    assert drawn.weight.mean().item() == pytest.approx(0.5, abs=0.03)
    assert drawn.weight.var().item() == pytest.approx(1 / 12, abs=0.01)
    assert drawn.latent.std().item() == pytest.approx(1.0, abs=0.03)
    single = wanted(list(range(50)), alpha=None)
    assert (single.weight == 1).all()
    assert torch.equal(single.classes, drawn.classes[:50])
    assert (wanted([1, 2], classes=1).others == 0).all()
