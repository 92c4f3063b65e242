"""One way to set a value in every verb: its layers, their order, where a value says that it is from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import quick_detection
import quick_segmentation
from drawn_masks import write_voc
from drawn_shapes import write_coco
from transfer_trees import class_folders

from kdzoo.zoo import load_model, save_model

Settings = dict[str, dict[str, Any]]


def set_options(quick: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in quick if one.startswith("--set"))


@dataclass(frozen=True)
class Verb:
    """A verb with settings: how it is called, and the names of one setting that has an option and one that has none."""

    arguments: tuple[str, ...]
    table: str
    variable: str
    option: str = "lr"
    setting: str = "lr"
    other: str = "momentum"


TASKS: dict[str, tuple[str, Callable[..., Path], tuple[str, ...]]] = {
    "classes": ("{}", class_folders, ("--image-size", "32", "--batch-size", "6")),
    "coco": ("coco:{}", write_coco, set_options(quick_detection.QUICK)),
    "voc2012": ("voc2012:{}", write_voc, set_options(quick_segmentation.QUICK)),
}


class NoCost:
    """What nothing costs: these tests ask for settings alone."""

    missing, memory = (), None

    def to_dict(self) -> dict[str, Any]:
        return {}


@pytest.fixture(autouse=True)
def _nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("transfer.detection.estimate", "transfer.segmentation.estimate", "planning.cost.estimate"):
        monkeypatch.setattr(f"kdzoo.{name}", lambda _: NoCost())
    monkeypatch.setattr("kdzoo.transfer.classification.cost.estimate_transfer", lambda _: NoCost())


@pytest.fixture
def backbone(tmp_path: Path) -> str:
    student = load_model("test_resnet", pretrained=False, num_classes=7, seed=1)
    return str(save_model(student, tmp_path / "student", provenance={"data": "none"}))


@pytest.fixture
def task(tmp_path: Path, backbone: str) -> Callable[[str], tuple[str, ...]]:
    """The arguments of a transfer's dry run."""

    def arguments(kind: str) -> tuple[str, ...]:
        spec, write, small = TASKS[kind]
        data = tmp_path / kind
        return ("transfer", spec.format(data if data.exists() else write(data)), "--backbone", backbone, *small)

    return arguments


@pytest.fixture
def verb(request: pytest.FixtureRequest, task: Callable[[str], tuple[str, ...]]) -> Verb:
    if request.param == "distill":
        call = ("distill", "--recipe", "hinton_kd", "--student", "cifar_resnet8", "--data", "digits")
        names = {"option": "batch-size", "setting": "training.batch_size", "other": "optimizer.weight_decay"}
        return Verb((*call, "--teacher", "cifar_resnet8"), "distill", "KDZOO_DISTILL_BATCH_SIZE", **names)
    if request.param == "digits":
        student = task("classes")[3]
        return Verb(("transfer", "digits", "--backbone", student), "transfer", "KDZOO_TRANSFER_DIGITS_LR")
    return Verb(task(request.param), "transfer", "KDZOO_TRANSFER_LR")


@pytest.fixture
def settings(kdzoo: Callable[..., Any]) -> Callable[..., Settings]:
    """What a dry run says of its settings."""

    def run(*arguments: str) -> Settings:
        seen = kdzoo(*arguments, "--dry-run", "--json")
        assert seen.code == (0 if json.loads(seen.out).get("starts") else 1), seen.err
        found: Settings = json.loads(seen.out)["settings"]
        return found

    return run


@pytest.mark.parametrize("verb", ["distill", "digits", "classes", "coco", "voc2012"], indirect=True)
def test_the_stronger_layer_wins_and_is_named(
    verb: Verb, kdzoo: Callable[..., Any], settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command line (an option or --set), environment, config file, then the recipe or protocol; never 'set twice'."""

    def config(text: str) -> None:
        Path("kdzoo.toml").write_text(text, encoding="utf-8")

    config(f"[{verb.table}.set]\n{verb.setting} = 5\n{verb.other} = 0.25\n")
    monkeypatch.setenv(verb.variable, "6")
    assignment = f"{verb.setting}=7"
    for given, value, source in (
        (("--set", assignment), 7, "--set"),
        ((f"--{verb.option}", "8"), 8, f"--{verb.option}"),
        ((), 6, verb.variable),
    ):
        found = settings(*verb.arguments, *given)
        assert found[verb.setting] == {"value": value, "source": source}
        assert found[verb.other] == {"value": 0.25, "source": "kdzoo.toml"}
    twice = kdzoo(*verb.arguments, "--dry-run", "--set", assignment, f"--{verb.option}", "8")
    assert twice.code == 2
    assert f"{verb.setting} is set twice: by --{verb.option} and by --set" in twice.err
    monkeypatch.delenv(verb.variable)
    assert settings(*verb.arguments)[verb.setting] == {"value": 5, "source": "kdzoo.toml"}
    config(f"[{verb.table}]\n{verb.option} = 4\n")
    found = settings(*verb.arguments)
    assert found[verb.setting] == {"value": 4, "source": "kdzoo.toml"}
    assert not found[verb.other]["source"].startswith(("--", "KDZOO", "kdzoo.toml"))  # the paper's own
    wrong = kdzoo(*verb.arguments, "--dry-run", "--set", f"{verb.other}e=1")
    assert wrong.code == 2
    assert f"there is no setting '{verb.other}e'" in wrong.err
    assert f"did you mean '{verb.other}'?" in wrong.err


def test_one_file_serves_several_tasks(
    task: Callable[[str], tuple[str, ...]], settings: Callable[..., Settings], kdzoo: Callable[..., Any]
) -> None:
    Path("kdzoo.toml").write_text(
        """
[transfer]
lr = 0.3
detector = "faster_rcnn"

[transfer.set]
momentum = 0.5

[transfer.coco]
lr = 0.2
lr-multipliers = [0.1, 0.1, 0.2, 0.2, 0.3]
freeze = 2

[transfer.coco.set]
short_sides = [64, 96]
gamma = 0.2

[transfer.voc2012]
crop = "32x48"
freeze = "first"
class-weights = "none"
""",
        encoding="utf-8",
    )
    coco, voc = settings(*task("coco")[:4], "--set=max_side=80", "--set=fpn_channels=16"), settings(*task("voc2012"))
    assert (coco["lr"]["value"], voc["lr"]["value"], settings(*task("classes"))["lr"]["value"]) == (0.2, 0.3, 0.3)
    assert coco["detector"] == {"value": "faster_rcnn", "source": "kdzoo.toml"}
    assert coco["short_sides"] == {"value": [64, 96], "source": "kdzoo.toml"}
    assert coco["lr_multipliers"]["value"] == [0.1, 0.1, 0.2, 0.2, 0.3]
    assert coco["max_side"] == {"value": 80, "source": "--set"}
    assert [one["momentum"]["value"] for one in (coco, voc)] == [0.5, 0.5]
    assert [one["frozen_stages"]["value"] for one in (coco, voc)] == [2, 2]
    assert coco["gamma"]["value"] == 0.2
    Path("kdzoo.toml").write_text("[transfer.set]\nlr = 0.3\n[transfer.coco]\nlr = 0.2\n", encoding="utf-8")
    assert [settings(*task(kind))["lr"]["value"] for kind in ("coco", "voc2012")] == [0.2, 0.3]  # its own table wins
    Path("kdzoo.toml").write_text("[transfer]\nlr = 0.3\n[transfer.set]\nlr = 0.2\n", encoding="utf-8")
    assert "lr is set twice in kdzoo.toml" in kdzoo(*task("coco"), "--dry-run").err
    Path("kdzoo.toml").write_text("[transfer]\nlrr = 1\n", encoding="utf-8")
    wrong = kdzoo(*task("classes"), "--dry-run")
    assert wrong.code == 2
    assert "there is no setting transfer.lrr" in wrong.err
    assert "did you mean 'lr'?" in wrong.err


@pytest.mark.parametrize("written", ["0.1,0.1,0.2,0.2,0.3", "[0.1, 0.1, 0.2, 0.2, 0.3]", "(.1, .1, .2, .2, .3)"])
def test_lists_are_written_alike_everywhere(
    written: str, task: Callable[[str], tuple[str, ...]], settings: Callable[..., Settings]
) -> None:
    expected = [0.1, 0.1, 0.2, 0.2, 0.3]
    for kind in ("coco", "voc2012"):
        assert settings(*task(kind), "--set", f"lr-multipliers={written}")["lr_multipliers"]["value"] == expected
    assert settings(*task("coco"), "--lr-multipliers", written)["lr_multipliers"]["value"] == expected
    scale = settings(*task("classes"), "--set", f"scale={written[:1].strip('0')}0.2,0.9{written[-1:].strip('3')}")
    assert scale["scale"] == {"value": [0.2, 0.9], "source": "--set"}


def test_a_length_in_a_stronger_layer_replaces_the_other_unit(
    task: Callable[[str], tuple[str, ...]], settings: Callable[..., Settings], kdzoo: Callable[..., Any]
) -> None:
    Path("kdzoo.toml").write_text("[transfer]\niterations = 77\n", encoding="utf-8")
    assert settings(*task("coco"))["iterations"] == {"value": 77, "source": "kdzoo.toml"}
    found = settings(*task("coco"), "--epochs", "32", "--batch-size", "8")["iterations"]
    assert found == {"value": 192, "source": "--epochs: 32 passes over 48 images"}
    assert settings(*task("coco"), "--set", "epochs=1")["iterations"]["source"].startswith("--set: 1 passes")
    both = kdzoo(*task("coco"), "--dry-run", "--set", "epochs=1", "--iterations", "5")
    assert (both.code, "--iterations and --epochs both set the length" in both.err) == (2, True)


def test_one_task_has_a_variable_of_its_own(
    task: Callable[[str], tuple[str, ...]], settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDZOO_TRANSFER_LR", "0.4")
    monkeypatch.setenv("KDZOO_TRANSFER_COCO_LR", "0.5")
    assert settings(*task("coco"))["lr"] == {"value": 0.5, "source": "KDZOO_TRANSFER_COCO_LR"}
    assert settings(*task("voc2012"))["lr"] == {"value": 0.4, "source": "KDZOO_TRANSFER_LR"}


def test_a_former_variable_is_not_read_and_that_is_said(
    task: Callable[[str], tuple[str, ...]], kdzoo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDZOO_LR", "0.4")
    seen = kdzoo(*task("classes"), "--dry-run", "--json")
    assert json.loads(seen.out)["settings"]["lr"]["value"] == 0.01
    assert seen.err.count("warning: KDZOO_LR is not read any more: --lr has KDZOO_TRANSFER_LR") == 1
    monkeypatch.setenv("KDZOO_TRANSFER_LR", "0.4")
    assert "KDZOO_LR" not in kdzoo(*task("classes"), "--dry-run", "--json").err


def test_the_folder_of_data_sets_is_no_verbs_data(
    kdzoo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KDZOO_DATA, which ImageNet needs, is not the report's --data."""
    seen: dict[str, Any] = {}

    def write_analysis(paths: Any, **options: Any) -> None:
        seen.update(options)
        raise SystemExit

    monkeypatch.setattr("kdzoo.write_analysis", write_analysis)
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        kdzoo("report", "runs/a")
    assert seen["data"] is None
