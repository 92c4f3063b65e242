"""`kdzoo data unpack` as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import hub_copies as hub
import pytest


def test_a_copy_is_unpacked_and_checked(kdzoo: Callable[..., object], tmp_path: Path) -> None:
    hub.write_copy(Path("dtd-hub"))
    seen = kdzoo("data", "unpack", "dtd-hub", "dtd")
    assert (seen.code, seen.out.splitlines()) == (
        0,
        [
            "train/   18 images",
            "test/    9 images",
            "classes  3",
            "images   27 written, 0 were there",
            "folder   dtd",
        ],
    )
    assert "unpacking 27/27" in seen.err
    assert "left 0:00:00" in seen.err
    again = json.loads(kdzoo("data", "unpack", "dtd-hub", "dtd", "--json").out)
    assert again == {
        "out": "dtd",
        "num_images": {"train": 18, "test": 9},
        "num_classes": 3,
        "num_written": 0,
        "warnings": [],
    }
    checked = kdzoo("data", "check", "dtd:dtd", "--workers", "0")
    assert checked.code == 0
    assert "the official dtd has 3,760 in 47" in checked.out


def test_options_choose(kdzoo: Callable[..., object]) -> None:
    for split in ("train", "dev"):
        path = Path("hub", "fine", f"{split}-00000-of-00001.parquet")
        hub.write_shard(path, [0, 1], label_column="kind", image_column="photo", more={"thumb": [b"", b""]})
        hub.write_shard(Path("hub", "coarse", path.name), [0, 1])
    options = ("--config", "fine", "--image-column", "photo", "--label-column", "kind")
    seen = kdzoo("data", "unpack", "hub", "out", *options, "--split", "test=dev")
    assert seen.code == 0, seen.err
    assert "warning: left out: the splits train" in seen.out
    assert sorted(path.name for path in Path("out").iterdir()) == ["test", "unpacked.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere", "out"], 1, "there is no folder nowhere"),
        (["hub", "hub"], 1, "holds something else"),
        (["hub", "out", "--config", "x"], 2, "it has default"),
        (["hub", "out", "--label-column", "x"], 2, "image (struct"),
        (["hub", "out", "--split", "train"], 2, "'train' is not train=NAME, val=NAME or test=NAME"),
        (["hub", "out", "--split", "../x=train"], 2, "is not train=NAME"),
        (["hub", "out", "--split", "val=dev"], 2, "it has test, train"),
        (["hub"], 2, "missing argument"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], code: int, said: str, kdzoo: Callable[..., object]) -> None:
    hub.write_copy(Path("hub"))
    seen = kdzoo("data", "unpack", *arguments)
    assert (seen.code, seen.out) == (code, "")
    assert said.lower() in seen.err.lower()
    assert "Traceback" not in seen.err
    assert [path.name for path in Path().iterdir()] == ["hub"]


def test_an_interrupt_says_how_to_go_on(kdzoo: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.write_copy(Path("hub"))
    from kdzoo.engine.progress import Progress

    calls = []

    def step(self: Progress, state: object, data_wait: float = 0.0) -> None:
        calls.append(state)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", step)
        seen = kdzoo("data", "unpack", "hub", "out")
    assert seen.code == 130
    assert "the same command goes on" in seen.err
    assert not Path("out").exists()
    assert json.loads(kdzoo("data", "unpack", "hub", "out", "--json").out)["num_written"] == 22
