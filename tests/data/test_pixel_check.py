"""Images that teach nothing or count twice are said by the check: nearly constant, equal, stored turned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_masks import write_cityscapes, write_pairs
from PIL import Image

from kdzoo.base.errors import DataError
from kdzoo.data import check_source
from kdzoo.data.pixel_check import pixel_facts
from kdzoo.data.segmentation import check_segmentation, open_segmentation, require_classes
from kdzoo.transfer.dense.plan import DenseRequest
from kdzoo.transfer.segmentation import make_plan


def test_nearly_constant_and_equal_images_are_counted_and_named(class_folders: Path) -> None:
    train = class_folders / "train"
    Image.new("RGB", (48, 40), (200, 30, 7)).save(train / "cat" / "flat.png")
    noise = np.random.default_rng(0).integers(127, 130, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(train / "owl" / "cap.png")
    shutil.copy(train / "cat" / "1.jpg", train / "cat" / "again.jpg")
    shutil.copy(train / "dog" / "2.jpg", train / "owl" / "dog.jpg")
    report = check_source(str(class_folders), workers=0)
    assert report.ok
    said = [line for line in report.warnings if line.startswith("train")]
    assert said == [
        "train: 2 images are nearly constant, such as cat/flat.png, owl/cap.png",
        "train: 4 images are equal to another one, pixel for pixel, such as cat/1.jpg = cat/again.jpg; "
        "dog/2.jpg = owl/dog.jpg; 1 such group has several classes",
    ]


def test_a_clean_set_has_nothing_to_say(class_folders: Path) -> None:
    assert check_source(str(class_folders), workers=0).warnings == []


@pytest.mark.parametrize(
    ("values", "constant"),
    [((0, 0), True), ((254, 255), True), ((100, 103), True), ((100, 110), False), ((0, 255), False)],
)
def test_what_is_nearly_constant(values: tuple[int, int], constant: bool) -> None:
    pixels = np.full((8, 8, 3), values[0], dtype=np.uint8)
    pixels[::2, :, 1] = values[1]  # in one channel alone
    assert pixel_facts(Image.fromarray(pixels))[1] is constant


def binary(root: Path, split: str, high: int) -> None:
    """Masks of 0 and ``high`` in place of a split's own."""
    for path in (root / "masks" / split).iterdir():
        ids = np.asarray(Image.open(path))
        Image.fromarray(np.where((ids == 1) | (ids == 2), high, 0).astype(np.uint8)).save(path)


@pytest.mark.parametrize("splits", [("train", "val"), ("val",)])
def test_masks_of_0_and_255_with_two_classes_are_an_error(splits: tuple[str, ...], tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "own", train=3, val=2)
    (root / "classes.txt").write_text("ground\nthing\n")
    for split in ("train", "val"):
        binary(root, split, 255 if split in splits else 1)
    report = check_segmentation(f"masks:{root}", workers=0)
    plan = make_plan(DenseRequest(task=f"masks:{root}", backbone="resnet18", device="cpu"))
    for said in ("\n".join(report.problems), "\n".join(f"{one.message} ({one.hint})" for one in plan.problems)):
        for split in splits:
            assert f"no pixel of 'thing' in the {3 if split == 'train' else 2} masks of masks {split}" in said
        assert "255 is ignored" in said
        assert "ids that count there: 0" in said
    assert not report.ok


def test_a_listed_class_without_a_pixel_is_an_error_in_own_data(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "own", train=2, val=2)
    for split in ("train", "val"):
        require_classes(open_segmentation(f"masks:{root}", split))
    assert check_segmentation(f"masks:{root}", workers=0).ok
    (root / "classes.txt").write_text("ground\nsquare\ndisc\nmoon\n")
    with pytest.raises(DataError, match=r"no pixel of 'moon' in the 2 masks of masks train; .* there: 0, 1, 2"):
        require_classes(open_segmentation(f"masks:{root}", "train"))


def test_part_of_a_published_set_may_lack_classes_but_needs_two(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path, train=2, val=1)
    source = open_segmentation(f"cityscapes:{root}", "val")
    require_classes(source)
    report = check_segmentation(f"cityscapes:{root}", workers=0)
    assert report.ok
    assert any("no pixel of sidewalk" in line and "they are not measured" in line for line in report.warnings)
    Image.fromarray(np.full((48, 64), 7, dtype=np.uint8)).save(source.folder / source.masks[0])
    with pytest.raises(DataError, match="no pixel of 'sidewalk'"):
        require_classes(source)
