"""What stored labels save and how close they are: the same run with its teacher and from its stored answers, in turns.

    OMP_NUM_THREADS=1 python benchmarks/labels.py --data FOLDER --rounds 5
    OMP_NUM_THREADS=1 python benchmarks/labels.py --data FOLDER --teacher-run RUN --closeness
    OMP_NUM_THREADS=1 python benchmarks/labels.py --reading

Steps are timed without evaluations. For the time the weights do not matter; for the closeness a trained teacher does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from kdzoo.base.settings import Given
from kdzoo.data import LabelHead, LabelStore, TeacherRecord
from kdzoo.data.label_store import epoch_file, write_document
from kdzoo.planning.label_run import label
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run
from kdzoo.zoo import load_model, save_model


def plan_of(options: argparse.Namespace, **more: object) -> Plan:
    """CRD's pair by default: resnet32x4 teaches resnet8x4."""
    settings = {
        "student.model": options.student,
        "data.dataset": options.data,
        "training.epochs": 1,
        "training.batch_size": options.batch,
        "training.log_every_steps": 1,
        "run.workers": options.workers,
        "run.device": options.device,
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    return resolve("hinton_kd", given={path: Given(value, "benchmark") for path, value in settings.items()})


def compare_time(options: argparse.Namespace, teacher: str, root: Path) -> None:
    """Seconds a step, teacher and labels in turns."""
    ways = {"teacher": {"teachers__models": (teacher,)}}
    for form in ("float32", "top5"):
        (stored,) = label(plan_of(options, **ways["teacher"]), out=root / form, form=form, trust_teacher=True)
        print(
            f"{form}: {stored.bytes_per_label} bytes a label, {stored.images_per_s:.0f} images/s labelled", flush=True
        )
        ways[form] = {"run__labels": str(root / form)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(options.rounds):
        for way, how in ways.items():
            result = run(plan_of(options, **how), out=root / f"{way}-{turn}", trust_teacher=True)
            seconds[way].append(options.batch / result.images_per_s)
        print({way: round(found[-1], 4) for way, found in seconds.items()}, flush=True)
    for form in ("float32", "top5"):
        ratios = [stored / live for stored, live in zip(seconds[form], seconds["teacher"], strict=True)]
        print(
            f"{form} / teacher: median {statistics.median(ratios):.3f}, min {min(ratios):.3f}, max {max(ratios):.3f}; "
            f"{options.rounds} rounds"
        )


def compare_closeness(options: argparse.Namespace, teacher: str, root: Path) -> None:
    """What each form makes of the probabilities, at T = 1 and 4, and of a run's first and last losses."""
    for form in ("float32", "float16", "top5"):
        label(plan_of(options, teachers__models=(teacher,)), out=root / form, form=form, trust_teacher=True)
    exact = LabelStore(root / "float32")
    truth = exact.rows(0, 0, exact.head.rows)
    for form in ("float16", "top5"):
        store = LabelStore(root / form)
        read = store.rows(0, 0, store.head.rows)
        for temperature in (1, 4):
            p, q = ((rows / temperature).double().softmax(dim=1) for rows in (truth, read))
            divergence = (p * (p.log() - q.log())).sum(dim=1).mean()
            print(f"{form} T={temperature}: largest difference {(p - q).abs().max():.2e}, mean KL {divergence:.2e}")
    for temperature in (1.0, 4.0):
        for form in ("float32", "float16", "top5"):
            out = root / f"{form}-{temperature:g}"
            run(plan_of(options, run__labels=str(root / form), objective__temperature=temperature), out=out)
            lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            losses = [line["loss"] for line in lines if line["kind"] == "train"]
            top1 = [line["top1"] for line in lines if line["kind"] == "eval"][-1]
            end = statistics.mean(losses[-20:])
            print(f"{form} T={temperature:g}: first loss {losses[0]:.6f}, the last 20 {end:.4f}, top-1 {top1:.2f}")


def measure_reading(root: Path, *, classes: int = 1000, batch: int = 256, batches: int = 8, turns: int = 5) -> None:
    """Milliseconds in which a batch of labels is packed and read, checksums included."""
    teacher = TeacherRecord(reference="noise", licence=None, sha256="", outputs=classes, features=1)
    logits = 3 * np.random.default_rng(0).standard_normal((batch * batches, classes)).astype(np.float32)
    for form in ("float32", "float16", "top5"):
        fields = {"views": {}, "teachers": (teacher,), "holds_features": False, "class_names": (), "made_by": {}}
        head = LabelHead(form=form, rows=len(logits), **fields)
        began = time.perf_counter()
        content = head.layout.pack(logits, 0, 0)
        packed = 1000 * (time.perf_counter() - began) / batches
        folder = root / form
        folder.mkdir()
        (folder / epoch_file(0)).write_bytes(content)
        entry = {"file": epoch_file(0), "bytes": len(content), "sha256": ""}
        text = write_document(head, {"epochs": [entry], "unfinished": None, "unreadable": {}})
        (folder / "labels.json").write_text(text)
        store, read = LabelStore(folder), []
        for turn in range(turns * batches):
            began = time.perf_counter()
            store.rows(0, turn % batches * batch, batch)
            read.append(1000 * (time.perf_counter() - began))
        print(f"{form}: packed in {packed:.1f} ms, read in {statistics.median(read):.2f} ms (at most {max(read):.2f})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--teacher", default="cifar_resnet32x4", help="an architecture; its weights are random")
    parser.add_argument("--teacher-run", help="a trained teacher, in place of --teacher")
    parser.add_argument("--student", default="cifar_resnet8x4")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--closeness", action="store_true")
    parser.add_argument("--reading", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root, teacher = Path(folder), options.teacher_run
        if options.reading:
            measure_reading(root)
            return
        if teacher is None:
            classes = plan_of(options, teachers__models=(options.teacher,)).facts.num_classes
            save_model(load_model(options.teacher, num_classes=classes, seed=1), root / "teacher", provenance={})
            teacher = str(root / "teacher")
        (compare_closeness if options.closeness else compare_time)(options, teacher, root)


if __name__ == "__main__":
    main()
