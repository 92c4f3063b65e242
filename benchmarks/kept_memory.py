"""What keeping freed memory is worth on a CPU (glibc): processor time and peak memory with and without, in turns.

    OMP_NUM_THREADS=1 python benchmarks/kept_memory.py                           # forward passes, without gradients
    OMP_NUM_THREADS=1 python benchmarks/kept_memory.py resnet18 --train --steps 40 --size 64

Every measurement has a process of its own, forked from one that has computed nothing: glibc's settings cannot be taken
back. The last answers are compared byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import statistics
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

import timm
import torch

from kdzoo.engine.allocator import KEEP_MEMORY, keep_freed_memory

NETWORKS = ("tf_efficientnet_lite0", "mobilenetv3_large_100", "resnet18", "vit_tiny_patch16_224", "resnet50")


class Measured(NamedTuple):
    """One process: processor seconds a step, peak resident MiB after the third step and at last, and the answer."""

    seconds: float
    early_mib: float
    peak_mib: float
    digest: str


def measure(network: str, kept: str, args: argparse.Namespace, told: Connection) -> None:
    """Run a network in this process, which has computed nothing yet."""
    os.environ[KEEP_MEMORY] = kept
    keep_freed_memory()
    torch.manual_seed(0)
    sized = {"img_size": args.size} if network.startswith("vit") else {}
    model = timm.create_model(network, pretrained=False, **sized)
    model = model.to(memory_format=torch.channels_last).train(args.train)  # type: ignore[call-overload]
    images = torch.randn(args.batch_size, 3, args.size, args.size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    times, peaks = [], []
    for _ in range(args.steps + 1):
        began = time.process_time()
        with torch.set_grad_enabled(args.train):
            answer = model(images)
        if args.train:
            optimizer.zero_grad()
            answer.square().mean().backward()
            optimizer.step()
        times.append(time.process_time() - began)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    digest = hashlib.sha256(answer.detach().numpy().tobytes()).hexdigest()
    told.send(Measured(statistics.median(times[1:]), peaks[min(2, args.steps)], peaks[-1], digest))


def in_a_process(network: str, kept: str, args: argparse.Namespace) -> Measured:
    """What `measure` finds in a forked process."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=measure, args=(network, kept, args, there))
    process.start()
    found: Measured = here.recv()
    process.join()
    return found


def main() -> None:
    """Print a row a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    print("| network | CPU s a step | with memory kept | ratio (min to max) | peak MiB, third step and last | kept |")
    print("|---|---|---|---|---|---|")
    for network in args.networks:
        rounds = [(in_a_process(network, "0", args), in_a_process(network, "1", args)) for _ in range(args.rounds)]
        if len({one.digest for both in rounds for one in both}) != 1:
            raise SystemExit(f"{network}: the answers differ")
        ratios = [kept.seconds / freed.seconds for freed, kept in rounds]
        cells = [network]
        cells += [f"{statistics.median(one.seconds for one in side):.2f}" for side in zip(*rounds, strict=True)]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        for side in zip(*rounds, strict=True):
            early, peak = (statistics.median(values) for values in zip(*(one[1:3] for one in side), strict=True))
            cells.append(f"{early:,.0f}, {peak:,.0f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
