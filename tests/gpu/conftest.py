"""Tests on an accelerator: ``pytest tests/gpu``. Without one they are skipped, in a line.

``KDZOO_TEST_DEVICE=cpu`` runs on a CPU what a CPU can show, to try the tests themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kdzoo.engine.distributed import Processes, choose_device
from kdzoo.planning.plan import Plan

from ..recipes.conftest import STORED_TEACHER, small_plan

DEVICE = torch.device(os.environ.get("KDZOO_TEST_DEVICE", "cuda"))
ON_CUDA = DEVICE.type == "cuda"


@pytest.fixture(autouse=True, scope="session")
def processes() -> Iterator[Processes]:
    """This process alone on the tests' device, whose float32 is float32: TF32 would hide what a test compares."""
    if ON_CUDA and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device (KDZOO_TEST_DEVICE=cpu tries these tests on a CPU)")
    choose_device(str(DEVICE))
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield Processes(0, 1, DEVICE)
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def _needs_cuda() -> None:
    """For what a CPU has nothing of."""
    if not ON_CUDA:
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def stored_teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trained teacher of the digits, in half precision."""
    return str(shutil.copytree(STORED_TEACHER, tmp_path_factory.mktemp("stored") / "teacher"))


def gpu_plan(recipe: str, *variants: str, **given: object) -> Plan:
    """A plan of a small run on the tests' device; settings as keywords, ``__`` for the dot."""
    return small_plan(recipe, *variants, **{"run__device": str(DEVICE), **given})


def outcome(out: Path) -> dict[str, bytes]:
    """What a run is judged by: every state, every exported weight, every logged loss."""
    files = [path for path in out.rglob("*") if path.suffix == ".safetensors" or path.name == "metrics.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}
