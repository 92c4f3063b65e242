"""Training steps on one accelerator: kdzoo beside timm's train.py and a bare loop. One command, under nine minutes.

    python benchmarks/gpu.py --out gpu.json                      # an accelerator; gpu.md lies beside gpu.json
    python benchmarks/gpu.py --device cpu --tiny --skip compile  # tries the script itself; its numbers mean nothing

It needs kdzoo's own packages alone, no network and no data: images are generated, weights are random. In turns, round
by round, each arm takes a few steps of distillation (Hinton's loss and the labels') on the same batches, from
page-locked memory and from JPEG files. Before anything is timed, the loss of the first step must be the same in all
three programs. Each result is printed, and written to --out, as soon as it is there: a run that is cut off keeps what
it has. Where the time of --budget is short, arms are left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

try:
    import timm
    import torch
    import torchvision
    from gpu_arms import Arm, How, Task, bare_arm, kdzoo_arm, shared_batches, store_labels, timm_arm, write_images

    import kdzoo.planning.run
    from kdzoo.base.errors import Interrupted
    from kdzoo.engine.distributed import choose_device
    from kdzoo.engine.signals import StopRequest
except ImportError as error:
    sys.exit(f"missing: {error.name} (kdzoo itself: pip install --no-deps --no-build-isolation -e .)")

GIB = 2**30


@dataclass
class Row:
    """What one arm gave: seconds a step of each round; and once, memory at most beyond networks and optimisers, and how
    often a step waits for everything that is queued."""

    student: str
    data: str
    arm: str
    batch_size: int
    first_loss: float
    seconds: list[float] = field(default_factory=list)
    peak_gib: float | None = None
    synchronisations: int | None = None

    @property
    def median(self) -> float:
        """Seconds a step."""
        return statistics.median(self.seconds)


class Report:
    """What was found so far: printed, and written whole after every group of arms."""

    def __init__(self, args: argparse.Namespace, device: torch.device) -> None:
        self.out: Path = args.out
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
        self.machine = {
            "device": name,
            "cpus": os.cpu_count(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "timm": timm.__version__,
            "torchvision": torchvision.__version__,
            "tiny": args.tiny,
        }
        self.rows: list[Row] = []
        self.notes: list[str] = []
        say(", ".join(f"{key} {value}" for key, value in self.machine.items()))

    def note(self, text: str) -> None:
        """Say something and keep it."""
        say(text)
        self.notes.append(text)

    def write(self) -> None:
        """Write JSON, and the table beside it."""
        document = {"machine": self.machine, "rows": [asdict(row) for row in self.rows], "notes": self.notes}
        for path, text in ((self.out, json.dumps(document, indent=2)), (self.out.with_suffix(".md"), self.table())):
            new = path.with_suffix(f"{path.suffix}.new")
            new.write_text(text + "\n", encoding="utf-8")
            new.replace(path)

    def table(self) -> str:
        """docs/performance.md's table: a line an arm, its ratio to the bare loop and to timm round by round."""
        lines = [
            ", ".join(f"{key} {value}" for key, value in self.machine.items()),
            "",
            "| student, data | arm | ms a step (min to max) | images/s | / bare | / timm | GiB a step | waits |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in self.rows:
            if not row.seconds:
                continue
            lines.append(
                f"| {row.student}, {row.data} | {row.arm} | {1e3 * row.median:.1f} ({1e3 * min(row.seconds):.1f} to "
                f"{1e3 * max(row.seconds):.1f}) | {row.batch_size / row.median:,.0f} | {self.ratio(row, 'bare')} | "
                f"{self.ratio(row, 'timm')} | {'' if row.peak_gib is None else f'{row.peak_gib:.1f}'} | "
                f"{'' if row.synchronisations is None else row.synchronisations} |"
            )
        return "\n".join([*lines, "", *self.notes])

    def ratio(self, row: Row, other: str) -> str:
        """The median of the rounds' ratios to another program on the same data; empty where there is none."""
        alike = (one for one in self.rows if (one.student, one.data) == (row.student, row.data) and one is not row)
        base = next((one for one in alike if one.arm.startswith(other) and one.seconds), None)
        if base is None:
            return ""
        return f"{statistics.median(a / b for a, b in zip(row.seconds, base.seconds, strict=False)):.2f}"


def say(text: str) -> None:
    """Print a line now, with the seconds since the start."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {text}", flush=True)


class Bench:
    """Builds arms, checks their first losses, times them in turns.

    Args:
        args: The command's.
        report: Where results go.
        device: Where it computes.
        stop: A signal ends it where the budget would.
    """

    def __init__(self, args: argparse.Namespace, report: Report, device: torch.device, stop: StopRequest) -> None:
        self.args, self.report, self.device, self.stop = args, report, device, stop
        self.cuda = device.type == "cuda"

    def left(self) -> float:
        """Seconds left of the budget."""
        if self.stop.requested:
            raise Interrupted("benchmark interrupted")
        return float(self.args.budget - (time.monotonic() - BEGAN))

    def wait(self) -> None:
        """Until the accelerator has done what is queued."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def attempt(self, name: str, what: Callable[[], Any], needs: float = 20) -> Any:
        """Do something unless it is skipped or time is short; an error costs this part alone."""
        if any(word in name for word in self.args.skip):
            return self.report.note(f"left out as asked: {name}")
        if self.left() < needs:
            return self.report.note(f"left out, {self.left():.0f} s are left: {name}")
        try:
            return what()
        except Interrupted:
            raise
        except Exception as error:  # whatever goes wrong in one arm, the others are still worth their time
            if self.cuda:
                torch.cuda.empty_cache()
            first = str(error).strip().splitlines()[:1]
            return self.report.note(f"failed: {name}: {type(error).__name__}: {first[0] if first else ''}")

    def warm(self, arm: Arm, row: Row, batches: Any) -> None:
        """The first step and its loss, further ones, then the peak of memory and the waits of one step."""
        arm.first_loss = row.first_loss = float(arm.step(next(batches)))
        for _ in range(self.args.warm):
            arm.step(next(batches))
        self.wait()
        if not self.cuda:
            return
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        held = torch.cuda.memory_allocated(self.device)  # all arms' networks and optimisers
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                arm.step(next(batches))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        self.wait()
        row.synchronisations = sum("synchronizing" in str(one.message) for one in caught)
        row.peak_gib = (torch.cuda.max_memory_allocated(self.device) - held) / GIB

    def in_turns(self, task: Task, data: str, arms: list[Arm], sources: list[Any]) -> None:
        """Time the arms round by round on batches from memory."""
        rows = []
        for arm, source in zip(list(arms), list(sources), strict=True):
            row = Row(task.student, data, arm.name, task.batch_size, float("nan"))

            def warm(arm: Arm = arm, source: Any = source, row: Row = row) -> bool:
                with arm.how.modes():
                    self.warm(arm, row, source)
                return True

            if self.attempt(f"{task.student}, {data}: {arm.name}", warm, needs=30 if not arm.how.compile else 120):
                say(f"{task.student}, {data}: {arm.name}: first loss {row.first_loss:.6f}, peak {row.peak_gib} GiB")
                rows.append((arm, source, row))
        self.check_losses(task, [row for _, _, row in rows])
        self.report.rows += [row for _, _, row in rows]
        for number in range(self.args.rounds):
            if self.left() < 10:
                self.report.note(f"{task.student}, {data}: stopped after {number} rounds, time is short")
                break
            for arm, source, row in rows:
                with arm.how.modes():
                    self.wait()
                    began = time.perf_counter()
                    for _ in range(self.args.steps):
                        arm.step(next(source))
                    self.wait()
                row.seconds.append((time.perf_counter() - began) / self.args.steps)
        for _, _, row in rows:
            self.tell(row)
        self.report.write()

    def check_losses(self, task: Task, rows: list[Row]) -> None:
        """Whatever the precision, all arms begin with about one loss; a CPU's bf16 also rounds timm's loss itself."""
        if len(rows) > 1:
            spread = max(row.first_loss for row in rows) / min(row.first_loss for row in rows) - 1
            self.report.note(f"{task.student}: the first losses of {len(rows)} arms lie within {spread:.1e}")
            if self.cuda and not spread < 0.05:
                raise SystemExit("the arms do not compute the same step: nothing was timed")

    def equal_losses(self, task: Task, batches: list[Any]) -> None:
        """In float32 without TF32 the three programs' first losses are one number."""
        how = How(precision="fp32", tf32="off", only_deterministic=True)
        found: dict[str, float] = {}
        for name, make in (
            ("bare", lambda: bare_arm(task, how, "bare")),
            ("timm", lambda: timm_arm(task, how, "timm")),
            ("kdzoo", lambda: kdzoo_arm(task, how, "loss", self.stop)),
        ):

            def first(make: Callable[[], Arm] = make) -> float:
                arm = make()
                with how.modes():
                    return float(arm.step(next(arm.from_memory(batches))))

            loss = self.attempt(f"{task.student}, first loss: {name}", first)
            if loss is not None:
                found[name] = loss
        bound = 1e-4 if self.cuda else 1e-5
        shown = ", ".join(f"{name} {value:.7f}" for name, value in found.items())
        self.report.note(f"{task.student}, first loss in float32: {shown} (bound {bound:g})")
        if found and not max(found.values()) / min(found.values()) - 1 < bound:
            raise SystemExit("the three programs do not compute the same step: nothing was timed")

    def tell(self, row: Row) -> None:
        """Print one arm's result."""
        if row.seconds:
            say(
                f"{row.student}, {row.data}: {row.arm}: {1e3 * row.median:.1f} ms a step "
                f"({1e3 * min(row.seconds):.1f} to {1e3 * max(row.seconds):.1f}), "
                f"{row.batch_size / row.median:,.0f} images/s, {len(row.seconds)} rounds"
            )

    def from_files(self, task: Task, arms: list[Arm]) -> None:
        """Time the arms round by round on JPEG files; each round begins its loader anew."""
        rows = [Row(task.student, "files", arm.name, task.batch_size, float("nan")) for arm in arms]
        for number in range(self.args.rounds):
            for arm, row in zip(arms, rows, strict=True):

                def measure(arm: Arm = arm) -> float:
                    batches, close = arm.from_files()
                    try:
                        with arm.how.modes():
                            for _ in range(self.args.file_warm):
                                arm.step(next(batches))
                            self.wait()
                            began = time.perf_counter()
                            for _ in range(self.args.file_steps):
                                arm.step(next(batches))
                            self.wait()
                            return (time.perf_counter() - began) / self.args.file_steps
                    finally:
                        close()

                found = self.attempt(f"{task.student}, files: {arm.name}, round {number + 1}", measure)
                if found is not None:
                    row.seconds.append(found)
        self.report.rows += rows
        for row in rows:
            self.tell(row)
        self.report.write()

    def student(self, task: Task) -> None:
        """All eager arms of one student, from memory and from files."""
        stop = self.stop
        epochs = 1
        labels = self.attempt(f"{task.student}: stored labels", lambda: store_labels(task, How(), epochs))
        count = min(self.args.shared, self.args.images // task.batch_size)
        batches = shared_batches(task, stop, labels, count, epochs if labels else 1000)
        self.equal_losses(task, batches)
        sure = How(only_deterministic=True)
        makers: list[tuple[str, Callable[[str], Arm]]] = [
            ("bare", lambda name: bare_arm(task, How(), name)),
            ("timm", lambda name: timm_arm(task, How(tf32="all"), name)),
            ("kdzoo", lambda name: kdzoo_arm(task, sure, name, stop)),
            ("kdzoo, any kernel", lambda name: kdzoo_arm(task, How(), name, stop)),
            ("kdzoo, any kernel, optimiser not fused", lambda name: kdzoo_arm(task, How(fused=False), name, stop)),
            ("kdzoo, any kernel, fp32", lambda name: kdzoo_arm(task, How(precision="fp32"), name, stop)),
            (
                "kdzoo, any kernel, fp32, no TF32",
                lambda name: kdzoo_arm(task, How(precision="fp32", tf32="off"), name, stop),
            ),
        ]
        if labels:
            makers.append(("kdzoo, stored labels", lambda name: kdzoo_arm(task, sure, name, stop, labels, epochs)))
        arms = [self.attempt(f"{task.student}: {name}", lambda m=make, n=name: m(n)) for name, make in makers]
        arms = [arm for arm in arms if arm is not None]
        self.in_turns(task, "memory", arms, [arm.from_memory(batches) for arm in arms])
        three = [arm for arm in arms if arm.name in ("bare", "timm", "kdzoo")]
        self.from_files(task, three)

    def compiled(self, task: Task) -> None:
        """torch.compile, beside the eager arms; compiling takes most of its time."""
        stop = self.stop
        batches = shared_batches(task, stop, None, self.args.shared, 1000)
        how = How(compile=True)
        makers: list[tuple[str, Callable[[str], Arm]]] = [
            ("bare, eager", lambda name: bare_arm(task, How(), name)),
            ("kdzoo, eager, any kernel", lambda name: kdzoo_arm(task, How(), name, stop)),
            ("kdzoo, compile, any kernel", lambda name: kdzoo_arm(task, how, name, stop)),
            ("timm, compile", lambda name: timm_arm(task, How(compile=True, tf32="all"), name)),
        ]
        needs = {"kdzoo, compile, any kernel": 120.0, "timm, compile": 150.0}
        arms = [
            self.attempt(f"{task.student}, compile: {name}", lambda m=make, n=name: m(n), needs.get(name, 60))
            for name, make in makers
        ]
        arms = [arm for arm in arms if arm is not None]
        self.in_turns(task, "memory, compile", arms, [arm.from_memory(batches) for arm in arms])


def arguments() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--budget", type=float, default=520, help="seconds, after which no arm is begun")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="of a turn")
    parser.add_argument("--workers", type=int, default=min(16, os.cpu_count() or 1))
    parser.add_argument("--skip", nargs="*", default=[], help="leave out what has one of these words in its name")
    parser.add_argument("--tiny", action="store_true", help="networks and images that a CPU takes in a minute or two")
    args = parser.parse_args()
    args.students = (("resnet50", "resnet101"), ("mobilenetv3_large_100", "resnet50"))
    args.size, args.images, args.image = 224, 1280, (500, 375)
    args.warm, args.shared, args.file_warm, args.file_steps = 3, 4, 8, 16
    if args.tiny:
        args.students = (("resnet18", "resnet18"), ("mobilenetv3_small_050", "resnet18"))
        args.size, args.images, args.image, args.batch_size = 32, 32, (60, 45), 8
        args.warm, args.shared, args.file_warm, args.file_steps, args.steps = 1, 2, 1, 2, 1
        args.workers = min(args.workers, 1)
    return args


def main() -> None:
    """Run everything that the budget allows."""
    args = arguments()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("missing: a CUDA device (--device cpu --tiny tries the script itself)")
    device = choose_device(args.device)
    # Plans of this size would first be measured in a process of their own, which is no part of a step.
    kdzoo.planning.run.available_bytes = lambda device: None  # type: ignore[attr-defined]
    report = Report(args, device)
    try:
        with tempfile.TemporaryDirectory() as folder, StopRequest() as stop:
            run(Bench(args, report, device, stop), Path(folder))
    except Interrupted as interrupted:
        report.note(interrupted.message)
    finally:
        report.write()
        print(report.table(), flush=True)


def run(bench: Bench, root: Path) -> None:
    """Every student eager, then every student compiled."""
    args = bench.args
    write_images(root / "images", args.images, args.image)
    say(f"{args.images} JPEG images of {args.image[0]}x{args.image[1]} are written")
    tasks = [
        Task(
            student=student,
            teacher=teacher,
            data=root / "images",
            folder=root,
            size=args.size,
            batch_size=args.batch_size,
            workers=args.workers,
            device=bench.device,
        )
        for student, teacher in args.students
    ]
    for task in tasks:
        bench.attempt(task.student, lambda task=task: bench.student(task), needs=60)
    for task in tasks:
        bench.attempt(f"{task.student}, compile", lambda task=task: bench.compiled(task), needs=150)


if __name__ == "__main__":
    main()
