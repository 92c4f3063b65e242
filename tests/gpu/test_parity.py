"""The recipes' first steps on an accelerator against the golden losses, which a CPU has computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mini_mpiigaze import PEOPLE, write_mpiigaze

from kdzoo.planning.run import run
from kdzoo.recipes.registry import get_recipe
from kdzoo.zoo.generators import save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator

from ..recipes.gaze_runs import gaze_plan, write_teacher
from ..recipes.golden_losses import GOLDEN, terms
from ..recipes.test_gaze import CASES as GAZE_CASES
from ..recipes.test_method_runs import CASES as METHOD_CASES
from ..recipes.test_run import CASES
from .conftest import DEVICE, gpu_plan

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

_BOUNDS = ((1e-3, 1e-4), (1e-2, 2e-3))
"""A step each: of the value, and of the step's largest term.

The first holds the forward passes and the losses, where two CPUs differ by 7e-5 at most; the second what one update of
every phase did. An accelerator adds in other orders than any CPU, so that each bound is a few times a CPU's.
"""


def check(case: str, out: Path) -> None:
    """Compare a run's first two steps with a CPU's."""
    expected = json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8"))
    found = terms(out)[: len(_BOUNDS)]
    assert len(found) == len(_BOUNDS)
    for line, golden, (relative, of_the_loss) in zip(found, expected, _BOUNDS, strict=False):
        largest = max(abs(value) for name, value in golden.items() if name != "lr")
        assert line == pytest.approx(golden, rel=relative, abs=of_the_loss * largest), case


@pytest.mark.parametrize("case", CASES)
def test_a_recipe(case: str, stored_teacher: str, tmp_path: Path) -> None:
    recipe, variants, given = CASES[case]
    taught = {"teachers__models": (stored_teacher,)} if get_recipe(recipe).objective.uses_teachers else {}
    run(gpu_plan(recipe, *variants, **given, **taught), out=tmp_path / "run")
    check(case, tmp_path / "run")


@pytest.mark.parametrize("case", METHOD_CASES)
def test_a_method(case: str, stored_teacher: str, tmp_path: Path) -> None:
    recipe, variants, given, teachers = METHOD_CASES[case]
    models = {"student__model": stored_teacher, "teachers__models": (stored_teacher,) * teachers}
    run(gpu_plan(recipe, *variants, **models, **given), out=tmp_path / "run")
    check(case, tmp_path / "run")


def test_fixres(stored_teacher: str, tmp_path: Path) -> None:
    run(gpu_plan("fixres", student__model=stored_teacher, data__augmentation__image_size=24), out=tmp_path / "run")
    check("fixres", tmp_path / "run")


def test_generators(stored_teacher: str, tmp_path: Path) -> None:
    given = {"student__model": "class_discriminator_tiny", "optimizer__lr": 4e-4}
    run(gpu_plan("class_gan", "tiny", **given), out=tmp_path / "gan")
    check("class_gan", tmp_path / "gan")
    torch.manual_seed(0)
    place = save_generator(ConditionalGenerator(10, 16, 4, 6, 7), tmp_path / "generator", {})
    online = gpu_plan("xcl_gan", teachers__models=(stored_teacher,), objective__generator=str(place))
    run(online, out=tmp_path / "run")
    check("xcl_gan-online", tmp_path / "run")


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of MPIIGaze."""
    path = tmp_path_factory.mktemp("eyes") / "MPIIGaze"
    write_mpiigaze(path, people=PEOPLE[:4], images_a_day=8)
    return path


@pytest.mark.parametrize("case", GAZE_CASES)
def test_a_regression(case: str, eyes: Path, tmp_path: Path) -> None:
    recipe, variants, given = GAZE_CASES[case]
    taught = {"teachers__models": (write_teacher(tmp_path / "teacher"),)} if recipe == "xcl_gaze" else {}
    plan = gaze_plan(eyes, recipe, *variants, **taught, **given, run__device=str(DEVICE))
    run(plan, out=tmp_path / "run", trust_teacher=True)
    check(case, tmp_path / "run")
