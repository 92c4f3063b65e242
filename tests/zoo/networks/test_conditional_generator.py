"""The class-conditional generator: sizes, mixed class vectors, and its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from kdzoo.base.errors import ModelError
from kdzoo.zoo.generators import load_generator, save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator


def small(num_classes: int = 5, image_size: int = 16) -> ConditionalGenerator:
    torch.manual_seed(0)
    return ConditionalGenerator(num_classes, image_size, width=4, latent_features=6, class_features=7)


@pytest.mark.parametrize("size", [8, 24, 32])
def test_images_lie_between_0_and_1_at_the_asked_size(size):
    generator = small(image_size=size)
    images = generator(100 * torch.randn(3, 6), generator.class_vectors(torch.tensor([0, 1, 4])))
    assert images.shape == (3, 3, size, size)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.01


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="multiple of 8 px a side, not 28"):
        small(image_size=28)


def test_mixed_class_vectors_are_their_weighted_mean_and_change_the_image():
    generator = small().eval()
    first, second = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 0])
    weight = torch.tensor([1.0, 0.0, 0.25])
    mixed = generator.class_vectors(first, second, weight)
    own, other = generator.classes.weight[first], generator.classes.weight[second]
    torch.testing.assert_close(mixed, weight[:, None] * own + (1 - weight)[:, None] * other)
    latent = torch.randn(3, 6)
    images, single = generator(latent, mixed), generator(latent, generator.class_vectors(first))
    torch.testing.assert_close(images[0], single[0])
    assert (images[2] - single[2]).abs().max() > 1e-3


def test_every_parameter_learns():
    generator = small()
    generator(torch.randn(5, 6), generator.class_vectors(torch.arange(5))).square().sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().max() > 0 for name, p in generator.named_parameters() if "bias" not in name
    )


def test_a_stored_generator_is_the_same_frozen_and_found_in_its_run(tmp_path: Path):
    generator = small()
    generator(torch.randn(8, 6), generator.class_vectors(torch.zeros(8, dtype=torch.int64)))  # moves the statistics
    save_generator(generator, tmp_path / "run" / "generator", {"recipe": "class_gan"})
    latent, classes = torch.randn(2, 6), torch.tensor([1, 2])
    generator.eval()
    for place in (tmp_path / "run", tmp_path / "run" / "generator"):
        loaded = load_generator(place, num_classes=5)
        assert not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        expected = generator(latent, generator.class_vectors(classes))
        assert torch.equal(loaded(latent, loaded.class_vectors(classes)), expected)


def test_what_is_no_fitting_generator_is_refused_in_one_line(tmp_path: Path):
    place = save_generator(small(), tmp_path / "generator", {})
    with pytest.raises(ModelError, match="has 5 classes, the data has 10") as error:
        load_generator(place, num_classes=10)
    assert "class_gan" in error.value.hint
    with pytest.raises(ModelError, match="there is no generator in"):
        load_generator(tmp_path / "nowhere")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "arguments": {**config["arguments"], "width": 8}}))
    with pytest.raises(ModelError, match="does not fit ConditionalGenerator"):
        load_generator(place)
    (place / "config.json").write_text(json.dumps({"architecture": "resnet50"}))
    with pytest.raises(ModelError, match="holds no class-conditional generator"):
        load_generator(place)
