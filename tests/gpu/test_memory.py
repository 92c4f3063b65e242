"""The memory that a plan speaks of is the memory that a run takes, and what does not fit is run in parts or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kdzoo.cli.main import main
from kdzoo.engine.distributed import Processes
from kdzoo.planning.batch_parts import ACCUMULATE, fit_batch
from kdzoo.planning.bench import measure_in_child
from kdzoo.planning.models import student_of
from kdzoo.planning.run import run

from .conftest import DEVICE, ON_CUDA, gpu_plan

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

_BATCH = 1024
_LEFT = 3_000_000_000 if ON_CUDA else 700_000_000  # bytes
_SIDE = 128 if ON_CUDA else 32  # an image takes 16 times as much there


@pytest.mark.usefixtures("_needs_cuda")
def test_the_estimate_holds_for_the_real_step(processes: Processes) -> None:
    plan = gpu_plan("supervised", data__augmentation__image_size=64, training__batch_size=_BATCH)
    (whole,) = measure_in_child(plan, 10, DEVICE, [(_BATCH, 1)])
    free = int(0.6 * whole.bytes)
    found, need = fit_batch(plan, student_of(plan, 10), [], processes, free)
    assert need is not None
    assert need.measured
    assert found.recipe.training.accumulate > 1
    assert whole.bytes < 1.5 * need.whole_batch
    assert need.whole_batch < 2 * whole.bytes
    (step,) = measure_in_child(plan, 10, DEVICE, [(_BATCH, found.recipe.training.accumulate)])
    assert 0.4 * need.bytes < step.bytes < free


@pytest.fixture
def _little_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An accelerator that others have nearly filled; of a CPU, so is said."""
    if not ON_CUDA:
        monkeypatch.setattr("kdzoo.planning.run.available_bytes", lambda device: _LEFT)
        yield
        return
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(DEVICE)
    ballast = torch.empty(max(0, free - _LEFT), dtype=torch.uint8, device=DEVICE)
    yield
    del ballast
    torch.cuda.empty_cache()


@pytest.mark.slow
@pytest.mark.usefixtures("_little_is_left")
def test_a_batch_that_does_not_fit_is_run_in_parts(tmp_path: Path) -> None:
    plan = gpu_plan("supervised", data__augmentation__image_size=_SIDE, training__batch_size=_BATCH)
    result = run(plan, out=tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    parts = config["settings"][ACCUMULATE]
    assert parts["value"] > 1
    assert parts["source"].startswith("memory: ")
    assert result.steps == 1437 // _BATCH


@pytest.mark.usefixtures("_needs_cuda")
def test_memory_that_runs_out_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(DEVICE)
    torch.cuda.set_per_process_memory_fraction(200_000_000 / total, DEVICE)
    options = f"--epochs 1 --image-size 128 --batch-size 1024 --workers 0 --device {DEVICE} --out {tmp_path / 'run'}"
    try:
        code = main(["train", "--model", "cifar_resnet8", "--data", "digits", *options.split()])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
        torch.cuda.empty_cache()
    said = capsys.readouterr().err
    assert code == 1
    assert "error: out of memory: " in said
    assert "hint: use a smaller --batch-size" in said
    assert "Traceback" not in said
