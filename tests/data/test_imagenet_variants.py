"""ImageNetV2, ReaL and a flat val/: layouts that are read right, and those that are explained."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import check_source, open_source, parse_data_spec
from kdzoo.data.imagenet import wordnet_ids
from kdzoo.data.several_labels import accepted_labels
from kdzoo.data.specs import expand_spec


@pytest.fixture(scope="module")
def png(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("png") / "a.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory, png: bytes) -> Path:
    """imagenetv2-top-images as its archive unpacks, an image a class."""
    root = tmp_path_factory.mktemp("data") / "imagenetv2-top-images-format-val"
    for number in range(1000):
        (root / str(number)).mkdir(parents=True)
        (root / str(number) / "a.png").write_bytes(png)
    return root


def flat(folder: Path, numbers: list[int], png: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(png)


def test_imagenetv2_goes_by_numbers_and_has_imagenets_names(
    variant: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = open_source(f"imagenetv2-top-images:{variant}", "val")
    assert source.class_names == wordnet_ids()
    assert [(source.identity(row), int(source.labels[row])) for row in (2, 10, 999)] == [
        ("2/a.png", 2),
        ("10/a.png", 10),
        ("999/a.png", 999),
    ]
    for path in (variant.parent, variant):  # the folder of the variants, and the variant's own
        assert open_source(f"imagenetv2-top-images:{path}", "val").path == variant
    monkeypatch.setenv("KDZOO_DATA", str(variant.parent))
    assert open_source("imagenetv2-top-images", "val").path == variant
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    (tmp_path / "imagenetv2").symlink_to(variant.parent)
    assert len(open_source("imagenetv2-top-images", "val")) == 1000


def test_one_variants_folder_is_no_other_variant(variant: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"imagenetv2-threshold0\.7 not found"):
        open_source(f"imagenetv2-threshold0.7:{variant}", "val")
    with pytest.raises(DataError, match="holds the classes of one data set") as error:
        expand_spec(f"imagenetv2:{variant}")
    assert "imagenetv2-matched-frequency:" in str(error.value.hint)
    assert len(expand_spec(f"imagenetv2:{variant.parent}")) == 3


def test_imagenetv2_stands_for_three() -> None:
    names = ["matched-frequency", "threshold0.7", "top-images"]
    assert expand_spec("imagenetv2:/x") == [f"imagenetv2-{name}:/x" for name in names]
    assert expand_spec("imagenet:/x") == ["imagenet:/x"]
    with pytest.raises(UsageError, match="three data sets"):
        open_source("imagenetv2", "val")


def test_imagenetv2_that_is_not_whole_is_explained(variant: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="for evaluation alone"):
        open_source(f"imagenetv2-top-images:{variant}", "train")
    with pytest.raises(DataError, match=r"looked for .*imagenetv2-threshold0.7-format-val/"):
        open_source(f"imagenetv2-threshold0.7:{tmp_path / 'nowhere'}", "val")
    with pytest.raises(DataError, match="KDZOO_DATA is not set"):
        open_source("imagenetv2-threshold0.7", "val")
    shutil.copytree(variant, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "500")
    with pytest.raises(DataError, match=r"999 folders .*not 0 to 999"):
        open_source(f"imagenetv2-top-images:{tmp_path / 'part'}", "val")
    (tmp_path / "part" / "n01440764").mkdir()
    with pytest.raises(DataError, match="not 0 to 999"):
        open_source(f"imagenetv2-top-images:{tmp_path / 'part'}", "val")


def test_check_knows_the_evaluation_sets(variant: Path, tmp_path: Path, png: bytes) -> None:
    report = check_source(f"imagenetv2-top-images:{variant}", workers=0)
    assert report.ok
    assert (report.splits[0].num_images, report.splits[0].expected) == (1000, (10_000, 1000))
    assert any("the official imagenetv2-top-images has 10,000" in warning for warning in report.warnings)
    both = tmp_path / "both"
    both.mkdir()
    (both / "imagenetv2-top-images").symlink_to(variant)
    report = check_source(f"imagenetv2:{both}", workers=0)
    assert not report.ok  # two are missing
    assert [split.split for split in report.splits] == ["imagenetv2-top-images"]
    flat(tmp_path / "imagenet" / "val", [2, 3], png)
    report = check_source(f"imagenet-real:{tmp_path / 'imagenet'}", workers=0)
    assert report.ok
    counts = {name: count for name, count in report.splits[0].class_counts.items() if count}
    names = wordnet_ids()
    assert counts == {names[795]: 1, names[970]: 1, names[230]: 1, names[231]: 1}
    assert any("50,000" in warning for warning in report.warnings)


def test_real_labels_of_timm_go_by_the_files_numbers(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val", [1, 2, 4], png)
    source = open_source(f"imagenet-real:{tmp_path}", "val")
    assert accepted_labels(source).tolist() == [[-1, -1], [795, 970], [809, -1]]  # none, two, one
    assert source.labels.tolist() == [-1, -1, 809]
    assert source.class_names == wordnet_ids()
    in_folders = tmp_path / "sorted"
    flat(in_folders / "val" / "n02077923", [4], png)
    assert accepted_labels(open_source(f"imagenet-real:{in_folders}", "val")).tolist() == [[809]]


def test_real_labels_beside_the_images_win_and_change_the_fingerprint(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val", [1, 2], png)
    (tmp_path / "real.json").write_text("[[5], [7, 6, 7]]")
    first = open_source(f"imagenet-real:{tmp_path}", "val")
    assert accepted_labels(first).tolist() == [[5, -1], [6, 7]]
    (tmp_path / "real.json").write_text("[[5], [6, 8]]")
    second = open_source(f"imagenet-real:{tmp_path}", "val")
    assert first.labels.tolist() == second.labels.tolist()
    assert first.fingerprint() != second.fingerprint()


def test_real_looks_into_imagenets_folder(tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    assert parse_data_spec("imagenet-real").resolved_path() == tmp_path / "imagenet"
    flat(tmp_path / "imagenet" / "val", [4], png)
    assert len(open_source("imagenet-real", "val")) == 1


@pytest.mark.parametrize(
    ("real", "numbers", "says"),
    [
        (None, [50_001], "not named as ILSVRC"),
        ("[[1]]", [2], "not named as ILSVRC"),
        ("[[]]", [1], "no image .* has a ReaL label"),
        ("{", [1], "no list of ReaL labels"),
        ('{"a": 1}', [1], "no list of ReaL labels"),
        ("[[1000]]", [1], "no list of ReaL labels"),
        ("[[true]]", [1], "no list of ReaL labels"),
        ("[]", [1], "no list of ReaL labels"),
        (None, [], "no images"),
    ],
)
def test_real_labels_that_do_not_fit_are_refused(
    tmp_path: Path, png: bytes, real: str | None, numbers: list[int], says: str
) -> None:
    flat(tmp_path / "val", numbers, png)
    if real is not None:
        (tmp_path / "real.json").write_text(real)
    with pytest.raises(DataError, match=says):
        open_source(f"imagenet-real:{tmp_path}", "val")


def test_other_names_and_the_same_number_twice(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val" / "a", [4], png)
    flat(tmp_path / "val" / "b", [4], png)
    with pytest.raises(DataError, match="number 4 is there twice"):
        open_source(f"imagenet-real:{tmp_path}", "val")
    (tmp_path / "val" / "a" / "dog.JPEG").write_bytes(png)
    with pytest.raises(DataError, match=r"dog\.JPEG is not named"):
        open_source(f"imagenet-real:{tmp_path}", "val")
    with pytest.raises(DataError, match="for evaluation alone"):
        open_source(f"imagenet-real:{tmp_path}", "train")


def write_devkit(folder: Path, numbers: list[int]) -> list[str]:
    """The devkit's two files: its own numbers 1..1000 stand for WordNet ids in another order than sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    wnids = [str(name) for name in np.random.default_rng(0).permutation(wordnet_ids())]
    dtype = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    rows = [(number, wnid, "thing", 0) for number, wnid in enumerate(wnids, 1)]
    rows.append((1001, "n00001740", "entity", 7))  # an inner node
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=dtype)})
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in numbers))
    return wnids


@pytest.mark.parametrize("place", ["", "val", "ILSVRC2012_devkit_t12/data"])
def test_a_flat_val_is_read_by_the_devkit(tmp_path: Path, png: bytes, place: str) -> None:
    flat(tmp_path / "val", [1, 2, 3], png)
    wnids = write_devkit(tmp_path / place, [490, 361, 171])
    source = open_source(f"imagenet:{tmp_path}", "val")
    assert source.class_names == wordnet_ids()
    named = [source.class_names[label] for label in source.labels]
    assert named == [wnids[489], wnids[360], wnids[170]]
    assert source.labels.tolist() != [489, 360, 170]


def test_a_flat_val_is_read_by_kaggles_list(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val", [2, 1000], png)
    with open(tmp_path / "LOC_val_solution.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        for number, wnid in enumerate(reversed(wordnet_ids()), 1):
            writer.writerow([f"ILSVRC2012_val_{number:08d}", f"{wnid} 1 2 3 4 {wnid} 5 6 7 8"])
    assert open_source(f"imagenet:{tmp_path}", "val").labels.tolist() == [998, 0]


def test_a_flat_val_without_a_list_is_explained(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val", [1], png)
    with pytest.raises(DataError, match="is flat") as caught:
        open_source(f"imagenet:{tmp_path}", "val")
    assert "devkit" in str(caught.value.hint)
    assert "LOC_val_solution.csv" in str(caught.value.hint)


def test_lists_that_are_damaged_are_named(tmp_path: Path, png: bytes) -> None:
    flat(tmp_path / "val", [1, 2], png)
    write_devkit(tmp_path, [490])
    with pytest.raises(DataError, match=r"does not say which class .*00000002"):
        open_source(f"imagenet:{tmp_path}", "val")
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text("0\n")
    with pytest.raises(DataError, match=r"devkit .* cannot be read"):
        open_source(f"imagenet:{tmp_path}", "val")
    (tmp_path / "meta.mat").write_bytes(b"MATLAB 5.0 nothing")
    with pytest.raises(DataError, match=r"devkit .* cannot be read"):
        open_source(f"imagenet:{tmp_path}", "val")
    (tmp_path / "meta.mat").unlink()
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1\n")
    with pytest.raises(DataError, match="1 classes, not 1,000"):
        open_source(f"imagenet:{tmp_path}", "val")
    (tmp_path / "LOC_val_solution.csv").write_text(json.dumps({"a": 1}))
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv"):
        open_source(f"imagenet:{tmp_path}", "val")
