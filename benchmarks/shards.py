"""What opening a set of tar shards costs: ``python benchmarks/shards.py --images 1000000``.

Writes that many tiny images (64 bytes that are none: nothing is decoded) with their labels into shards of 10,000, in
1,000 classes, and prints processor time and peak memory of making the index, of opening the set with it, of its
fingerprint and of holding out a tenth, each in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PER_SHARD, CLASSES = 10_000, 1_000


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def write_shards(folder: Path, images: int) -> None:
    """Headers are made once and their digits replaced: `tarfile` takes longer to write them than kdzoo to read them."""
    blocks = {
        extension: bytearray(header(f"c000/00000000.{extension}", size))
        for extension, size in (("jpg", 64), ("cls", 3))
    }
    zeros = {extension: int(block[148:154], 8) for extension, block in blocks.items()}
    for first in range(0, images, PER_SHARD):
        with open(folder / f"train-{first // PER_SHARD:05d}.tar", "wb") as file:
            for row in range(first, min(first + PER_SHARD, images)):
                label = f"{row * 7919 % CLASSES:03d}"
                digits = f"{label}/{row:08d}".encode()
                for extension, block in blocks.items():
                    block[1:13] = digits
                    block[148:154] = b"%06o" % (zeros[extension] + sum(digits) - sum(b"000/00000000"))
                    content = row.to_bytes(64, "little") if extension == "jpg" else label.encode()
                    file.write(block + content.ljust(512, b"\0"))
            file.write(bytes(1024))


def measure(what: str, spec: str, work: Callable[[str], object]) -> None:
    def run() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        work(spec)
        taken = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{what}: {taken:.2f} s of processor time, peak {peak / 1024:.0f} MiB ({before / 1024:.0f} before)",
            flush=True,
        )

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KDZOO_HOME"] = f"{folder}/home"
        shards = Path(folder) / "shards"
        shards.mkdir()
        write_shards(shards, count)
        from kdzoo.data.specs import open_source

        spec = f"wds:{shards}"
        measure("index", spec, lambda spec: open_source(spec, "train"))
        (index,) = (Path(folder) / "home" / "shards").iterdir()
        print(f"index: {index.stat().st_size / 2**20:.0f} MiB on disk")
        measure("open", spec, lambda spec: open_source(spec, "train"))
        measure("open, fingerprint", spec, lambda spec: open_source(spec, "train").fingerprint())
        measure("open, a tenth held out", spec, lambda spec: open_source(f"{spec}@val-share=0.1", "val"))


if __name__ == "__main__":
    main()
