"""``kdzoo transfer coco:PATH`` from the command line: results, comparison, resuming, dry run, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_shapes import write_voc
from finished_run import replace_weights
from killed_measurement import assert_signals_change_nothing, run_two_processes
from quick_detection import QUICK, needs_detectron2
from safetensors.torch import load_file

from kdzoo.cli.main import main
from kdzoo.engine.state_file import read_state
from kdzoo.evaluation.results import read_results


def last_state(run: Path) -> dict[str, Any]:
    return read_state(max((run / "checkpoints").glob("step-*.safetensors")))


@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
def test_a_backbone_beside_itself_differs_by_nothing(
    detector: str, shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same weights in another folder: data order, views and heads are the same, so all is, to the bit."""
    one, other = make_student("one"), make_student("other")
    arguments = ["transfer", shapes, "--backbone", one, "--baseline", other, "--detector", detector]
    assert main([*arguments, *QUICK, "--out", "out", "--json"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert {row["metric"] for row in document["metrics"]} >= {"AP", "AP50", "AP75"}
    assert all(row["difference"] == 0 for row in document["metrics"])
    assert "weights of" in shown.err
    assert "fc.weight" in shown.err
    states = [last_state(Path("out") / f"{role}-seed0")["model"] for role in ("backbone", "baseline")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    started = load_file(Path(one) / "model.safetensors")
    learnt = states[0]["backbone.body.network.layer3.0.conv1.weight"]
    assert learnt.shape == started["layer3.0.conv1.weight"].shape
    assert not torch.equal(learnt, started["layer3.0.conv1.weight"])
    results = read_results(["out/results"])
    assert len(results) == 2
    assert results[0].task == "detection"
    assert results[0].details["unused_weights"] == ["fc.weight", "fc.bias"]
    assert len(results[0].per_class[0].values) == 3
    assert [result.num_images for result in results] == [5, 5]
    predictions = json.loads(Path("out/backbone-seed0/predictions.json").read_text())
    assert {entry["category_id"] for entry in predictions} <= {1, 3, 7}
    page = Path("out/report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 10
    assert "<script" not in page
    lines = [json.loads(line) for line in Path("out/backbone-seed0/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 4


def test_a_changed_weight_changes_the_detector(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = make_student("one"), make_student("other")
    file = Path(other) / "model.safetensors"
    tensors = load_file(file)
    tensors["layer2.0.conv1.weight"] = tensors["layer2.0.conv1.weight"].clone()
    tensors["layer2.0.conv1.weight"][0] += 1
    replace_weights(file.parent, tensors)
    arguments = ["transfer", shapes, "--backbone", one, "--baseline", other, *QUICK, "--freeze", "all"]
    assert main([*arguments, "--out", "out"]) == 0
    assert "difference" in capsys.readouterr().out
    name = "backbone.body.network.layer2.0.conv1.weight"
    mine, theirs = (last_state(Path("out") / f"{role}-seed0")["model"][name] for role in ("backbone", "baseline"))
    assert torch.equal(theirs[0], mine[0] + 1)  # frozen: as it was given
    assert torch.equal(theirs[1:], mine[1:])


def test_seeds_give_an_interval_and_random_is_a_baseline(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), "--baseline", "random", *QUICK]
    assert main([*arguments, "--seeds", "2", "--iterations", "2", "--subset", "6", "--out", "out", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    backbone = document["results"][0]
    assert backbone["intervals"]["AP"]["seeds"] == [0, 1]
    assert backbone["details"]["training_images"] == 6
    assert document["models"][1] == "random"
    assert Path("out/baseline-seed1/predictions.json").is_file()
    assert read_results(["results"])  # a folder that is no run keeps its results in the common store


def test_precision_and_evaluations_on_the_way(
    shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--precision", "bf16"]
    assert main([*arguments, "--evaluate-every", "2", "--out", "out", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["protocol"].endswith(", trained in bf16")
    assert document["results"][0]["settings"]["precision"] == "bf16"
    run = Path("out/backbone-seed0")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [2, 4]
    best = json.loads((run / "result.json").read_text())["best"]
    assert read_state(run / "checkpoints" / "best.safetensors")["position"]["step"] == best["step"]
    assert main([*arguments[:-2], "--out", "out", "--resume"]) == 1
    assert "precision was 'bf16', is None" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
@pytest.mark.parametrize("engine", ["torchvision", pytest.param("detectron2", marks=needs_detectron2)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    engine: str, detector: str, shapes: str, make_student: Callable[..., str]
) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--iterations", "6"]
    arguments += ["--engine", engine, "--detector", detector]
    files = ("checkpoints/step-000000006.safetensors", "metrics.jsonl", "predictions.json")
    assert_signals_change_nothing(arguments, files)


@pytest.mark.slow
def test_two_processes_measure_every_image_once(shapes: str, make_student: Callable[..., str]) -> None:
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK, "--batchnorm", "frozen", "--json"]
    document = json.loads(run_two_processes([*arguments, "--out", "two"]))
    assert main([*arguments, "--out", "one"]) == 0
    two, one = (last_state(Path(name) / "backbone-seed0")["model"] for name in ("two", "one"))
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=1e-4)
    assert document["results"][0]["num_images"] == 5


def test_the_papers_row_is_planned_with_nothing_here(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "transfer",
        "coco",
        "--backbone",
        "mobilenetv3_small_050",
        "--baseline",
        "ssld_mobilenetv3_small_x0_35",
    ]
    assert main([*arguments, "--engine", "torchvision", "--dry-run", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    values = {name: entry["value"] for name, entry in document["settings"].items()}
    assert (values["iterations"], values["milestones"], values["lr"]) == (90_000, [60_000, 80_000], 0.01)
    assert all(entry["source"] for entry in document["settings"].values())
    assert any("coco not found" in entry["what"] for entry in document["missing"])
    assert document["cost"]["memory_bytes"] > 0
    assert document["cost"]["run_s"] > 0
    reference = {row["label"]: row for row in document["papers"]}
    assert reference["RetinaNet R50-D"]["ours"] == 38.1
    assert reference["YOLOv3 R50-D"]["network"] is None
    assert "not run here" in reference["YOLOv3 R50-D"]["note"]
    assert main([*arguments, "--engine", "torchvision"]) == 1
    assert "coco not found" in capsys.readouterr().err


def test_voc_is_a_task_too(
    tmp_path: Path, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    task = f"voc2007-detection:{write_voc(tmp_path / 'voc')}"
    assert (
        main(["transfer", task, "--backbone", make_student("one"), *QUICK, "--iterations", "1", "--format", "csv"]) == 0
    )
    assert capsys.readouterr().out.startswith("metric,")


@pytest.mark.parametrize("crowds", [False, True])
def test_evaluation_data_without_objects_is_refused_before_training(
    crowds: bool, shapes: str, make_student: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(shapes.removeprefix("coco:")) / "annotations" / "instances_val2017.json"
    document = json.loads(file.read_text())
    document["annotations"] = [{**entry, "iscrowd": 1} for entry in document["annotations"] if crowds]
    file.write_text(json.dumps(document))
    arguments = ["transfer", shapes, "--backbone", make_student("one"), *QUICK]
    assert main([*arguments, "--out", "out"]) == 1
    assert f"no evaluation image of {shapes} has an object that is to be found" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--freeze", "half"], 2, "--freeze is an integer from 0 to 5 or one of none, stem, first, all, got 'half'"),
        (["--seeds", "x"], 2, "--seeds 'x' is neither a count nor a list"),
        (["--set", "lrr=3"], 2, "did you mean 'lr'?"),
        (["--set", "lr=fast"], 2, "lr is a number above 0 and at most 10,000, got 'fast'"),
        (["--set", "short_sides=4"], 2, "short_sides is an integer from 32 to 8,192, got '4'"),
        (["--iterations", "3", "--epochs", "2"], 2, "both set the length"),
        (["--lr-multipliers", "1,2"], 2, "five numbers"),
        (["--batch-size", "99"], 2, "cannot be made of 11"),
        (["--baseline", "nonsense"], 1, "nonsense"),
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


def test_lengths_and_rates_are_never_changed_silently(shapes: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["transfer", shapes, "--backbone", "test_resnet", "--dry-run", "--json", "--engine", "torchvision"]
    small = [f"--set={one}" for one in ("fpn_channels=16", "short_sides=64", "max_side=80")]
    assert main([*base, *small, "--detector", "faster_rcnn", "--epochs", "4", "--batch-size", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    values = {name: entry["value"] for name, entry in document["settings"].items()}
    assert values["iterations"] == round(4 * 11 / 2)
    assert values["milestones"] == [round(2 / 3 * 22), round(8 / 9 * 22)]
    assert values["warmup_iterations"] == 2
    assert values["lr"] == 0.02
    assert any("the linear rule would give --lr 0.0025" in note for note in document["notes"])
    assert main([*base, *small, "--schedule", "3x", "--lr-multipliers", "ssld"]) == 1  # a batch of 16, of 11 images
    document = json.loads(capsys.readouterr().out)
    values = {name: entry["value"] for name, entry in document["settings"].items()}
    assert (values["iterations"], values["milestones"]) == (270_000, [210_000, 250_000])
    assert values["lr_multipliers"] == [0.05, 0.05, 0.1, 0.1, 0.15]
    assert any("passes over 11 images" in note for note in document["notes"])
