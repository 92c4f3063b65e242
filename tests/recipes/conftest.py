"""Runs small enough for a test: the embedded digits at 16 pixels, batches of 256, networks of 78,000 parameters."""

import shutil
from pathlib import Path

import pytest

from kdzoo.base.run_documents import TrainResult
from kdzoo.base.settings import Given
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run

STORED_TEACHER = Path(__file__).resolve().parents[1] / "references" / "digits_teacher"

SMALL = {
    "student.model": "cifar_resnet8",
    "data.dataset": "digits",
    "data.augmentation.image_size": 16,
    "data.augmentation.hflip_prob": 0,
    "training.epochs": 1,
    "training.batch_size": 256,
    "training.log_every_steps": 1,
    "optimizer.lr": 0.05,
    "run.workers": 0,
    "run.device": "cpu",
    "run.exact": True,
}


def small_plan(recipe: str, *variants: str, **given: object) -> Plan:
    """A plan of a small run; settings as keywords, ``__`` for the dot."""
    settings = {**SMALL, **{key.replace("__", "."): value for key, value in given.items()}}
    return resolve(recipe, given={path: Given(value, "test") for path, value in settings.items()}, variants=variants)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A teacher that has seen the digits four times."""
    out: Path = tmp_path_factory.mktemp("teacher") / "run"
    plan = small_plan("supervised", "small_images", training__epochs=4, training__batch_size=64, run__seed=7)
    return run(plan, out=out)


@pytest.fixture(scope="session")
def stored_teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`teacher` as it came out once, in half precision: golden losses need the same weights on every processor.

    Training amplifies a processor's rounding: two of them end four epochs with teachers of visibly other losses.
    """
    return str(shutil.copytree(STORED_TEACHER, tmp_path_factory.mktemp("stored") / "teacher"))
