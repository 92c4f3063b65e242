"""On an accelerator too: a run repeats its bytes, a killed one goes on to them, and results are those of a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kdzoo.data import LabelStore
from kdzoo.evaluation.evaluate import evaluate
from kdzoo.planning.label_run import label
from kdzoo.planning.run import run

from ..recipes.conftest import SMALL
from ..recipes.golden_losses import terms
from .conftest import DEVICE, gpu_plan, outcome

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

_KILLED = Path(__file__).with_name("killed_run.py")


def everything(teacher: str) -> dict[str, object]:
    """Two optimisers, CutMix, parts, an average, clipped gradients, loader processes, checkpoints inside an epoch."""
    return {
        "teachers__models": (teacher,),
        "training__epochs": 2,
        "training__accumulate": 2,
        "training__ema_decay": 0.9,
        "training__clip_norm": 5.0,
        "training__checkpoint_every_steps": 2,
        "run__workers": 2,
    }


_RECIPE = ("meal_v2", "small_images", "alternating", "cutmix")


@pytest.fixture(scope="module")
def undisturbed(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of everything that was left alone."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(gpu_plan(*_RECIPE, **everything(stored_teacher)), out=out)
    return out


def test_a_run_repeats_itself_to_the_byte(undisturbed: Path, stored_teacher: str, tmp_path: Path) -> None:
    run(gpu_plan(*_RECIPE, **everything(stored_teacher)), out=tmp_path / "run")
    assert len(outcome(undisturbed)) == 5  # two states and the best one, the model, the losses
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_killed_run_goes_on_to_the_same_bytes(undisturbed: Path, stored_teacher: str, tmp_path: Path) -> None:
    own = {key.replace("__", "."): value for key, value in everything(stored_teacher).items()}
    plan: dict[str, Any] = {
        "recipe": _RECIPE[0],
        "variants": _RECIPE[1:],
        "given": {**SMALL, **own, "run.device": str(DEVICE)},
    }
    for step, code in ((4, -9), (8, -9), (0, 0)):  # of ten; the last process goes on to the end
        command = [sys.executable, str(_KILLED), str(tmp_path / "run"), str(step)]
        done = subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True, timeout=280)
        assert done.returncode == code, done.stderr[-3000:]
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_run_goes_on_on_another_device(undisturbed: Path, stored_teacher: str, tmp_path: Path) -> None:
    """Kernels are those of the device that goes on; its rounding is another, and no more."""
    run(gpu_plan(*_RECIPE, **everything(stored_teacher)), out=tmp_path / "run")
    for path in ((tmp_path / "run/result.json"), max((tmp_path / "run/checkpoints").glob("step-*.safetensors"))):
        path.unlink()
    run(gpu_plan(*_RECIPE, **{**everything(stored_teacher), "run__device": "cpu"}), out=tmp_path / "run", resume=True)
    last, expected = terms(tmp_path / "run")[-1], terms(undisturbed)[-1]
    assert last == pytest.approx(expected, rel=0.1, abs=0.1 * max(abs(value) for value in expected.values()))


def test_an_evaluation_is_a_cpus(stored_teacher: str) -> None:
    there, here = (evaluate([stored_teacher], "digits", device=name, workers=0)[0] for name in (str(DEVICE), "cpu"))
    assert there.document.num_images == here.document.num_images == 360
    assert there.metrics["top1"] == pytest.approx(here.metrics["top1"], abs=100 / 360 + 1e-6)  # one image on the edge
    assert there.metrics["loss"] == pytest.approx(here.metrics["loss"], rel=1e-4)


def test_labels_are_a_cpus(stored_teacher: str, tmp_path: Path) -> None:
    for name, place in ((str(DEVICE), "there"), ("cpu", "here")):
        plan = gpu_plan("meal_v2", "small_images", "cutmix", teachers__models=(stored_teacher,), run__device=name)
        label(plan, out=tmp_path / place)
    stores = [LabelStore(tmp_path / place) for place in ("there", "here")]
    count = stores[0].head.rows
    there, here = (store.rows(0, 0, count) for store in stores)
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)


def test_a_student_learns_from_labels_what_it_learns_from_the_teachers(stored_teacher: str, tmp_path: Path) -> None:
    """To the byte: the same kernels computed both."""
    plan = gpu_plan("meal_v2", "small_images", "cutmix", teachers__models=(stored_teacher,))
    label(plan, out=tmp_path / "labels")
    run(plan, out=tmp_path / "live")
    run(gpu_plan("meal_v2", "small_images", "cutmix", run__labels=str(tmp_path / "labels")), out=tmp_path / "stored")
    assert outcome(tmp_path / "stored") == outcome(tmp_path / "live")
