"""How results are printed: for a person on a terminal, for a pipe, for a program."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import pty
import subprocess
import sys

import pytest

from kdzoo.cli.output import literal, print_json, print_rows, print_settings, work

ROWS = [
    {"name": "a", "n": 5, "x": 1.23456, "tags": ("p", "q"), "none": None},
    {"name": "long name, with comma", "n": 10, "x": math.nan, "tags": (), "none": None},
]
COLUMNS = {"name": "model", "n": "images", "x": "top-1", "tags": "tags", "none": "none"}


def test_a_table_for_a_pipe_is_plain_and_aligned(capsys) -> None:
    print_rows(ROWS, COLUMNS, "table")
    assert capsys.readouterr().out.splitlines() == [
        "model                  images  top-1  tags  none",
        "a                           5   1.23  p, q",
        "long name, with comma      10",
    ]


def test_csv_keeps_every_digit(capsys) -> None:
    print_rows(ROWS, COLUMNS, "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == list(COLUMNS)
    assert rows[1:] == [["a", "5", "1.23456", "p, q", ""], ["long name, with comma", "10", "", "", ""]]


def test_json_keeps_every_field_and_has_no_nan(capsys) -> None:
    print_rows(ROWS, {"name": "model"}, "json")
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document[0] == {"name": "a", "n": 5, "x": 1.23456, "tags": ["p", "q"], "none": None}
    assert document[1]["x"] is None


def test_json_takes_numpy(capsys) -> None:
    import numpy as np

    print_json({"a": np.float32(0.5), "b": np.int64(3), 4: np.bool_(True)})
    assert json.loads(capsys.readouterr().out) == {"a": 0.5, "b": 3, "4": True}


def test_what_a_library_prints_goes_to_stderr(capsys) -> None:
    with work():
        print("chatter")
    print("result")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("result\n", "chatter\n")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), (True, "true"), (0.5, "0.5"), ((1, 2), "1,2"), ((), "[]"), ("x", "x")]
)
def test_a_setting_is_shown_as_set_takes_it(value: object, text: str) -> None:
    assert literal(value) == text


def on_a_terminal(environment: dict[str, str]) -> str:
    """What ``recipes list`` writes to a real pseudo-terminal."""
    main_end, child_end = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "kdzoo", "recipes", "list"],
        stdout=child_end,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    os.close(child_end)
    parts = []
    while True:
        try:
            part = os.read(main_end, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(main_end)
    assert child.wait() == 0
    return b"".join(parts).decode()


def test_a_terminal_gets_colour_unless_it_asked_for_none() -> None:
    size = {"COLUMNS": "50", "LINES": "40", "TERM": "xterm-256color"}
    coloured = on_a_terminal({**size, "NO_COLOR": ""})
    plain = on_a_terminal({**size, "NO_COLOR": "1"})
    assert "\x1b[" in coloured
    assert "\x1b[3" not in plain
    assert "meal_v2" in plain
    assert max(len(line) for line in plain.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()) <= 50


def test_a_long_path_is_broken_where_the_table_would_not_fit_and_names_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = "tf_efficientnet_lite0=/a/long/way/below/the/root/of/the/disk/lite0.safetensors"
    settings = {
        "data.augmentation.interpolation": {"value": path, "source": "student: as its weights were evaluated"},
        "optimizer.lr": {"value": 0.005, "source": "ours: 0.02 at a batch of 32, linear in the batch"},
    }
    print_settings(settings)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("data.augmentation.interpolation  tf_efficientnet")
    assert path in "".join(line[33:59].strip() for line in lines[1:6])
