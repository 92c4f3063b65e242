"""``kdzoo predict`` with a detector: what its run kept is what it answers, in every form, and a file goes on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn_shapes import write_coco
from PIL import Image
from quick_detection import QUICK, needs_detectron2

import kdzoo
from kdzoo.base.errors import CheckpointError, Interrupted, ModelError, UsageError
from kdzoo.cli.main import main
from kdzoo.data.detection import open_detection, parse_detection_spec
from kdzoo.transfer.dense import predict as predicting
from kdzoo.transfer.detection.drawing import draw_found
from kdzoo.zoo import load_model, save_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the data, ``shapes``, and the trained detectors."""
    root = tmp_path_factory.mktemp("detectors")
    write_coco(root / "shapes", train=12, val=5, size=(64, 56), most=2, sizes=(20, 40), empty=(3,))
    return root


@pytest.fixture(scope="module")
def train(place: Path) -> Callable[..., str]:
    """Trains a detector whose scores are all kept, once; returns its run. Its backbone is gone then."""

    def make(detector: str = "faster_rcnn", engine: str = "torchvision") -> str:
        run = place / f"{engine}-{detector}" / "backbone-seed0"
        if not run.is_dir():
            loaded = load_model("test_resnet", pretrained=False, num_classes=7, seed=1)
            one = save_model(loaded, place / "one", provenance={"data": "none"})
            arguments = ["transfer", f"coco:{place / 'shapes'}", "--backbone", str(one), "--detector", detector, *QUICK]
            arguments += ["--set=score_threshold=0", "--iterations", "1", "--engine", engine]
            assert main([*arguments, "--out", str(run.parent)]) == 0
            shutil.rmtree(one)
        return str(run)

    return make


@pytest.fixture
def photos(place: Path) -> Path:
    """The held-out images."""
    return place / "shapes" / "val2017"


@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
@pytest.mark.parametrize("engine", ["torchvision", pytest.param("detectron2", marks=needs_detectron2)])
def test_answers_are_those_that_the_run_kept(
    engine: str, detector: str, place: Path, photos: Path, train: Callable[..., str]
) -> None:
    run = train(detector, engine)
    val = open_detection(parse_detection_spec(f"coco:{place / 'shapes'}"), "val")
    kept = json.loads((Path(run) / "predictions.json").read_text())
    answers = {Path(one.path).name: one for one in kdzoo.predict(run, str(photos), workers=0)}
    assert len(answers) == len(val) == 5
    assert len(kept) > 20
    names = dict(zip(val.category_ids, val.class_names, strict=True))
    for row, identity in enumerate(val.image_ids):
        entries = [entry for entry in kept if entry["image_id"] == identity]
        answer = answers[Path(val.files[row]).name]
        assert answer.classes == tuple(names[entry["category_id"]] for entry in entries)
        assert answer.probabilities == tuple(entry["score"] for entry in entries)
        lefts_tops = [entry["bbox"] for entry in entries]
        corners = [[left, top, left + width, top + height] for left, top, width, height in lefts_tops]
        np.testing.assert_array_equal(answer.boxes, np.array(corners).reshape(-1, 4).astype(np.float32))


def test_a_threshold_cuts_off_the_least_sure(photos: Path, train: Callable[..., str]) -> None:
    run = train()
    every = list(kdzoo.predict(str(Path(run).parent), str(photos), workers=0))
    middle = float(np.median([score for one in every for score in one.probabilities]))
    for one, other in zip(every, kdzoo.predict(run, str(photos), score_threshold=middle, workers=0), strict=True):
        sure = tuple(score for score in one.probabilities if score > middle)
        assert other.probabilities[: len(sure)] == sure
        assert all(score >= middle for score in other.probabilities)
    assert kdzoo.predict_to_file(run, str(photos), "sure.csv", score_threshold=1.0, workers=0).num_images == 5
    assert [row["class"] for row in csv.DictReader(Path("sure.csv").read_text().splitlines())] == [""] * 5


def test_three_forms_hold_the_same(tmp_path: Path, photos: Path, train: Callable[..., str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run = train()
    (tmp_path / "torn.jpg").write_bytes(b"")
    for end in ("csv", "jsonl", "parquet"):
        paths = [str(tmp_path / "torn.jpg"), str(photos)]
        made = kdzoo.predict_to_file(run, paths, tmp_path / f"a.{end}", workers=0)
        assert (made.num_images, made.num_unreadable) == (6, 1)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert lines[0]["error"] == rows[0]["error"] == table[0]["error"] == "the file is empty"
    assert [one["path"] for one in table] == [one["path"] for one in lines]
    found = [(line["path"], box) for line in lines[1:] for box in line["boxes"]]
    assert len(found) == len(rows) - 1 > 20
    for (path, box), row in zip(found, rows[1:], strict=True):
        assert (path, box["class"]) == (row["path"], row["class"])
        assert [box[name] for name in ("score", "x0", "y0", "x1", "y1")] == [
            float(row[name]) for name in ("score", "x0", "y0", "x1", "y1")
        ]
        with Image.open(path) as picture:
            assert 0 <= box["x0"] <= box["x1"] <= picture.width
            assert 0 <= box["y0"] <= box["y1"] <= picture.height
    assert [box["class"] for one in table[1:] for box in one["boxes"]] == [box["class"] for _, box in found]


def test_an_interrupted_file_goes_on(photos: Path, train: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = train()
    kdzoo.predict_to_file(run, str(photos), "whole.jsonl", workers=0)
    starts, broken, real = [], [1], predicting.predict_dense

    def stopping(*arguments: object, start: int, **how: object) -> Iterator[object]:
        starts.append(start)
        for number, answer in enumerate(real(*arguments, start=start, **how)):  # type: ignore[arg-type]
            if number == 3 and broken:
                broken.pop()
                raise Interrupted("stopped")
            yield answer

    monkeypatch.setattr(predicting, "predict_dense", stopping)
    with pytest.raises(Interrupted):
        kdzoo.predict_to_file(run, str(photos), "out.jsonl", workers=0)
    assert not Path("out.jsonl").exists()
    kdzoo.predict_to_file(run, str(photos), "out.jsonl", workers=0)
    assert starts == [0, 3]
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_images_of_any_shape_and_pictures_of_the_first(
    tmp_path: Path, train: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train()
    sizes = {"a/thin": (300, 1), "a/tall": (1, 400), "b/large": (1500, 900), "b/one": (1, 1)}
    for name, size in sizes.items():
        (tmp_path / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (120, 60, 30)).save(tmp_path / "odd" / f"{name}.png")
    capsys.readouterr()
    arguments = ["predict", run, str(tmp_path / "odd"), "--workers", "0", "--drawn", "shown", "--drawn-images", "3"]
    assert main([*arguments, "--out", "boxes.csv"]) == 0
    assert "4" in capsys.readouterr().out
    shown = sorted(path.relative_to("shown").as_posix() for path in Path("shown").rglob("*.jpg"))
    assert shown == ["a/tall.jpg", "a/thin.jpg", "b/large.jpg"]
    with Image.open("shown/b/large.jpg") as picture:
        assert picture.size == (1024, 614)
    assert main(["predict", run, str(tmp_path / "odd/b/one.png"), "--score-threshold", "1", "--workers", "0"]) == 0
    assert capsys.readouterr().out.endswith("one.png  nothing\n")


def test_boxes_are_drawn_where_they_are() -> None:
    image = Image.new("RGB", (100, 80))
    draw_found(image, [([10, 20, 30, 40], "disc", 0.9), ([50, 50, 60, 60], "unsure", 0.1)], 2.0)
    pixels = np.asarray(image)
    assert pixels[60, 20].tolist() == [213, 94, 0]
    assert not pixels[85:, :].any()
    assert not pixels[:, 70:].any()


def test_mistakes_are_one_line(
    tmp_path: Path, photos: Path, train: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(train(), tmp_path / "run")
    arguments = ["predict", str(run), str(photos), "--workers", "0"]
    for more, words in (
        (["--top-k", "3"], "--top-k has no meaning for a detector or segmentor"),
        (["--out", "boxes.txt"], "ends in none of .csv"),
        (["--drawn", "shown"], "beside a file of the answers"),
        (["--out", "a.csv", "--drawn-images", "3"], "has no meaning without --drawn"),
        (["--out", "a.csv", "--drawn", str(photos / "shown")], "lies among the images"),
        (["--score-threshold", "2"], "2"),
    ):
        assert main([*arguments, *more]) == 2
        assert words in capsys.readouterr().err
    image = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(image)
    with pytest.raises(UsageError, match="is one of the images"):
        kdzoo.predict_to_file(str(run), str(image), tmp_path / "a.csv", drawn=tmp_path, workers=0)
    twins = [tmp_path / "twin.png", tmp_path / "twin.bmp"]
    for twin in twins:
        Image.new("RGB", (8, 8)).save(twin)
    with pytest.raises(UsageError, match="would have the same name"):
        kdzoo.predict_to_file(str(run), list(map(str, twins)), tmp_path / "a.csv", drawn="shown", workers=0)
    checkpoint = next(run.glob("checkpoints/step-*.safetensors"))
    assert len(list(kdzoo.predict(str(checkpoint), str(photos), workers=0))) == 5
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"\0")
    with pytest.raises(CheckpointError, match="is damaged"):
        next(kdzoo.predict(str(checkpoint), str(photos), workers=0))
    shutil.rmtree(run / "backbone")
    with pytest.raises(ModelError, match="does not say yet how its network is built"):
        next(kdzoo.predict(str(run), str(photos), workers=0))


def test_a_run_that_recorded_nothing_is_finished_by_its_command(shapes: str, make_student: Callable[..., str]) -> None:
    """Runs that were finished before networks were recorded."""
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--iterations", "1", "--out", "out"]
    assert main(arguments) == 0
    recorded = Path("out/backbone-seed0/backbone/config.json").read_bytes()
    shutil.rmtree("out/backbone-seed0/backbone")
    assert main([*arguments, "--resume"]) == 0
    assert Path("out/backbone-seed0/backbone/config.json").read_bytes() == recorded
