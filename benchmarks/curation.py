"""How many altered copies of evaluation images ``kdzoo curate`` finds, what else it leaves out, and its peak memory.

    python benchmarks/curation.py find --data FOLDER --teacher REF --out DIR
    python benchmarks/curation.py memory --data FOLDER --teacher REF --out DIR --images 8000 80000

FOLDER holds ``val/CLASS/…`` and ``unlabeled/…``. ``find`` plants 200 altered copies of images of ``val/`` among the
unlabeled ones, 40 a kind: re-encoded, resized, cropped to 80 % of each side, brightened, mirrored. ``memory`` takes the
unlabeled images again and again under other names until there are enough. Both call the command, in a process of its
own.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

KINDS = ("re-encoded", "resized", "cropped", "brightened", "mirrored")
COPIES = 200


def altered(image: Image.Image, kind: str, rng: np.random.Generator) -> bytes:
    """An altered copy, as a JPEG file."""
    width, height = image.size
    quality = 95
    if kind == "re-encoded":
        quality = int(rng.integers(40, 76))
    elif kind == "resized":
        scale = float(rng.choice([0.75, 1.5, 2.0]))
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    elif kind == "cropped":
        across, down = round(0.8 * width), round(0.8 * height)
        left, top = int(rng.integers(0, width - across + 1)), int(rng.integers(0, height - down + 1))
        image = image.crop((left, top, left + across, top + down)).resize((width, height), Image.Resampling.BICUBIC)
    elif kind == "brightened":
        image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(1.2, 1.6)))
    else:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def plant(data: Path, folder: Path, seed: int) -> None:
    """A folder of links to the unlabeled images, with the copies among them: ``planted-KIND-CLASS-NAME``."""
    link(data, folder, None)
    rng = np.random.default_rng(seed)
    originals = sorted((data / "val").rglob("*.jpg"))
    for number, position in enumerate(rng.permutation(len(originals))[:COPIES].tolist()):
        original, kind = originals[position], KINDS[number % len(KINDS)]
        with Image.open(original) as image:
            content = altered(image.convert("RGB"), kind, rng)
        (folder / f"planted-{kind}-{original.parent.name}-{original.name}").write_bytes(content)


def link(data: Path, folder: Path, count: int | None) -> None:
    """A folder of links to the unlabeled images, as many as wanted."""
    folder.mkdir(parents=True)
    sources = sorted((data / "unlabeled").rglob("*.jpg"))
    for index in range(len(sources) if count is None else count):
        source = sources[index % len(sources)]
        (folder / f"{source.stem}-{index // len(sources)}.jpg").symlink_to(source.resolve())


def curate(data: Path, folder: Path, teacher: str, out: Path, *extra: str) -> tuple[dict[str, object], int, float]:
    """Run the command; returns what it printed, its peak memory in KiB, and its seconds."""
    command = [sys.executable, "-m", "kdzoo", "curate", "--unlabeled", folder, "--against", data, "--teacher", teacher]
    started = time.perf_counter()
    arguments = [*map(str, command), "--out", str(out), "--device", "cpu", "--json", *extra]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(printed), usage.ru_maxrss, time.perf_counter() - started


def find(arguments: argparse.Namespace) -> None:
    folder = arguments.out / "images"
    plant(arguments.data, folder, arguments.seed)
    curated = arguments.out / "curated"
    result, _, seconds = curate(arguments.data, folder, arguments.teacher, curated, *arguments.extra)
    with open(curated / "near_duplicates.jsonl", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    found, clean, methods = set(), set(), Counter()
    for pair in pairs:
        name = pair["id"]
        if not name.startswith("planted-"):
            clean.add(name)
        elif name.endswith(pair["evaluation_id"].replace("/", "-")):
            found.add(name)
            methods[pair["method"]] += 1
    by_kind = {kind: sum(name.startswith(f"planted-{kind}-") for name in found) for kind in KINDS}
    total = int(str(result["num_images"])) - COPIES
    print(f"found {len(found)} of {COPIES} ({', '.join(f'{kind} {count}' for kind, count in by_kind.items())})")
    print(f"confirmed by {dict(methods)}")
    print(f"left out of {total:,} others: {len(clean)} ({100 * len(clean) / total:.2f} %)")
    print(f"{result['num_compared']:,} pairs compared, {seconds:.0f} s")


def memory(arguments: argparse.Namespace) -> None:
    for count in arguments.images:
        folder, out = arguments.out / f"images-{count}", arguments.out / f"curated-{count}"
        link(arguments.data, folder, count)
        _, peak, seconds = curate(arguments.data, folder, arguments.teacher, out, "--workers", "0", *arguments.extra)
        print(f"{count:,} images: peak {peak / 1024:.0f} MiB, {seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("find", "memory"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, nargs="+", default=[8000, 80000])
    arguments, arguments.extra = parser.parse_known_args()
    (find if arguments.what == "find" else memory)(arguments)


if __name__ == "__main__":
    main()
