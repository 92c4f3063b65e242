"""Where a transfer's settings come from: the flag, then the environment, then the file, then the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quick_detection
import quick_segmentation
from drawn_masks import write_voc
from drawn_shapes import write_coco
from transfer_trees import class_folders

from kdzoo.zoo import load_model, save_model


def set_options(quick: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in quick if one.startswith("--set"))


SMALL: dict[str, tuple[str, Callable[..., Path], tuple[str, ...]]] = {
    "classification": ("{}", class_folders, ("--image-size", "32")),
    "detection": ("coco:{}", write_coco, set_options(quick_detection.QUICK)),
    "segmentation": (
        "voc2012:{}",
        write_voc,
        set_options(quick_segmentation.QUICK),
    ),
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_stronger_place_wins_and_is_named(
    kind: str, kdzoo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, write, small = SMALL[kind]
    student = load_model("test_resnet", pretrained=False, num_classes=7, seed=1)
    backbone = save_model(student, tmp_path / "student", provenance={"data": "none"})
    call = ("transfer", task.format(write(tmp_path / "data")), "--backbone", str(backbone), *small, "--dry-run")
    Path("kdzoo.toml").write_text("[transfer]\nlr = 0.3\nbatch-size = 6\n", encoding="utf-8")
    monkeypatch.setenv("KDZOO_LR", "0.2")

    def settings(*more: str) -> dict[str, dict[str, Any]]:
        seen = kdzoo(*call, "--json", *more)
        assert seen.code == 0, seen.err
        return json.loads(seen.out)["settings"]

    flag = settings("--lr", "0.1")
    assert flag["lr"] == {"value": 0.1, "source": "--lr"}
    assert flag["batch_size"] == {"value": 6, "source": "kdzoo.toml"}
    assert not flag["weight_decay"]["source"].startswith(("--", "KDZOO", "kdzoo.toml"))  # the protocol's own
    assert settings()["lr"] == {"value": 0.2, "source": "KDZOO_LR"}
    monkeypatch.delenv("KDZOO_LR")
    assert settings()["lr"] == {"value": 0.3, "source": "kdzoo.toml"}
