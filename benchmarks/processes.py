"""A training step of two gloo processes: kdzoo's updater beside DistributedDataParallel, in turns.

    python benchmarks/processes.py [--model resnet18] [--image-size 64] [--batch-size 16] [--rounds 20]

Both take the same images from memory, with the same weights and SGD. Their losses after the last round must agree, or
nothing is printed. ``alone`` is the step without any exchange.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import timm
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from kdzoo.engine.distributed import Processes
from kdzoo.engine.updater import Updater


def work(rank: int, args: argparse.Namespace) -> None:
    """One of the two processes; the first prints."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    images = torch.randn(args.batch_size, 3, args.image_size, args.image_size).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (args.batch_size,))
    processes = Processes(rank, 2, torch.device("cpu"))
    arms = {
        "kdzoo": ours(network(args.model), images, labels, processes),
        "DDP": plain(nn.parallel.DistributedDataParallel(network(args.model)), images, labels),
        "alone": plain(network(args.model), images, labels),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    losses = {}
    for _ in range(args.rounds + 3):
        for name, step in arms.items():
            dist.barrier()
            began = time.perf_counter()
            losses[name] = step()
            dist.barrier()
            times[name].append(time.perf_counter() - began)
    assert abs(losses["kdzoo"] - losses["DDP"]) < 1e-3 * max(1, losses["DDP"]), losses
    if rank == 0:
        for name, taken in times.items():
            ratios = sorted(one / other for one, other in zip(taken[3:], times["DDP"][3:], strict=True))
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(f"{name:<6} {statistics.median(taken[3:]):.3f} s  / DDP {spread}")


def network(name: str) -> nn.Module:
    """The same weights each time."""
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(name, num_classes=10)
    return model.to(memory_format=torch.channels_last)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of every arm."""
    return torch.optim.SGD([{"params": list(model.parameters()), "lr_scale": 1.0}], lr=0.01, momentum=0.9)


def ours(model: nn.Module, images: Tensor, labels: Tensor, processes: Processes) -> Callable[[], float]:
    """A step of kdzoo's."""
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    updater = Updater(name="student", optimizer=optimizer, parameters=list(model.parameters()), scaler=scaler)

    def terms() -> dict[str, Tensor]:
        optimizer.zero_grad(set_to_none=True)
        return {"loss": nn.functional.cross_entropy(model(images), labels)}

    return lambda: updater.update([terms], processes, lr=0.01, clip_norm=None, step=0)["loss"]


def plain(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], float]:
    """A step of a bare loop, whose loss is averaged too."""
    optimizer = sgd(model)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        mean = loss.detach().double()
        dist.all_reduce(mean)
        loss.backward()
        optimizer.step()
        return float(mean) / 2

    return step


def main() -> None:
    """Start both processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16, help="of each process")
    parser.add_argument("--rounds", type=int, default=20)
    mp.spawn(work, (parser.parse_args(),), nprocs=2)


if __name__ == "__main__":
    main()
