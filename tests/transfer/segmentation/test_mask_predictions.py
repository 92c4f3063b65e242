"""``kdzoo predict`` with a segmentor: its masks are those of its run's evaluation, and the run's matrix is theirs."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn_masks import write_pairs
from PIL import Image
from quick_segmentation import QUICK

import kdzoo
from kdzoo.base.errors import Interrupted, UsageError
from kdzoo.cli.main import main
from kdzoo.data.segmentation import IGNORED, open_segmentation, parse_segmentation_spec
from kdzoo.transfer.dense import predict as predicting
from kdzoo.transfer.segmentation.drawing import tinted
from kdzoo.zoo import load_model, save_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the data, ``shapes``, and the trained segmentors."""
    root = tmp_path_factory.mktemp("segmentors")
    write_pairs(root / "shapes")
    return root


@pytest.fixture(scope="module")
def train(place: Path) -> Callable[..., str]:
    """Trains a segmentor once; returns its run. Its backbone is gone then."""

    def make(engine: str = "torchvision") -> str:
        run = place / engine / "backbone-seed0"
        if not run.is_dir():
            loaded = load_model("test_resnet", pretrained=False, num_classes=7, seed=1)
            one = save_model(loaded, place / "one", provenance={"data": "none"})
            arguments = ["transfer", f"masks:{place / 'shapes'}", "--backbone", str(one), *QUICK, "--engine", engine]
            assert main([*arguments, "--test", "slide", "--out", str(run.parent)]) == 0
            shutil.rmtree(one)
        return str(run)

    return make


@pytest.fixture
def photos(place: Path) -> Path:
    """The held-out images."""
    return place / "shapes" / "images" / "val"


def read_matrix(run: str) -> tuple[list[str], np.ndarray]:
    """The classes' names and the confusion matrix that a run kept."""
    rows = list(csv.reader((Path(run) / "confusion.csv").read_text().splitlines()))
    assert rows[0] == ["annotated", *(row[0] for row in rows[1:])]
    return rows[0][1:], np.array([[int(cell) for cell in row[1:]] for row in rows[1:]])


def test_masks_are_those_of_the_evaluation_and_give_its_numbers(
    engine: str, place: Path, photos: Path, train: Callable[..., str]
) -> None:
    run = train(engine)
    made = kdzoo.predict_to_file(run, str(photos), "masks", workers=0)
    assert (made.path, made.num_images, made.num_unreadable) == ("masks", 3, 0)
    val = open_segmentation(parse_segmentation_spec(f"masks:{place / 'shapes'}"), "val")
    assert Path("masks/classes.txt").read_text().split() == list(val.class_names)
    names, kept = read_matrix(run)
    assert names == list(val.class_names)
    counted = np.zeros((3, 3), dtype=int)
    for index in range(len(val)):
        with Image.open(Path("masks") / f"{Path(val.images[index]).stem}.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[:9] == [value for colour in val.colours for value in colour]
            labels = np.asarray(picture)
        with Image.open(Path(run) / "predictions" / f"{index:06d}.png") as picture:
            np.testing.assert_array_equal(labels, np.asarray(picture))
        truth = val.load_mask(index)
        for row in range(3):
            for column in range(3):
                counted[row, column] += int(((truth == row) & (labels == column) & (truth != IGNORED)).sum())
    np.testing.assert_array_equal(kept, counted)
    metrics = json.loads((Path(run) / "result.json").read_text())["metrics"]
    right, union = kept.diagonal(), kept.sum(0) + kept.sum(1) - kept.diagonal()
    assert metrics["mIoU"] == pytest.approx(100 * (right[union > 0] / union[union > 0]).mean(), rel=1e-12)
    assert metrics["aAcc"] == pytest.approx(100 * right.sum() / kept.sum(), rel=1e-12)
    assert kept.sum() == 3 * 48 * 62


def test_a_folder_goes_on_and_what_cannot_be_read_is_a_row(
    tmp_path: Path, photos: Path, train: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, images = train(), tmp_path / "photos"
    shutil.copytree(photos, images / "below")
    (images / "torn.png").write_bytes(b"")
    Image.new("RGB", (1, 300)).save(images / "thin.png")
    kdzoo.predict_to_file(run, str(images), "whole", drawn="shown", drawn_images=2, workers=0)
    lines = [json.loads(line) for line in Path("whole/masks.jsonl").read_text().splitlines()]
    rows = {Path(line["path"]).name: line for line in lines}
    assert rows["torn.png"]["error"] == "the file is empty"
    masks = sorted(path.relative_to("whole").as_posix() for path in Path("whole").rglob("*.png"))
    assert sorted(row["mask"] for row in rows.values() if "mask" in row) == masks
    assert [mask for mask in masks if mask.startswith("below/")] == [
        f"below/{one.name}" for one in sorted(photos.iterdir())
    ]
    with Image.open("whole/thin.png") as picture:
        assert picture.size == (1, 300)
    assert len(list(Path("shown").rglob("*.jpg"))) == 2
    broken, real = [1], predicting.predict_dense

    def stopping(*arguments: object, **how: object) -> Iterator[object]:
        for number, answer in enumerate(real(*arguments, **how)):  # type: ignore[arg-type]
            if number == 2 and broken:
                broken.pop()
                raise Interrupted("stopped")
            yield answer

    monkeypatch.setattr(predicting, "predict_dense", stopping)
    for _ in range(2):
        if broken:
            with pytest.raises(Interrupted):
                kdzoo.predict_to_file(run, str(images), "again", workers=0)
            assert not Path("again/masks.jsonl").exists()
        else:
            kdzoo.predict_to_file(run, str(images), "again", workers=0)
    one, other = (
        {path.relative_to(root).as_posix(): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
        for root in ("whole", "again")
    )
    assert one == other


def test_shares_are_printed_and_mistakes_are_one_line(
    photos: Path, train: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train()
    capsys.readouterr()
    assert main(["predict", str(Path(run).parent), str(photos), "--workers", "0", "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [sum(one["share"] for one in line["classes"]) for line in lines] == pytest.approx([1] * 3, abs=1e-5)
    for more, words in (
        (["--out", "masks.csv"], "masks are written to a folder"),
        (["--score-threshold", "0.5"], "no scores"),
        (["--out", str(photos / "masks")], "lies among the images"),
        (["--embeddings"], "--embeddings has no meaning"),
    ):
        assert main(["predict", run, str(photos), "--workers", "0", *more]) == 2
        assert words in capsys.readouterr().err
    image = next(photos.glob("*.png"))
    with pytest.raises(UsageError, match="is one of the images"):
        kdzoo.predict_to_file(run, str(image), photos, workers=0)


def test_a_map_is_laid_over_the_image() -> None:
    labels = np.array([[0, 1], [IGNORED, 0]], dtype=np.uint8)
    picture = tinted(Image.new("RGB", (2, 2), (100, 0, 0)), labels, ((0, 0, 0), (0, 250, 0)))
    assert np.asarray(picture).tolist() == [[[40, 0, 0], [40, 150, 0]], [[100, 0, 0], [40, 0, 0]]]
