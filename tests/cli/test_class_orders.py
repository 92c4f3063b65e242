"""The options that say which order a model's classes have, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STORED = Path(__file__).resolve().parents[1] / "references" / "digits_teacher"


@pytest.mark.parametrize("verb", ["distill", "label"])
def test_orders_reach_the_plan(verb: str, kdzoo: Callable[..., Any]) -> None:
    student = ("--student", "cifar_resnet8") if verb == "distill" else ()
    seen = kdzoo(
        *(verb, "--recipe", "hinton_kd", "--teacher", f"local-dir:{STORED}", *student, "--data", "digits"),
        *(
            "--teacher-classes",
            "natural",
            "--teacher-classes",
            "names, in order.txt",
            "--device",
            "cpu",
            "--workers",
            "0",
        ),
        *("--dry-run", "--json"),
    )
    assert seen.code == 1, "the teacher names its classes: there is no order to give"
    assert any("2 orders of classes for 0 teachers" in text for text in json.loads(seen.out)["obstacles"])
    setting = json.loads(seen.out)["settings"]["run.teacher_classes"]
    assert setting == {"value": ["natural", "names, in order.txt"], "source": "--teacher-classes"}


def test_an_order_that_no_model_needs_is_refused(kdzoo: Callable[..., Any]) -> None:
    call = ("eval", f"local-dir:{STORED}", "--on", "digits", "--no-save", "--workers", "0", "--device", "cpu")
    seen = kdzoo(*call, "--classes", "natural")
    assert seen.code == 2
    assert "every model names the data's classes" in seen.err
