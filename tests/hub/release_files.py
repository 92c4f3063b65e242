"""Files as the publishers of MEAL V2 and SSLD wrote them, with random weights, for tests."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor

REFERENCES = Path(__file__).parents[1] / "references" / "paddle"


class NamedTensor:
    """Pickles as the tensors of Paddle 2.1 and later do: a call of `tuple` on (internal name, array)."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.state = (name, array)

    def __reduce__(self) -> tuple[type, tuple[tuple[str, np.ndarray]]]:
        return tuple, (self.state,)


def paddle_arrays(network: str, dialect: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the official network's names."""
    reference = np.load(REFERENCES / f"{network}-{dialect}.npz", allow_pickle=False)
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, padded in zip(reference["names"], reference["shapes"]):
        shape = [int(n) for n in padded if n]
        values = generator.standard_normal(shape, dtype=np.float32) * np.float32(0.05)
        arrays[str(name)] = np.abs(values) + np.float32(0.5) if str(name).endswith("_variance") else values
    return arrays


def pdparams(arrays: dict[str, np.ndarray], *, pairs: bool = False, protocol: int = 4) -> bytes:
    """A `.pdparams` file of them, in one of the two dialects of values."""
    values = {name: NamedTensor(f"p_{i}", array) for i, (name, array) in enumerate(arrays.items())} if pairs else arrays
    table = {} if pairs else {"StructuredToParameterName@@": {name: f"p_{i}" for i, name in enumerate(arrays)}}
    return pickle.dumps({**values, **table}, protocol)


def meal_v2_file(architecture: str, seed: int = 0) -> tuple[bytes, dict[str, Tensor]]:
    """A `.pth` file as MEAL V2's: a flat state dict whose names begin with `module.`; and its tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = timm.create_model(architecture, pretrained=False).state_dict()
    buffer = io.BytesIO()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, buffer)
    return buffer.getvalue(), state
