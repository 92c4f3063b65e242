"""Two gloo processes against one: gradients, counts and batches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fork_server import ForkServer

from kdzoo.base.errors import UsageError
from kdzoo.engine.distributed import (
    Processes,
    choose_device,
    convert_sync_batchnorm,
    share_batch,
    start_processes,
)

_PROGRAM = """
import json, sys, torch
import numpy as np
from kdzoo.engine import gradients
from kdzoo.engine.distributed import start_processes
p = start_processes("cpu")
gradients._BUCKET_BYTES = 40
both, one, none = (torch.nn.Parameter(torch.ones(3)) for _ in range(3))
square = torch.nn.Parameter(torch.ones(2, 3, 2, 2).to(memory_format=torch.channels_last))
half = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
parameters = [both, one, none, square, half]
average = gradients.GradientAverage(parameters, p)
for turn in range(2):
    for parameter in parameters:
        parameter.grad = None
    (both.sum() * p.rank).backward()  # a part before: averaged with the last one
    loss = both.sum() * 2 + (square * torch.arange(24.0).reshape(2, 3, 2, 2)).sum() * p.rank + half.sum() * p.rank
    with average.during():
        (loss + one.sum() * 4 if p.rank else loss).backward()
answer = {
    "gradients": [parameter.grad if parameter.grad is None else parameter.grad.tolist() for parameter in parameters],
    "layout": square.grad.is_contiguous(memory_format=torch.channels_last),
    "buckets": len(average._buckets),
    "mean": p.start_mean(torch.tensor([p.rank, 10.0]))(),
    "nan": p.start_mean(torch.tensor([float("nan") if p.rank else 1.0]))(),
    "sum": p.sum([1.0, p.rank]),
    "batch": p.gather_batch(torch.tensor([[p.rank, p.rank]])).tolist(),
    "partners": [
        p.partner_rows((torch.arange(4) + 4 * p.rank).byte()[:, None].expand(4, 3), np.array(partners)).tolist()
        for partners in ([7, 3, 0, 4, 1, 2, 6, 5], [0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 0, 1, 2, 3])
    ],
    "objects": p.gather_objects({"rank": p.rank}),
}
module = torch.nn.BatchNorm1d(2)
module.running_mean += p.rank
p.copy_buffers_from_main([module])
answer["buffer"] = module.running_mean.tolist()
open(f"{sys.argv[1]}/{p.rank}.json", "w").write(json.dumps(answer))
p.stop()
"""


def test_two_processes_agree(tmp_path: Path, fork_server: ForkServer) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    fork_server.run(program, tmp_path, processes=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    partners = [[[row] * 3 for row in order] for order in ([7, 3, 0, 4], [0, 1, 2, 3], [4, 5, 6, 7])]
    assert first.pop("partners") == partners
    partners = [[[row] * 3 for row in order] for order in ([1, 2, 6, 5], [4, 5, 6, 7], [0, 1, 2, 3])]
    assert second.pop("partners") == partners
    assert str(first) == str(second)
    square = (torch.arange(24.0).reshape(2, 3, 2, 2) / 2).tolist()
    assert first["gradients"] == [[2.5] * 3, [2.0] * 3, None, square, [0.5] * 2]
    assert first["layout"]
    assert first["buckets"] == 3
    assert first["mean"] == [0.5, 10.0]
    assert first["nan"][0] != first["nan"][0]
    assert first["sum"] == [2.0, 1.0]
    assert first["batch"] == [[0, 0], [1, 1]]
    assert first["objects"] == [{"rank": 0}, {"rank": 1}]
    assert first["buffer"] == [0.0, 0.0]


def test_a_batch_must_divide() -> None:
    assert share_batch(512, 8, 2) == 64
    with pytest.raises(UsageError, match="does not divide"):
        share_batch(100, 3, 1)


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        choose_device(name)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="'cuda:2' asked for, but torch sees 2 CUDA devices"):
        choose_device("cuda:2")


def test_more_processes_than_devices_are_refused_unless_they_are_told_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("RANK", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="2 processes were started here, and torch sees 1 CUDA devices") as error:
        start_processes("cuda")
    assert "--device cuda:0" in str(error.value.hint)


def test_synchronised_batchnorm_is_refused_where_torch_has_none() -> None:
    network, cpu = torch.nn.BatchNorm2d(3), torch.device("cpu")
    assert convert_sync_batchnorm(network, Processes(0, 1, cpu)) is network
    with pytest.raises(UsageError, match="synchronised BatchNorm needs CUDA devices") as error:
        convert_sync_batchnorm(network, Processes(0, 2, cpu))
    assert error.value.hint == "--set training.sync_batchnorm=false"
