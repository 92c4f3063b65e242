"""What an earlier run recorded, or stored labels hold, of settings that nobody gives now: a resumed run keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import KdzooError
from ..base.regular_files import read_json
from ..data import LabelStore
from ..recipes.recipe import Recipe, Stage
from .labels import folder_of


@dataclass(frozen=True)
class Recorded:
    """Settings as they were, for those that follow from others and would follow otherwise today.

    Attributes:
        settings: By name, as JSON has them.
        source: What says so.
        recipe: The recipe's name or file, of a run; empty otherwise.
        stages: Those of each stage.
    """

    settings: Mapping[str, Any]
    source: str
    recipe: str = ""
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_stage(self, name: str) -> Recorded:
        """What is recorded of one stage."""
        return Recorded(self.stages.get(name, {}), self.source, self.recipe)


def recorded_run(out: Path) -> Recorded | None:
    """What the run in a folder was begun with; None where it holds none that can be read."""
    try:
        config = read_json(out / "config.json")
        settings = _values(config)
        stages = {str(stage["stage"]["name"]): _values(stage) for stage in config.get("stages", ())}
        return Recorded(settings, f"as the run in {out} began", str(config["origin"]), stages)
    except (KdzooError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _values(config: Mapping[str, Any]) -> dict[str, Any]:
    return {path: entry["value"] for path, entry in config["settings"].items()}


def stored_views(labels: str, recipe: Recipe, stage: Stage | None) -> Recorded | None:
    """The views and the length that stored labels were made for; None where there are none that can be read."""
    try:
        store = LabelStore(folder_of(labels, recipe, stage))
    except KdzooError:
        return None  # said when they are opened
    return Recorded({**store.head.views, "training.epochs": store.num_epochs}, f"as the labels in {labels} have it")
