"""Policies: torchvision's tables, timm's operations and ranges, PaddleClas's fills."""

from __future__ import annotations

import numpy as np
import pytest
import timm.data.auto_augment as timm_ops
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import autoaugment as torchvision_policies

from kdzoo.base.errors import UsageError
from kdzoo.data import generator
from kdzoo.data.pixel_ops import Geometry, apply_op
from kdzoo.data.policies import (
    _AUTO_POLICIES,
    RandAugment,
    _auto_argument,
    _rand_argument,
    draw_policy,
    parse_policy,
    policy_geometry,
)

WITHOUT_MAGNITUDE = {"AutoContrast", "Equalize", "Invert"}


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("imagenet_autoaugment", torchvision_policies.AutoAugmentPolicy.IMAGENET),
        ("cifar_autoaugment", torchvision_policies.AutoAugmentPolicy.CIFAR10),
    ],
)
def test_tables_equal_torchvisions(name: str, theirs: torchvision_policies.AutoAugmentPolicy) -> None:
    expected = torchvision_policies.AutoAugment(theirs).policies

    def comparable(op: str, prob: float, level: int | None) -> tuple:
        return op, prob, None if op in WITHOUT_MAGNITUDE else level

    ours = [tuple(comparable(*op) for op in row) for row in _AUTO_POLICIES[name]]
    # The order of the rows has no meaning: one is drawn uniformly.
    assert sorted(map(repr, ours)) == sorted(map(repr, expected))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_auto_augment_operations_equal_torchvisions(make_picture, interpolation: str) -> None:
    image = make_picture(0, 64, 64)
    space = torchvision_policies.AutoAugment()._augmentation_space(10, (64, 64))
    geometry = policy_geometry("imagenet_autoaugment", interpolation)
    for op, (magnitudes, signed) in space.items():
        for level in (0, 3, 6, 9):
            for sign in (1.0, -1.0):
                magnitude = float(magnitudes[level]) if magnitudes.ndim else 0.0
                theirs = torchvision_policies._apply_op(
                    image, op, magnitude * (sign if signed else 1), InterpolationMode(interpolation), None
                )
                ours = apply_op(image, op, _auto_argument(op, level, sign, 64, ssld=False), geometry)
                difference = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
                # torchvision's magnitudes are float32: a value may fall to the other side of a rounding, and a pixel
                # that is taken from exactly the border may fall outside.
                assert (difference > 1).mean() < 0.004, (op, level, sign)


def _timm(op: str, image: Image.Image, magnitude: float, increasing: bool, sign: float, monkeypatch) -> Image.Image:
    name = {"TranslateX": "TranslateXRel", "TranslateY": "TranslateYRel"}.get(op, op)
    if increasing and f"{op}Increasing" in timm_ops.NAME_TO_OP:
        name = f"{op}Increasing"
    monkeypatch.setattr(timm_ops.random, "random", lambda: 0.0 if sign > 0 else 1.0)
    operation = timm_ops.AugmentOp(
        name, prob=1.0, magnitude=magnitude, hparams={"img_mean": (124, 116, 104), "interpolation": Image.BICUBIC}
    )
    return operation(image)


@pytest.mark.parametrize("increasing", [False, True])
def test_rand_augment_operations_equal_timms(make_picture, increasing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_picture(0, 64, 64)
    geometry = policy_geometry("rand-m9", "bicubic")
    names = timm_ops._RAND_INCREASING_TRANSFORMS if increasing else timm_ops._RAND_TRANSFORMS
    ops = [name.removesuffix("Increasing").removesuffix("Rel") for name in names]
    assert len(ops) == 15
    for op in ops:
        for magnitude in (0.0, 4.3, 9.0, 10.0):
            for sign in (1.0, -1.0):
                # timm moves to the left where it draws plus; the sign is drawn evenly, so ours may be the other.
                our_sign = -sign if op.startswith("Translate") else sign
                value = _rand_argument(op, magnitude / 10, our_sign, 64, increasing=increasing)
                if (op, value) == ("Posterize", 0):  # newer Pillow versions refuse 0 bits in timm's way of asking
                    assert not np.asarray(apply_op(image, op, value, geometry)).any()
                    continue
                theirs = _timm(op, image, magnitude, increasing, sign, monkeypatch)
                assert np.array_equal(np.asarray(apply_op(image, op, value, geometry)), np.asarray(theirs)), (op, value)


def test_ssld_fills_and_samples_as_paddleclas(make_picture) -> None:
    """Rotation there goes through an RGBA image composed onto grey; shears are bicubic, shifts to the nearest pixel."""
    image = make_picture(0, 64, 64)
    geometry = policy_geometry("ssld_autoaugment", "bilinear")
    turned = image.convert("RGBA").rotate(30)
    expected = Image.composite(turned, Image.new("RGBA", turned.size, (128,) * 4), turned).convert("RGB")
    assert np.array_equal(np.asarray(apply_op(image, "Rotate", 30.0, geometry)), np.asarray(expected))
    sheared = image.transform(
        image.size, Image.Transform.AFFINE, (1, -0.2, 0, 0, 1, 0), Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
    )
    assert np.array_equal(np.asarray(apply_op(image, "ShearX", -0.2, geometry)), np.asarray(sheared))
    # Magnitudes: rotation in one direction only, thresholds from 256, shifts not cut to whole pixels.
    assert _auto_argument("Rotate", 9, -1.0, 64, ssld=True) == 30
    assert _auto_argument("Rotate", 9, -1.0, 64, ssld=False) == -30
    assert _auto_argument("Solarize", 0, 1.0, 64, ssld=True) == 256
    assert _auto_argument("TranslateX", 9, 1.0, 64, ssld=True) == pytest.approx(150 / 331 * 64)
    bits = [_auto_argument("Posterize", level, 1.0, 64, ssld=True) for level in range(10)]
    assert bits == np.round(np.linspace(8, 4, 10)).tolist()


def test_auto_augment_draws_each_row_evenly() -> None:
    counts: dict[str, int] = {}
    signs = set()
    for i in range(5000):
        operations = draw_policy("imagenet_autoaugment", 224, generator(0, "test", i))
        assert len(operations) <= 2
        for op, value in operations:
            counts[op] = counts.get(op, 0) + 1
            if op == "ShearX":
                signs.add(np.sign(value))
    expected: dict[str, float] = {}
    for row in _AUTO_POLICIES["imagenet_autoaugment"]:
        for op, prob, _ in row:
            expected[op] = expected.get(op, 0) + prob * 5000 / 25
    for op, count in counts.items():
        assert count == pytest.approx(expected[op], abs=5 * expected[op] ** 0.5)
    assert set(counts) == set(expected)
    assert signs == {-1, 1}


def test_rand_augment_notation() -> None:
    assert parse_policy("rand-m9-n2-mstd0.5") == RandAugment(magnitude=9, num_ops=2, magnitude_std=0.5)
    assert parse_policy("rand-m7-n3-p0.8-mstd101-mmax12-inc1") == RandAugment(
        magnitude=7, num_ops=3, prob=0.8, magnitude_std=np.inf, magnitude_max=12, increasing=True
    )
    for wrong in ("rand-q3", "rand-m", "randm9", "augmix-m5"):
        with pytest.raises(UsageError):
            parse_policy(wrong)
    with pytest.raises(UsageError) as caught:
        parse_policy("imagenet_autoaugmnet")
    assert "did you mean 'imagenet_autoaugment'?" in str(caught.value.hint)


def test_rand_augment_draws_noise_within_bounds() -> None:
    angles = [
        value
        for i in range(6000)
        for op, value in draw_policy("rand-m9-n2-mstd0.5-inc1", 64, generator(0, "test", i))
        if op == "Rotate"
    ]
    assert 0.7 * 400 < len(angles) < 1.3 * 400  # 6000 images, 2 draws, 1 of 15, half of them applied
    magnitudes = np.abs(angles) / 3
    assert magnitudes.max() <= 10
    assert abs(np.mean(magnitudes) - 9) < 0.1
    assert 0.3 < np.std(magnitudes) < 0.6
    assert 0.4 < np.mean(np.array(angles) > 0) < 0.6


def test_fill_colour_comes_from_the_geometry(make_picture) -> None:
    geometry = Geometry(fill=(7, 8, 9), shear="nearest", translate="nearest", rotate="nearest")
    moved = np.asarray(apply_op(make_picture(0, 40, 40), "TranslateX", 10.0, geometry))
    assert np.all(moved[:, :10] == (7, 8, 9))
    assert np.array_equal(moved[:, 10:], np.asarray(make_picture(0, 40, 40))[:, :30])
