"""``kdzoo compare`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdzoo.evaluation.results import MeasuredModel, Predictions, Result, write_result


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two models' answers to 60 images; the second has 20 more right."""
    labels = np.zeros(60, dtype=int)
    for name, right in (("[bold]first", 30), ("second", 50)):
        correct = np.arange(60) < right
        top5 = np.full((60, 5), -1)
        top5[:, 0] = np.where(correct, 0, 1)
        answers = Predictions(
            labels=labels, top5=top5, confidence=np.ones(60), correct=correct, counted=np.ones(60, dtype=bool)
        )
        document = Result(
            task="classification",
            dataset="photos",
            split="val",
            num_images=60,
            model=MeasuredModel(reference=name, parameters=10),
            protocol="p",
            metrics={"top1": 100 * right / 60, "loss": 1.23456},
        )
        write_result(tmp_path / "results", document, answers)
    return tmp_path / "results"


def test_the_table_has_the_numbers_and_the_sentence(kdzoo, results) -> None:
    done = kdzoo("compare", "[bold]first", "second", "--results", str(results))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "[bold]first" in lines[0]
    top1 = next(line for line in lines if " top1 " in line)
    assert top1.split()[:5] == ["photos", "top1", "50.00", "83.33", "33.33"]
    assert "1.2346" in done.out
    assert "second is right more often than [bold]first, by 33.33 points" in done.out
    assert "20 of 60 images only second has right, 0 only [bold]first" in done.out


def test_json_and_csv(kdzoo, results) -> None:
    call = ("compare", "[bold]first", "second", "--results", str(results))
    document = json.loads(kdzoo(*call, "--json").out)
    (paired,) = [one["paired"] for one in document["results"]]
    assert paired["p_value"] == pytest.approx(2 * 0.5**20)
    assert kdzoo(*call, "--format", "json").out == kdzoo(*call, "--json").out
    head, cost, top1, _ = kdzoo(*call, "--format", "csv").out.splitlines()
    assert head == "data,metric,first,second,difference,low,high,over"
    assert cost == ",parameters,10,10,0,,,"
    assert top1.startswith("photos,top1,50.0,83.33333")


def test_what_cannot_be_compared_is_one_line_and_a_way_out(kdzoo, results) -> None:
    done = kdzoo("compare", "thirds", "second", "--results", str(results))
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"error: there is no result of thirds in {results}",
        "hint: there are: [bold]first, second",
    ]
