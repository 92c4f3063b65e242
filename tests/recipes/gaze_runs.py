"""Plans of small gaze runs on a miniature of MPIIGaze."""

from __future__ import annotations

from pathlib import Path

from kdzoo.recipes.plan import Given, Plan, resolve

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
