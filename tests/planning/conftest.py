"""Plans of images that are not there: what is known of them is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdzoo.base.settings import Given
from kdzoo.planning.default_recipe import plan_verb
from kdzoo.planning.plan import DataFacts, Plan

from ..recipes.conftest import small_plan

__all__ = ["given", "planned", "small_plan"]


def given(**settings: object) -> dict[str, Given]:
    """Settings as keywords, ``__`` for the dot; every one from ``--flag``."""
    return {path.replace("__", "."): Given(value, "--flag") for path, value in settings.items()}


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plan]:
    """``planned(3_000, "train", student__model="resnet18")``: a verb's plan on so many photographs in a folder."""
    folder = str(tmp_path_factory.mktemp("photos"))

    def call(
        images: int | None, verb: str, recipe: str | None = None, *, classes: int = 10, side: int = 400, **own: object
    ) -> Plan:
        native = (side, side) if side <= 64 else None
        facts = DataFacts(num_classes=classes, num_images=images, native_size=native, typical_side=side)
        monkeypatch.setattr("kdzoo.planning.plan_builder.read_facts", lambda recipe: facts)
        variants = own.pop("variants", ())
        settings = given(**{"data__dataset": folder, **own})
        return plan_verb(verb, recipe, given=settings, variants=variants)  # type: ignore[arg-type]

    return call
