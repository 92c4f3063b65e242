"""A run's documents come back as they were written; damage becomes what is empty, or is named where it must not be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kdzoo.base.errors import RunError
from kdzoo.base.json_document import decode
from kdzoo.base.metrics import ANGULAR_ERROR, TOP1, Metrics
from kdzoo.base.run_documents import (
    RunConfig,
    Session,
    TrainResult,
    append_session,
    read_config,
    read_fixed,
    read_lines,
    read_result,
    sessions_from_json,
    write_config,
)
from kdzoo.base.run_record import read_run
from kdzoo.base.writing import write_json


@pytest.mark.parametrize(
    ("primary", "values", "names"),
    [
        (TOP1, {"top1": 80.5, "top5": 99.0, "loss": 0.5}, ["top1", "top5", "loss", "num_images", "best_top1"]),
        (ANGULAR_ERROR, {"angular_error": 4.5, "angular_spread": 2.0, "loss": 0.01}, ["best_angular_error"]),
    ],
)
def test_a_result_comes_back_as_it_was_written(tmp_path: Path, primary, values, names) -> None:
    metrics = Metrics(primary, values, 360)
    given = TrainResult(
        run=str(tmp_path),
        model=str(tmp_path / "model"),
        metrics=metrics,
        best=81.0,
        epochs=3,
        steps=66,
        images_per_s=90.5,
        seconds=12.5,
        unreadable=1,
    )
    write_json(tmp_path / "result.json", given.to_dict())
    document = json.loads((tmp_path / "result.json").read_text())
    assert set(names) <= set(document)
    assert ("top1" in document) == (primary is TOP1)
    assert read_result(tmp_path) == given


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"top1": "high", "num_images": 3}', '{"top1": NaN}'])
def test_a_result_without_an_accuracy_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert read_result(tmp_path) is None


def test_a_config_comes_back_typed(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    document = {
        "recipe": "meal_v2",
        "settings": {"optimizer.lr": {"value": 0.1, "source": "--lr"}, "old": 3},
        "val_data": {"name": "eyes", "split": "val", "num_images": 9, "targets": ["pitch", "yaw"]},
        "teacher_reports": [{"reference": "a", "angular_error": 3.0, "promised_error": 2.5, "num_images": 9}],
        "more": {"of": "the plan"},
    }
    write_config(path, document, {"seed": 1})
    assert json.loads(path.read_text()) == {**document, "fixed": {"seed": 1}}
    config = read_config(path)
    assert (config.setting("optimizer.lr"), config.settings["optimizer.lr"].source) == (0.1, "--lr")
    assert (config.setting("old"), config.setting("none")) == (3, None)
    assert config.val_data is not None
    assert (config.val_data.num_classes, config.val_data.path, config.val_data.targets) == (0, None, ("pitch", "yaw"))
    (report,) = config.teacher_reports
    assert (report.primary, report.value, report.promised) == (ANGULAR_ERROR, 3.0, 2.5)
    assert read_fixed(path) == {"seed": 1}
    write_config(path, document)
    with pytest.raises(ValueError, match="fixed"):
        read_fixed(path)


def test_damaged_fields_become_empty_ones() -> None:
    damaged = {"recipe": 3, "notes": "x", "class_names": [1, None], "settings": [], "val_data": [], "fixed": None}
    damaged["teacher_reports"] = [1, {"top1": "x", "num_images": -4}]
    config = RunConfig.from_json(damaged)
    assert (config.recipe, config.notes, config.class_names, config.settings) == ("", (), ("1", "None"), {})
    assert (config.val_data, config.fixed) == (None, {})
    (report,) = config.teacher_reports
    assert math.isnan(report.value)
    assert report.num_images == 0
    sessions = sessions_from_json(
        {"sessions": [1, {"versions": {"torch": 2}, "cpu_cores": "two", "devices": ["a", 1]}]}
    )
    assert sessions == (Session(versions={"torch": "2"}, devices=("a", "1")),)


def test_sessions_are_added_and_older_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text('{"sessions": [{"python": "3.11", "unknown": 1}]}')
    append_session(path, Session(python="3.12", command=("kdzoo", "train"), world_size=2))
    written = json.loads(path.read_text())["sessions"]
    assert written[0] == {"python": "3.11", "unknown": 1}
    assert written[1]["command"] == ["kdzoo", "train"]
    first, second = sessions_from_json({"sessions": written})
    assert (first.python, second.world_size) == ("3.11", 2)


def test_lines_that_are_damaged_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "eval", "step": 2, "top1": "nan"}\n[1]\n\n{"kind"')
    assert read_lines(path) == ([{"kind": "eval", "step": 2, "top1": "nan"}], 2)
    record = read_run(tmp_path)
    (line,) = record.lines_of_kind("eval")
    assert math.isnan(line.values["top1"])
    assert (line.step, line.model, record.result) == (2.0, "student", None)
    assert any("2 damaged lines" in problem for problem in record.problems)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError):
            read_run(folder)


@dataclass(frozen=True)
class Part:
    name: str
    share: float | None = None


@dataclass(frozen=True)
class Whole:
    count: int
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, float] = field(default_factory=dict)


def test_a_document_is_decoded_by_its_annotations() -> None:
    document = {"count": 2, "parts": [{"name": "a", "share": 1}, {"name": "b"}], "by_name": {"x": 0.5}, "other": 1}
    expected = Whole(2, (Part("a", 1), Part("b")), {"x": 0.5})
    assert decode(Whole, document, strict=True) == decode(Whole, document) == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": True}, "Whole.count is not a whole number"),
        ({"count": 1.5}, "Whole.count is not"),
        ({"count": 10**400}, "Whole.count is not"),
        ({"parts": {}}, "Whole.parts is not a list"),
        ({"parts": [{"share": 1}]}, "Whole.parts has no name"),
        ({"parts": [{"name": "a", "share": "1"}]}, "share is not a number"),
        ({"by_name": {"x": float("nan")}}, r"Whole.by_name.x is not a number"),
        ({"by_name": []}, "Whole.by_name is not a JSON object"),
    ],
)
def test_strictly_read_documents_name_what_is_wrong(change, says) -> None:
    with pytest.raises(ValueError, match=says):
        decode(Whole, {"count": 1, **change}, strict=True)
    decode(Whole, {"count": 1, **change})
    with pytest.raises(ValueError, match="has no count"):
        decode(Whole, {}, strict=True)
