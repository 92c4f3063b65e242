"""A network's answers and features for every image of a data set: computed once, kept, checked before use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from ...base.digests import sha256_of
from ...base.regular_files import read_json
from ...base.writing import write_folder, write_json
from ...data import EvalTransform, ImageSource, eval_batches
from ...data.contents import file_stats, sizes_digest
from ...engine.distributed import Processes
from ...engine.precision import autocast
from ...engine.progress import Progress, say
from ...engine.signals import StopRequest
from ...engine.teachers import normalise, weights_sha256
from ...zoo import LoadedModel, forward_with_features

FORM = 1
_FEATURES = "features.safetensors"
BATCH = 64
"""Images at once; fixed, because sums may round differently in another batch."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """How images go through networks, apart from the network.

    Attributes:
        transform: The test view.
        precision: Of the forward pass.
        workers: Loader processes.
        processes: Who takes which images.
        stop: Asked between batches.
    """

    transform: EvalTransform
    precision: str
    workers: int
    processes: Processes
    stop: StopRequest | None = None


@torch.no_grad()
def collect(loaded: LoadedModel, source: ImageSource, how: Pass, *, features: bool, title: str) -> np.ndarray:
    """A network's logits, or its pooled features, of every image: float32, (N, C) or (N, D), in the source's order.

    Every process gets all of them.

    Args:
        loaded: The network; put in evaluation mode and moved to the device.
        source: The images.
        how: The view and the machine.
        features: Whether pooled penultimate features are wanted rather than logits.
        title: Shown with the progress.

    Raises:
        UnreadableImage: An image cannot be decoded.
        Interrupted: A signal came.
    """
    look, processes = loaded.preprocessing, how.processes
    network = loaded.model.to(processes.device).eval()

    def forward(images: Tensor) -> Tensor:
        with autocast(processes.device, how.precision):
            logits, pooled = forward_with_features(network, normalise(images, look.mean, look.std))
        return (pooled if features else logits).float()

    return _pass_over(forward, source, how, title)


def _pass_over(forward: Callable[[Tensor], Tensor], source: ImageSource, how: Pass, title: str) -> np.ndarray:
    processes = how.processes
    batches = eval_batches(
        source,
        how.transform,
        batch_size=BATCH,
        workers=how.workers,
        rank=processes.rank,
        world_size=processes.world_size,
        pin_memory=processes.device.type == "cuda",
    )
    steps = math.ceil(math.ceil(len(source) / processes.world_size) / BATCH)
    rows: list[np.ndarray] = []
    progress = Progress(steps, title, BATCH, quiet=not processes.is_main)
    with contextlib.closing(batches), progress:
        for batch in batches:
            if how.stop is not None and processes.world_size == 1:
                how.stop.raise_if_requested(title)
            rows.append(forward(batch.to_float(processes.device, torch.channels_last)).cpu().numpy())
            progress.step({})
    mine = np.concatenate(rows) if rows else None
    return np.concatenate([part for part in processes.gather_objects(mine) if part is not None])


def stored_features(
    loaded: LoadedModel, source: ImageSource, how: Pass, store: Path, name: str
) -> tuple[np.ndarray, bool]:
    """Pooled features of every image, from the store where they are there and hold, computed and kept where not.

    Args:
        loaded: The network.
        source: The images.
        how: The view and the machine.
        store: A folder; one below it a network, data set and view.
        name: What the network is called, for messages.

    Returns:
        float32 (N, D), and whether they came from the store.

    Raises:
        RunError: The store cannot be written.
        UnreadableImage, Interrupted: As `collect`.
    """
    identity = _identity(loaded, source, how)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    folder = store / f"{source.name.replace('/', '_')[:40]}-{source.split}-{key}"
    found, wrong = _read(folder, identity) if how.processes.is_main else (None, None)
    found, wrong = how.processes.gather_objects((found, wrong))[0]
    if found is not None:
        return found, True
    if wrong is not None and how.processes.is_main:
        say(f"warning: the stored features in {folder} are not used ({wrong}); computing them again")
    values = collect(loaded, source, how, features=True, title=f"features of {name} ({source.split})")
    if how.processes.is_main:
        _write(folder, identity, values)
    how.processes.barrier()
    return values, False


def _identity(loaded: LoadedModel, source: ImageSource, how: Pass) -> dict[str, Any]:
    """What the features depend on: JSON values."""
    look, sizes = loaded.preprocessing, sizes_digest(file_stats(source))
    return {
        "kdzoo_features": FORM,
        "model": {"architecture": loaded.architecture, "weights_sha256": weights_sha256(loaded.model)},
        "data": {
            "name": source.name,
            "split": source.split,
            "fingerprint": source.fingerprint(),
            "num_images": len(source),
            **({} if sizes is None else {"sizes": sizes}),
        },
        "preprocessing": {**asdict(how.transform), "mean": list(look.mean), "std": list(look.std)},
        "precision": how.precision,
    }


def _read(folder: Path, identity: Mapping[str, Any]) -> tuple[np.ndarray | None, str | None]:
    """Stored features, or why there are none (None where nothing was stored)."""
    manifest, file = folder / "manifest.json", folder / _FEATURES
    if not manifest.exists():
        return None, None
    try:
        document = read_json(manifest)
        if {key: document.get(key) for key in identity} != json.loads(json.dumps(identity)):
            return None, "its manifest is about another network, data or view"
        if sha256_of(file) != document["sha256"]:
            return None, "the file is damaged"
        values: np.ndarray = load_file(file)["features"]
        if values.dtype != np.float32 or values.shape != (identity["data"]["num_images"], document["width"]):
            return None, f"it has {values.dtype} {values.shape}"
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        return None, f"it cannot be read: {type(error).__name__}"
    return values, None


def _write(folder: Path, identity: Mapping[str, Any], values: np.ndarray) -> None:
    array = np.ascontiguousarray(values, dtype=np.float32)

    def manifest(new: Path) -> None:
        document = {**identity, "width": int(values.shape[1]), "sha256": sha256_of(new.with_name(_FEATURES))}
        write_json(new, document)

    write_folder(folder, {_FEATURES: lambda new: save_file({"features": array}, new), "manifest.json": manifest})
