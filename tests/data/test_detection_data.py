"""COCO-format data and VOC detection: what is read, put up with and refused, and in which order it comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_shapes import CATEGORY_IDS, SHAPES, write_coco, write_voc
from PIL import Image

from kdzoo.base.errors import DataError, UsageError
from kdzoo.cli.main import main
from kdzoo.data.detection import (
    BoxOrder,
    BoxTask,
    BoxViews,
    check_detection,
    draw_box_view,
    open_detection,
    resized_size,
)
from kdzoo.data.images import UnreadableImage


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "shapes", train=6, val=4)


def annotations(root: Path, split: str = "train2017") -> Path:
    return root / "annotations" / f"instances_{split}.json"


def edit(root: Path, change: Callable[[dict[str, Any]], None], split: str = "train2017") -> None:
    path = annotations(root, split)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_every_box_is_read_with_its_class_and_image(coco: Path) -> None:
    document = json.loads(annotations(coco).read_text())
    source = open_detection(f"coco:{coco}", "train")
    assert source.class_names == SHAPES
    assert source.category_ids == CATEGORY_IDS
    assert len(source) == 6
    for index, image in enumerate(document["images"]):
        own = [entry for entry in document["annotations"] if entry["image_id"] == image["id"]]
        found = source.image_objects(index)
        assert source.files[index] == image["file_name"]
        assert [CATEGORY_IDS[label] for label in found.labels] == [entry["category_id"] for entry in own]
        assert [[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in found.boxes.tolist()] == [e["bbox"] for e in own]
        assert source.load(index).size == (image["width"], image["height"])
    assert "category ids run from 1 to 7 with 4 gaps" in source.notes[0]


def test_images_without_boxes_are_evaluated_and_not_trained_on(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "shapes", train=6, val=4, empty=(1, 3))
    train, val = (open_detection(f"coco:{root}", split) for split in ("train", "val"))
    assert len(val) == 4
    assert len(train.with_boxes()) == 4
    assert "2 of 6 images have no box: evaluated, not trained on" in train.notes


def test_odd_boxes_are_cut_off_or_left_out_and_counted(coco: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        first = document["images"][0]
        width, height = first["width"], first["height"]
        document["annotations"] = [
            {"id": i + 1, "image_id": first["id"], "category_id": 1, "bbox": box, "area": 9.0, "iscrowd": crowd}
            for i, (box, crowd) in enumerate(
                [
                    ([-10, 5, 30, 20], 0),
                    ([width + 5, 5, 10, 10], 0),
                    ([5, 5, 0, 10], 0),
                    ([5, 5, 10, 10], 1),
                    ([width - 9, height - 9, 90, 90], 0),
                ]
            )
        ]

    edit(coco, change)
    source = open_detection(f"coco:{coco}", "train")
    boxes, labels = source.trainable(0)
    width, height = source.sizes[0]
    assert boxes.tolist() == [[0, 5, 20, 25], [width - 9, height - 9, width, height]]
    assert labels.tolist() == [0, 0]
    notes = "; ".join(source.notes)
    for part in ("1 boxes have no area", "1 boxes lie wholly outside", "2 boxes reach beyond"):
        assert part in notes


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "unknown category": (
        lambda d: d["annotations"][2].update(category_id=2),
        "annotations[2] (id 11) has the unknown category_id 2",
    ),
    "unknown image": (lambda d: d["annotations"][0].update(image_id=99), "belongs to the unknown image_id 99"),
    "three numbers": (
        lambda d: d["annotations"][1].update(bbox=[1, 2, 3]),
        "annotations[1] (id 6) has no bbox of four",
    ),
    "not finite": (lambda d: d["annotations"][1].update(bbox=[1, 2, 3, float("nan")]), "has no bbox of four numbers"),
    "negative": (lambda d: d["annotations"][1].update(bbox=[1, 2, -3, 4]), "negative width or height"),
    "no object": (lambda d: d["annotations"].insert(0, 7), "annotations[0] is no object"),
    "no size": (lambda d: d["images"][1].pop("width"), "images[1] (id 8) has no width and height"),
    "too wide": (lambda d: d["images"][1].update(width=3_000_000_000), "no width and height from 1 to 65,535 pixels"),
    "a huge whole number": (lambda d: d["annotations"][1].update(bbox=[1, 2, 3, 10**400]), "has no bbox of four"),
    "an endless corner": (
        lambda d: d["annotations"][1].update(bbox=[1e308] * 4),
        "annotations[1] (id 6) has a bbox of too large numbers: [1e+308",
    ),
    "huge whole numbers": (lambda d: d["annotations"][1].update(bbox=[10**308] * 4), "has a bbox of too large"),
    "no file": (lambda d: d["images"][1].update(file_name=""), "has no file_name"),
    "outside": (lambda d: d["images"][1].update(file_name="../../etc/x.jpg"), "names a file outside its folder"),
    "same image": (lambda d: d["images"][1].update(id=1), "images[1] has the id 1 of another image"),
    "same category": (lambda d: d["categories"][1].update(id=1), "has the id 1 of 'disc' once more"),
    "nameless": (lambda d: d["categories"][1].pop("name"), "categories[1] has no id"),
    "no list": (lambda d: d.pop("categories"), "has no list of categories"),
    "no image": (lambda d: d.update(images=[]), "has no image"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_entry_is_one_clear_line(coco: Path, case: str) -> None:
    change, words = BROKEN[case]
    edit(coco, change)
    with pytest.raises(DataError) as raised:
        open_detection(f"coco:{coco}", "train")
    assert words in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.hint


def test_an_area_that_no_number_can_hold_is_the_boxs(coco: Path) -> None:
    edit(coco, lambda d: d["annotations"][0].update(area=10**400, bbox=[1, 2, 30, 4]))
    source = open_detection(f"coco:{coco}", "train")
    assert source.objects.areas[0] == 120


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("<width>128<", "<width>3000000000<", "width and height, from 1 to 65,535 pixels"),
        ("<width>128<", "<width>0<", "width and height, from 1 to 65,535 pixels"),
        ("<xmax>", "<xmax>1e308</xmax><ymax>1e308</ymax><xmax>", "object 1 has no name or no bndbox of four numbers"),
        ("<xmax>", "<xmax>nan</xmax><xmax>", "object 1 has no name or no bndbox of four numbers"),
    ],
)
def test_large_numbers_in_voc_are_one_clear_line(was: str, now: str, words: str, tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc")
    file = root / "VOCdevkit" / "VOC2007" / "Annotations" / "000002.xml"
    file.write_text(file.read_text().replace(was, now, 1))
    with pytest.raises(DataError) as raised:
        open_detection(f"voc2007-detection:{root}", "train")
    assert f"000002.xml{' does not say' if 'width' in words else ': '}" in raised.value.message
    assert words in raised.value.message


def test_a_file_that_is_cut_short_or_missing_is_said(coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = annotations(coco)
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match="is no JSON"):
        open_detection(f"coco:{coco}", "train")
    path.unlink()
    with pytest.raises(DataError, match="no annotation file for train"):
        open_detection(f"coco:{coco}", "train")
    with pytest.raises(DataError, match="coco not found: looked for"):
        open_detection(f"coco:{coco / 'nowhere'}", "train")
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    with pytest.raises(DataError, match="KDZOO_DATA is not set"):
        open_detection("coco", "train")
    with pytest.raises(UsageError, match="no path after the colon"):
        open_detection("coco:", "train")


def test_other_places_of_annotations_are_found(coco: Path) -> None:
    (coco / "images").mkdir()
    (coco / "train2017").rename(coco / "images" / "train")
    annotations(coco).rename(coco / "annotations" / "instances_train.json")
    assert len(open_detection(f"coco:{coco}", "train")) == 6
    (coco / "valid").mkdir()
    for image in (coco / "val2017").iterdir():
        image.rename(coco / "valid" / image.name)
    annotations(coco, "val2017").rename(coco / "valid" / "_annotations.coco.json")
    assert len(open_detection(f"coco:{coco}", "val")) == 4


def test_check_lists_every_problem_at_the_command_line(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", f"coco:{coco}", "--workers", "0"]) == 0
    shown = capsys.readouterr().out
    assert "warning: train: category ids run from 1 to 7" in shown
    assert shown.endswith("ok\n")
    edit(coco, lambda d: [d["annotations"][i].update(category_id=5) for i in (0, 1)])
    next((coco / "val2017").iterdir()).write_bytes(b"\xff\xd8 no image")
    assert main(["data", "check", f"coco:{coco}", "--workers", "0"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("has the unknown category_id 5") == 2
    assert "unreadable: val: " in shown
    report = check_detection(f"coco:{coco}", workers=0)
    assert [split.num_images for split in report.splits] == [6, 4]
    assert not report.ok


def test_an_image_of_another_size_is_refused_and_a_turned_one_is_turned(coco: Path) -> None:
    source = open_detection(f"coco:{coco}", "train")
    width, height = (int(value) for value in source.sizes[0])
    path = source.folder / source.files[0]
    Image.new("RGB", (width + 1, height)).save(path)
    with pytest.raises(UnreadableImage, match="its annotation says"):
        source.load(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (height, width)).save(path, exif=exif)
    assert source.load(0).size == (width, height)


def test_voc_is_read_as_edges_from_zero_and_difficult_objects_are_apart(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc")
    train, val = (open_detection(f"voc2007-detection:{root}", split) for split in ("train", "val"))
    assert (len(train), len(val), train.num_classes) == (6, 4, 20)
    assert train.class_names[11] == "dog"
    from drawn_shapes import draw

    for index in range(6):
        expected = [list(map(float, box)) for box, _ in draw(index, width=128, height=96)[1]]
        assert train.image_objects(index).boxes.tolist() == expected
    assert train.image_objects(1).crowd[0]
    assert not train.image_objects(0).crowd.any()
    assert len(train.trainable(1)[1]) == len(train.image_objects(1)) - 1
    own = write_voc(tmp_path / "own", names=("bolt", "nut", "cat"))
    assert open_detection(f"voc2007-detection:{own}", "val").class_names == ("bolt", "cat", "nut")
    (root / "VOCdevkit/VOC2007/Annotations/000002.xml").write_text("<annotation><size>")
    with pytest.raises(DataError, match=r"000002.xml is no XML"):
        open_detection(f"voc2007-detection:{root}", "train")
    (root / "VOCdevkit/VOC2007/ImageSets/Main/test.txt").unlink()
    with pytest.raises(DataError, match=r"test.txt is missing"):
        open_detection(f"voc2007-detection:{root}", "val")


@pytest.mark.parametrize("without", ["trainval", "test"])
def test_voc_splits_with_other_objects_have_the_same_classes(without: str, tmp_path: Path) -> None:
    """Own classes in one split and VOC's alone in the other."""
    root = write_voc(tmp_path / "own", names=("helmet", "person", "person"))
    base = root / "VOCdevkit" / "VOC2007"
    for name in (base / "ImageSets" / "Main" / f"{without}.txt").read_text().split():
        file = base / "Annotations" / f"{name}.xml"
        file.write_text(file.read_text().replace("helmet", "person"))
    for split in ("train", "val"):
        source = open_detection(f"voc2007-detection:{root}", split)
        assert source.class_names == ("helmet", "person")
        has_own = (split == "train") == (without == "test")
        assert (source.boxes_per_class()[0] > 0) == has_own


def test_the_order_is_a_pure_function_and_pairs_have_one_orientation() -> None:
    sizes = np.array([(4, 3), (3, 4), (4, 3)] * 20)
    order = BoxOrder(sizes, 8, 5)
    first = [order.ids(step)[1] for step in range(order.steps_per_epoch)]
    seen = np.concatenate(first)
    assert len(set(seen.tolist())) == len(seen) == 8 * order.steps_per_epoch
    wide = sizes[:, 0] > sizes[:, 1]
    assert all(wide[a] == wide[b] for a, b in seen.reshape(-1, 2))
    again = BoxOrder(sizes, 8, 5)
    assert again.ids(order.steps_per_epoch + 3)[1].tolist() == order.ids(order.steps_per_epoch + 3)[1].tolist()
    assert again.ids(order.steps_per_epoch)[0] == 1
    assert order.ids(order.steps_per_epoch)[1].tolist() != first[0].tolist()
    halves = [BoxOrder(sizes, 8, 5, rank=rank, world_size=4).ids(2)[1] for rank in range(4)]
    assert np.concatenate(halves).tolist() == first[2].tolist()
    assert BoxOrder(sizes, 8, 6).ids(0)[1].tolist() != first[0].tolist()
    with pytest.raises(UsageError, match="cannot be made"):
        BoxOrder(sizes, 61, 0)
    with pytest.raises(UsageError, match="shared evenly"):
        BoxOrder(sizes, 8, 0, world_size=3)


def test_views_move_boxes_with_their_pixels(coco: Path) -> None:
    source = open_detection(f"coco:{coco}", "train")
    views = BoxViews(short_sides=(64, 96, 160), max_side=200)
    order = BoxOrder(source.sizes, 6, 0)
    batch = BoxTask(source, views, order=order, seed=3)(0)
    again = BoxTask(source, views, order=order, seed=3)(0)
    drawn = {draw_box_view(views, 3, epoch, sample) for epoch in range(20) for sample in range(6)}
    assert drawn == {(short, mirrored) for short in views.short_sides for mirrored in (False, True)}
    for image, boxes, labels, other in zip(batch.images, batch.boxes, batch.labels, again.images, strict=True):
        assert (image == other).all()
        assert max(image.shape) <= 200
        for box, label in zip(boxes.round().int().tolist(), labels.tolist(), strict=True):
            left, top, right, bottom = box
            middle = image[:, (top + 2 * bottom) // 3, (left + right) // 2].tolist()
            assert int(np.argmax(middle)) == label  # discs are red, squares green, triangles blue


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [((640, 480), 800, (1067, 800)), ((480, 640), 640, (640, 853)), ((1000, 300), 800, (1333, 400))],
)
def test_sizes_are_detectron2s(size: tuple[int, int], short: int, expected: tuple[int, int]) -> None:
    assert resized_size(*size, short, 1333) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["annotations"][0].update(iscrowd="0"), "has the iscrowd '0', which is neither 0 nor 1"),
        (lambda d: d["annotations"][0].update(iscrowd=7), "has the iscrowd '7'"),
        (lambda d: d["annotations"][0].update(area=-4), "has a negative area: -4"),
    ],
)
def test_marks_that_mean_nothing_are_named(change: Callable[[dict[str, Any]], None], said: str, coco: Path) -> None:
    edit(coco, change)
    with pytest.raises(DataError) as caught:
        open_detection(f"coco:{coco}", "train")
    assert said in caught.value.message
    assert any(said in line for line in check_detection(f"coco:{coco}", workers=0).problems)


def test_names_that_are_there_twice_and_classes_without_a_box_are_said(coco: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["categories"] += [{"id": 90, "name": SHAPES[0]}, {"id": 91, "name": "moon"}]

    edit(coco, change)
    notes = "; ".join(open_detection(f"coco:{coco}", "train").notes)
    assert f"several categories are called '{SHAPES[0]}'" in notes
    assert f"no box of {SHAPES[0]}, moon: not learnt" in notes
