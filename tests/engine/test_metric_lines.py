"""The log is cut back to a checkpoint's position, and read whatever happened to its end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from kdzoo.base.run_documents import read_lines
from kdzoo.engine.metric_lines import JsonLines, write_csv


def test_a_resumed_log_continues_where_the_checkpoint_stood(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = JsonLines(path)
    log.write({"kind": "train", "step": 1, "loss": 0.5})
    length = log.commit()["bytes"]
    log.write({"kind": "train", "step": 2, "loss": 0.4})
    log.close()
    with open(path, "a") as file:
        file.write('{"kind": "train", "st')  # killed inside a line
    assert [line["step"] for line in read_lines(path)[0]] == [1, 2]
    log = JsonLines(path, length)
    log.write({"kind": "train", "step": 2, "loss": 0.3})
    log.close()
    assert [line["loss"] for line in read_lines(path)[0]] == [0.5, 0.3]


def test_numbers_that_json_lacks_are_words(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "metrics.jsonl")
    log.write({"loss": float("nan"), "lr": 1 / 3})
    log.close()
    assert read_lines(tmp_path / "metrics.jsonl")[0] == [{"loss": "nan", "lr": 0.3333333}]


def test_the_table_holds_the_same_lines(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "metrics.jsonl")
    log.write({"kind": "train", "step": 1, "loss": 0.5})
    log.write({"kind": "eval", "step": 1, "top1": 50.0})
    log.close()
    table = pd.read_csv(write_csv(tmp_path / "metrics.jsonl"))
    assert table["kind"].tolist() == ["train", "eval"]
    assert table["top1"].tolist()[1] == 50.0
