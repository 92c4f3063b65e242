"""What models are shown in evaluation: against OpenCV, torchvision and timm's transform."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import FiveCrop, Resize, TenCrop

from kdzoo.base.errors import UsageError
from kdzoo.data import ArraySource, EvalTransform
from kdzoo.data.eval_views import EvalView, view_batches
from kdzoo.data.opencv_resize import resize_and_cut

MakePicture = Callable[..., Image.Image]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((375, 500), (256, 341)),
        ((500, 375), (341, 256)),
        ((64, 64), (32, 32)),
        ((61, 47), (13, 46)),
        ((30, 40), (30, 40)),
    ],
)
def test_shrinking_equals_opencv_to_the_byte(old: tuple[int, int], new: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*old, 3), dtype=np.uint8)
    expected = cv2.resize(pixels, (new[1], new[0]), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize_and_cut(pixels, new, 0, 0, new), expected)
    part = resize_and_cut(pixels, new, 3, 5, (8, 7))
    np.testing.assert_array_equal(part, expected[3:11, 5:12])


@pytest.mark.parametrize(("old", "new"), [((20, 31), (256, 397)), ((100, 100), (256, 300)), ((1, 1), (4, 5))])
def test_enlarging_equals_opencv_but_for_the_rounding_of_single_pixels(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*old, 3), dtype=np.uint8)
    expected = cv2.resize(pixels, (new[1], new[0]), interpolation=cv2.INTER_LINEAR)
    difference = np.abs(resize_and_cut(pixels, new, 0, 0, new).astype(int) - expected)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.01


@pytest.mark.parametrize("size", [(500, 375), (333, 500), (300, 300), (227, 301)])
def test_the_opencv_view_is_paddleclas_evaluation(make_picture: MakePicture, size: tuple[int, int]) -> None:
    image = make_picture(1, *size)
    # ResizeImage(resize_short=256), CropImage(size=224), with OpenCV itself.
    pixels, (width, height) = np.asarray(image), size
    share = 256 / min(width, height)
    resized = cv2.resize(pixels, (round(width * share), round(height * share)), interpolation=cv2.INTER_LINEAR)
    top, left = (resized.shape[0] - 224) // 2, (resized.shape[1] - 224) // 2
    expected = resized[top : top + 224, left : left + 224]
    view = EvalView(image_size=224, crop_pct=0.875, interpolation="opencv-bilinear")
    difference = np.abs(view.apply(image)[0].astype(int) - expected)
    assert difference.max() <= (1 if min(size) < 256 else 0)
    # It is another image than Pillow's, which averages.
    pillow = EvalView(image_size=224, crop_pct=0.875, interpolation="bilinear").apply(image)[0]
    assert np.abs(pillow.astype(int) - expected).max() > 1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_one_crop_is_the_evaluation_transform(make_picture: MakePicture, interpolation: str) -> None:
    image = make_picture(2, 90, 70)
    expected = EvalTransform(image_size=32, crop_pct=0.8, interpolation=interpolation).apply(image)
    view = EvalView(image_size=32, crop_pct=0.8, interpolation=interpolation)
    np.testing.assert_array_equal(view.apply(image), expected[None])
    five = EvalView(image_size=32, crop_pct=0.8, interpolation=interpolation, crops=5)
    np.testing.assert_array_equal(five.apply(image)[0], expected)


def test_five_and_ten_crops_are_torchvisions(make_picture: MakePicture) -> None:
    image = make_picture(3, 84, 70)
    resized = Resize(40)(image)
    for count, transform in ((5, FiveCrop(32)), (10, TenCrop(32))):
        ours = EvalView(image_size=32, crop_pct=0.8, interpolation="bilinear", crops=count).apply(image)
        theirs = [np.asarray(crop) for crop in transform(resized)]
        # torchvision: corners, then the centre, then those of the mirrored image, whose left is the image's right.
        order = [4, 0, 1, 2, 3, 9, 6, 5, 8, 7][:count]
        np.testing.assert_array_equal(ours, np.stack([theirs[index] for index in order]))


def test_opencv_crops_lie_in_the_corners(make_picture: MakePicture) -> None:
    image = make_picture(4, 64, 48)
    crops = EvalView(image_size=24, crop_pct=0.5, interpolation="opencv-bilinear", crops=10).apply(image)
    whole = np.asarray(image)
    np.testing.assert_array_equal(crops[1], whole[:24, :24])
    np.testing.assert_array_equal(crops[4], whole[-24:, -24:])
    np.testing.assert_array_equal(crops[9], whole[-24:, -24:][:, ::-1])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_decoded_once_and_are_the_same_for_whoever_asks(make_picture: MakePicture, workers: int) -> None:
    pixels = np.stack([np.asarray(make_picture(seed, 40, 40)) for seed in range(7)])
    source = ArraySource("seven", "val", ["a"], np.zeros(7), pixels, [str(index) for index in range(7)])
    views = [
        EvalView(image_size=16, crop_pct=1.0, interpolation="bilinear"),
        EvalView(image_size=24, crop_pct=0.9, interpolation="opencv-bilinear", crops=5),
    ]
    batches = list(view_batches(source, views, [0, 2, 1], batch_size=3, workers=workers))
    assert [batch.number for batch in batches] == [0, 2, 1]
    assert [batch.ids.tolist() for batch in batches] == [[0, 1, 2], [6], [3, 4, 5]]
    for batch in batches:
        for view, images in zip(views, batch.images, strict=True):
            expected = np.concatenate([view.apply(source.load(index)) for index in batch.ids.tolist()])
            assert images.is_contiguous(memory_format=torch.channels_last)
            np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), expected)


@pytest.mark.parametrize("change", [{"interpolation": "lanczos"}, {"crops": 3}, {"crop_pct": 0.0}, {"image_size": 0}])
def test_what_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        EvalView(**{"image_size": 8, "crop_pct": 1.0, "interpolation": "bilinear", **change})
