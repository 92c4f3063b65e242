"""Precedence: flag, environment, config file, recipe; and where each setting says it came from."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from kdzoo.base.errors import UsageError
from kdzoo.cli.commands import VerbCommand
from kdzoo.cli.distill import command as distill
from kdzoo.cli.run_options import run_arguments


def given(arguments: list[str], recipe: str = "meal_v2") -> dict[str, tuple[object, str]]:
    """What ``kdzoo distill`` would hand to the plan: ``{setting: (value, source)}``."""
    assert isinstance(distill, VerbCommand)
    with distill.make_context("distill", ["--recipe", recipe, *arguments]) as ctx:
        return {path: (entry.value, entry.source) for path, entry in run_arguments(ctx)["settings"].items()}


def write_config(text: str, name: str = "kdzoo.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_nothing_given_leaves_everything_to_the_recipe() -> None:
    assert given([]) == {}


def test_each_layer_wins_over_the_next(monkeypatch) -> None:
    write_config("[distill]\nepochs = 3\nbatch-size = 30\nseed = 300\n")
    assert given([])["training.epochs"] == (3, "kdzoo.toml")
    monkeypatch.setenv("KDZOO_DISTILL_EPOCHS", "2")
    monkeypatch.setenv("KDZOO_DISTILL_BATCH_SIZE", "20")
    seen = given(["--epochs", "1"])
    assert seen["training.epochs"] == (1, "--epochs")
    assert seen["training.batch_size"] == (20, "KDZOO_DISTILL_BATCH_SIZE")
    assert seen["run.seed"] == (300, "kdzoo.toml")


def test_every_flag_reaches_its_setting() -> None:
    flags = {
        "--student": ("student.model", "a"),
        "--data": ("data.dataset", "digits"),
        "--val-data": ("data.val_dataset", "v"),
        "--unlabeled": ("data.unlabeled", "u"),
        "--image-size": ("data.augmentation.image_size", 48),
        "--epochs": ("training.epochs", 2),
        "--batch-size": ("training.batch_size", 8),
        "--precision": ("training.precision", "bf16"),
        "--seed": ("run.seed", 0),
        "--workers": ("run.workers", 0),
        "--device": ("run.device", "cpu"),
    }
    seen = given([text for flag, (_, value) in flags.items() for text in (flag, str(value))])
    assert seen == {path: (value, flag) for flag, (path, value) in flags.items()}
    assert given(["--teacher", "x", "--teacher", "y"]) == {"teachers.models": (("x", "y"), "--teacher")}


def test_data_is_not_the_folder_of_all_data_sets(monkeypatch) -> None:
    """KDZOO_DATA is the folder of all data sets, never one data spec."""
    monkeypatch.setenv("KDZOO_DATA", "/datasets")
    assert given([]) == {}
    monkeypatch.setenv("KDZOO_DISTILL_DATA", "digits")
    assert given([]) == {"data.dataset": ("digits", "KDZOO_DISTILL_DATA")}


def test_set_wins_over_weaker_layers_and_says_what_it_is(monkeypatch) -> None:
    monkeypatch.setenv("KDZOO_DISTILL_EPOCHS", "2")
    assert given(["--set", "training.epochs=5"])["training.epochs"] == ("5", "--set")
    write_config('[distill]\nset = ["training.epochs=9", "optimizer.lr=0.5"]\n')
    seen = given([])
    assert seen["training.epochs"] == (2, "KDZOO_DISTILL_EPOCHS")
    assert seen["optimizer.lr"] == ("0.5", "kdzoo.toml")


def test_set_may_be_a_table() -> None:
    write_config("[distill.set]\noptimizer.lr = 0.5\noptimizer.nesterov = true\nschedule.milestones = [3, 4]\n")
    assert given([]) == {
        "optimizer.lr": ("0.5", "kdzoo.toml"),
        "optimizer.nesterov": ("true", "kdzoo.toml"),
        "schedule.milestones": ("[3, 4]", "kdzoo.toml"),
    }


def test_one_layer_may_not_say_two_things() -> None:
    with pytest.raises(UsageError, match=r"training\.epochs is set twice: by --epochs and by --set"):
        given(["--epochs", "3", "--set", "training.epochs=4"])


def test_a_config_file_by_flag_or_variable(monkeypatch) -> None:
    write_config("[distill]\nteacher = ['a b', 'c']\n", "mine.toml")
    write_config("[distill]\nteacher = 'd'\n", "other.toml")
    assert given(["--config", "mine.toml"]) == {"teachers.models": (("a b", "c"), "mine.toml")}
    monkeypatch.setenv("KDZOO_CONFIG", "other.toml")
    assert given([]) == {"teachers.models": (("d",), "other.toml")}
    assert given(["--config", "mine.toml"])["teachers.models"][1] == "mine.toml"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[distill]\nepoch = 3\n", "kdzoo.toml: there is no setting distill.epoch", "did you mean 'epochs'?"),
        ("[distil]\nepochs = 3\n", "kdzoo.toml: there is no verb 'distil'", "did you mean 'distill'?"),
        ("epochs = 3\n", "kdzoo.toml: there is no verb 'epochs'", "such as [train]"),
        ("[distill]\nepochs = [1, 2]\n", "kdzoo.toml: distill.epochs takes one value", "write epochs ="),
        ("[distill\n", "config file kdzoo.toml is not TOML", "write key = value lines"),
        ("[distill]\ndry-run = true\n", "kdzoo.toml: there is no setting distill.dry-run", "--help"),
        ("[distill]\nconfig = 'x'\n", "kdzoo.toml: there is no setting distill.config", "--help"),
        ("[distill.coco]\nepochs = 1\n", "kdzoo.toml: there is no setting distill.coco", "--help"),
    ],
)
def test_a_wrong_config_file_is_explained(text: str, message: str, hint: str) -> None:
    write_config(text)
    with pytest.raises(UsageError) as caught:
        given([])
    assert caught.value.message.startswith(message)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("text", ["epochs = 2.5", "epochs = 0", 'epochs = "many"', 'precision = "fp8"'])
def test_a_wrong_value_in_the_config_file_is_refused(text: str) -> None:
    write_config(f"[distill]\n{text}\n")
    with pytest.raises(click.BadParameter):
        given([])


def test_a_missing_config_file_is_an_error_only_when_it_was_named() -> None:
    assert given([]) == {}
    with pytest.raises(UsageError, match=r"no config file nowhere\.toml"):
        given(["--config", "nowhere.toml"])


def test_underscores_are_as_good_as_hyphens() -> None:
    write_config("[distill]\nbatch_size = 30\ntrust-teacher = true\n")
    assert given([]) == {"training.batch_size": (30, "kdzoo.toml")}


def test_the_plan_records_every_source(kdzoo, monkeypatch) -> None:
    """The whole way, through the command, to what is saved with a run."""
    write_config("[train]\nbatch-size = 48\n")
    monkeypatch.setenv("KDZOO_TRAIN_EPOCHS", "2")
    call = [
        "train",
        "--model",
        "cifar_resnet8",
        "--data",
        "digits",
        "--set",
        "optimizer.lr=0.05",
        "--dry-run",
        "--json",
    ]
    seen = kdzoo(*call)
    assert seen.code == 0, seen.err
    settings = json.loads(seen.out)["settings"]
    assert settings["student.model"] == {"value": "cifar_resnet8", "source": "--model"}
    assert settings["training.epochs"] == {"value": 2, "source": "KDZOO_TRAIN_EPOCHS"}
    assert settings["training.batch_size"] == {"value": 48, "source": "kdzoo.toml"}
    assert settings["optimizer.lr"] == {"value": 0.05, "source": "--set"}
    assert settings["optimizer.momentum"]["source"].startswith("from_scratch: ")
    assert list(Path.cwd().iterdir()) == [Path.cwd() / "kdzoo.toml"], "a dry run leaves nothing behind"
