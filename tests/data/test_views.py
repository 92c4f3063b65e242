"""Views: pinned draws, and application equal to torchvision's and timm's own."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from kdzoo.base.errors import UsageError
from kdzoo.data import Augmentation, EvalTransform, View, apply_view, draw_view, generator
from kdzoo.data.masks import Erase, Grid

EVERYTHING = Augmentation(
    image_size=32,
    policy="rand-m9-n2-mstd0.5-inc1",
    color_jitter=(0.4, 0.4, 0.4),
    lighting_std=0.1,
    erase_prob=0.5,
    erase_mode="pixel",
    cutout_size=8,
    grid_prob=0.5,
    grid_period=(8, 16),
)


def _view(augmentation: Augmentation, sample_id: int, width: int = 500, height: int = 375, epoch: int = 0) -> View:
    return draw_view(augmentation, width, height, generator(7, "view", epoch, sample_id), epoch=epoch)


def test_draws_are_pinned() -> None:
    """A change here changes every run: stored labels and published seeds would no longer mean what they meant."""
    assert [_view(Augmentation(image_size=224), i) for i in range(3)] == [
        View(crop=(20, 144, 239, 264), flip=False),
        View(crop=(3, 37, 354, 349), flip=True),
        View(crop=(23, 30, 339, 443), flip=True),
    ]
    assert _rounded(_view(EVERYTHING, 0)) == {
        "crop": [20, 144, 239, 264],
        "flip": False,
        "policy": [["Sharpness", 1.80999]],
        "jitter": [["saturation", 1.09386], ["contrast", 1.325116], ["brightness", 1.39317]],
        "lighting": [0.021097, 0.021343, 0.020222],
        "erase": [
            {"top": 14, "left": 2, "height": 9, "width": 29, "noise_seed": 2373008370434041198},
            {"top": 22, "left": 22, "height": 8, "width": 8, "noise_seed": None},
        ],
        "grid": {"period": 8, "kept": 4, "top": 2, "left": 7, "degrees": 138},
    }
    assert _rounded(_view(EVERYTHING, 1)) == {
        "crop": [3, 37, 354, 349],
        "flip": True,
        "policy": [["TranslateX", -13.768872]],
        "jitter": [["contrast", 1.350155], ["saturation", 0.787008], ["brightness", 1.330743]],
        "lighting": [0.013506, 0.017034, 0.019877],
        "erase": [{"top": 25, "left": 14, "height": 7, "width": 8, "noise_seed": None}],
        "grid": None,
    }
    auto = Augmentation(image_size=224, policy="imagenet_autoaugment")
    assert [[(name, round(value, 6)) for name, value in _view(auto, i).policy] for i in range(4)] == [
        [("Sharpness", 1.7)],
        [("Invert", 0.0), ("Equalize", 0.0)],
        [("Equalize", 0.0)],
        [("Equalize", 0.0), ("Equalize", 0.0)],
    ]


def _rounded(view: View) -> dict:
    return json.loads(json.dumps(asdict(view)), parse_float=lambda text: round(float(text), 6))


def test_a_view_is_a_function_of_seed_epoch_and_sample() -> None:
    assert _view(EVERYTHING, 3) == _view(EVERYTHING, 3)
    assert _view(EVERYTHING, 3) != _view(EVERYTHING, 4)
    assert _view(EVERYTHING, 3) != _view(EVERYTHING, 3, epoch=1)


def test_crop_and_flip_do_not_depend_on_later_steps() -> None:
    plain = Augmentation(image_size=32)
    for sample_id in range(20):
        first, second = _view(plain, sample_id), _view(EVERYTHING, sample_id)
        assert (first.crop, first.flip) == (second.crop, second.flip)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(500, 375), (31, 77), (32, 32)])
def test_crop_resize_and_flip_equal_torchvision(make_picture, interpolation: str, size: tuple[int, int]) -> None:
    image = make_picture(1, *size)
    augmentation = Augmentation(image_size=32, interpolation=interpolation)
    flips = 0
    for sample_id in range(12):
        view = _view(augmentation, sample_id, *size)
        top, left, height, width = view.crop
        expected = F.resized_crop(
            image, top, left, height, width, [32, 32], InterpolationMode(interpolation), antialias=True
        )
        expected = F.horizontal_flip(expected) if view.flip else expected
        assert np.array_equal(apply_view(image, view, augmentation), np.asarray(expected))
        flips += view.flip
    assert 0 < flips < 12


@pytest.mark.parametrize("size", [(500, 375), (300, 20), (20, 300)])
def test_random_resized_crops_are_distributed_as_torchvisions(size: tuple[int, int]) -> None:
    augmentation = Augmentation(image_size=32, scale=(0.2, 0.9))
    ours = np.array([_view(augmentation, i, *size).crop for i in range(3000)])
    torch.manual_seed(0)
    blank = Image.new("RGB", size)
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.2, 0.9], [3 / 4, 4 / 3]) for _ in range(3000)])
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        difference = np.abs(np.quantile(ours, quantile, axis=0) - np.quantile(theirs, quantile, axis=0))
        assert np.all(difference <= 0.05 * max(size))
    assert np.all(ours[:, :2] >= 0)
    assert np.all(ours[:, 0] + ours[:, 2] <= size[1])
    assert np.all(ours[:, 1] + ours[:, 3] <= size[0])


def test_pad4_equals_padding_then_cropping(make_picture) -> None:
    image = make_picture(2, 32, 32)
    augmentation = Augmentation(image_size=32, crop="pad4", hflip_prob=0.0)
    padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)))
    offsets = set()
    for sample_id in range(300):
        view = _view(augmentation, sample_id, 32, 32)
        top, left = view.crop[0] + 4, view.crop[1] + 4
        offsets.add((top, left))
        assert np.array_equal(apply_view(image, view, augmentation), padded[top : top + 32, left : left + 32])
    assert {top for top, _ in offsets} == {left for _, left in offsets} == set(range(9))


def test_pad4_of_another_size_is_squared_first(make_picture) -> None:
    image = make_picture(2, 60, 40)
    augmentation = Augmentation(image_size=32, crop="pad4", hflip_prob=0.0)
    square = EvalTransform(image_size=32, crop_pct=1.0, interpolation="bilinear").apply(image)
    view = View(crop=(0, 0, 32, 32))
    assert np.array_equal(apply_view(image, view, augmentation), square)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_pct", [0.875, 224 / 256, 0.95, 1.0, 0.882])
@pytest.mark.parametrize("image_size", [32, 65, 224])
def test_eval_transform_equals_timm(make_picture, interpolation: str, crop_pct: float, image_size: int) -> None:
    from timm.data import create_transform

    reference = create_transform(
        image_size, is_training=False, interpolation=interpolation, crop_pct=crop_pct, normalize=False
    )
    transform = EvalTransform(image_size=image_size, crop_pct=crop_pct, interpolation=interpolation)
    center = Augmentation(
        image_size=image_size, crop="center", crop_pct=crop_pct, interpolation=interpolation, hflip_prob=0.0
    )
    for size in ((500, 375), (333, 500), (33, 77), (256, 256), (image_size, image_size)):
        image = make_picture(3, *size)
        expected = reference(image).permute(1, 2, 0).numpy()
        assert np.array_equal(transform.apply(image), expected)
        assert np.array_equal(apply_view(image, _view(center, 0, *size), center), expected)


def test_color_jitter_equals_torchvision_in_the_drawn_order(make_picture) -> None:
    image = make_picture(4, 32, 32)
    augmentation = Augmentation(image_size=32, crop="center", hflip_prob=0.0, color_jitter=(0.4, 0.2, 1.5))
    adjust = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation}
    orders, factors = set(), []
    for sample_id in range(200):
        view = _view(augmentation, sample_id, 32, 32)
        expected = image
        for name, factor in view.jitter:
            expected = adjust[name](expected, factor)
        if sample_id < 30:
            assert np.array_equal(apply_view(image, view, augmentation), np.asarray(expected))
        orders.add(tuple(name for name, _ in view.jitter))
        factors.append([dict(view.jitter)[name] for name in adjust])
    assert len(orders) == 6
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    assert np.all(low >= [0.6, 0.8, 0.0])
    assert np.all(high <= [1.4, 1.2, 2.5])
    assert np.all(high - low > 0.9 * np.array([0.8, 0.4, 2.5]))
    only_contrast = Augmentation(image_size=32, color_jitter=(0.0, 0.2, 0.0))
    assert [name for name, _ in _view(only_contrast, 0).jitter] == ["contrast"]


def test_lighting_has_the_published_covariance() -> None:
    augmentation = Augmentation(image_size=32, lighting_std=0.1)
    shifts = np.array([_view(augmentation, i).lighting for i in range(4000)])
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    covariance = vectors @ np.diag((0.1 * np.array([0.2175, 0.0188, 0.0045])) ** 2) @ vectors.T
    assert np.allclose(np.cov(shifts.T), covariance, rtol=0.1)
    assert np.abs(shifts.mean(axis=0)).max() < 0.001
    assert _view(Augmentation(image_size=32), 0).lighting is None


def test_erasing_paints_its_rectangle_only(make_picture) -> None:
    image = make_picture(5, 32, 32)
    augmentation = Augmentation(image_size=32, mask_fill=(1, 2, 3))
    plain = np.asarray(image)
    view = View(erase=(Erase(top=3, left=5, height=7, width=9),))
    pixels = apply_view(image, view, augmentation)
    assert np.all(pixels[3:10, 5:14] == (1, 2, 3))
    inside = np.zeros((32, 32), dtype=bool)
    inside[3:10, 5:14] = True
    assert np.array_equal(pixels[~inside], plain[~inside])
    noisy = View(erase=(Erase(top=0, left=0, height=32, width=32, noise_seed=11),))
    noise = apply_view(image, noisy, augmentation)
    assert np.array_equal(noise, apply_view(image, noisy, augmentation))
    mean, std = noise.reshape(-1, 3).mean(axis=0), noise.reshape(-1, 3).std(axis=0)
    assert np.allclose(mean, [124, 116, 104], atol=6)
    assert np.allclose(std, [58, 57, 57], atol=6)


def test_erasing_keeps_to_its_bounds() -> None:
    augmentation = Augmentation(image_size=64, erase_prob=0.25, erase_area=(0.02, 0.33), erase_min_aspect=0.3)
    boxes = [erase for i in range(2000) for erase in _view(augmentation, i).erase]
    assert 0.2 < len(boxes) / 2000 < 0.3
    for box in boxes:
        assert 0.015 < box.height * box.width / 64**2 < 0.35
        assert 0.25 < box.height / box.width < 4
        assert box.top >= 0
        assert box.left >= 0
        assert box.top + box.height <= 64
        assert box.left + box.width <= 64


def test_cutout_centres_reach_every_pixel() -> None:
    augmentation = Augmentation(image_size=32, cutout_size=16)
    boxes = [_view(augmentation, i).erase[0] for i in range(2000)]
    assert max(box.height for box in boxes) == 16
    assert {box.top for box in boxes} == set(range(24))
    assert min(box.height for box in boxes) == 8  # a centre on the border


def test_grid_mask_equals_the_paper(make_picture) -> None:
    """Against the paper's picture, drawn pixel by pixel: squares of side d - l, period d, l = r d."""
    image = make_picture(6, 32, 32)
    augmentation = Augmentation(image_size=32, mask_fill=(0, 0, 0))
    grid = Grid(period=10, kept=6, top=3, left=7, degrees=0)
    pixels = apply_view(image, View(grid=grid), augmentation)
    for y in range(32):
        for x in range(32):
            in_row = (y + 8 - 3) % 10 >= 6
            in_column = (x + 8 - 7) % 10 >= 6
            expected = (0, 0, 0) if in_row and in_column else image.getpixel((x, y))
            assert tuple(pixels[y, x]) == expected
    drawn = Augmentation(image_size=32, grid_prob=0.5, grid_period=(8, 16), grid_ratio=0.6, grid_ramp_epochs=10)
    assert not any(_view(drawn, i, epoch=0).grid for i in range(100))
    share = np.mean([_view(drawn, i, epoch=5).grid is not None for i in range(1000)])
    assert 0.2 < share < 0.3
    grids = [grid for i in range(500) if (grid := _view(drawn, i, epoch=10).grid)]
    assert {grid.period for grid in grids} == set(range(8, 16))
    assert all(grid.kept == int(grid.period * 0.6 + 0.5) for grid in grids)


def test_the_mask_never_writes_into_the_source() -> None:
    pixels = np.full((32, 32, 3), 9, dtype=np.uint8)
    image = Image.fromarray(pixels)
    augmentation = Augmentation(image_size=32, cutout_size=8)
    apply_view(image, View(crop=(0, 0, 32, 32), erase=(Erase(top=0, left=0, height=9, width=9),)), augmentation)
    assert np.all(np.asarray(image) == 9)
    assert np.all(pixels == 9)


@pytest.mark.parametrize(
    "settings",
    [
        {"crop": "middle"},
        {"interpolation": "lanczos3"},
        {"erase_mode": "rand"},
        {"policy": "autoaugment"},
        {"policy": "rand-m9-x3"},
        {"crop_pct": 1.1},
        {"image_size": 0},
        {"scale": (1.0, 0.5)},
    ],
)
def test_wrong_settings_are_refused(settings: dict) -> None:
    with pytest.raises(UsageError):
        Augmentation(**{"image_size": 32, **settings})
