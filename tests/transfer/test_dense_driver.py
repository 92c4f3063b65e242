"""Dense runs under the driver of every run: best checkpoints, precision, trackers, errors, checkpoints of before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdzoo.base.errors import CheckpointError, DivergedError, Interrupted
from kdzoo.engine.checkpoint import checkpoint_path, save_checkpoint
from kdzoo.engine.distributed import Processes
from kdzoo.engine.signals import StopRequest
from kdzoo.engine.state_file import read_state
from kdzoo.transfer.dense import DenseEvaluation, DenseJob, IterationSchedule, parameter_groups, train_dense

CPU = Processes(0, 1, torch.device("cpu"))


def inputs(index: int) -> Tensor:
    return torch.linspace(-1, 1, 12).reshape(4, 3) * (1 + index % 3)


def squares(model: nn.Module, batch: Tensor, device: torch.device) -> dict[str, Tensor]:
    return {"square": (model(batch) - batch.sum(dim=1, keepdim=True)).square().mean()}


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., DenseJob]:
    """A regression of four numbers in six steps whose evaluations are the given ones, the last of them for ever."""

    def make(*values: float, **changes: Any) -> DenseJob:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        given: Iterator[float] = iter(values)

        def evaluate(network: nn.Module) -> DenseEvaluation:
            assert not network.training
            return DenseEvaluation("AP", {"AP": next(given), "AP50": 1.0}, 4, {"per_class": [None, 2.0]})

        groups = parameter_groups(model, stage_of={}, weight_decay=0.01)
        job = DenseJob(
            title="a line",
            name="backbone",
            model=model,
            optimizer=torch.optim.SGD(groups, lr=0.1, momentum=0.9),
            lr=0.1,
            schedule=IterationSchedule(iterations=6),
            load=inputs,
            losses=squares,
            evaluate=evaluate,
            batch_size=4,
            seed=0,
            workers=0,
            out=tmp_path / "out" / "backbone-seed0",
            resume=False,
            config={},
            fixed={"seed": 0},
            log_every=2,
            checkpoint_every=3,
        )
        return replace(job, **changes)

    return make


def run(job: DenseJob) -> dict[str, Any]:
    return train_dense(job, CPU, StopRequest())


def lines_of(job: DenseJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / "metrics.jsonl").read_text().splitlines()]


def test_the_best_checkpoint_is_kept_and_the_last_is_the_result(make_job: Callable[..., DenseJob]) -> None:
    job = make_job(20.0, 30.0, 25.0, evaluate_every=2)
    result = run(job)
    assert result["metrics"] == {"AP": 25.0, "AP50": 1.0}
    assert result["per_class"] == [None, 2.0]
    assert result["best"] == {"step": 4, "value": 30.0}
    best = read_state(job.out / "checkpoints" / "best.safetensors")
    assert best["position"]["step"] == 4
    assert not torch.equal(best["model"]["weight"], job.model.state_dict()["weight"])
    assert [(line["step"], line["AP"]) for line in lines_of(job) if line["kind"] == "eval"] == [
        (2, 20),
        (4, 30),
        (6, 25),
    ]


def test_evaluating_on_the_way_changes_no_weight(make_job: Callable[..., DenseJob]) -> None:
    often, once = make_job(1.0, 2.0, 3.0, evaluate_every=2), make_job(3.0)
    once = replace(once, out=once.out.with_name("once"))
    run(often)
    assert run(once)["best"] == {"step": 6, "value": 3.0}
    assert all(torch.equal(often.model.state_dict()[name], value) for name, value in once.model.state_dict().items())


def test_a_signal_is_answered_as_in_every_run_and_the_run_goes_on(make_job: Callable[..., DenseJob]) -> None:
    whole = make_job(7.0)
    run(replace(whole, out=whole.out.with_name("whole")))
    stop = StopRequest()

    def losses(model: nn.Module, batch: Tensor, device: torch.device) -> dict[str, Tensor]:
        if job.optimizer.state and len(lines_of(job)) == 2:
            stop.received = 15  # type: ignore[assignment]
        return squares(model, batch, device)

    job = make_job(7.0, losses=losses)
    with pytest.raises(
        Interrupted, match="training interrupted after step 5 of 6; everything so far is saved"
    ) as caught:
        train_dense(job, CPU, stop)
    assert caught.value.hint == f"run the same command again with --resume --out {job.out.parent}"
    rest = make_job(7.0, resume=True)
    run(rest)
    assert all(torch.equal(whole.model.state_dict()[name], value) for name, value in rest.model.state_dict().items())
    assert lines_of(rest) == lines_of(replace(whole, out=whole.out.with_name("whole")))


def test_a_checkpoint_of_before_there_was_a_position_is_gone_on_with(make_job: Callable[..., DenseJob]) -> None:
    whole = make_job(7.0)
    run(whole)
    at_three = read_state(checkpoint_path(whole.out / "checkpoints", 3))
    position = at_three.pop("position")
    job = make_job(7.0, out=whole.out.with_name("old"), resume=True)
    (job.out / "checkpoints").mkdir(parents=True)
    (job.out / "config.json").write_text(json.dumps({"fixed": {"seed": 0}}))
    (job.out / "metrics.jsonl").write_bytes((whole.out / "metrics.jsonl").read_bytes())
    del at_three["scaler"]
    logged = {name: value for name, value in position.items() if name.startswith("metrics_")}
    sums = {"total": position["sums"], "count": position["count"]}
    save_checkpoint(job.out / "checkpoints", 3, {**at_three, "step": 3, "sums": sums, **logged})
    run(job)
    assert all(torch.equal(whole.model.state_dict()[name], value) for name, value in job.model.state_dict().items())
    assert lines_of(job) == lines_of(whole)


def test_a_loss_that_is_not_finite_is_the_error_of_every_run(make_job: Callable[..., DenseJob]) -> None:
    job = make_job(1.0, losses=lambda model, batch, device: {"square": model(batch).sum() * float("nan")})
    before = job.model.weight.detach().clone()
    with pytest.raises(DivergedError, match=r"the 'square' term of phase 'backbone' became nan at step 0") as caught:
        run(job)
    assert "--lr" in str(caught.value.hint)
    assert torch.equal(before, job.model.weight)


def test_another_network_does_not_take_the_checkpoint(make_job: Callable[..., DenseJob]) -> None:
    run(make_job(1.0))
    other = make_job(1.0, model=nn.Linear(2, 1), resume=True)
    (other.out / "result.json").unlink()
    with pytest.raises(CheckpointError, match="does not fit this run") as caught:
        run(other)
    assert caught.value.hint == "resume with the model and settings that the run was started with"


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_precision_is_that_of_training(precision: str, kind: torch.dtype, make_job: Callable[..., DenseJob]) -> None:
    kinds: set[torch.dtype] = set()

    def losses(model: nn.Module, batch: Tensor, device: torch.device) -> dict[str, Tensor]:
        kinds.add(model(batch).dtype)
        return squares(model, batch, device)

    job = make_job(1.0, losses=losses, precision=precision)
    before = job.model.weight.detach().clone()
    run(job)
    assert kinds == {kind}
    assert not torch.equal(before, job.model.weight)
    assert job.model.weight.dtype == torch.float32
    scaler = read_state(checkpoint_path(job.out / "checkpoints", 6))["scaler"]
    assert bool(scaler) == (precision == "fp16")


@pytest.mark.parametrize(("exact", "benchmark"), [(True, True), (False, True), (False, False)])
def test_kernels_are_those_that_the_job_names(exact: bool, benchmark: bool, make_job: Callable[..., DenseJob]) -> None:
    seen: set[tuple[bool, bool]] = set()

    def losses(model: nn.Module, batch: Tensor, device: torch.device) -> dict[str, Tensor]:
        seen.add((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark))
        return squares(model, batch, device)

    run(make_job(1.0, losses=losses, deterministic=exact, cudnn_benchmark=benchmark))
    assert seen == {(exact, benchmark and not exact)}


def test_trackers_get_the_lines_of_dense_runs(
    make_job: Callable[..., DenseJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kept:
        def __init__(self) -> None:
            self.lines: list[dict[str, Any]] = []

        def log(self, line: dict[str, Any], step: int) -> None:
            self.lines.append(line)

        def close(self) -> None:
            self.lines.append({"kind": "closed"})

    kept = Kept()
    monkeypatch.setattr("kdzoo.engine.run_log.open_trackers", lambda names, folder, config: [kept] if names else [])
    run(make_job(1.0, trackers=("tensorboard",)))
    assert [line["kind"] for line in kept.lines] == [*["train", "speed"] * 3, "eval", "closed"]
