"""Files and calls of kdzoo that three commands pass through: python benchmarks/walks.py [--top N]

A newcomer who follows a command through the code reads these files. Each command runs in a process of its own, on a few
generated images; a call counts where it is made by Python and stands in a module of kdzoo, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

_PHOTOS = {"train": 12, "val": 4}
_SMALL = ("--data", "photos", "--epochs", "1", "--batch-size", "8", "--image-size", "32", "--workers", "0")
_TEACHER = ("train", "--model", "resnet18", *_SMALL, "--out", "teacher")
_STUDENT = ("--student", "cifar_resnet8", "--teacher", "teacher", *_SMALL, "--trust-teacher", "--out", "student")
_SIZES = ("--set", "short_sides=64", "--set", "test_short_side=64")
_DETECT = ("--backbone", "teacher", "--iterations", "2", "--batch-size", "2", *_SIZES, "--workers", "0")
WALKS = {
    "distill": ("distill", "--recipe", "meal_v2", *_STUDENT),
    "eval": ("eval", "student", "--on", "photos", "--workers", "0"),
    "transfer coco": ("transfer", "coco", *_DETECT, "--out", "detector"),
}


def write_data(root: Path) -> None:
    """Photographs of two classes, and four images of COCO with a box each."""
    rng = np.random.default_rng(0)

    def write(path: Path, side: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(path)

    for split, count in _PHOTOS.items():
        for number in range(2 * count):
            write(root / "photos" / split / "ab"[number % 2] / f"{number}.png", 32)
    (root / "coco/annotations").mkdir(parents=True)
    for split in ("train2017", "val2017"):
        names = {number: f"{number:012d}.jpg" for number in range(4)}
        for name in names.values():
            write(root / "coco" / split / name, 64)
        box = {"category_id": 1, "bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}
        document = {
            "images": [{"id": n, "file_name": name, "width": 64, "height": 64} for n, name in names.items()],
            "annotations": [{"id": n + 1, "image_id": n, **box} for n in names],
            "categories": [{"id": 1, "name": "person"}],
        }
        (root / f"coco/annotations/instances_{split}.json").write_text(json.dumps(document))


def walk(arguments: list[str]) -> int:
    """Run a command in this process; writes the calls of each file to ``calls.json``."""
    calls: Counter[str] = Counter()

    def seen(frame: object, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code.co_filename] += 1  # type: ignore[attr-defined]

    sys.setprofile(seen)
    from kdzoo.cli.main import main

    code = main(arguments)
    sys.setprofile(None)
    files = {
        str(getattr(module, "__file__", "")) for name, module in sys.modules.items() if name.split(".")[0] == "kdzoo"
    }
    Path("calls.json").write_text(json.dumps({path: count for path, count in calls.items() if path in files}))
    return code


def main() -> None:
    """Walk, and print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--top", type=int, default=0, metavar="N", help="the N files with the most calls, too")
    parser.add_argument("--walk", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.walk:
        sys.exit(walk(arguments.walk))
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        environment = {**os.environ, "KDZOO_DATA": folder, "OMP_NUM_THREADS": "1"}
        for name, command in {"": _TEACHER, **WALKS}.items():
            program = [sys.executable, os.path.abspath(__file__), "--walk", *command]
            done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name}: {done.stderr}")
            calls = Counter(json.loads(Path(folder, "calls.json").read_text()))
            if name:
                print(f"{name:14} {len(calls):4} files {calls.total():7,} calls")
                for path, count in calls.most_common(arguments.top):
                    print(f"  {count:6,} {path}")


if __name__ == "__main__":
    main()
