"""Segmentation data in the published layouts: labels, checks, order, views."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_masks import draw, write_ade20k, write_cityscapes, write_pairs, write_voc
from PIL import Image

from kdzoo.base.errors import DataError, UsageError
from kdzoo.cli.main import main
from kdzoo.data.segmentation import (
    IGNORED,
    EndlessOrder,
    EvalTask,
    MaskEvalView,
    MaskTask,
    MaskViews,
    apply_mask_view,
    check_segmentation,
    colour_map,
    draw_mask_view,
    open_segmentation,
    parse_segmentation_spec,
    require_classes,
)
from kdzoo.data.segmentation.source import read_indices
from kdzoo.data.segmentation.views import fitted, resize_mask

# cityscapesScripts, helpers/labels.py: name, id, trainId.
OFFICIAL = [
    ("unlabeled", 0, 255),
    ("ego vehicle", 1, 255),
    ("rectification border", 2, 255),
    ("out of roi", 3, 255),
    ("static", 4, 255),
    ("dynamic", 5, 255),
    ("ground", 6, 255),
    ("road", 7, 0),
    ("sidewalk", 8, 1),
    ("parking", 9, 255),
    ("rail track", 10, 255),
    ("building", 11, 2),
    ("wall", 12, 3),
    ("fence", 13, 4),
    ("guard rail", 14, 255),
    ("bridge", 15, 255),
    ("tunnel", 16, 255),
    ("pole", 17, 5),
    ("polegroup", 18, 255),
    ("traffic light", 19, 6),
    ("traffic sign", 20, 7),
    ("vegetation", 21, 8),
    ("terrain", 22, 9),
    ("sky", 23, 10),
    ("person", 24, 11),
    ("rider", 25, 12),
    ("car", 26, 13),
    ("truck", 27, 14),
    ("bus", 28, 15),
    ("caravan", 29, 255),
    ("trailer", 30, 255),
    ("train", 31, 16),
    ("motorcycle", 32, 17),
    ("bicycle", 33, 18),
]

VIEWS = MaskViews(scale=(64, 48), factors=(0.5, 2.0), crop=(32, 40), cat_max_ratio=0.75, flip=0.5, colour=True)


def write_mask(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


def test_labels_follow_the_official_table(tmp_path: Path) -> None:
    source = open_segmentation(f"cityscapes:{write_cityscapes(tmp_path)}", "val")
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    write_mask(source.folder / source.masks[0], ids)
    labels = source.load_mask(0).ravel()
    for name, stored, train_id in OFFICIAL:
        assert labels[stored] == train_id
        if train_id != 255:
            assert source.class_names[train_id] == name
    assert len(source.class_names) == 19
    write_mask(source.folder / source.masks[0], np.full((2, 2), 255, dtype=np.uint8))  # -1, a licence plate
    assert (source.load_mask(0) == IGNORED).all()


@pytest.mark.parametrize(
    ("write", "name", "labels", "classes"),
    [
        (write_cityscapes, "cityscapes", (0, 13, 11), 19),
        (write_voc, "voc2012", (0, 1, 15), 21),
        (write_ade20k, "ade20k", (0, 12, 149), 150),
        (write_pairs, "masks", (0, 1, 2), 3),
    ],
)
def test_genuine_layouts(write: object, name: str, labels: tuple[int, ...], classes: int, tmp_path: Path) -> None:
    root = write(tmp_path)  # type: ignore[operator]
    for split, count, first in (("train", 6, 0), ("val", 3, 100)):
        source = open_segmentation(f"{name}:{root}", split)
        assert (len(source), source.num_classes, len(source.colours)) == (count, classes, classes)
        _, places = draw(first, (64, 48))
        expected = np.where(places < 0, IGNORED, np.array(labels)[np.maximum(places, 0)])
        assert (source.load_mask(0, (64, 48)) == expected).all()
        assert source.load(0).size == (64, 48)
        assert len(source.fingerprint()) == 64
        assert pickle.loads(pickle.dumps(source)).identity(0) == source.identity(0)
    report = check_segmentation(f"{name}:{root}", workers=0)
    assert report.ok
    assert [split.num_images for split in report.splits] == [6, 3]
    assert sorted(set(report.splits[0].class_counts.values())) == ([0, 6] if classes > 3 else [6])
    assert bool(report.warnings) == (name != "masks")  # fewer than the official counts


def test_ade20k_has_its_own_names() -> None:
    from kdzoo.data.segmentation.specs import CLASSES

    names = CLASSES["ade20k"]
    assert len(names) == len(set(names)) - (len(set(names)) - 150) == 150
    assert (names[0], names[12], names[-1], names[44]) == ("wall", "person", "flag", "chest of drawers")


def test_vocs_colours() -> None:
    expected = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert colour_map(21)[:5] == expected
    assert colour_map(21)[20] == (0, 64, 128)


def test_a_mask_changed_is_another_set(tmp_path: Path) -> None:
    root = write_pairs(tmp_path)
    before = open_segmentation(f"masks:{root}", "train").fingerprint()
    assert before == open_segmentation(f"masks:{root}", "train").fingerprint()
    write_mask(root / "masks" / "train" / "0.png", np.zeros((48, 64), dtype=np.uint8))
    assert before != open_segmentation(f"masks:{root}", "train").fingerprint()


def test_classes_are_told_from_the_masks(tmp_path: Path) -> None:
    source = open_segmentation(f"masks:{write_pairs(tmp_path, named=False)}", "val")
    assert source.class_names == ("class0", "class1", "class2")
    assert "no classes.txt" in source.notes[0]


def test_broken_masks_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_pairs(tmp_path)
    folder = root / "masks" / "train"
    write_mask(folder / "0.png", np.full((48, 64), 7, dtype=np.uint8))
    write_mask(folder / "1.png", np.zeros((9, 64), dtype=np.uint8))
    write_mask(folder / "2.png", np.zeros((48, 64, 3), dtype=np.uint8))
    write_mask(folder / "3.png", np.full((48, 64), 700, dtype=np.uint16))
    (folder / "4.png").write_bytes(b"no image")
    source = open_segmentation(f"masks:{root}", "train")
    for index, words in enumerate(
        (
            "unknown ids 7 (masks has 0 to 2 and 255)",
            "it is 64x9 pixels, the image is 64x48",
            "its pixels are colours (RGB)",
            "ids up to 700",
            "cannot be decoded",
        )
    ):
        with pytest.raises(DataError) as caught:
            source.load_mask(index, (64, 48))
        assert words in caught.value.message
        assert f"images/train/{index}.png" in caught.value.message
        assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message
    assert main(["data", "check", f"masks:{root}", "--workers", "0"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("unreadable: train") == 5
    assert "not ok" in shown


def test_missing_things_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    city, voc, ade, pairs = (tmp_path / name for name in ("c", "v", "a", "p"))
    write_cityscapes(city), write_voc(voc), write_ade20k(ade), write_pairs(pairs)
    (city / "gtFine/val/munster/munster_000001_000019_gtFine_labelIds.png").unlink()
    (voc / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    (voc / "VOCdevkit/VOC2012/JPEGImages/2007_000001.jpg").unlink()
    (ade / "ADEChallengeData2016/annotations/validation").rename(tmp_path / "away")
    (pairs / "images/val/0.jpg").write_bytes((pairs / "images/val/0.png").read_bytes())
    for spec, split, words in (
        (f"cityscapes:{city}", "val", "munster_000001_000019_leftImg8bit.png"),
        (f"voc2012:{voc}", "val", "the list"),
        (f"voc2012:{voc}", "train", "2007_000001.jpg is listed"),
        (f"ade20k:{ade}", "val", "annotations/validation"),
        (f"masks:{pairs}", "val", "share one name"),
        ("cityscapes", "val", "KDZOO_DATA is not set"),
        (f"cityscapes:{pairs}", "val", "there is no"),
        (f"voc2012:{pairs}", "val", "ImageSets"),
        (f"masks:{tmp_path}/none", "val", "looked for"),
    ):
        with pytest.raises(DataError) as caught:
            open_segmentation(spec, split)
        assert words in caught.value.message
        assert caught.value.hint
    (pairs / "classes.txt").write_text("one\none\n")
    with pytest.raises(DataError, match=r"classes\.txt has 2 names, 1"):
        open_segmentation(f"masks:{pairs}", "train")
    for spec in ("masks", "cityscapes:", "coco"):
        with pytest.raises(UsageError):
            parse_segmentation_spec(spec)


def test_an_endless_order_takes_each_image_once_an_epoch() -> None:
    whole = EndlessOrder(5, 4, seed=3)
    taken = [pair for iteration in range(5) for pair in whole.ids(iteration)]
    for epoch in range(4):
        assert sorted(image for number, image in taken if number == epoch) == [0, 1, 2, 3, 4]
    halves = [EndlessOrder(5, 4, seed=3, rank=rank, world_size=2) for rank in (0, 1)]
    assert [pair for iteration in range(5) for half in halves for pair in half.ids(iteration)] == taken
    assert taken != [pair for iteration in range(5) for pair in EndlessOrder(5, 4, seed=4).ids(iteration)]
    with pytest.raises(UsageError):
        EndlessOrder(5, 4, seed=0, world_size=3)


def test_views_are_functions_of_seed_epoch_and_image(tmp_path: Path) -> None:
    source = open_segmentation(f"masks:{write_pairs(tmp_path)}", "train")
    task = MaskTask(source, VIEWS, EndlessOrder(len(source), 4, seed=1))
    one, again, other = task(2), task(2), task(3)
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.masks, again.masks)
    assert one.images.shape == (4, 3, 32, 40)
    assert not torch.equal(one.images, other.images)
    assert one.ids == [image for _, image in EndlessOrder(len(source), 4, seed=1).ids(2)]


def test_image_and_mask_move_together(tmp_path: Path) -> None:
    """The shapes' colours say where each class is: in every view they agree with the labels."""
    plain = MaskViews(scale=(64, 48), factors=(0.5, 2.0), crop=(32, 40), cat_max_ratio=0.75, flip=0.5, colour=False)
    source = open_segmentation(f"masks:{write_pairs(tmp_path)}", "train")
    mirrored, padded = set(), 0
    for epoch in range(60):
        image, mask = source.load(epoch % 6), source.load_mask(epoch % 6)
        view = draw_mask_view(plain, mask, 0, epoch, epoch % 6)
        pixels, labels = apply_mask_view(image, mask, view, plain)
        told = np.where(pixels[..., 0] > 150, 1, np.where(pixels[..., 1] > 130, 2, 0))
        counted = labels != IGNORED
        assert (told == labels)[counted].mean() > 0.9
        mirrored.add(view.mirrored)
        beyond = view.size[0] < 32
        padded += beyond
        if beyond:
            assert (labels[view.size[0] :] == IGNORED).all()
            assert (pixels[view.size[0] :] == plain.fill).all()
    assert mirrored == {True, False}
    assert padded


def test_a_crop_of_one_class_is_drawn_again() -> None:
    mask = np.zeros((200, 200), dtype=np.uint8)
    mask[:60] = 1
    views = MaskViews(scale=(200, 200), factors=(1.0, 1.0), crop=(60, 60), cat_max_ratio=0.75, flip=0.0, colour=False)
    shares = []
    for sample in range(60):
        top, left = draw_mask_view(views, mask, 0, 0, sample).corner
        shares.append(float(mask[top : top + 60, left : left + 60].mean()))
    one_class = np.mean([share in (0.0, 1.0) or max(share, 1 - share) >= 0.75 for share in shares])
    assert one_class < 0.25  # by chance alone about three quarters are


def test_resizing_is_opencvs(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv is what it is compared with")
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 19, (48, 64), dtype=np.uint8)
    for size in ((24, 32), (96, 128), (31, 77), (480, 640)):
        assert (resize_mask(mask, size) == cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)).all()
    assert fitted(2048, 1024, (2048, 1024)) == (1024, 2048)
    assert fitted(500, 375, (2048, 512)) == (512, 683)
    assert fitted(375, 500, (2048, 512)) == (683, 512)


def test_evaluation_keeps_the_stored_mask(tmp_path: Path) -> None:
    source = open_segmentation(f"voc2012:{write_voc(tmp_path)}", "val")
    one = EvalTask(source, MaskEvalView((96, 96)), [2, 0])(1)
    assert (one.index, one.shown.image.shape, one.shown.size, one.mask.shape) == (0, (3, 72, 96), (48, 64), (48, 64))
    assert EvalTask(source, MaskEvalView(None), [0])(0).shown.image.shape == (3, 48, 64)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_masks_of_few_bits_keep_their_ids(bits: int, tmp_path: Path) -> None:
    ids = np.arange(4, dtype=np.uint8).repeat(4).reshape(4, 4)
    packed = np.packbits(np.unpackbits(ids[..., None], axis=-1)[..., 8 - bits :].reshape(4, -1), axis=-1)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    path = tmp_path / "m.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.array_equal(read_indices(path, "m.png"), ids)


def test_train_ids_in_the_place_of_label_ids_are_noticed(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path, train=2, val=1)
    source = open_segmentation(f"cityscapes:{root}", "train")
    for mask in source.masks:
        stored = np.asarray(Image.open(root / mask))
        write_mask(root / mask, np.select([stored == 7, stored == 26, stored == 24], [8, 13, 11], 255).astype(np.uint8))
    with pytest.raises(DataError, match="have the ids 8, 11, 13 alone, as trainIds have"):
        require_classes(source)
    assert any("as trainIds have" in line for line in check_segmentation(f"cityscapes:{root}", workers=0).problems)


@pytest.mark.parametrize("place", ["images/train/9.jpg", "masks/val/deep/9.png"])
@pytest.mark.parametrize(
    "target", [None, "/dev/zero", "9.jpg", "/nowhere"], ids=["fifo", "device", "circle", "dangling"]
)
def test_what_is_no_regular_file_is_named_and_not_opened(tmp_path: Path, target: str | None, place: str) -> None:
    root = write_pairs(tmp_path)
    path = root / place
    path.parent.mkdir(exist_ok=True)
    if target is None:
        os.mkfifo(path)
    else:
        path.symlink_to(path.name if target == "9.jpg" else target)
    with pytest.raises(DataError, match=f"not an image file: {path} is a"):
        open_segmentation(f"masks:{root}", place.split("/")[1])
