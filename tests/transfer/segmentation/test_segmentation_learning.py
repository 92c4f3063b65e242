"""Segmentors learn in the data sets' own layouts, come back from a kill, and are measured by two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_masks import write_ade20k, write_cityscapes, write_pairs, write_voc
from quick_segmentation import QUICK, SMALL

from kdzoo.cli.main import main
from kdzoo.transfer.segmentation import make_plan, run_plan


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def learnt(spec: str, head: str, engine: str, reference: str, iterations: int, **more: object) -> float:
    given = {name: (value, "test") for name, value in {**SMALL, "batch_size": 4, "lr": 0.05, **more}.items()}
    plan = make_plan(
        spec, backbone=reference, head=head, engine=engine, iterations=iterations, given=given, workers=0, device="cpu"
    )
    return run_plan(plan, out="out").results[0].metrics["mIoU"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write"), [("cityscapes", write_cityscapes), ("voc2012", write_voc), ("ade20k", write_ade20k)]
)
@pytest.mark.parametrize("head", ["fcn", "deeplabv3plus", "ocrnet"])
def test_segmentors_learn(
    head: str, name: str, write: Callable[..., Path], engine: str, make_student: Callable[..., str], tmp_path: Path
) -> None:
    if head == "ocrnet" and engine == "torchvision":
        pytest.skip("torchvision has no OCRNet")
    spec = f"{name}:{write(tmp_path / 'data', train=12)}"
    assert learnt(spec, head, engine, make_student("one"), 60) > 50


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["hrnet_w18_small"])
@pytest.mark.parametrize("head", ["fcn", "ocrnet"])
def test_other_backbones_learn(
    head: str, architecture: str, mmseg: None, make_student: Callable[..., str], tmp_path: Path
) -> None:
    spec = f"masks:{write_pairs(tmp_path / 'data', train=12)}"
    student = make_student("one", architecture=architecture)
    assert learnt(spec, head, "mmseg", student, 60, crop=(32, 64)) > 50  # HRNet's branches need sides of 32


def start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "kdzoo", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(engine: str, shapes: str, make_student: Callable[..., str]) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", engine]
    arguments[arguments.index("--iterations") + 1] = "12"
    assert main([*arguments, "--out", "whole"]) == 0
    for how, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        out = Path(f"cut-{how.name}")
        process = start([*arguments, "--out", str(out)])
        wait_for(out / "backbone-seed0" / "checkpoints" / "step-000000002.sha256", process)
        process.send_signal(how)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == code
        assert how is signal.SIGKILL or "--resume" in said
        assert not (out / "backbone-seed0" / "result.json").exists()
        assert main([*arguments, "--out", str(out), "--resume"]) == 0
        for name in ("checkpoints/step-000000012.safetensors", "metrics.jsonl", "predictions/000001.png"):
            assert (out / "backbone-seed0" / name).read_bytes() == (Path("whole/backbone-seed0") / name).read_bytes()
    assert main([*arguments, "--out", "whole", "--resume", "--lr", "0.5"]) == 1


@pytest.mark.slow
def test_two_processes_measure_every_image_once(shapes: str, make_student: Callable[..., str]) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", "torchvision", "--json"]
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "kdzoo", *arguments, "--out", "two"],
        capture_output=True,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["results"][0]["num_images"] == 3
    assert sum(document["results"][0]["per_class"][0]["counts"]) == 3 * 48 * 62
