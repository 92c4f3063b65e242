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

KINDS: dict[str, tuple[str, Callable[..., Path]]] = {
    "classification": ("{}", class_folders),
    "detection": ("coco:{}", write_coco),
    "segmentation": ("voc2012:{}", write_voc),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_stronger_place_wins_and_is_named(
    kind: str, kdzoo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, write = KINDS[kind]
    Path("kdzoo.toml").write_text("[transfer]\nlr = 0.3\nbatch-size = 6\n", encoding="utf-8")
    monkeypatch.setenv("KDZOO_LR", "0.2")
    call = ("transfer", task.format(write(tmp_path / "data")), "--backbone", "resnet18.a1_in1k", "--dry-run", "--json")

    def settings(*more: str) -> dict[str, dict[str, Any]]:
        seen = kdzoo(*call, *more)
        assert seen.code == 0, seen.err
        return json.loads(seen.out)["settings"]

    flag = settings("--lr", "0.1")
    assert flag["lr"] == {"value": 0.1, "source": "--lr"}
    assert flag["batch_size"] == {"value": 6, "source": "kdzoo.toml"}
    assert not flag["weight_decay"]["source"].startswith(("--", "KDZOO", "kdzoo.toml"))  # the protocol's own
    assert settings()["lr"] == {"value": 0.2, "source": "KDZOO_LR"}
    monkeypatch.delenv("KDZOO_LR")
    assert settings()["lr"] == {"value": 0.3, "source": "kdzoo.toml"}
