"""``kdzoo eval`` as a user calls it: what it prints, where its results go, what it refuses."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kdzoo.evaluation.results import read_predictions, read_results
from kdzoo.zoo import load_model, save_model


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model of the digits with random weights, in a folder."""
    loaded = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=4)
    loaded.class_names = tuple("0123456789")
    loaded.preprocessing = replace(loaded.preprocessing, image_size=8)
    save_model(loaded, tmp_path / "model", provenance={})
    return "model"


def call(*arguments: str) -> tuple[str, ...]:
    return ("eval", *arguments, "--on", "digits", "--workers", "0", "--device", "cpu")


def test_the_table_and_what_is_kept(kdzoo, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    seen = kdzoo(*call(model, "--teacher", model, "--image-size", "8", "--image-size", "10"))
    assert seen.code == 0, seen.err
    header, *rows = seen.out.splitlines()
    assert header.split()[:4] == ["model", "dataset", "image_size", "top1"]
    assert {"ece", "agreement", "KL", "params", "macs", "images/s"} <= set(header.split())
    assert [row.split()[2] for row in rows] == ["8", "10"]
    assert "kept in results" in seen.err
    kept = read_results(["results"])
    assert sorted(result.settings["image_size"] for result in kept) == [8, 10]
    for result in kept:
        predictions = read_predictions(Path("results"), result)
        assert predictions is not None
        assert len(predictions) == 360
        assert 100 * float(predictions.correct.mean()) == pytest.approx(result.metrics["top1"])
        assert sum(one["count"] for one in result.details["reliability"]) == 360
    assert {path.suffix for path in Path("results").iterdir()} == {".json", ".predictions"}


def test_a_narrow_terminal_is_shown_what_fits_and_told_of_the_rest(kdzoo, model: str) -> None:
    seen = kdzoo(*call(model, "--teacher", model, "--no-save"))
    table, left = seen.out.split("left out for want of width: ")
    assert max(map(len, seen.out.splitlines())) <= 80
    assert {"model", "dataset", "top1", "images", "agreement", "KL"} <= set(table.splitlines()[0].split())
    assert "macs" in left
    assert "macs" not in table


def test_what_a_run_recorded_is_not_called_published(kdzoo, model: str) -> None:
    config = Path(model, "config.json")
    document = json.loads(config.read_text())
    kdzoo(*call(model))
    (measured,) = read_results(["results"])
    document["kdzoo"] |= {"top1": measured.metrics["top1"], "data": "digits"}
    config.write_text(json.dumps(document))
    header = kdzoo(*call(model, "--no-save")).out.splitlines()[0].split()
    assert "recorded" in header
    assert "published" not in header


def test_where_results_go(kdzoo, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kdzoo(*call(model, "--no-save")).code == 0
    assert not Path("results").exists()
    monkeypatch.setenv("KDZOO_RESULTS", "from_environment")
    assert kdzoo(*call(model)).code == 0
    assert len(read_results(["from_environment"])) == 1
    assert kdzoo(*call(model, "--results", "named")).code == 0
    assert len(read_results(["named"])) == 1
    run = Path("run")
    run.mkdir()
    Path(model).rename(run / "model")
    (run / "result.json").write_text("{}")
    assert kdzoo(*call("run", "--fresh")).code == 0
    (result,) = read_results(["run"])
    assert result.model.run == "run"
    assert len(list((run / "results").glob("*.json"))) == 1


def test_documents_and_rows(kdzoo, model: str) -> None:
    options = ("--crops", "5", "--interpolation", "opencv-bilinear", "--mean", "0.5", "0.5", "0.5", "--no-save")
    document = json.loads(kdzoo(*call(model, *options, "--json")).out)
    (result,) = document["results"]
    assert (document["model"], result["dataset"], result["num_images"]) == (model, "digits", 360)
    assert (result["crops"], result["interpolation"], result["mean"]) == (5, "opencv-bilinear", [0.5, 0.5, 0.5])
    assert list(result["per_class"]) == list("0123456789")
    assert len(result["details"]["reliability"]) == 15
    assert result["details"]["throughput"]["device"] == "cpu"
    assert result["saved"] is None
    (row,) = csv.DictReader(io.StringIO(kdzoo(*call(model, *options, "--format", "csv")).out))
    assert float(row["top1"]) == result["top1"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--std", "0", "1", "1"], 2, "invalid value for '--std': 0.0 is not in the range"),
        (["--crops", "3"], 2, "crops"),
        (["--interpolation", "nearest"], 2, "interpolation"),
        (["--on", "imagenetv2"], 1, "imagenetv2-matched-frequency not found"),
        (["--on", "imagenet-rael"], 1, "imagenet-real"),
        (["--results", "model/config.json"], 1, "not a folder"),
    ],
)
def test_what_is_wrong_is_said(kdzoo, model: str, arguments: list[str], code: int, says: str) -> None:
    seen = kdzoo(*call(model, *arguments))
    assert (seen.code, seen.out) == (code, "")
    assert says in seen.err
