"""``kdzoo transfer masks:PATH`` and its kind from the command line: results, comparison, resuming, dry run, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from quick_segmentation import QUICK, SMALL

from kdzoo.cli.main import main
from kdzoo.engine.distributed import Processes
from kdzoo.engine.state_file import read_state
from kdzoo.evaluation.results import read_results
from kdzoo.transfer.dense.plan import DenseRequest
from kdzoo.transfer.segmentation import make_plan
from kdzoo.transfer.segmentation.run import SegmentationTask


def last_state(run: Path) -> dict[str, Any]:
    return read_state(max((run / "checkpoints").glob("step-*.safetensors")))


def test_a_backbone_beside_itself_differs_by_nothing(
    engine: str, shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same weights in another folder: data order, views and heads are the same, so all is, to the bit."""
    one, other = make_student("one"), make_student("other")
    arguments = ["transfer", shapes, "--backbone", one, "--baseline", other, "--engine", engine, *QUICK]
    assert main([*arguments, "--out", "out", "--json"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert [row["metric"] for row in document["metrics"]] == ["mIoU", "mAcc", "aAcc"]
    assert all(row["difference"] == 0 for row in document["metrics"])
    assert "does not use: fc.weight, fc.bias" in shown.err
    states = [last_state(Path("out") / f"{role}-seed0")["model"] for role in ("backbone", "baseline")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    results = read_results(["out/results"])
    assert [(result.task, result.num_images) for result in results] == [("segmentation", 3)] * 2
    assert results[0].per_class[0].metric == "IoU"
    assert results[0].per_class[0].names == ("ground", "square", "disc")
    assert sum(results[0].per_class[0].counts) == 3 * 48 * 62  # two columns of each mask are void
    assert results[0].details["unused_weights"] == ["fc.weight", "fc.bias"]
    labels = np.asarray(Image.open("out/backbone-seed0/predictions/000001.png"))
    assert labels.shape == (48, 64)
    assert labels.max() < 3
    page = Path("out/report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 9
    assert "<script" not in page
    assert Path("out/backbone-seed0/mmseg.log").is_file() == (engine == "mmseg")
    lines = [json.loads(line) for line in Path("out/backbone-seed0/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 4


def test_frozen_backbones_slide_and_seeds(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), "--baseline", "random", *QUICK]
    arguments += ["--engine", "torchvision", "--freeze", "all", "--batchnorm", "train", "--test", "slide"]
    arguments += ["--seeds", "2", "--subset", "2", "--class-weights", "1,2,0.5", "--json"]
    arguments[arguments.index("--iterations") + 1] = "2"
    assert main([*arguments, "--out", "out"]) == 0
    document = json.loads(capsys.readouterr().out)
    backbone = document["results"][0]
    assert backbone["intervals"]["mIoU"]["seeds"] == [0, 1]
    assert backbone["details"]["training_images"] == 2
    assert "windows of 32x48" in document["protocol"]
    assert document["models"][1] == "random"
    states = [last_state(Path("out") / f"backbone-seed{seed}")["model"] for seed in (0, 1)]
    same = [key for key in states[0] if torch.equal(states[0][key], states[1][key])]
    assert all(key in same for key in states[0] if key.startswith("backbone."))
    assert any(key not in same for key in states[0])


def test_the_papers_row_is_planned_with_nothing_here(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["transfer", "cityscapes", "--backbone", "mobilenetv3_small_050", "--engine", "torchvision"]
    assert main([*arguments, "--dry-run", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    values = {name: entry["value"] for name, entry in document["settings"].items()}
    assert (values["iterations"], values["lr"], values["power"]) == (80_000, 0.01, 0.9)
    assert (values["crop"], values["batch_size"]) == ([512, 1024], 8)
    assert all(entry["source"] for entry in document["settings"].values())
    assert any("cityscapes not found" in entry["what"] for entry in document["missing"])
    assert document["cost"]["memory_bytes"] > 0
    assert document["cost"]["run_s"] > 0
    reference = {(row["label"], row["network"]): row["ours"] for row in document["papers"]}
    assert reference[("FCN, ResNet50-D", "fcn")] == 77.03
    assert reference[("OCRNet, HRNetV2-W18", "ocrnet")] == 80.44
    assert main(arguments) == 1
    assert "cityscapes not found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--freeze", "half"], 2, "--freeze is an integer from 0 to 5 or one of none, stem, first, all, got 'half'"),
        (["--seeds", "x"], 2, "--seeds 'x' is neither a count nor a list"),
        (["--crop", "512"], 2, "--crop is 2 values (integers from 8 to 8,192), separated by commas, got '512'"),
        (
            ["--class-weights", "heavy"],
            2,
            "--class-weights is a list of numbers from 0 to 1e+06 or one of cityscapes, got 'heavy'",
        ),
        (["--class-weights", "1,2"], 2, "2 class weights for 3 classes"),
        (["--set", "lrr=3"], 2, "did you mean 'lr'?"),
        (["--set", "lr=fast"], 2, "lr is a number above 0 and at most 10,000, got 'fast'"),
        (["--set", "output_stride=7"], 2, "output_stride is one of 8, 16, 32, got '7'"),
        (["--lr", "0.1", "--set", "lr=0.2"], 2, "lr is set twice"),
        (["--iterations", "3", "--epochs", "2"], 2, "both set the length"),
        (["--lr", "5e-5"], 2, "the rate would rise (--set lr_end=5e-07, say)"),
        (["--baseline", "random", "--batchnorm", "frozen"], 2, "random weights do not learn under frozen BatchNorm"),
        (["--lr", "inf"], 2, "inf is not in the range 0<x<=10000"),
        (["--backbone", "cifar_resnet8"], 1, "has no published weights"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    code: int,
    words: str,
    shapes: str,
    make_student: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    quick = ["--workers", "0", "--device", "cpu", "--engine", "torchvision"]
    assert main(["transfer", shapes, "--backbone", make_student("one"), *quick, *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_broken_mask_stops_a_run_with_one_line(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    mask = Path(shapes.partition(":")[2]) / "masks" / "train" / "3.png"
    Image.fromarray(np.full((48, 64), 9, dtype=np.uint8)).save(mask)
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", "torchvision"]
    assert main([*arguments, "--out", "out"]) == 1
    shown = capsys.readouterr().err
    assert "the mask of images/train/3.png: unknown ids 9 (masks has 0 to 2 and 255)" in shown
    assert "Traceback" not in shown


def test_one_image_a_step_is_refused_where_it_cannot_be_normalised(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--engine", "torchvision"]
    arguments += ["--head", "deeplabv3plus", "--batch-size", "1"]
    assert main([*arguments, "--out", "out"]) == 2
    assert "each process has one" in capsys.readouterr().err


def test_heads_are_synchronised_over_frozen_backbones(shapes: str, make_student: Callable[..., str]) -> None:
    given = {name: (value, "test") for name, value in {**SMALL, "batchnorm": "frozen"}.items()}
    request = DenseRequest(task=shapes, backbone=make_student("one"), engine="torchvision", given=given, device="cpu")
    plan = make_plan(request)
    task = SegmentationTask()
    network = task.engine(plan).build(plan.sides[0].load(), plan.settings, plan.num_classes, 0)
    prepared = task.prepare(plan, network, Processes(0, 2, torch.device("cuda")))
    kinds = {type(module).__name__ for module in prepared.model.modules() if "BatchNorm" in type(module).__name__}
    assert kinds == {"FrozenBatchNorm2d", "SyncBatchNorm"}
