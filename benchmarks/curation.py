"""How many altered copies of evaluation images ``kdzoo curate`` finds, what else it leaves out, and its peak memory.

    python benchmarks/curation.py find --data FOLDER --teacher REF --out DIR
    python benchmarks/curation.py memory --teacher REF --out DIR --images 8000 80000

FOLDER holds ``val/CLASS/…`` and ``unlabeled/…``. ``find`` plants 200 altered copies of images of ``val/`` among the
unlabeled ones, 40 a kind: re-encoded, resized, cropped to 80 % of each side, brightened, mirrored. ``memory`` makes its
own images (see `scene`), one copy of an evaluation image among every hundred. Both call the command, in a process of
its own. What neither knows is passed on to it.
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
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

KINDS = ("re-encoded", "resized", "cropped", "brightened", "mirrored")
COPIES = 200
SCENE = 64  # pixels
EVALUATION = 2000  # scenes that are evaluation images; they fill two folders, which are their classes
EVALUATION_SEED = 10**9


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
    link(data, folder)
    rng = np.random.default_rng(seed)
    originals = sorted((data / "val").rglob("*.jpg"))
    for number, position in enumerate(rng.permutation(len(originals))[:COPIES].tolist()):
        original, kind = originals[position], KINDS[number % len(KINDS)]
        with Image.open(original) as image:
            content = altered(image.convert("RGB"), kind, rng)
        (folder / f"planted-{kind}-{original.parent.name}-{original.name}").write_bytes(content)


def link(data: Path, folder: Path) -> None:
    """A folder of links to the unlabeled images."""
    folder.mkdir(parents=True)
    for source in sorted((data / "unlabeled").rglob("*.jpg")):
        (folder / f"{source.stem}-0.jpg").symlink_to(source.resolve())


@cache
def textures() -> np.ndarray:
    """Patterns with a natural image's spectrum, of mean 0 and deviation 1: float32, (64, 256, 256, 3)."""
    rng = np.random.default_rng(0)
    side = 4 * SCENE
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    found = np.empty((64, side, side, 3), dtype=np.float32)
    for pattern in found:
        spectrum = np.fft.rfft2(rng.standard_normal((3, side, side))) / frequency ** rng.uniform(0.9, 1.3)
        plane = np.fft.irfft2(spectrum, s=(side, side))
        plane = np.einsum("ij,jhw->hwi", np.full((3, 3), 0.3) + np.diag(rng.uniform(0.1, 0.5, 3)), plane)
        pattern[:] = (plane - plane.mean()) / plane.std()
    return found


def scene(seed: int) -> Image.Image:
    """A picture of 64 pixels: ground, haze and a few things in front, all textured."""
    rng = np.random.default_rng(seed)
    patterns = textures()

    def textured() -> np.ndarray:
        top, left = rng.integers(0, patterns.shape[1] - SCENE, 2)
        window = patterns[rng.integers(len(patterns)), top : top + SCENE, left : left + SCENE]
        return rng.uniform(40, 215, 3).astype(np.float32) + np.float32(rng.uniform(8, 35)) * window

    vertical, horizontal = np.mgrid[:SCENE, :SCENE].astype(np.float32) / SCENE
    picture = textured() + (vertical[..., None] - 0.5) * rng.uniform(-90, 90, 3).astype(np.float32)
    for _ in range(int(rng.integers(1, 5))):
        down, across, height, width = (*rng.uniform(0.1, 0.9, 2), *rng.uniform(0.08, 0.4, 2))
        power = int(rng.choice([2, 8]))  # an ellipse, or nearly a rectangle
        inside = ((vertical - down) / height) ** power + ((horizontal - across) / width) ** power < 1
        picture[inside] = textured()[inside]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def make_scenes(folder: Path, numbers: range, copies_of: int = 0) -> None:
    """JPEG files, a thousand a folder; one in a hundred an altered copy of one of the first ``copies_of`` scenes."""
    for number in numbers:
        place = folder / f"{number // 1000:04d}" / f"{number:07d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        if copies_of and number % 100 == 0:
            rng = np.random.default_rng(number)
            original = scene(EVALUATION_SEED + int(rng.integers(copies_of)))
            place.write_bytes(altered(original, KINDS[int(rng.integers(len(KINDS)))], rng))
        else:
            scene(number if copies_of else EVALUATION_SEED + number).save(place, quality=90)


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
    data = arguments.out / "data"
    make_scenes(data / "val", range(EVALUATION), 0)
    for count in arguments.images:
        folder, out = arguments.out / f"images-{count}", arguments.out / f"curated-{count}"
        make_scenes(folder, range(count), EVALUATION)
        result, peak, seconds = curate(data, folder, arguments.teacher, out, "--workers", "0", *arguments.extra)
        print(
            f"{count:,} images: peak {peak / 1024:.1f} MiB, {seconds:.0f} s, "
            f"{result['num_compared']:,} pairs compared, {result['num_duplicates']:,} left out",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("find", "memory"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, nargs="+", default=[8000, 80000])
    arguments, arguments.extra = parser.parse_known_args()
    if arguments.what == "find" and arguments.data is None:
        parser.error("find needs --data FOLDER")
    (find if arguments.what == "find" else memory)(arguments)


if __name__ == "__main__":
    main()
