"""Precisions, compiled networks, memory layouts and fused optimisers agree with plain float32 within stated bounds."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from kdzoo.engine.objective import Phase, student_group
from kdzoo.engine.optim import build_optimizer
from kdzoo.engine.settings import OptimizerSettings
from kdzoo.planning.run import run

from ..recipes.golden_losses import terms
from .conftest import DEVICE, ON_CUDA, gpu_plan

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

_DISTIL = ("meal_v2", "small_images")


@pytest.fixture(scope="module")
def plain(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The terms of a distillation in float32, step by step."""
    out = tmp_path_factory.mktemp("plain") / "run"
    run(gpu_plan(*_DISTIL, teachers__models=(stored_teacher,)), out=out)
    return terms(out)


def check(found: list[dict[str, float]], plain: list[dict[str, float]], *bounds: float) -> None:
    """Compare first steps with those of the plain run, a relative bound each."""
    for line, expected, bound in zip(found, plain, bounds, strict=False):
        largest = max(abs(value) for name, value in expected.items() if name != "lr")
        assert line == pytest.approx(expected, rel=bound, abs=bound * largest)


@pytest.mark.parametrize(("precision", "bounds"), [("bf16", (3e-2, 6e-2)), ("fp16", (5e-3, 2e-2))])
def test_half_precision_agrees(
    precision: str, bounds: tuple[float, float], stored_teacher: str, plain: list[dict[str, float]], tmp_path: Path
) -> None:
    """bf16 has 8 significant bits, fp16 11: an answer is off by some of the last one's units."""
    plan = gpu_plan(*_DISTIL, teachers__models=(stored_teacher,), training__precision=precision)
    run(plan, out=tmp_path / "run")
    check(terms(tmp_path / "run"), plain, *bounds)
    assert terms(tmp_path / "run")[0] != plain[0]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns(precision: str, tmp_path: Path) -> None:
    given = {"training__epochs": 4, "training__batch_size": 64, "run__seed": 7}
    result = run(gpu_plan("supervised", "small_images", training__precision=precision, **given), out=tmp_path / "run")
    assert result.metrics["top1"] > 40  # chance is 10; in float32 the same training had 81.7


def test_a_compiled_step_agrees(stored_teacher: str, plain: list[dict[str, float]], tmp_path: Path) -> None:
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        pytest.skip("torch.compile needs a C compiler, and there is none")
    plan = gpu_plan(*_DISTIL, teachers__models=(stored_teacher,), training__compile=True)
    run(plan, out=tmp_path / "run")
    check(terms(tmp_path / "run"), plain, 1e-3, 1e-2)


def test_the_other_memory_layout_agrees(stored_teacher: str, plain: list[dict[str, float]], tmp_path: Path) -> None:
    plan = gpu_plan(*_DISTIL, teachers__models=(stored_teacher,), training__channels_last=False)
    run(plan, out=tmp_path / "run")
    check(terms(tmp_path / "run"), plain, 1e-4, 1e-2)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_the_fused_optimiser_is_torchs_own(name: str) -> None:
    """A few updates from the same gradients; on a CPU both are the same code."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 10))
    settings = OptimizerSettings(name=name, lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=name == "sgd")
    ours = copy.deepcopy(network).to(DEVICE).to(memory_format=torch.channels_last)
    optimizers = [build_optimizer(Phase("student", [student_group(one)]), settings) for one in (network, ours)]
    assert [group["fused"] for group in optimizers[1].param_groups] == [True if ON_CUDA else None]
    for step in range(4):
        images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        network(images).square().mean().backward()
        for theirs, own in zip(network.parameters(), ours.parameters(), strict=True):
            assert theirs.grad is not None
            own.grad = torch.empty_like(own).copy_(theirs.grad)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    for theirs, own in zip(network.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(own.cpu(), theirs, rtol=1e-5, atol=1e-6)
