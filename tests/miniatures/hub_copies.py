"""Miniatures of image data sets as the Hugging Face Hub keeps them: real parquet files with a few tiny pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

CLASSES = ("banded", "blotchy", "braided")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(label: int, seed: int, form: str = "JPEG") -> bytes:
    """A picture of 12x10, in the colour of its class."""
    rng = np.random.default_rng(1000 * label + seed)
    colour = np.random.default_rng(77 + label).integers(0, 256, 3)
    pixels = np.clip(colour + rng.integers(-20, 21, (10, 12, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=form)
    return buffer.getvalue()


def features(names: Sequence[str] | None = CLASSES, **more: Any) -> dict[bytes, bytes]:
    """The metadata that `datasets` writes into a file."""
    label = {"_type": "Value", "dtype": "int64"} if names is None else {"_type": "ClassLabel", "names": list(names)}
    described = {"image": {"_type": "Image"}, "label": label, **more}
    return {b"huggingface": json.dumps({"info": {"features": described}}).encode()}


def write_shard(
    path: Path,
    labels: Sequence[Any],
    *,
    images: Sequence[Any] | None = None,
    metadata: dict[bytes, bytes] | None = None,
    label_type: Any = None,
    image_type: Any = IMAGE,
    label_column: str = "label",
    image_column: str = "image",
    more: dict[str, Any] | None = None,
    first: int = 0,
) -> list[bytes]:
    """One parquet file; the images' bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = [encoded(abs(label) if isinstance(label, int) else 0, first + row) for row, label in enumerate(labels)]
    if images is None:
        in_struct = pa.types.is_struct(image_type)
        images = [{"bytes": one, "path": f"{row}.jpg"} if in_struct else one for row, one in enumerate(contents)]
    columns = {
        image_column: pa.array(images, image_type),
        label_column: pa.array(labels, label_type),
        **{name: pa.array(values) for name, values in (more or {}).items()},
    }
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path, row_group_size=4)
    return contents


def write_copy(root: Path, *, names: Sequence[str] = CLASSES, train: int = 6, test: int = 3) -> Path:
    """data/train in two shards and data/test in one, names in the files, as push_to_hub leaves it."""
    for shard in range(2):
        labels = [row % len(names) for row in range(train * len(names) // 2)]
        write_shard(
            root / "data" / f"train-{shard:05d}-of-00002.parquet", labels, metadata=features(names), first=100 * shard
        )
    labels = [row % len(names) for row in range(test * len(names))]
    write_shard(root / "data" / "test-00000-of-00001.parquet", labels, metadata=features(names), first=500)
    return root


README = """---
license: other
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': zebra
          '1': ant
  splits:
  - name: train
    num_examples: 4
  - name: holdout
    num_examples: 2
configs:
- config_name: default
  data_files:
  - split: train
    path: data/part-*
  - split: holdout
    path:
    - data/held.parquet
---
# A data set
"""
"""Names and splits in the front matter, in the other form that the Hub has."""
