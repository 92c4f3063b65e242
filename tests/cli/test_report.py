"""``kdzoo report`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

from kdzoo.evaluation.results import MeasuredModel, Result, write_result


def write(folder: Path, name: str, top1: float) -> None:
    model = MeasuredModel(reference=name, parameters=int(top1))
    values = {"task": "classification", "dataset": "photos", "split": "val", "num_images": 10, "protocol": "p"}
    write_result(folder, Result(**values, model=model, metrics={"top1": top1}))


def test_the_page_is_written_and_what_is_missing_is_said(kdzoo, tmp_path) -> None:
    write(tmp_path / "results", "a", 50.0)
    write(tmp_path / "results", "b", 60.0)
    done = kdzoo("report", "results")
    assert (done.code, done.out) == (0, "report.html\n"), done.err
    assert "not shown: transfer tables" in done.err
    assert "Accuracy against cost" in (tmp_path / "report.html").read_text()
    document = json.loads(kdzoo("report", "results", "--out", "x.html", "--json").out)
    assert (document["page"], document["figures"]) == ("x.html", [])


def test_a_pair_that_is_not_there_is_one_line(kdzoo, tmp_path) -> None:
    write(tmp_path / "results", "a", 50.0)
    done = kdzoo("report", "results", "--pair", "a,b")
    assert (done.code, done.err) == (2, "error: no model 'b' among the results\nhint: there are a\n")


def test_a_wrong_path_is_one_line_and_a_way_out(kdzoo, tmp_path) -> None:
    done = kdzoo("report", "nowhere")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: there is nothing at nowhere\nhint: ")
    assert not (tmp_path / "report.html").exists()
