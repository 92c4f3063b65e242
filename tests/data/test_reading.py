"""Parts of a data spec that say how files are read, wherever a spec is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_masks import write_pairs
from drawn_shapes import write_coco
from PIL import Image

from kdzoo.base.errors import UsageError
from kdzoo.data import ConcatSource, open_source, parse_data_spec
from kdzoo.data.detection import check_detection, open_detection, parse_detection_spec
from kdzoo.data.reading import AS_STORED, Reading, split_reading
from kdzoo.data.segmentation import open_segmentation
from kdzoo.data.subset import SubsetSource


def turn(path: Path, orientation: int) -> None:
    """The same file, asking to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))


@pytest.mark.parametrize(
    ("text", "spec", "reading"),
    [
        ("photos", "photos", AS_STORED),
        ("photos@exif=apply", "photos", Reading(upright=True)),
        ("photos@exif=ignore", "photos", AS_STORED),
        ("imagenet@white=4095:/a/b", "imagenet:/a/b", Reading(white=4095)),
        ("coco:/a/b@exif=apply@white=0.5", "coco:/a/b", Reading(True, 0.5)),
        ("photos@test@exif=apply", "photos@test", Reading(upright=True)),
    ],
)
def test_parts_are_taken_off_and_written_again(text: str, spec: str, reading: Reading) -> None:
    assert split_reading(text) == (spec, reading)
    assert split_reading(f"{spec}{reading}") == (spec, reading)


@pytest.mark.parametrize(
    "text", ["p@exif=yes", "p@white=0", "p@white=-1", "p@white=nan", "p@white=x", "p@white=1e99", "p@white=1@white=2"]
)
def test_values_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_reading(text)


def test_a_folder_of_such_a_name_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "odd@exif=apply"
    folder.mkdir()
    assert parse_data_spec(str(folder)).path == folder


def test_class_folders_are_turned_upright_where_asked(class_folders: Path) -> None:
    first = class_folders / "train" / "cat" / "0.jpg"
    stored = np.asarray(open_source(str(class_folders), "train").load(0))
    turn(first, 6)
    plain, upright = (open_source(f"{class_folders}{part}", "train") for part in ("", "@exif=apply"))
    assert plain.load(0).size == (48, 40)
    assert upright.load(0).size == (40, 48)
    assert np.abs(np.asarray(upright.load(0)).astype(int) - np.rot90(stored, -1)).mean() < 4
    assert [plain.orientation(0), plain.orientation(1)] == [6, 1]
    # Another reading is other data, in part of a set as well.
    assert plain.fingerprint() == open_source(f"{class_folders}@exif=ignore", "train").fingerprint()
    assert plain.fingerprint() != upright.fingerprint()
    assert SubsetSource(plain, [0]).fingerprint() != SubsetSource(upright, [0]).fingerprint()
    assert ConcatSource([plain, plain]).fingerprint() != ConcatSource([plain, upright]).fingerprint()


def test_data_without_files_is_not_read_otherwise() -> None:
    with pytest.raises(UsageError, match="digits is not read from image files"):
        open_source("digits@exif=apply", "val")


def test_coco_images_whose_size_does_not_tell_are_counted_and_turned_where_asked(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "shapes", train=4, val=2)
    source = open_detection(f"coco:{root}", "train")
    stored = np.asarray(source.load(0)).astype(int)
    turn(root / "train2017" / source.files[0], 3)  # half a turn: the same size either way
    plain = open_detection(f"coco:{root}", "train")
    upright = open_detection(f"coco:{root}@exif=apply", "train")
    assert np.abs(np.asarray(plain.load(0)) - stored).mean() < 4
    assert np.abs(np.asarray(upright.load(0)) - stored[::-1, ::-1]).mean() < 4
    assert plain.fingerprint() != upright.fingerprint()
    assert str(parse_detection_spec(f"coco:{root}@exif=apply")).endswith("@exif=apply")
    said = [line for line in check_detection(f"coco:{root}", workers=0).warnings if "EXIF" in line]
    assert said == [
        f"train: 1 image is stored turned (EXIF orientation), such as {source.files[0]}: read as stored "
        "(SPEC@exif=apply turns them)"
    ]
    assert "turned upright" in "\n".join(check_detection(f"coco:{root}@exif=apply", workers=0).warnings)


def test_masks_stay_as_they_are_and_their_images_are_turned(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "own")
    turn(root / "images" / "train" / "0.png", 3)
    plain, upright = (open_segmentation(f"masks:{root}{part}", "train") for part in ("", "@exif=apply"))
    assert np.array_equal(np.asarray(upright.load(0)), np.asarray(plain.load(0))[::-1, ::-1])
    assert np.array_equal(upright.load_mask(0), plain.load_mask(0))
    assert plain.fingerprint() != upright.fingerprint()
