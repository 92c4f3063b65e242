"""Putting weights into a network, which they must fit exactly; what differs is named where they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..base.digests import sha256_of
from ..base.errors import CheckpointError, ModelError
from ..base.regular_files import refuse_special
from .weight_files import RESAVE, read_states, shown_name

_WRAPPERS = ("module.", "_orig_mod.")
_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by their names in the network, on the CPU.

    A checkpoint's weights are taken out of its other contents, and the prefixes of ``nn.DataParallel``,
    DistributedDataParallel and ``torch.compile`` are taken off.

    Raises:
        ModelError: The file is missing or damaged, holds more than data, or holds no weights.
    """
    return strip_wrappers(read_states(path)[0].tensors)


def strip_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the prefixes that wrappers of the whole network add, in any order."""
    named = {name.replace("._orig_mod.", "."): tensor for name, tensor in tensors.items()}
    stripped = True
    while stripped:
        stripped = False
        for prefix in _WRAPPERS:
            if named and all(name.startswith(prefix) for name in named):
                named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
                stripped = True
    return named


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a model that they must fit exactly.

    BatchNorm's batch counters may be missing: files from before torch 0.4.1 have none.

    Raises:
        ModelError: Names are missing or unexpected, or shapes differ; the model is unchanged.
    """
    wanted = model.state_dict()
    given = dict(tensors)
    for name in wanted:
        if name not in given and name.endswith(".num_batches_tracked"):
            given[name] = torch.tensor(0)
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    mismatched = [
        f"{name} {tuple(given[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if missing or unexpected or mismatched:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
            for what, names in (
                ("missing", list(map(shown_name, missing))),
                ("unexpected", [f"{shown_name(name)} {tuple(given[name].shape)}" for name in unexpected]),
                ("of another shape", list(map(shown_name, mismatched))),
            )
            if names
        ]
        architecture = (getattr(model, "pretrained_cfg", None) or {}).get("architecture", type(model).__name__)
        raise ModelError(f"{source} does not fit {architecture}: {'; '.join(parts)}", hint=_way_out(bool(mismatched)))
    try:
        model.load_state_dict(given, strict=True)
    except (RuntimeError, NotImplementedError, TypeError) as error:  # sparse, quantised, without values
        raise ModelError(f"{source} holds tensors that are no plain arrays of numbers", hint=RESAVE) from error


def _way_out(shapes_differ: bool) -> str:
    if shapes_differ:
        return "these are the weights of another architecture, or of the same one with other arguments or classes"
    return "the names differ: check the architecture's name and arguments, or rename the weights as timm names them"


def refuse_not_finite(model: nn.Module, source: str) -> None:
    """Refuse weights that are infinite or no numbers: whatever is measured or made with them is worth nothing.

    Raises:
        ModelError: A parameter, or a running statistic of a normalisation, holds such a value.
    """
    statistics = [(name, buffer) for name, buffer in model.named_buffers() if ".running_" in f".{name}"]
    for name, tensor in (*model.named_parameters(), *statistics):
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            raise ModelError(
                f"the weights of {source} are not finite: {count} of {tensor.numel()} values of {name}",
                hint="the run diverged or the file is damaged: train again with a lower learning rate, or get it again",
            )


def read_checkpoint_student(path: Path) -> dict[str, Tensor]:
    """The student's weights in a run's checkpoint, after its SHA-256 was checked where it lies beside it.

    Raises:
        CheckpointError: The file is damaged.
        ModelError: It is not a run's checkpoint.
    """
    refuse_special(path, what="the checkpoint")
    digest = path.with_suffix(".sha256")
    if digest.is_file() and digest.read_text(encoding="utf-8").split()[:1] != [sha256_of(path)]:
        raise CheckpointError(f"{path} is damaged: its SHA-256 does not hold", hint="use another checkpoint of the run")
    prefix = "student/"
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            json.loads((file.metadata() or {})["state"])
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (not a dict)
            tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except KeyError as error:
        raise ModelError(
            f"{path} is not a run's checkpoint", hint=f"for plain weights write ARCHITECTURE={path}"
        ) from error
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error})", hint="use another checkpoint of the run") from error
    if not tensors:
        raise ModelError(f"{path} holds no student", hint="use a checkpoint that kdzoo wrote")
    return strip_wrappers(tensors)
