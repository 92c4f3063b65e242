"""``kdzoo transfer TASK`` for tasks of classes, as a user calls it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transfer_trees import TREES, class_folders

from kdzoo.data import open_source
from kdzoo.zoo import load_model, save_model

Call = Callable[..., Any]
_QUICK = ("--mode", "linear", "--epochs", "2", "--seeds", "2", "--workers", "0", "--device", "cpu")


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    """Two networks of ten classes, as run folders hold theirs."""
    paths = []
    for name, seed in (("student", 1), ("baseline", 2)):
        loaded = load_model("cifar_resnet8", num_classes=10, seed=seed)
        with torch.no_grad():
            for parameter in loaded.model.parameters():
                parameter.mul_(1.1)
        save_model(loaded, tmp_path / "runs" / name / "model", provenance={})
        (tmp_path / "runs" / name / "config.json").write_text("{}", encoding="utf-8")
        (tmp_path / "runs" / name / "result.json").write_text('{"top1": 1.0}', encoding="utf-8")
        paths.append(f"runs/{name}")
    return paths[0], paths[1]


def test_digits_with_a_baseline_from_command_to_sentence(kdzoo: Call, runs: tuple[str, str], tmp_path: Path) -> None:
    student, baseline = runs
    call = ("transfer", "digits", "--backbone", student, "--baseline", baseline, *_QUICK, "--out", "t")
    shown = kdzoo(*call)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].split() == ["model", "task", "mode", "seeds", "top1", "top1", "low", "top1", "high"]
    assert [line.split()[0] for line in lines[1:3]] == [student, baseline]
    assert student in lines[3]
    assert "95 % interval" in lines[3]
    assert lines[4] == "results: t/results"
    assert len(list(Path("t/results").glob("*.json"))) == 2
    assert [len(list(Path(run, "results").glob("*.json"))) for run in runs] == [1, 1]

    again = kdzoo(*call, "--json")
    document = json.loads(again.out)
    assert document["difference"]["sentence"] == document["sentence"] == lines[3]
    assert [result["model"]["reference"] for result in document["results"]] == list(runs)
    assert document["settings"]["epochs"] == {"value": 2, "source": "--epochs"}
    rows = list(csv.DictReader(io.StringIO(kdzoo(*call, "--format", "csv").out)))
    assert [row["model"] for row in rows] == list(runs)


def test_a_folder_that_holds_none_out_takes_the_share_that_its_error_names(
    kdzoo: Call, runs: tuple[str, str], tmp_path: Path
) -> None:
    source = open_source("digits", "train")
    for index in range(60):
        folder = tmp_path / "photos" / str(source.labels[index])
        folder.mkdir(parents=True, exist_ok=True)
        source.load(index).save(folder / f"{index}.png")
    call = ("--backbone", runs[0], *_QUICK[4:], "--mode", "knn", "--out", "t")
    refused = kdzoo("transfer", "photos", *call)
    assert (refused.code, "the data spec photos@val-share=0.1" in refused.err) == (1, True)
    shown = kdzoo("transfer", "photos@val-share=0.2", *call)
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[1].split()[:2] == [runs[0], "photos"]


def test_a_model_may_be_its_own_baseline(kdzoo: Call, runs: tuple[str, str]) -> None:
    call = ("transfer", "digits", "--backbone", runs[0], "--baseline", runs[0], *_QUICK[4:])
    shown = kdzoo(*call, "--mode", "knn", "--out", "t")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == [runs[0], runs[0]]
    assert "no difference" in lines[3]
    assert "2 of 2,200 steps" in kdzoo(*call, "--dry-run").out  # a training a seed, not two


def test_each_row_has_its_own_seeds(kdzoo: Call, runs: tuple[str, str], tmp_path: Path) -> None:
    call = ("transfer", str(class_folders(tmp_path / "pets")), "--backbone", runs[0], "--baseline", "random")
    shown = kdzoo(*call, "--mode", "knn", *_QUICK[4:], "--format", "csv")
    assert shown.code == 0, shown.err
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [(row["model"], row["seeds"]) for row in rows] == [(runs[0], "1"), ("random", "2")]
    document = json.loads(kdzoo(*call, "--mode", "knn", *_QUICK[4:], "--dry-run", "--json").out)
    assert (document["seeds"], document["cost"]["test_images"]) == ([0, 1], 3 * (18 + 9))


def test_a_plan_says_what_it_takes_and_starts_nothing(kdzoo: Call, runs: tuple[str, str]) -> None:
    call = ("transfer", "digits", "--backbone", runs[0], "--baseline", "random", "--out", "t", "--dry-run")
    shown = kdzoo(*call)
    assert shown.code == 0, shown.err
    assert "fine-tuned by MEAL V2 App. A: 200 epochs, batch 128, SGD lr 0.01" in " ".join(shown.out.split())
    assert "6 of 2,200 steps" in shown.out
    assert shown.out.startswith("starts: ")
    text = " ".join(shown.out.split())
    assert "meal_v2: App. A" in text
    assert "ours: a mirrored digit is another sign" in text
    document = json.loads(kdzoo(*call, "--json").out)
    assert document["cost"]["images"] == 6 * 2200 * 128
    assert document["seeds"] == [0, 1, 2]
    assert not Path("t").exists()


def test_settings_come_from_the_verbs_table_of_the_config_file(kdzoo: Call, runs: tuple[str, str]) -> None:
    Path("kdzoo.toml").write_text(f'[transfer]\nbackbone = "{runs[0]}"\nlr = 0.5\n', encoding="utf-8")
    document = json.loads(kdzoo("transfer", "digits", "--dry-run", "--json").out)
    assert document["backbone"] == runs[0]
    assert document["settings"]["lr"] == {"value": 0.5, "source": "kdzoo.toml"}


def test_a_plan_lists_what_is_missing(kdzoo: Call) -> None:
    shown = kdzoo("transfer", "sun397:nowhere", "--backbone", "cifar_resnet8", "--partition", "3", "--dry-run")
    assert shown.code == 1, shown.err
    assert "task       sun397@3" in shown.out
    missing = [
        text for text in shown.out.split("\n\n")[0].replace("\n  ", " ").splitlines() if "cannot start: " in text
    ]
    assert len(missing) == 2
    assert "Partitions.zip" in missing[0]
    assert "no published weights" in missing[1]


def test_fine_tuning_a_folder_and_voc(kdzoo: Call, runs: tuple[str, str], tmp_path: Path) -> None:
    quick = ("--epochs", "1", "--batch-size", "8", "--seeds", "5,", "--workers", "0", "--device", "cpu")
    folder = kdzoo("transfer", str(class_folders(tmp_path / "pets")), "--backbone", runs[0], *quick)
    assert folder.code == 0, folder.err
    assert "% top-1 accuracy on" in folder.out
    assert Path("runs/transfer-pets/transfer.json").is_file()
    task = f"voc2007:{TREES['voc2007'](tmp_path / 'voc')}"
    several = kdzoo("transfer", task, "--backbone", runs[0], "--json", *quick)
    assert several.code == 0, several.err
    assert set(json.loads(several.out)["results"][0]["metrics"]) == {"mAP11", "mAP"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("digits",), 2, "--backbone"),
        (("cub20", "--backbone", "x"), 2, "did you mean 'cub200'"),
        (("cub200", "--backbone", "resnet18.a1_in1k"), 1, "cub200 not found"),
        (("digits", "--backbone", "nowhere/run"), 1, "nowhere/run"),
        (("digits", "--backbone", "resnet18", "--seeds", "none"), 2, "neither a count nor a list"),
        (("digits", "--backbone", "resnet18", "--seeds", "0"), 2, "neither a count nor a list"),
        (("digits", "--backbone", "resnet18", "--partition", "2"), 2, "no official partitions"),
        (("dtd", "--backbone", "resnet18", "--partition", "11"), 2, "1<=x<=10"),
        (("digits", "--backbone", "resnet18", "--lr", "-1"), 2, "-1.0 is not in the range 0<x<=10000"),
    ],
)
def test_wrong_calls_are_explained(arguments: tuple[str, ...], code: int, said: str, kdzoo: Call) -> None:
    outcome = kdzoo("transfer", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_the_defaults_learn_images_of_several_classes_and_a_paper_refuses_them(kdzoo: Call, tmp_path: Path) -> None:
    task = f"voc2007:{TREES['voc2007'](tmp_path / 'voc')}"
    call = (
        "train",
        "--model",
        "cifar_resnet8",
        "--data",
        task,
        "--epochs",
        "1",
        "--image-size",
        "16",
        "--workers",
        "0",
    )
    outcome = kdzoo(*call, "--recipe", "supervised", "--out", "r")
    assert outcome.code == 2
    assert "needs data with one class an image" in outcome.err
    assert "--set objective.probabilities=sigmoid" in outcome.err
    learnt = kdzoo(*call, "--out", "r")
    assert learnt.code == 0, learnt.err
    assert "mAP" in learnt.out
