"""Plans of small gaze runs on a miniature of MPIIGaze, and a teacher for them."""

from __future__ import annotations

from pathlib import Path

from kdzoo.base.settings import Given
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.zoo import load_model, save_model

SMALL = {
    "training.epochs": 1,
    "training.log_every_steps": 1,
    "optimizer.lr": 1e-3,
    "run.workers": 0,
    "run.device": "cpu",
}


def gaze_plan(data: Path | str, recipe: str, *variants: str, **given: object) -> Plan:
    """A plan of a small run with the first person held out; settings as keywords, ``__`` for the dot."""
    settings = {**SMALL, "data.dataset": f"mpiigaze@p00:{data}", **{k.replace("__", "."): v for k, v in given.items()}}
    return resolve(recipe, given={path: Given(value, "test") for path, value in settings.items()}, variants=variants)


def write_teacher(folder: Path, scale: str = "std") -> str:
    """A network with seeded weights that no training touched; its third output is read as a ``scale``."""
    output = {"form": "gaussian", "scale": scale, "positivity": "softplus", "floor": 1e-4}
    record = {"task": "regression", "targets": ["pitch", "yaw"], "output": output}
    save_model(load_model("gaze_preact_resnet8", num_classes=3, seed=4), folder, provenance=record)
    return str(folder)
