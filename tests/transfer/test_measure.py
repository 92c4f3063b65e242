"""Whole measurements on miniatures: every data set, every mode, the same numbers again, nothing computed twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transfer_trees import COUNTS, TREES, class_folders

from kdzoo.base.errors import CheckpointError, DataError, KdzooError, ModelError, RunError, UsageError
from kdzoo.engine.distributed import Processes
from kdzoo.engine.signals import StopRequest
from kdzoo.evaluation.comparison import compare_results
from kdzoo.evaluation.results import read_predictions, read_results, results_folder
from kdzoo.transfer.classification.choose import choose_settings
from kdzoo.transfer.classification.finetune import TransferRun
from kdzoo.transfer.classification.measure import TransferReport
from kdzoo.transfer.classification.plan import TransferPlan
from kdzoo.zoo import load_model, read_weights

pytestmark = pytest.mark.numeric

Measure = Callable[..., TransferReport]
Backbone = Callable[..., str]


QUICK = ("cub200", "voc2007", "folders")
"""One class an image, several, and own data; the other layouts are slow."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in [*TREES, "folders"]]
)
def test_every_data_set_is_fine_tuned_and_probed(
    name: str, tmp_path: Path, measure: Measure, make_backbone: Backbone
) -> None:
    place = TREES[name](tmp_path / "data") if name in TREES else class_folders(tmp_path / "data")
    task = f"{name}:{place}" if name in TREES else str(place)
    backbone = make_backbone("a")
    tuned = measure(task, tmp_path / "out", backbone=backbone)
    probed = measure(task, tmp_path / "out", backbone=backbone, mode="linear", solver="lbfgs")
    metric = "mAP11" if name == "voc2007" else "top1"
    for report in (tuned, probed):
        assert report.shown[0] == metric
        result = report.results[0]
        assert 0 <= result.metrics[metric] <= 100
        assert result.num_images == (COUNTS[name][1] if name in TREES else 9)
        assert result.dataset == (name if name in TREES else "data")
        assert "mean_per_class" in result.metrics or name == "voc2007"
        assert read_results(report.files) == [result]
        kept = read_predictions(tmp_path / "out" / "results", result)
        assert kept is not None
        assert len(kept) == result.num_images
        if metric == "top1":
            assert 100 * kept.correct.mean() == pytest.approx(result.metrics["top1"])
    # A class is a colour, which any features tell apart; of nine images one may round otherwise, and three are chance.
    if name != "voc2007":
        assert probed.results[0].metrics["top1"] > 80
    assert len({file for report in (tuned, probed) for file in report.files}) == 2
    trained = next((tmp_path / "out" / "runs").iterdir())
    loaded = load_model(str(trained))
    assert loaded.num_classes == (20 if name == "voc2007" else 3)
    assert list((trained / "checkpoints").iterdir()) == []
    # The run's own log counts first classes: where there are several, the model claims no such number.
    assert (loaded.promised_top1 is None) == (name == "voc2007")


def test_features_are_computed_once_and_checked(
    tmp_path: Path, measure: Measure, make_backbone: Backbone, capsys: pytest.CaptureFixture[str]
) -> None:
    task, backbone, out = str(class_folders(tmp_path / "data")), make_backbone("a"), tmp_path / "out"
    measure(task, out, backbone=backbone, mode="linear", seeds=(0, 1))
    files = sorted((out / "features").glob("*/features.safetensors"))
    assert len(files) == 2
    assert load_file(files[0])["features"].shape in {(18, 64), (9, 64)}
    written = [file.stat().st_mtime_ns for file in files]
    for mode in ({"mode": "linear", "solver": "lbfgs"}, {"mode": "knn"}):
        capsys.readouterr()
        measure(task, out, backbone=backbone, **mode)
        assert capsys.readouterr().err.count("taken from") == 2
    assert [file.stat().st_mtime_ns for file in files] == written

    # Another network, view or picture has features of its own.
    measure(task, out, backbone=make_backbone("b", seed=2), mode="knn")
    measure(task, out, backbone=backbone, mode="knn", image_size=24)
    assert len(list((out / "features").iterdir())) == 6

    # What is damaged is not used.
    before = measure(task, out, backbone=backbone, mode="knn").results[0]
    content = bytearray(files[0].read_bytes())
    content[-1] ^= 1
    files[0].write_bytes(content)
    manifest = json.loads((files[1].parent / "manifest.json").read_text())
    manifest["model"]["weights_sha256"] = "0" * 64
    (files[1].parent / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    after = measure(task, out, backbone=backbone, mode="knn").results[0]
    said = capsys.readouterr().err
    assert "the file is damaged" in said
    assert "another network" in said
    assert after == before
    capsys.readouterr()
    measure(task, out, backbone=backbone, mode="knn")
    assert capsys.readouterr().err.count("taken from") == 2


def _bytes(out: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob(pattern))}


def test_two_seeds_give_the_same_bytes_again(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    task, backbone = f"cub200:{TREES['cub200'](tmp_path / 'data')}", make_backbone("a")
    for mode, solver in (("finetune", "sgd"), ("linear", "sgd")):
        one, two = tmp_path / f"one-{mode}", tmp_path / f"two-{mode}"
        for out in (one, two):
            measure(task, out, backbone=backbone, mode=mode, solver=solver, seeds=(3, 4))
        assert _bytes(one, "results/*") == _bytes(two, "results/*")
        assert len(_bytes(one, "results/*")) == 2
    models = _bytes(tmp_path / "one-finetune", "runs/*/model/model.safetensors")
    assert models == _bytes(tmp_path / "two-finetune", "runs/*/model/model.safetensors")
    assert len(set(models.values())) == 2


def test_both_backbones_see_the_same_views(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    """The same weights under two names end as the same weights, and no difference is found."""
    task = str(class_folders(tmp_path / "data"))
    report = measure(task, tmp_path / "out", backbone=make_backbone("a"), baseline=make_backbone("b"), seeds=(0, 1))
    models = _bytes(tmp_path / "out", "runs/*/model/model.safetensors")
    assert len(models) == 4
    assert len(set(models.values())) == 2
    assert report.difference is not None
    assert report.difference.values == (0, 0)
    assert "no difference" in report.sentence
    interval = report.results[0].intervals["top1"]
    assert interval.seeds == (0, 1)
    assert report.results[0].metrics["top1"] == pytest.approx(np.mean(interval.values))


def test_other_seeds_and_training_images_are_other_results(
    tmp_path: Path, measure: Measure, make_backbone: Backbone
) -> None:
    """Three seeds are not overwritten by a look with one, and compared with three."""
    root = class_folders(tmp_path / "data")
    one, other = make_backbone("a"), make_backbone("b", seed=2)

    def probe(backbone: str, seeds: tuple[int, ...]) -> TransferReport:
        return measure(str(root), tmp_path / "out", backbone=backbone, mode="linear", seeds=seeds)

    three, single = probe(one, (0, 1, 2)).results[0], probe(one, (0,)).results[0]
    store = results_folder(one)
    stored = read_results([store])
    assert {result.name: result.settings["seeds"] for result in stored} == {three.name: [0, 1, 2], single.name: [0]}

    paired = probe(other, (0, 1, 2)).results[0]
    found = compare_results(one, other, results=store)
    assert [(pair.first.name, pair.second.name) for pair in found.results] == [(three.name, paired.name)]
    assert found.results[0].numbers[0].over == "seeds"
    (uneven,) = compare_results(store / f"{single.name}.json", store / f"{paired.name}.json").results
    assert [name for name, *_ in uneven.settings] == ["seeds"]
    assert uneven.numbers[0].over != "seeds"

    (root / "train" / "ant" / "0.jpg").unlink()
    fewer = probe(one, (0,)).results[0]
    assert fewer.data_fingerprint == single.data_fingerprint
    assert len(read_results([store])) == 4
    with pytest.raises(DataError, match="train_fingerprint"):
        compare_results(store / f"{fewer.name}.json", store / f"{paired.name}.json")


@pytest.mark.parametrize("mode", ["finetune", "knn"])
def test_a_backbone_beside_itself(mode: str, tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    """Trained and measured once, shown twice, without a difference."""
    task, backbone, out = str(class_folders(tmp_path / "data")), make_backbone("a"), tmp_path / "out"
    report = measure(task, out, backbone=backbone, baseline=backbone, mode=mode)
    assert len(report.results) == 2
    assert report.results[0].metrics == report.results[1].metrics
    assert report.difference is not None
    assert report.difference.values == (0,)
    assert len(list((out / "runs").glob("*"))) == (1 if mode == "finetune" else 0)
    (kept,) = read_results([out / "results"])
    assert kept.name == report.results[0].name
    assert kept.details["difference"]["baseline"] == backbone


def test_neighbours_of_random_weights_depend_on_the_seed(
    tmp_path: Path, measure: Measure, make_backbone: Backbone
) -> None:
    look = {"backbone": make_backbone("a"), "mode": "knn", "seeds": (1, 2, 3)}
    task, out = str(class_folders(tmp_path / "data")), tmp_path / "out"
    report = measure(task, out, baseline="random", **look)
    ours, theirs = report.results
    assert (ours.settings["seeds"], theirs.settings["seeds"]) == ([0], [1, 2, 3])
    assert "top1" not in ours.intervals
    baseline = theirs.intervals["top1"]
    assert baseline.seeds == (1, 2, 3)
    assert report.difference is not None
    assert (report.difference.over, report.difference.count) == ("seeds", 3)
    assert report.difference.values == tuple(ours.metrics["top1"] - value for value in baseline.values)
    assert any("random weights" in note for note in report.plan.notes)
    assert len(list((out / "features").iterdir())) == 2 + 3 * 2
    assert measure(task, out, **look).results[0].name == ours.name  # of given weights, one measurement


def test_several_classes_and_absent_ones(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    root = TREES["voc2007"](tmp_path / "data")
    lists = root / "VOCdevkit/VOC2007/ImageSets/Main"
    (lists / "dog_test.txt").write_text((lists / "dog_test.txt").read_text().replace(" 1", " -1"))
    report = measure(f"voc2007:{root}", tmp_path / "out", backbone=make_backbone("a"), mode="knn", baseline="random")
    result = report.results[0]
    assert result.task == "multilabel"
    assert report.shown == ("mAP11", "mAP")
    assert result.details["unseen_classes"] == ["dog"]
    values = result.per_class[0]
    assert values.metric == "AP11"
    assert values.values[values.names.index("dog")] is None
    assert result.metrics["mAP11"] == pytest.approx(np.mean([v for v in values.values if v is not None]))
    assert report.difference is not None
    assert report.difference.over is None
    assert report.results[1].model.reference.endswith("(random weights)")


def test_random_views_train_the_last_layer_alone(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    task, backbone = str(class_folders(tmp_path / "data")), make_backbone("a")
    measure(task, tmp_path / "out", backbone=backbone, mode="linear", solver="views", lr=0.1)
    trained = read_weights(next((tmp_path / "out" / "runs").iterdir()) / "model" / "model.safetensors")
    before = read_weights(Path(backbone) / "model.safetensors")
    changed = {name for name, tensor in trained.items() if before[name].shape != tensor.shape}
    changed |= {name for name in trained.keys() - changed if not bool((before[name] == trained[name]).all())}
    assert changed == {"fc.weight", "fc.bias"}


def test_a_search_never_looks_at_the_test_images(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    root, out = class_folders(tmp_path / "data"), tmp_path / "out"
    report = measure(
        str(root),
        out,
        backbone=make_backbone("a"),
        baseline=make_backbone("b", seed=2),
        protocol="ssld",
        search="lr=0.001,0.01",
        batch_size=4,
    )
    found = json.loads((out / "search.json").read_text())
    assert [entry["lr"] for entry in found["tried"]] == [0.001, 0.01]
    assert found["tried_on"].endswith("b")
    assert found["held_out"] == 3
    best = max(range(2), key=lambda index: (found["tried"][index]["score"], -index))
    assert report.plan.protocol.lr == found["tried"][best]["lr"]
    assert report.plan.resolved.sources["lr"].startswith("searched on")
    for run in (out / "search" / "runs").iterdir():
        config = json.loads((run / "config.json").read_text())
        assert (config["train_data"]["num_images"], config["val_data"]["num_images"]) == (15, 3)
        assert config["val_data"]["split"] == "train"


def test_a_search_goes_on_after_a_combination_that_diverges(
    tmp_path: Path, measure: Measure, make_backbone: Backbone
) -> None:
    # With this decay a step of rate r multiplies the weights by 1 - r: at 10,000 ten steps overflow float32.
    look = {"backbone": make_backbone("a"), "batch_size": 4, "epochs": 4, "weight_decay": 1.0}
    task, out = str(class_folders(tmp_path / "data")), tmp_path / "out"
    for resume in (False, True):  # what diverged does not keep the next call from going on
        report = measure(task, out, search="lr=10000,0.01", resume=resume, **look)
        found = json.loads((out / "search.json").read_text())
        assert [entry["lr"] for entry in found["tried"]] == [10000, 0.01]
        assert found["tried"][0]["score"] is None
        assert "'classes' term" in found["tried"][0]["diverged"]
        assert 0 <= found["tried"][1]["score"] <= 100
        assert "diverged" not in found["tried"][1]
        assert (found["chosen"], report.plan.protocol.lr) == (1, 0.01)

    with pytest.raises(RunError, match="all 2 combinations of the search diverged") as raised:
        measure(task, tmp_path / "none", search="lr=10000,9999", **look)
    assert raised.value.hint
    assert "\n" not in raised.value.message
    found = json.loads((tmp_path / "none" / "search.json").read_text())
    assert [entry["score"] for entry in found["tried"]] == [None, None]
    assert found["chosen"] is None


def test_answers_that_are_no_numbers_are_not_chosen(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    """One step, after which nothing looks at the loss: only the answers show that the weights are no numbers."""
    # A step of rate 10,000 with this decay multiplies all weights by -1e8: seven layers of them overflow float32.
    look = {"backbone": make_backbone("a"), "batch_size": 15, "epochs": 1, "weight_decay": 1e4}
    task = str(class_folders(tmp_path / "data"))
    with pytest.raises(RunError, match="all 2 combinations"):
        measure(task, tmp_path / "searched", search="lr=10000,9999", **look)
    found = json.loads((tmp_path / "searched" / "search.json").read_text())
    assert ["not finite" in entry["diverged"] for entry in found["tried"]] == [True, True]
    with pytest.raises(RunError, match="not finite"):
        measure(task, tmp_path / "measured", lr=10000.0, **look)
    assert not (tmp_path / "measured" / "results").exists()


def test_a_score_that_is_no_number_is_not_chosen(
    tmp_path: Path, quick_plan: Callable[..., TransferPlan], make_backbone: Backbone
) -> None:
    task = str(class_folders(tmp_path / "data"))
    plan = quick_plan(task, backbone=make_backbone("a"), search="lr=0.01,0.02,0.03", batch_size=15)
    scores = iter([float("nan"), 30.0, 60.0])
    processes = Processes(0, 1, torch.device("cpu"))
    with StopRequest() as stop:
        run = TransferRun(plan=plan, out=tmp_path, resume=False, processes=processes, stop=stop)
        chosen = choose_settings(run, lambda *_: next(scores))
    assert chosen.protocol.lr == 0.03
    assert "not a number" in json.loads((tmp_path / "search.json").read_text())["tried"][0]["diverged"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path, measure: Measure, make_backbone: Backbone) -> None:
    task, backbone, out = str(class_folders(tmp_path / "data")), make_backbone("a"), tmp_path / "out"
    first = measure(task, out, backbone=backbone)
    with pytest.raises(RunError, match="already holds a run"):
        measure(task, out, backbone=backbone)
    again = measure(task, out, backbone=backbone, resume=True)
    assert again.results == first.results
    assert len(list((out / "runs").iterdir())) == 1
    measure(task, out, backbone=backbone, lr=0.02)  # other settings, another run
    assert len(list((out / "runs").iterdir())) == 2
    (tmp_path / "data" / "train" / "ant" / "0.jpg").unlink()
    with pytest.raises(CheckpointError, match="train_fingerprint"):
        measure(task, out, backbone=backbone, resume=True)


def test_settings_say_where_they_are_from(quick_plan: Callable[..., TransferPlan], make_backbone: Backbone) -> None:
    plan = quick_plan("digits", backbone=make_backbone("a"), mode="linear")
    found = plan.to_dict()["settings"]
    assert found["lr"] == {"value": 0.1, "source": "meal_v2: App. A, linear mode"}
    assert found["epochs"] == {"value": 1, "source": "test"}
    assert found["momentum"]["source"] == "meal_v2: App. A"
    assert (found["crop"]["value"], found["hflip_prob"]["value"]) == ("pad4", 0.0)
    assert quick_plan("digits", backbone=make_backbone("a"), seeds=None).seeds == (0, 1, 2)
    quick = quick_plan("digits", backbone=make_backbone("a"), seeds=None, quick=True)
    assert quick.seeds == (0,)
    papers = quick_plan("digits", backbone="resnet18", image_size=224)
    assert (papers.protocol.crop, papers.protocol.crop_pct) == ("random_resized", 0.875)


@pytest.mark.parametrize("how", [{"mode": "linear", "solver": "lbfgs"}, {"mode": "knn"}])
def test_a_batch_that_nothing_is_trained_in_may_be_any(
    how: dict[str, str], quick_plan: Callable[..., TransferPlan]
) -> None:
    assert quick_plan("digits", backbone="resnet18", batch_size=5000, **how).mode == how["mode"]


@pytest.mark.parametrize(
    ("task", "arguments", "error", "message"),
    [
        ("digits", {"mode": "zero-shot"}, UsageError, "no mode"),
        ("digits", {"protocol": "meal"}, UsageError, "no protocol"),
        ("digits", {"seeds": ()}, UsageError, "seeds"),
        ("digits", {"seeds": (1, 1)}, UsageError, "seeds"),
        ("digits", {"partition": 2}, UsageError, "no official partitions"),
        ("digits", {"batch_size": 5000}, UsageError, "cannot be made of 1,437"),
        ("digits", {"batch_size": 5000, "mode": "linear"}, UsageError, "cannot be made of 1,437"),
        ("digits", {"lr": -1.0}, UsageError, "lr is a number above 0 .*, got -1"),
        ("digits", {"learning_rate": 1.0}, UsageError, "no setting"),
        ("digits", {"epochs": 1.5}, UsageError, "epochs is an integer from 1 to .*, got 1.5"),
        ("digits", {"epochs": "2"}, UsageError, "epochs is an integer from 1 to .*, got '2'"),
        ("digits", {"batch_size": True}, UsageError, "batch_size is an integer from 1 to .*, got True"),
        ("digits", {"image_size": None}, UsageError, "image_size is an integer from 1 to .*, got None"),
        ("digits", {"lr": "0.1"}, UsageError, "lr is a number above 0 .*, got '0.1'"),
        ("digits", {"momentum": float("nan")}, UsageError, "momentum is a number .*, got nan"),
        ("digits", {"momentum": 10**400}, UsageError, "momentum is a number .*, got 10+…"),
        ("digits", {"nesterov": 1}, UsageError, "nesterov is true or false, got 1"),
        ("digits", {"schedule": "step"}, UsageError, "schedule is one of cosine, constant, got 'step'"),
        ("digits", {"crop": ["pad4"]}, UsageError, "crop is one of random_resized, pad4, got"),
        ("digits", {"scale": 0.5}, UsageError, "scale is 2 values .*, got 0.5"),
        ("digits", {"ratio": (1, "2")}, UsageError, "ratio is 2 values .*, got .1, '2'"),
        ("digits", {"stage_lr": 1.0}, UsageError, "stage_lr is a text, got 1.0"),
        ("digits", {"search": "full", "mode": "knn"}, UsageError, "--search goes with"),
        ("digits", {"stage_lr": "1,2"}, UsageError, "not five multipliers"),
        ("dgits", {}, DataError, "neither a known data set"),
    ],
)
def test_what_makes_no_sense_is_refused(
    task: str,
    arguments: dict[str, object],
    error: type[KdzooError],
    message: str,
    quick_plan: Callable[..., TransferPlan],
    make_backbone: Backbone,
) -> None:
    with pytest.raises(error, match=message) as raised:
        quick_plan(task, backbone=make_backbone("a"), **arguments)
    assert raised.value.hint


def test_what_is_missing_is_listed_before_anything_starts(
    tmp_path: Path, measure: Measure, quick_plan: Callable[..., TransferPlan]
) -> None:
    plan = quick_plan("cub200", backbone="resnet18.a1_in1k", baseline="cifar_resnet8")
    assert [type(problem) for problem in plan.problems] == [DataError, ModelError]
    assert plan.problems[1].message == "cifar_resnet8 has no published weights"
    with pytest.raises(DataError, match="cub200 not found"):
        measure("cub200", tmp_path / "out", backbone="cifar_resnet8")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_test_split_is_refused(
    tmp_path: Path, quick_plan: Callable[..., TransferPlan], make_backbone: Backbone
) -> None:
    flat = class_folders(tmp_path / "data") / "train"
    plan = quick_plan(str(flat), backbone=make_backbone("a"))
    assert "no test images of its own" in plan.problems[0].message
