"""``kdzoo predict``: answers equal the evaluation's, whatever the form, and an interrupted file goes on."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kdzoo
from kdzoo import export_model
from kdzoo.base.errors import DataError, Interrupted, ModelError, UsageError
from kdzoo.cli.main import main
from kdzoo.data.reading import AS_STORED
from kdzoo.evaluation.prediction import classifier
from kdzoo.evaluation.prediction import predict as predicting
from kdzoo.evaluation.prediction.images import ImageFile
from kdzoo.zoo import LoadedModel, load_model, save_model

CLASSES = ("null", "eins", "zwei")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of each class, of several sizes, in a data set's folders."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 255, (30 + 5 * number, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights that know the classes."""
    loaded = replace(load_model("cifar_resnet8", num_classes=3, seed=1), class_names=CLASSES)
    return str(save_model(loaded, tmp_path_factory.mktemp("model") / "model", provenance={}))


def test_answers_are_those_of_the_evaluation(model: str, photos: Path) -> None:
    (judged,) = kdzoo.evaluate(model, on=str(photos), workers=0)
    assert judged.predictions is not None
    found = list(kdzoo.predict(model, str(photos / "val"), workers=0))
    by_path = {Path(one.path).relative_to(photos / "val").as_posix(): one for one in found}
    in_order = sorted(CLASSES)
    names = [f"{name}/{number}.png" for name in in_order for number in range(4)]
    assert sorted(by_path) == sorted(names)
    for row, name in enumerate(names):
        one = by_path[name]
        assert [in_order.index(answer) for answer in one.classes] == judged.predictions.top5[row][:3].tolist()
        assert one.probabilities[0] == pytest.approx(judged.predictions.confidence[row], abs=1e-6)
        assert sum(one.probabilities) == pytest.approx(1, abs=1e-5)


def test_an_exported_file_gives_the_same_answers(model: str, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    export_model(model, "onnx", tmp_path / "m.onnx")
    ours, theirs = (list(kdzoo.predict(name, str(photos), workers=0)) for name in (model, str(tmp_path / "m.onnx")))
    assert [one.classes for one in theirs] == [one.classes for one in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
    with pytest.raises(UsageError, match="gives no embeddings"):
        list(kdzoo.predict(str(tmp_path / "m.onnx"), str(photos), embeddings=True))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="no model that kdzoo exported"):
        list(kdzoo.predict(str(tmp_path / "broken.onnx"), str(photos)))


def test_what_cannot_be_read_is_an_answer_too(model: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes((photos / "val/eins/0.png").read_bytes()[:60])
    paths = [str(tmp_path / "torn.png"), str(photos / "val/eins/0.png"), str(photos / "val/eins")]
    found = list(kdzoo.predict(model, paths, batch_size=2, workers=0))
    assert [one.error is None for one in found] == [False, True, True, True, True]
    assert found[0].classes == ()
    with pytest.raises(DataError, match="there is no file or folder"):
        list(kdzoo.predict(model, "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images under"):
        list(kdzoo.predict(model, str(tmp_path / "empty")))


def test_what_is_no_image_is_one_line(model: str, photos: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UsageError, match="named pipe"):
        list(kdzoo.predict(model, str(tmp_path / "pipe.png"), workers=0))
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        kdzoo.predict_to_file(model, str(photos), tmp_path / "a.csv")


def test_a_name_that_is_no_text_is_escaped(model: str, photos: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.png"
    with open(name, "wb") as file:
        file.write((photos / "val/eins/0.png").read_bytes())
    for end in ("csv", "jsonl"):
        kdzoo.predict_to_file(model, os.fsdecode(name), tmp_path / f"a.{end}", workers=0)
        assert "udcff.png" in (tmp_path / f"a.{end}").read_text(encoding="utf-8")


def test_answers_that_are_no_numbers_are_an_error(model: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite weights may still overflow."""
    load = classifier.load_for_inference

    def huge(*arguments: object, **how: object) -> LoadedModel:
        loaded = load(*arguments, **how)  # type: ignore[arg-type]
        with torch.no_grad():
            loaded.model.get_classifier().weight.fill_(3e38)  # type: ignore[operator]
        return loaded

    monkeypatch.setattr(classifier, "load_for_inference", huge)
    with pytest.raises(ModelError, match="no numbers"):
        list(kdzoo.predict(model, str(photos), workers=0))


def test_three_forms_hold_the_same(model: str, photos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "torn.png").write_bytes(b"")
    paths = [str(tmp_path / "torn.png"), str(photos / "val")]
    for end in ("csv", "jsonl", "parquet"):
        made = kdzoo.predict_to_file(model, paths, tmp_path / f"a.{end}", top_k=2, embeddings=True, workers=0)
        assert (made.num_images, made.num_unreadable) == (13, 1)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert len(lines) == len(rows) == len(table) == 13
    assert lines[0]["error"] == rows[0]["error"] == table[0]["error"] == "the file is empty"
    for line, row, record in zip(lines[1:], rows[1:], table[1:], strict=True):
        assert [one["class"] for one in line["top"]] == [row["class_1"], row["class_2"]] == record["classes"]
        assert float(row["probability_1"]) == line["top"][0]["probability"]
        embedding = [float(row[f"embedding_{index}"]) for index in range(len(line["embedding"]))]
        assert line["embedding"] == embedding == pytest.approx(record["embedding"], rel=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "a.parquet", "torn.png"]


def test_an_interrupted_file_goes_on(model: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole.jsonl"
    kdzoo.predict_to_file(model, str(photos), whole, batch_size=1, workers=0)
    starts, broken, real = [], [1, 2], predicting.predict_images

    def stopping(*arguments: object, start: int, **how: object) -> Iterator[object]:
        starts.append(start)
        for number, answer in enumerate(real(*arguments, start=start, **how)):  # type: ignore[arg-type]
            if number == 22 and broken:
                broken.pop()
                raise Interrupted("stopped")
            yield answer

    monkeypatch.setattr(predicting, "predict_images", stopping)
    out = tmp_path / "out.jsonl"
    with pytest.raises(Interrupted):
        kdzoo.predict_to_file(model, str(photos), out, batch_size=1, workers=0)
    assert not out.exists()
    kdzoo.predict_to_file(model, str(photos), out, batch_size=1, workers=0)
    assert starts == [0, 22]
    assert out.read_bytes() == whole.read_bytes()
    with pytest.raises(Interrupted):
        kdzoo.predict_to_file(model, str(photos), tmp_path / "other.jsonl", batch_size=1, workers=0)
    kdzoo.predict_to_file(model, str(photos), tmp_path / "other.jsonl", batch_size=1, top_k=1, workers=0)
    assert starts[2:] == [0, 0], "rows with other settings are not gone on with"


def test_only_a_batch_is_held_at_a_time(model: str, photos: Path) -> None:
    opened: list[int] = []

    class Counted(list[ImageFile]):
        def __getitem__(self, index):  # type: ignore[override]
            opened.append(index.start)
            return super().__getitem__(index)

    images = Counted(ImageFile(str(path), AS_STORED) for path in sorted(photos.rglob("*.png")))
    network = classifier.open_classifier(model)
    answers = predicting.predict_images(network, images, predicting.PredictSettings(batch_size=4, workers=0))
    next(answers)
    assert len(opened) <= 1
    assert len(list(answers)) == 23


def test_from_the_command_line(
    model: str,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", model, str(photos / "val/zwei/1.png"), "--top-k", "1", "--workers", "0"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"{photos / 'val/zwei/1.png'}  ")
    assert line.split("  ")[1].split()[0] in CLASSES
    assert main(["predict", model, str(photos), "--format", "jsonl", "--workers", "0"]) == 0
    assert len([json.loads(one) for one in capsys.readouterr().out.splitlines()]) == 24
    assert main(["predict", model, str(photos), "--out", "a.txt", "--workers", "0"]) == 2
    assert "--out a.csv" in capsys.readouterr().err
    assert main(["predict", model, str(photos), "--out", "a.csv", "--workers", "0"]) == 0
    assert "24" in capsys.readouterr().out
