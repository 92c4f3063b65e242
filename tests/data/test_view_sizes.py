"""A view at another size: the same region, flip, colours and masks, from one decoding, mixed alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdzoo.data import (
    Augmentation,
    Batch,
    BatchOrder,
    EvalTransform,
    FileSource,
    Mixing,
    View,
    apply_mix,
    apply_view,
    draw_mix,
    draw_view,
    eval_batches,
    generator,
    mix_at,
    open_source,
    render_view,
    train_batches,
)

SIZE = 32
CROPS = {
    "random_resized": Augmentation(image_size=SIZE),
    "bicubic": Augmentation(image_size=SIZE, interpolation="bicubic", scale=(0.5, 1)),
    "pad4": Augmentation(image_size=SIZE, crop="pad4"),
    "center": Augmentation(image_size=SIZE, crop="center", crop_pct=0.875),
}
PICTURES = {"as large": (SIZE, SIZE), "wide": (200, 150), "tall": (133, 178), "small": (20, 24)}
BOUND = 1.4
"""Levels of 255 that a rendering, scaled down, may differ by from the view itself, on average over an image.

What is left of an exact one is rounding and the filter of scaling twice, up to 1.25 here; half a pixel aside costs 1.9
to 6.6."""
_SAMPLED_AGAIN = 1.5
"""Of it: rotating and shearing sample once more, a stretched histogram is another one at another size; up to 1.8."""


def _picture(seed: int, width: int, height: int) -> Image.Image:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def _view(augmentation: Augmentation, image: Image.Image, sample_id: int) -> View:
    return draw_view(augmentation, *image.size, generator(7, "view", 0, sample_id))


def _scaled_down(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)).astype(float)


def _distance(image: Image.Image, view: View, augmentation: Augmentation, times: int) -> float:
    large = render_view(image, view, augmentation, times * augmentation.image_size)
    small = apply_view(image, view, augmentation).astype(float)
    return float(np.abs(_scaled_down(large, augmentation.image_size) - small).mean())


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("picture", PICTURES)
def test_a_rendering_scaled_down_is_the_view(crop: str, picture: str) -> None:
    augmentation = CROPS[crop]
    for sample_id in range(6):
        image = _picture(sample_id, *PICTURES[picture])
        view = _view(augmentation, image, sample_id)
        for times in (2, 3):
            assert _distance(image, view, augmentation, times) < BOUND, (view, times)


def _places(pixels: np.ndarray, axis: int) -> np.ndarray:
    """Of `_compass`: the place in the original that each column (axis 0) or row (1) shows; NaN in a black border."""
    values = pixels[:, :, axis].max(axis=axis).astype(float)
    return np.where(pixels[:, :, 2].max(axis=axis) > 128, values, np.nan)


def _compass() -> Image.Image:
    """An image whose colours say where a pixel lies: red to the right, green downwards."""
    across, down = np.meshgrid(np.arange(240), np.arange(250))
    return Image.fromarray(np.stack([across, down, np.full_like(down, 255)], axis=2).astype(np.uint8))


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("side", [16, 45, 80, 224])
def test_each_pixel_shows_the_same_place_at_any_ratio_of_sizes(crop: str, side: int) -> None:
    image, augmentation = _compass(), CROPS[crop]
    centres = (np.arange(side) + 0.5) * SIZE / side - 0.5
    flips = 0
    for sample_id in range(8):
        view = _view(augmentation, image, sample_id)
        flips += view.flip
        small, large = apply_view(image, view, augmentation), render_view(image, view, augmentation, side)
        for axis in (0, 1):
            student, found = _places(small, axis), _places(large, axis)
            known = np.flatnonzero(~np.isnan(student))
            inner = (centres > known[0] + 1) & (centres < known[-1] - 1)
            assert inner.sum() > 0.6 * side
            wanted = np.interp(centres, known, student[known])
            pixel = np.abs(np.diff(student[known])).mean()
            assert np.abs(found - wanted)[inner].max() <= 0.25 * pixel + 1
    assert 0 < flips < 8


def test_pad4_is_black_in_proportion() -> None:
    image, augmentation = Image.new("RGB", (SIZE, SIZE), (9, 9, 9)), CROPS["pad4"]
    view = View(crop=(-3, 4, SIZE, SIZE))
    inside = apply_view(image, view, augmentation)[:, :, 0] > 0
    assert np.array_equal(
        render_view(image, view, augmentation, 3 * SIZE)[:, :, 0] > 0, inside.repeat(3, 0).repeat(3, 1)
    )
    odd = render_view(image, view, augmentation, 45)[:, :, 0] > 0
    assert (~odd.any(axis=1)).sum() == 5  # 3 · 45 / 32 = 4.2, rounded outwards
    assert (~odd.any(axis=0)).sum() == 6  # 4 · 45 / 32 = 5.6
    nothing = View(crop=(-4, -4, 4, 4))
    assert not render_view(image, nothing, Augmentation(image_size=4, crop="pad4"), 9).any()


@pytest.mark.parametrize(
    "view",
    [
        View(crop=(10, 20, 100, 110), flip=True),
        View(crop=(10, 20, 100, 110), policy=(("TranslateX", 7.0), ("TranslateY", -5.0))),
        View(crop=(10, 20, 100, 110), policy=(("Rotate", 17.0),)),
        View(crop=(10, 20, 100, 110), policy=(("ShearX", 0.25), ("ShearY", -0.2))),
        View(crop=(10, 20, 100, 110), policy=(("Color", 1.6), ("Contrast", 0.6), ("Brightness", 1.3))),
        View(crop=(10, 20, 100, 110), jitter=(("contrast", 1.3), ("saturation", 0.5), ("brightness", 0.8))),
        View(crop=(10, 20, 100, 110), policy=(("Invert", 0.0), ("AutoContrast", 0.0))),
    ],
    ids=lambda view: str((view.policy or view.jitter or (("flip", 0),))[0][0]),
)
def test_what_follows_the_crop_is_the_same_at_any_size(view: View) -> None:
    augmentation = Augmentation(image_size=SIZE, policy="rand-m9-n2")
    for seed in range(4):
        assert _distance(_picture(seed, 200, 150), view, augmentation, 2) < _SAMPLED_AGAIN * BOUND


MASKS = {
    "erasing": Augmentation(image_size=SIZE, erase_prob=1.0, erase_count=3),
    "noise": Augmentation(image_size=SIZE, erase_prob=1.0, erase_mode="pixel"),
    "cutout": Augmentation(image_size=SIZE, cutout_size=9, cutout_count=2),
    "gridmask": Augmentation(image_size=SIZE, grid_prob=1.0, grid_period=(7, 15)),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("side", [16, 45, 64, 96])
def test_a_pixel_is_painted_over_where_the_students_pixel_at_its_centre_is(mask: str, side: int) -> None:
    augmentation = MASKS[mask]
    image, fill = Image.new("RGB", (60, 50), (1, 2, 3)), 0
    centres = ((np.arange(side) + 0.5) * SIZE / side).astype(int)
    for sample_id in range(10):
        view = _view(augmentation, image, sample_id)
        small, large = (
            np.any(pixels != (1, 2, 3), axis=2)
            for pixels in (apply_view(image, view, augmentation), render_view(image, view, augmentation, side))
        )
        assert np.array_equal(large, small[centres[:, None], centres])
        fill += small.sum()
    assert fill > 0


def test_cutmix_takes_the_same_part_and_keeps_the_students_weight() -> None:
    mixing = Mixing(cutmix_prob=1.0)
    for step in range(100):
        mix = draw_mix(mixing, 4, SIZE, SIZE, 5, 0, step)
        for side in (48, 64, 45, 20):
            other = mix_at(mix, SIZE, side)
            assert other.weight == mix.weight
            assert other.partner is mix.partner
            top, left, height, width = (edge * side / SIZE for edge in mix.box)
            found = other.box
            assert abs(found[0] - top) <= 0.5
            assert abs(found[1] - left) <= 0.5
            assert abs(found[0] + found[2] - top - height) <= 0.5
            assert abs(found[1] + found[3] - left - width) <= 0.5
            assert abs(1 - found[2] * found[3] / side**2 - mix.weight) <= 2 / side
            assert (
                found[2] * found[3] == 0
                or apply_mix(torch.zeros(4, 3, side, side), torch.ones(4, 3, side, side), other).any()
            )
    mixup = draw_mix(Mixing(mixup_prob=1.0), 4, SIZE, SIZE, 5, 0, 0)
    assert mix_at(mixup, SIZE, 64) is mixup


VARIED = Augmentation(image_size=24, color_jitter=(0.4, 0.4, 0.4), lighting_std=0.1, cutout_size=6)


class CountingSource(FileSource):
    """Class folders that count how often an image is decoded."""

    loads: list[int]

    def load(self, index: int) -> Image.Image:
        self.loads.append(index)
        return super().load(index)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_the_renderings_of_their_own_views(class_folders: Path, workers: int) -> None:
    (class_folders / "train" / "dog" / "3.jpg").write_bytes(b"")
    source = open_source(str(class_folders), "train")
    order = BatchOrder(len(source), 6, epochs=2, seed=3)
    plain = list(train_batches(source, VARIED, order, workers=0))
    batches = list(train_batches(source, VARIED, order, workers=workers, teacher_sizes=(16, 40)))
    assert any(batch.unreadable for batch in batches)
    for step, (batch, own) in enumerate(zip(batches, plain, strict=True)):
        assert torch.equal(batch.images, own.images)
        assert torch.equal(batch.pixel_shift, own.pixel_shift)
        assert batch.unreadable == own.unreadable
        assert own.teacher_images == ()
        assert [images.shape for images in batch.teacher_images] == [(6, 3, 16, 16), (6, 3, 40, 40)]
        replaced = {sample for sample, _ in batch.unreadable}
        for row, sample_id in enumerate(batch.sample_ids.tolist()):
            if sample_id in replaced:  # both show the image that took its place
                far = (batch.images[row].float().mean((1, 2)) - batch.teacher_images[1][row].float().mean((1, 2))).abs()
                assert far.max() < 12
                continue
            image = source.load(sample_id)
            view = draw_view(VARIED, *image.size, generator(3, "view", step // 3, sample_id))
            for side, images in zip((16, 40), batch.teacher_images, strict=True):
                assert np.array_equal(images[row].permute(1, 2, 0).numpy(), render_view(image, view, VARIED, side))
        for floats, images in zip(_floats(batch), batch.teacher_images, strict=True):
            assert torch.allclose(floats, images.float() / 255 + batch.pixel_shift[:, :, None, None], atol=1e-6)
            assert floats.is_contiguous(memory_format=torch.channels_last)


def _floats(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.teacher_images_to_float(torch.device("cpu"), torch.channels_last)


def test_an_image_is_decoded_once_whatever_is_rendered_of_it(class_folders: Path) -> None:
    source = open_source(str(class_folders), "train")
    source.__class__, source.loads = CountingSource, []
    order = BatchOrder(len(source), 6, epochs=1, seed=3)
    list(train_batches(source, VARIED, order, workers=0, teacher_sizes=(16, 40)))
    assert sorted(source.loads) == list(range(18))
    source.loads.clear()
    transform = EvalTransform(image_size=24, crop_pct=0.875, interpolation="bilinear")
    batches = list(eval_batches(source, transform, batch_size=5, workers=0, teacher_sizes=(16, 40)))
    assert sorted(source.loads) == list(range(18))
    large = EvalTransform(image_size=40, crop_pct=0.875, interpolation="bilinear")
    for batch in batches:
        for row, sample_id in enumerate(batch.sample_ids.tolist()):
            expected = large.apply(source.load(sample_id))
            assert np.array_equal(batch.teacher_images[1][row].permute(1, 2, 0).numpy(), expected)
