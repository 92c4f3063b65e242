"""Recipes with stages: how they are resolved, run, resumed and kept in order."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdzoo.base.errors import CheckpointError, RunError, UsageError
from kdzoo.base.run_documents import TrainResult
from kdzoo.base.settings import Given
from kdzoo.data import ImageSource
from kdzoo.engine.distributed import Processes
from kdzoo.engine.loop import train
from kdzoo.engine.signals import StopRequest
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import build_job
from kdzoo.planning.run import run as run_plan
from kdzoo.zoo import load_model

from .staged import bytes_of, staged_plan, write_data, write_teacher

GOLDEN = Path(__file__).parents[1] / "recipes" / "golden" / "ssld.json"
PROGRAM = Path(__file__).with_name("stage_kill_program.py")


@dataclass(frozen=True)
class World:
    """Data, a teacher and an undisturbed run of two stages."""

    data: Path
    teacher: str
    out: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("staged")
    data, teacher = write_data(folder / "data"), write_teacher(folder / "teacher")
    before = (folder / "teacher" / "model.safetensors").read_bytes()
    run(staged_plan(data, teacher), out=folder / "run")
    assert (folder / "teacher" / "model.safetensors").read_bytes() == before
    return World(data, teacher, folder / "run")


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(world.out, tmp_path / "copy"))


def run(plan: Plan, **options: object) -> TrainResult:
    """A run that trusts its teacher, whose weights are random."""
    return run_plan(plan, trust_teacher=True, **options)  # type: ignore[arg-type]


def plan_of(world: World, *variants: str, **given: object):
    return staged_plan(world.data, world.teacher, *variants, **given)


def on_digits(*variants: str, **given: object):
    base = {"data.dataset": "digits", "teachers.models": ("cifar_resnet8",), "student.model": "cifar_resnet8"}
    settings = {
        **base,
        "run.exact": True,
        "training.batch_size": 64,
        **{k.replace("__", "."): v for k, v in given.items()},
    }
    return resolve("ssld", given={path: Given(value, "--flag") for path, value in settings.items()}, variants=variants)


# -- the plan --------------------------------------------------------------------------------------------------------


def test_a_stage_keeps_its_ratio_to_what_was_given_and_says_so():
    found = on_digits("fixres", training__epochs=36, optimizer__lr=0.05)
    one, two, three = found.stages
    assert [stage.recipe.training.epochs for stage in found.stages] == [36, 3, 1]
    assert [stage.recipe.optimizer.lr for stage in found.stages] == pytest.approx([0.05, 0.0005, 0.002])
    assert [stage.image_size for stage in found.stages] == [32, 32, 48]
    assert two.recipe.schedule.warmup_epochs == pytest.approx(0.5)
    assert "scaled from 0.001 as 0.1 became 0.05" in two.sources["optimizer.lr"]
    assert all(stage.recipe.training.batch_size == 64 for stage in found.stages)
    assert (one.stage.folder, three.stage.start_folder) == ("1-distil", "2-finetune")
    json.dumps(found.to_dict())


def test_one_stages_setting_can_be_given():
    first, second = on_digits(stages__finetune__optimizer__lr="0.3", stages__finetune__training__epochs=7).stages
    assert (first.recipe.optimizer.lr, second.recipe.optimizer.lr) == (0.1, 0.3)
    assert (first.recipe.training.epochs, second.recipe.training.epochs) == (360, 7)
    assert second.sources["optimizer.lr"] == "--flag"


def test_unlabeled_images_are_the_first_stages(world: World):
    more = str(world.data.with_name("data-unlabeled"))
    first, second = plan_of(world, data__unlabeled=more).stages
    assert (first.recipe.data.unlabeled, second.recipe.data.unlabeled) == (more, None)
    assert (first.facts.num_images, second.facts.num_images) == (72, 48)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"stages.finetun.optimizer.lr": 1}, "no stage 'finetun'", "'finetune'"),
        ({"stages.finetune.optimizer.lrr": 1}, "optimizer.lrr", "optimizer.lr"),
        ({"students.resnet50d.optimizer.lr": 1}, "students.resnet50d", "recipes show"),
    ],
)
def test_a_stage_or_setting_that_is_not_there_is_named(given, message, hint):
    with pytest.raises(UsageError) as error:
        resolve("ssld", given={path: Given(value, "--set") for path, value in given.items()})
    assert message in error.value.message
    assert hint in error.value.hint


def test_a_recipe_without_stages_is_one_run(tmp_path: Path):
    plan = resolve("meal_v2")
    assert plan.stages == ()
    assert plan.stage is None
    assert not {"stage", "stages"} & set(plan.to_dict())
    with pytest.raises(UsageError, match="has no stages"):
        run(plan, out=tmp_path / "run", stage="distil")


# -- the run ---------------------------------------------------------------------------------------------------------


def test_each_stage_has_a_run_folder_and_the_run_has_the_last_ones_student(world: World):
    out = world.out
    assert {path.name for path in out.iterdir()} >= {"1-distil", "2-finetune", "stages.json", "result.json", "model"}
    assert [row["name"] for row in json.loads((out / "stages.json").read_text())["stages"]] == ["distil", "finetune"]
    last, whole = (json.loads((folder / "result.json").read_text()) for folder in (out / "2-finetune", out))
    assert (whole["top1"], whole["steps"], whole["epochs"]) == (last["top1"], 6, 2)
    assert (out / "model/model.safetensors").read_bytes() == (out / "2-finetune/model/model.safetensors").read_bytes()
    loaded = load_model(str(out))
    assert loaded.provenance["student_start"] == "stage distil"
    config = json.loads((out / "2-finetune/config.json").read_text())
    assert config["stage"]["start"] == "distil"
    assert [stage["stage"]["name"] for stage in json.loads((out / "config.json").read_text())["stages"]] == [
        "distil",
        "finetune",
    ]


def test_the_second_stage_goes_on_from_the_first_ones_student(world: World):
    first, second = (load_model(str(world.out / name)).model.state_dict() for name in ("1-distil", "2-finetune"))
    far = [(first[name] - second[name]).abs().max().item() for name in first if name.endswith("conv1.weight")]
    assert 0 < max(far) < 0.02


@pytest.mark.numeric
def test_first_losses_are_the_golden_ones(world: World):
    """KDZOO_UPDATE_GOLDEN=1 writes the file anew."""
    found = {}
    for name in ("1-distil", "2-finetune"):
        lines = [json.loads(line) for line in (world.out / name / "metrics.jsonl").read_text().splitlines()]
        found[name] = [{key: line[key] for key in ("lr", "soft_label")} for line in lines if line["kind"] == "train"]
    if os.environ.get("KDZOO_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert set(found) == set(expected)
    for name, lines in expected.items():
        assert len(found[name]) == len(lines) == 3
        for line, golden in zip(found[name], lines, strict=True):
            assert line == pytest.approx(golden, rel=1e-3)


class OtherLabels(ImageSource):
    """The same images under permuted labels."""

    def __init__(self, source: ImageSource) -> None:
        labels = np.random.default_rng(0).permutation(source.labels)
        assert (labels != source.labels).any()
        super().__init__(source.name, source.split, source.class_names, labels, native_size=source.native_size)
        self._source = source

    def load(self, index: int) -> Image.Image:
        return self._source.load(index)

    def identity(self, index: int) -> str:
        return self._source.identity(index)


def test_no_label_is_read(world: World, tmp_path: Path):
    processes = Processes(0, 1, torch.device("cpu"))
    more = str(world.data.with_name("data-unlabeled"))
    plan = plan_of(world, data__unlabeled=more).stages[0]
    with StopRequest() as stop:
        for name in ("own", "permuted"):
            job = build_job(plan, out=tmp_path / name, resume=False, trust_teacher=True, processes=processes)
            if name == "permuted":
                job = replace(job, train_source=OtherLabels(job.train_source))
            train(job, processes, stop)
    own, permuted = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("own", "permuted"))
    assert own == permuted
    weights = [(tmp_path / name / "model/model.safetensors").read_bytes() for name in ("own", "permuted")]
    assert weights[0] == weights[1]


# -- going on --------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_alone_and_a_further_stage_is_added(world: World, copy: Path):
    with pytest.raises(RunError, match="already holds a run"):
        run(plan_of(world), out=copy)
    before = bytes_of(copy)
    result = run(plan_of(world), out=copy, resume=True)
    assert result.steps == 6
    assert bytes_of(copy) == before
    more = run(plan_of(world, "fixres"), out=copy, resume=True)
    assert more.steps == 9
    assert load_model(str(copy)).preprocessing.image_size == 24
    two, three = (load_model(str(copy / name)).model.state_dict() for name in ("2-finetune", "3-fixres"))
    assert {name for name in two if not torch.equal(two[name], three[name])} == {"fc.weight", "fc.bias"}


def test_one_stage_can_be_run(world: World, tmp_path: Path):
    plan, out = plan_of(world), tmp_path / "run"
    with pytest.raises(RunError, match="stages out of order: finetune starts from the student of distil") as error:
        run(plan, out=out, stage="finetune")
    assert "--stage distil" in error.value.hint
    assert run(plan, out=out, stage="distil").run == str(out / "1-distil")
    assert not (out / "result.json").exists()
    run(plan, out=out, stage="finetune", resume=True)
    assert bytes_of(out) == bytes_of(world.out)
    with pytest.raises(UsageError, match="no stage of ssld 'fixres'") as unknown:
        run(plan, out=out, stage="fixres", resume=True)
    assert "--variant fixres" in unknown.value.hint


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("begun", [True, False])
def test_a_changed_student_is_refused(world: World, copy: Path, begun: bool):
    if not begun:
        shutil.rmtree(copy / "2-finetune")
    damage(copy / "1-distil/model/model.safetensors")
    with pytest.raises(RunError, match=r"stages out of order: .* not the one that it wrote"):
        run(plan_of(world), out=copy, resume=True)


def test_a_stage_that_began_from_another_student_is_refused(world: World, copy: Path):
    damage(copy / "1-distil/model/model.safetensors")
    (copy / "stages.json").write_text('{"stages": []}')
    with pytest.raises(RunError, match="finetune began from another student"):
        run(plan_of(world), out=copy, resume=True)


def test_a_missing_student_and_other_settings_are_refused(world: World, copy: Path):
    with pytest.raises(CheckpointError, match=r"optimizer\.weight_decay was 4e-05, is 0\.01"):
        run(plan_of(world, optimizer__weight_decay=0.01), out=copy, resume=True)
    with pytest.raises(CheckpointError, match=r"optimizer\.weight_decay was") as error:
        run(plan_of(world, optimizer__weight_decay=0.01), out=copy, resume=True, stage="finetune")
    assert "--set stages.finetune." in error.value.hint
    shutil.rmtree(copy / "1-distil/model")
    with pytest.raises(RunError, match="stages out of order"):
        run(plan_of(world), out=copy, resume=True)


def test_a_folder_with_something_else_is_refused(world: World, tmp_path: Path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match=r"letter\.txt"):
        run(plan_of(world), out=tmp_path, resume=True)
    with pytest.raises(RunError, match="a run without stages"):
        run(plan_of(world), out=world.out / "1-distil", resume=True)


@pytest.mark.numeric
@pytest.mark.slow
def test_kills_in_and_between_stages_change_nothing(world: World, tmp_path: Path):
    places = ["step:2", "result:1", "between:1", "step:2", "last:1"]
    answer = subprocess.run(
        [sys.executable, str(PROGRAM), str(world.data), world.teacher, str(tmp_path / "run"), *places],
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert answer.stdout.splitlines() == [*(f"{place} signal 9" for place in places), "end exit 0"], answer.stderr
    assert bytes_of(tmp_path / "run") == bytes_of(world.out)
