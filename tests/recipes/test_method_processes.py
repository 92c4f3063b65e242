"""Every recipe: killed and resumed, and spread over two processes.

On 48 digits at 16 pixels, in three epochs of three steps. Where a process is killed, it was forked for it; the first
recipe begins and ends in new ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from fork_server import ForkServer

from kdzoo.engine.state_file import read_state
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.recipes.registry import get_recipe, recipe_names
from kdzoo.zoo import load_model
from kdzoo.zoo.generators import save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator

from ..planning.staged import write_data, write_teacher
from .conftest import write_token_student

pytestmark = pytest.mark.numeric

_KILL = Path(__file__).parents[1] / "engine" / "kill_program.py"
_SPREAD = Path(__file__).with_name("spread_program.py")
_NO_BATCHNORM = "class_discriminator_tiny"
_GIVEN = {
    "data.augmentation.image_size": 16,
    "data.augmentation.hflip_prob": 0,
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.log_every_steps": 1,
    "training.checkpoint_every_steps": 2,
    "optimizer.lr": 0.01,
    "run.workers": 0,
    "run.device": "cpu",
}
_CONTRAST = {"objective.contrast.num_negatives": 32}
_NARROW = {**_CONTRAST, "objective.distiller.width": 8, "objective.distiller.max_width": 16}
_PLACES = ("step:2", "checkpoint_half_written:1", "step:3", "before_digest:2", "inside_a_log_line:1")
_PLACES_OF_TWO_PHASES = ("step:2", "checkpoint_half_written:1", "between_phases:3", "before_digest:2", "step:2")
_ELSEWHERE = {"gaze": "test_gaze_processes.py", "xcl_gaze": "test_gaze_processes.py"}


@dataclass(frozen=True)
class Case:
    """A recipe as it is run here.

    Attributes:
        recipe: Its name.
        variants: Of the recipe.
        given: Settings; ``{…}`` in a string names a place of `World`.
        teachers: How many.
        student: Without BatchNorm, two processes compute what one does; with it each sees half a batch.
        two_phases: Whether it has two optimisers.
    """

    recipe: str
    variants: tuple[str, ...] = ()
    given: Mapping[str, object] = field(default_factory=dict)
    teachers: int = 0
    student: str = _NO_BATCHNORM
    two_phases: bool = False


CASES = {
    "supervised": Case("supervised", ("small_images", "label_smoothing", "cutmix")),
    "paddleclas": Case(
        "paddleclas",
        ("small_images", "cutout", "gridmask", "label_smoothing"),
        {
            "data.augmentation.cutout_size": 8,
            "data.augmentation.grid_period": [6, 12],
            "data.augmentation.grid_ramp_epochs": 2,
        },
    ),
    "finetune": Case("finetune"),
    "from_scratch": Case("from_scratch"),
    "function_matching": Case("function_matching", teachers=1),
    "features": Case("features", (), {"teachers.models": "{large}", "optimizer.lr": 1e-4}, teachers=1),
    "hinton_kd": Case("hinton_kd", teachers=1),
    "meal_v2": Case("meal_v2", ("small_images", "alternating"), teachers=2, two_phases=True),
    "xcl_mix": Case("xcl_mix", ("small_images",), teachers=1),
    "xcl_mix-own": Case("xcl_mix", ("small_images",), {"teachers.models": "{large}", "teachers.view": "own"}),
    "ssld": Case("ssld", ("small_images",), {"data.unlabeled": "{unlabeled}"}, teachers=1),
    "class_gan": Case("class_gan", ("tiny",), {"optimizer.lr": 4e-4}, two_phases=True),
    "xcl_gan": Case("xcl_gan", (), {"objective.generator": "{generator}"}, teachers=1),
    "xcl_gan-offline": Case("xcl_gan", ("offline",), {"data.unlabeled": "{unlabeled}"}, teachers=1),
    "meal_v1": Case(
        "meal_v1", ("three_stages",), {"objective.block_lengths": [64, 48, 32]}, teachers=2, student="cifar_resnet8"
    ),
    "crd": Case("crd", (), _CONTRAST, teachers=1),
    "crd-hints": Case("crd", (), {**_CONTRAST, "objective.features.weight": 0.1}, teachers=1, student="cifar_resnet8"),
    "ae_kd": Case("ae_kd", teachers=3),
    "deit": Case("deit", ("small_images",), {"optimizer.lr": 1e-4}, teachers=1, student="{tokens}"),
    "exrep": Case(
        "exrep", ("small_images",), {**_NARROW, "optimizer.lr": 0.001}, 1, student="{teacher}", two_phases=True
    ),
    "exrep_transfer": Case(
        "exrep_transfer", (), {"objective.distiller_run": "{exrep}", "objective.distiller_size": 16}
    ),
    "fixres": Case("fixres", student="{teacher}"),
}
_ONE_PROCESS_IS_ANOTHER = ("class_gan", "meal_v1", "fixres", "crd-hints")
"""BatchNorm in training mode, in networks of their own."""


@dataclass(frozen=True)
class World:
    """Where data, a teacher and a generator lie, and runs that were left alone."""

    root: Path
    server: ForkServer

    def place(self, name: str) -> Path:
        return {"unlabeled": self.root / "data-unlabeled"}.get(name, self.root / name)

    def fill(self, value: object) -> object:
        if not isinstance(value, str) or not value.startswith("{"):
            return value
        name = value.strip("{}")
        return str(self.whole(name) if name in CASES else self.place(name))

    def plan(self, name: str) -> Path:
        """The case's plan in a file."""
        path, case = self.root / f"{name}.json", CASES[name]
        teachers = {"teachers.models": [str(self.place("teacher"))] * case.teachers} if case.teachers else {}
        given = {
            **_GIVEN,
            "data.dataset": str(self.root / "data"),
            "student.model": case.student,
            **({} if case.recipe == "fixres" else {"data.augmentation.crop": "center"}),
            **teachers,
            **case.given,
        }
        filled = {key: self.fill(value) for key, value in given.items()}
        path.write_text(json.dumps({"recipe": case.recipe, "variants": list(case.variants), "given": filled}))
        return path

    def whole(self, name: str) -> Path:
        """The case's run by one process that is left alone."""
        out = self.root / f"{name}-whole"
        if not out.exists():
            self.server.run(_SPREAD, self.plan(name), out)
        return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> World:
    root = tmp_path_factory.mktemp("world")
    write_data(root / "data")
    write_teacher(root / "teacher")
    write_teacher(root / "large", image_size=28)
    write_token_student(root / "tokens")
    torch.manual_seed(0)
    save_generator(ConditionalGenerator(10, 16, 4, 6, 7), root / "generator", {})
    return World(root, fork_server)


def outcome(out: Path) -> dict[str, bytes]:
    """The final states (student, optimisers, objective), the models and the metrics of all stages, as bytes."""
    last = {path.parent: path for path in sorted(out.rglob("checkpoints/step-*.safetensors"))}
    files = [*last.values(), *out.rglob("model/model.safetensors"), *out.rglob("metrics.jsonl")]
    assert len(files) >= 3
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_every_recipe_is_here():
    assert set(recipe_names()) - set(_ELSEWHERE) <= {case.recipe for case in CASES.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if not get_recipe(CASES[name].recipe).stages])
def test_five_kills_change_nothing(name: str, world: World, tmp_path: Path):
    plan, places = world.plan(name), _PLACES_OF_TWO_PHASES if CASES[name].two_phases else _PLACES
    ended = world.server.run(_KILL, tmp_path / "killed", 0, *places, f"--plan={plan}", "--leave").stdout.splitlines()
    assert ended == [f"{place} signal 9" for place in places]
    if name == "supervised":
        command = [sys.executable, str(_SPREAD), str(plan), str(tmp_path / "killed")]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as what is forked has
        subprocess.run(command, check=True, capture_output=True, timeout=500, env=one_thread)
    else:
        world.server.run(_SPREAD, plan, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(world.whole(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_do_what_one_does(name: str, world: World):
    whole, two = world.whole(name), world.root / f"{name}-two"
    world.server.run(_SPREAD, world.plan(name), two, processes=2)
    first, second = (torch.load(two / f"held-{rank}.pt") for rank in (0, 1))
    # What a generator's BatchNorm has seen is read by nothing but the export, which is the first process's.
    own = ("running_mean", "running_var") if name == "class_gan" else ()
    for part in ("student", "objective"):
        differ = [key for key in first[part] if not torch.equal(first[part][key], second[part][key])]
        assert not [key for key in differ if not key.endswith(own)], part
    lines = [read_lines(folder) for folder in (whole, two)]
    assert [set(line) for line in lines[1]] == [set(line) for line in lines[0]]
    if name in _ONE_PROCESS_IS_ANOTHER:
        return
    # Sums in another order; carried through several steps, adversarial ones above all, they grow.
    loose = 0.02 if CASES[name].two_phases else 1e-3
    for alone, spread in zip(*lines, strict=True):
        assert spread == pytest.approx(alone, rel=1e-5 if alone["step"] <= 2 else loose, abs=1e-5), alone["step"]
    states = [read_state(sorted(folder.rglob("checkpoints/step-*.safetensors"))[-1]) for folder in (whole, two)]
    for part in ("student", "objective"):
        for key, tensor in states[0][part].items():
            torch.testing.assert_close(states[1][part][key], tensor, atol=loose, rtol=loose)


def read_lines(folder: Path) -> list[dict[str, float]]:
    """The training lines of all stages."""
    texts = [path.read_text() for path in sorted(folder.rglob("metrics.jsonl"))]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return [line for line in lines if line.pop("kind") == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].teachers])
def test_the_teachers_in_memory_and_on_disk_are_what_they_were(name: str, world: World):
    bare = get_recipe(CASES[name].recipe).objective.task == "features"  # the classifier is left off
    teacher = load_model(str(write_again(world.root)), num_classes=0 if bare else None)
    digest = TeacherEnsemble([teacher], torch.device("cpu")).digest()
    held = torch.load(world.whole(name) / "held-0.pt")
    assert held["teachers"] == list(digest) * CASES[name].teachers
    assert (world.root / "teacher/model.safetensors").read_bytes() == (
        world.root / "again/model.safetensors"
    ).read_bytes()


def write_again(root: Path) -> Path:
    """The teacher as it was written before any run."""
    if not (root / "again").exists():
        write_teacher(root / "again")
    return root / "again"
