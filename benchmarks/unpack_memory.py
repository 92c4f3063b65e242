"""Peak memory and speed of `kdzoo data unpack` on a parquet file made on the fly.

python benchmarks/unpack_memory.py --megabytes 400 --rows-per-group 100
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write_copy(folder: Path, megabytes: int, rows_per_group: int) -> int:
    """JPEGs of 500x375 with some noise, in ten classes, as `datasets` writes them; the number of rows."""
    import pyarrow as pa
    from PIL import Image
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
    pixels = np.clip(np.asarray(coarse, dtype=np.int16) + rng.integers(-30, 31, (375, 500, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=90)
    image = buffer.getvalue()
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": [f"class {n}" for n in range(10)]},
    }
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    num_rows = megabytes * 1_000_000 // len(image)
    (folder / "data").mkdir(parents=True)
    with parquet.ParquetWriter(folder / "data" / "train-00000-of-00001.parquet", schema) as writer:
        for first in range(0, num_rows, rows_per_group):
            # A comment of its own after the picture: dictionary encoding must not fold all rows into one.
            rows = range(first, min(first + rows_per_group, num_rows))
            images = [{"bytes": image + row.to_bytes(8, "big"), "path": f"{row}.jpg"} for row in rows]
            labels = [row % 10 for row in rows]
            writer.write_table(
                pa.table({"image": images, "label": labels}, schema=schema), row_group_size=rows_per_group
            )
    return num_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument(
        "--rows-per-group", type=int, default=100, help="`datasets` writes images in groups of 100 rows"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "hub"
        # In another process: what writing takes is not what unpacking takes.
        call = f"import unpack_memory as m, pathlib; m.write_copy(pathlib.Path({str(folder)!r}), {options.megabytes}, "
        subprocess.run(
            [sys.executable, "-c", f"{call}{options.rows_per_group})"], check=True, cwd=Path(__file__).parent
        )
        from pyarrow import parquet

        from kdzoo.data.hub_copy import unpack

        file = next((folder / "data").iterdir())
        assert parquet.ParquetFile(file)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.monotonic()
        done = unpack(folder, Path(place) / "out")
        seconds = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{file.stat().st_size / 1e6:.0f} MB, {done.num_written:,} images in {seconds:.0f} s "
            f"({done.num_written / seconds:.0f} images/s); peak {peak:.0f} MiB, {before:.0f} MiB of them before"
        )


if __name__ == "__main__":
    main()
