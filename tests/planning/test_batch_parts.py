"""A batch that does not fit into memory is run in parts; nothing is measured where nothing can go wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kdzoo.base.errors import RunError
from kdzoo.engine.distributed import Processes
from kdzoo.planning import batch_parts, memory
from kdzoo.planning.batch_parts import ACCUMULATE, fit_batch, output_bytes, too_large, with_recorded_parts
from kdzoo.planning.bench import ChildFailedError, MeasuredStep, measure_in_child
from kdzoo.planning.models import student_of
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.zoo import load_model

from .conftest import small_plan

CPU = Processes(0, 1, torch.device("cpu"))
MB = 1_000_000


def pretend(
    monkeypatch: pytest.MonkeyPatch, an_image: int, *, keeps_all: bool = False, error: Exception | None = None
) -> list[Any]:
    """A measuring process whose steps take 50 MB and so much an image; returns what it was asked for."""
    asked: list[Any] = []

    def measured(plan: Plan, num_classes: int, device: Any, steps: Any, *, labels_only: bool) -> list[MeasuredStep]:
        asked.append(steps)
        if error is not None:
            raise error
        sizes = [size if keeps_all else size // parts for size, parts in steps]
        return [
            MeasuredStep(batch_size=size, parts=parts, seconds=1.0, bytes=50 * MB + an_image * at_once)
            for (size, parts), at_once in zip(steps, sizes, strict=True)
        ]

    monkeypatch.setattr(batch_parts, "measure_in_child", measured)
    return asked


@pytest.mark.parametrize(("name", "size"), [("cifar_resnet8", 32), ("mobilenetv3_small_050", 64)])
def test_the_bound_of_an_image_is_no_less_than_what_a_training_step_keeps_of_it(name: str, size: int) -> None:
    loaded = load_model(name, num_classes=10)
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        kept.append(tensor)
        return tensor

    kept: list[Tensor] = []
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    bound = output_bytes(loaded, (size, size))
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.model.state_dict().items())
    loaded.model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loaded.model(torch.randn(4, 3, size, size))
    weights = {parameter.untyped_storage().data_ptr() for parameter in loaded.model.parameters()}
    of_images = sum(size for place, size in storages.items() if place not in weights)
    assert of_images / 4 <= bound < 8 * of_images / 4


def test_a_run_far_below_the_free_memory_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, MB)
    plan = small_plan("supervised")
    found, need = fit_batch(plan, student_of(plan, 10), [], CPU, 2_000 * MB)
    assert (found, asked) == (plan, [])
    assert need is not None
    assert (need.measured, need.fits, need.parts) == (False, True, 1)
    assert fit_batch(plan, student_of(plan, 10), [], CPU, None) == (plan, None)


def test_a_batch_that_does_not_fit_is_split_into_the_fewest_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, MB)
    plan = small_plan("supervised")
    found, need = fit_batch(plan, student_of(plan, 10), [], CPU, 150 * MB)  # 256 images of 1 MB
    assert need is not None
    assert (found.recipe.training.accumulate, need.part_images, need.fits) == (4, 64, True)
    assert found.recipe.training.batch_size == 256
    assert found.sources[ACCUMULATE].startswith("memory: a batch of 256 takes about")
    (line,) = found.adapted
    assert "4 parts of 64 images" in line
    assert "BatchNorm's statistics are those of a part" in line
    own = replace(plan, recipe=replace(plan.recipe, training=replace(plan.recipe.training, accumulate=8)))
    assert fit_batch(own, student_of(plan, 10), [], CPU, 150 * MB)[0] == own, "what was asked for is never undone"


def test_parts_that_save_nothing_are_not_taken_for_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, MB, keeps_all=True)
    plan = small_plan("supervised")
    found, need = fit_batch(plan, student_of(plan, 10), [], CPU, 150 * MB)
    assert found == plan
    assert need is not None
    assert not need.fits


@pytest.mark.parametrize("error", [None, ChildFailedError("killed", for_want_of_memory=True)])
def test_what_cannot_fit_is_refused_before_anything_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception | None
) -> None:
    pretend(monkeypatch, 200 * MB, error=error)
    monkeypatch.setattr("kdzoo.planning.run.available_bytes", lambda device: 100 * MB)
    with pytest.raises(RunError, match=r"a step of 2 images takes about .* 100 MB are free") as caught:
        run(small_plan("supervised"), out=tmp_path / "run")
    assert "--image-size (now 16)" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


def test_a_batch_that_no_number_divides_names_that_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, MB)
    plan = small_plan("supervised", training__batch_size=251)
    _, need = fit_batch(plan, student_of(plan, 10), [], CPU, 150 * MB)
    assert need is not None
    assert not need.fits
    assert "a power of two" in str(too_large(plan, need).hint)


def test_a_failed_measurement_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, MB, error=ChildFailedError("no such device", for_want_of_memory=False))
    plan = small_plan("supervised")
    assert fit_batch(plan, student_of(plan, 10), [], CPU, 150 * MB) == (plan, None)


def test_the_chosen_parts_are_the_runs_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    asked = pretend(monkeypatch, MB)
    monkeypatch.setattr("kdzoo.planning.run.available_bytes", lambda device: 150 * MB)
    plan, out = small_plan("supervised"), tmp_path / "run"
    run(plan, out=out)
    assert "it is run in 4 parts of 64 images" in capsys.readouterr().err
    config = json.loads((out / "config.json").read_text())
    assert config["fixed"][ACCUMULATE] == config["settings"][ACCUMULATE]["value"] == 4
    assert len(config["adapted"]) == len(asked) == 1
    monkeypatch.setattr("kdzoo.planning.run.available_bytes", lambda device: 10**12)
    run(plan, out=out, resume=True)  # with more memory, it is still the run that was begun
    assert len(asked) == 1
    assert with_recorded_parts(plan, out).recipe.training.accumulate == 4
    assert with_recorded_parts(plan, tmp_path / "other") == plan


@pytest.mark.slow
def test_the_estimate_holds_for_the_real_step() -> None:
    plan = small_plan("supervised", data__augmentation__image_size=32, training__batch_size=1024)
    student = student_of(plan, 10)
    free = 700 * MB
    found, need = fit_batch(plan, student, [], CPU, free)
    assert need is not None
    assert need.measured
    parts = found.recipe.training.accumulate
    assert parts > 1
    (step,) = measure_in_child(plan, 10, torch.device("cpu"), [(1024, parts)])
    assert 0.4 * need.bytes < step.bytes < free
    (whole,) = measure_in_child(plan, 10, torch.device("cpu"), [(1024, 1)])
    assert step.bytes < whole.bytes < 1.3 * need.whole_batch


def test_a_control_groups_limit_counts_and_files_that_were_read_do_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "groups" / "jobs" / "mine"
    own.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/jobs/mine\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "cgroup")
    (own / "memory.max").write_text("max\n")
    (own / "memory.current").write_text(f"{60 * MB}\n")
    free = memory.available_host_bytes()
    assert free is None or free > 100 * MB
    (own.parent / "memory.max").write_text(f"{100 * MB}\n")
    (own.parent / "memory.current").write_text(f"{80 * MB}\n")
    assert memory.available_host_bytes() == 20 * MB
    (own.parent / "memory.stat").write_text(f"anon 1\ninactive_file {30 * MB}\nactive_file {10 * MB}\n")
    assert memory.available_host_bytes() == 60 * MB
