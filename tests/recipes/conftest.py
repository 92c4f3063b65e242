"""Runs small enough for a test: the embedded digits at 16 pixels, batches of 256, networks of 78,000 parameters."""

from pathlib import Path

from kdzoo.base.settings import Given
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve

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
