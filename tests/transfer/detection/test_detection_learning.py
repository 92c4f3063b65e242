"""Both detectors learn drawn shapes from a backbone of random weights, by the command, on both engines."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_shapes import write_coco

from kdzoo.cli.main import main

LEARN = (
    *("--batch-size", "8", "--workers", "0", "--device", "cpu", "--freeze", "none", "--batchnorm", "train"),
    *(f"--set={one}" for one in ("short_sides=64", "max_side=80", "test_short_side=64", "test_max_side=80")),
    *(f"--set={one}" for one in ("fpn_channels=64", "box_head_width=128", "proposals=100", "rois_per_image=32")),
    *("--set=head_convs=1", "--set=max_grad_norm=5"),
)
LENGTH = {"retinanet": ("--iterations", "120", "--lr", "0.02"), "faster_rcnn": ("--iterations", "120", "--lr", "0.05")}


def reached(engine: str, detector: str, root: Path, student: str, capsys: pytest.CaptureFixture[str]) -> float:
    """AP50 after a short schedule, percent."""
    arguments = ["transfer", f"coco:{root}", "--backbone", student, "--engine", engine, "--detector", detector]
    assert main([*arguments, *LEARN, *LENGTH[detector], "--out", f"{engine}-{detector}", "--json"]) == 0
    return float(json.loads(capsys.readouterr().out)["results"][0]["metrics"]["AP50"])


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """64 and 16 images of 72 pixels."""
    return write_coco(tmp_path / "drawn", train=64, val=16, size=(72, 64), most=2, sizes=(28, 46))


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
def test_torchvisions_detectors_learn(
    detector: str, drawn: Path, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert reached("torchvision", detector, drawn, make_student("random"), capsys) > 50


@pytest.mark.slow
@pytest.mark.detectron2
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("detectron2") is None, reason="detectron2 is not installed")
@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
def test_detectron2s_detectors_learn(
    detector: str, drawn: Path, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert reached("detectron2", detector, drawn, make_student("random"), capsys) > 50
