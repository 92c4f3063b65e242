"""Where a transfer's settings come from: the flag, then the environment, then the file, then the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn_masks import write_voc
from drawn_shapes import write_coco
from transfer_trees import class_folders

KINDS: dict[str, tuple[str, Callable[..., Path], str, tuple[str, float]]] = {
    "classification": ("{}", class_folders, "epochs = 7", ("epochs", 7)),
    "detection": ("coco:{}", write_coco, 'set = ["momentum=0.5"]', ("momentum", 0.5)),
    "segmentation": ("voc2012:{}", write_voc, 'set = ["momentum=0.5"]', ("momentum", 0.5)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_stronger_place_wins_and_is_named(
    kind: str, kdzoo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, write, line, (name, value) = KINDS[kind]
    Path("kdzoo.toml").write_text(f"[transfer]\nlr = 0.3\nbatch-size = 6\n{line}\n", encoding="utf-8")
    monkeypatch.setenv("KDZOO_LR", "0.2")
    monkeypatch.setenv("KDZOO_BATCH_SIZE", "4")
    call = ("transfer", task.format(write(tmp_path / "data")), "--backbone", "resnet18.a1_in1k", "--dry-run", "--json")
    seen = kdzoo(*call, "--lr", "0.1")
    assert seen.code == 0, seen.err
    settings = json.loads(seen.out)["settings"]
    assert settings["lr"] == {"value": 0.1, "source": "--lr"}
    assert settings["batch_size"] == {"value": 4, "source": "KDZOO_BATCH_SIZE"}
    assert settings[name] == {"value": value, "source": "kdzoo.toml"}
    of_the_protocol = settings["weight_decay"]["source"]
    assert of_the_protocol
    assert not of_the_protocol.startswith(("--", "KDZOO", "kdzoo.toml"))
