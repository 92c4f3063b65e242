"""``--precision auto``: bf16 where the device has it, the recipe's value elsewhere and with ``--exact``."""

from __future__ import annotations

import pytest

from kdzoo.base.settings import Given
from kdzoo.engine import precision
from kdzoo.planning.plan import Plan
from kdzoo.planning.plan_builder import AUTO, PRECISION
from kdzoo.planning.recorded import Recorded
from kdzoo.planning.resolution import resolve


def plan(*, exact: bool = False, device: str = "auto", recorded: Recorded | None = None) -> Plan:
    """A plan whose precision the device decides."""
    given = {PRECISION: AUTO, "student.model": "cifar_resnet8", "data.dataset": "digits"}
    given |= {"run.device": device} if device != "auto" else {}
    entries = {path: Given(value, "--precision") for path, value in given.items()}
    entries["run.exact"] = Given(exact, "--exact")
    return resolve("supervised", given=entries, variants=("small_images",), recorded=recorded)


def test_a_device_without_bf16_leaves_the_recipes_value() -> None:
    found = plan(device="cpu")
    assert found.recipe.training.precision == "fp32"
    assert found.sources[PRECISION] == "--precision auto: the device does not compute bf16"


def test_a_device_with_bf16_has_it_and_exact_keeps_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bf16", lambda device: True)
    assert plan().recipe.training.precision == "bf16"
    assert plan(exact=True).recipe.training.precision == "fp32"


def test_a_run_goes_on_in_the_precision_that_it_began_with() -> None:
    """On another device, too."""
    began = Recorded({PRECISION: "bf16"}, "as the run in runs/a began", "supervised")
    found = plan(device="cpu", recorded=began)
    assert (found.recipe.training.precision, found.sources[PRECISION]) == ("bf16", "as the run in runs/a began")
