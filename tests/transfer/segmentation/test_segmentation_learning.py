"""Segmentors learn in the data sets' own layouts, come back from a kill, and are measured by two processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_masks import write_ade20k, write_cityscapes, write_voc
from killed_measurement import assert_signals_change_nothing, run_two_processes
from quick_segmentation import QUICK, SMALL

from kdzoo.transfer.dense.plan import DenseRequest
from kdzoo.transfer.segmentation import make_plan, run_plan


def learnt(spec: str, head: str, engine: str, reference: str, iterations: int, **more: object) -> float:
    own = {**SMALL, "head": head, "iterations": iterations, "batch_size": 4, "lr": 0.05, **more}
    given = {name: (value, "test") for name, value in own.items()}
    request = DenseRequest(task=spec, backbone=reference, engine=engine, given=given, workers=0, device="cpu")
    return run_plan(make_plan(request), out="out").results[0].metrics["mIoU"]


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
@pytest.mark.parametrize("head", ["fcn", "deeplabv3plus", "ocrnet"])
@pytest.mark.parametrize(
    ("architecture", "name", "write", "iterations", "more"),
    [
        ("hrnet_w18_small", "ade20k", write_ade20k, 60, {"crop": (32, 64)}),  # its branches need sides of 32
        (
            *("mobilenetv3_small_050", "cityscapes", write_cityscapes),
            *(200, {"crop": (48, 64), "batch_size": 8, "output_stride": 8}),
        ),
    ],
)
def test_other_backbones_learn(
    architecture: str,
    name: str,
    write: Callable[..., Path],
    iterations: int,
    more: dict[str, object],
    head: str,
    mmseg: None,
    make_student: Callable[..., str],
    tmp_path: Path,
) -> None:
    spec = f"{name}:{write(tmp_path / 'data', train=12)}"
    student = make_student("one", architecture=architecture)
    assert learnt(spec, head, "mmseg", student, iterations, **more) > 50


@pytest.mark.slow
@pytest.mark.parametrize("head", ["fcn", "deeplabv3plus", "ocrnet"])
def test_a_killed_run_goes_on_to_the_same_bytes(
    engine: str, head: str, shapes: str, make_student: Callable[..., str]
) -> None:
    if (engine, head) == ("torchvision", "ocrnet"):
        pytest.skip("torchvision has no OCRNet")
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", engine, "--head", head]
    arguments[arguments.index("--iterations") + 1] = "12"
    files = ("checkpoints/step-000000012.safetensors", "metrics.jsonl", "predictions/000001.png")
    assert_signals_change_nothing(arguments, files)


@pytest.mark.slow
def test_two_processes_measure_every_image_once(shapes: str, make_student: Callable[..., str]) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", "torchvision", "--json"]
    document = json.loads(run_two_processes([*arguments, "--out", "two"]))
    assert document["results"][0]["num_images"] == 3
    assert sum(document["results"][0]["per_class"][0]["counts"]) == 3 * 48 * 62
