"""Apply a conversion table: every source tensor used exactly once, every target tensor filled, every shape checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ...base.amounts import first_few
from ...base.errors import ModelError
from ...base.suggestions import suggestion
from ..networks import paddle_twins as _registers_the_twins  # noqa: F401
from .rows import Operation
from .table import Conversion


@dataclass(frozen=True, kw_only=True)
class ConvertedWeights:
    """A timm model's weights and what it takes to build the model that they belong to.

    Attributes:
        network: PaddleClas' name of the network they come from.
        dialect: The generation of its key names: "plain" or "legendary".
        architecture: timm's architecture (one in `_paddle` is registered once kdzoo.zoo is imported).
        model_args: Its further arguments, JSON-able.
        num_classes: Width of the classifier.
        state_dict: float32 tensors under timm's names, complete.
    """

    network: str
    dialect: str
    architecture: str
    model_args: dict[str, Any]
    num_classes: int
    state_dict: dict[str, Tensor]

    def build(self) -> nn.Module:
        """The timm model with these weights, in eval mode."""
        model: nn.Module = timm.create_model(
            self.architecture, pretrained=False, num_classes=self.num_classes, **self.model_args
        )
        model.load_state_dict(self.state_dict, strict=True)
        return model.eval()


@cache
def conversions() -> dict[str, Conversion]:
    """The tables by PaddleClas' name of the network; built when the first conversion is asked for."""
    from .mobile_networks import MOBILE_NETWORKS  # thousands of rows, which most commands never need
    from .resnets import RESNETS

    return {table.network: table for table in (*RESNETS, *MOBILE_NETWORKS)}


def released_network(release: str) -> str:
    """The network whose weights a released file holds, e.g. Fix_ResNet50_vd_ssld_v2_pretrained.pdparams: ResNet50_vd.

    Raises:
        ModelError: No conversion is known for it.
    """
    name = release.rsplit("/", 1)[-1].removesuffix(".pdparams")
    name = re.sub(r"(_ssld)?(_v2)?(_pretrained)?$", "", name.removeprefix("Fix_"))
    if name not in conversions():
        raise ModelError(
            f"no conversion is known for {release!r}",
            hint=suggestion(name, conversions(), f"the convertible networks are {', '.join(conversions())}"),
        )
    return name


def convert(network: str, source: Mapping[str, Tensor]) -> ConvertedWeights:
    """Turn the tensors of a `.pdparams` file into the weights of the network's timm twin.

    Args:
        network: A network of `conversions`, or the name of a released file.
        source: The file's tensors under Paddle's names (`kdzoo.zoo.pdparams.read_pdparams`).

    Raises:
        ModelError: A tensor is missing, left over, of another shape or type, or not finite.
    """
    table = conversions()[released_network(network)]
    dialect = _dialect_of(table, source)
    num_classes = _num_classes(table, dialect, source)
    targets = _target_shapes(table, num_classes)
    unused = set(source) - set(table.dialects[dialect].dropped)
    converted: dict[str, Tensor] = {}
    missing: list[str] = []
    for row in table.tensor_rows(dialect, frozenset(targets)):
        if row.source not in unused:
            missing.append(row.source)
            continue
        unused.remove(row.source)
        tensor = _changed(row.source, source[row.source], row.operation)
        if row.target not in targets or row.target in converted:
            raise ModelError(
                f"the table of {table.network} leads {row.source} to {row.target}, which has no free place"
            )
        if tensor.shape != targets[row.target]:
            raise ModelError(
                f"{row.source} has the shape {tuple(source[row.source].shape)}, which does not fit {row.target} "
                f"{tuple(targets[row.target])} of {table.architecture}",
                hint=f"the file holds another network than {table.network}",
            )
        converted[row.target] = tensor
    _complain(table, dialect, "lacks", missing)
    _complain(table, dialect, "has, with no place in the twin,", sorted(unused))
    for name in targets:
        if name.endswith(".num_batches_tracked"):
            converted[name] = torch.zeros((), dtype=torch.int64)
    _complain(table, dialect, "leaves unfilled in the twin", sorted(set(targets) - set(converted)))
    if table.classifier_scale != 1.0:
        converted["classifier.weight"] = converted["classifier.weight"] * table.classifier_scale
    return ConvertedWeights(
        network=table.network,
        dialect=dialect,
        architecture=table.architecture,
        model_args=dict(table.model_args),
        num_classes=num_classes,
        state_dict={name: converted[name] for name in targets},
    )


def _dialect_of(table: Conversion, source: Mapping[str, Tensor]) -> str:
    """The dialect that most of the file's keys belong to."""
    every = {
        name: {tensor.source for row in dialect.rows for tensor in row.tensors(dialect.naming)}
        for name, dialect in table.dialects.items()
    }
    shared = {name: len(keys & set(source)) for name, keys in every.items()}
    best = max(shared, key=lambda name: shared[name])
    if 2 * shared[best] < len(source):
        raise ModelError(
            f"the file has {len(source)} tensors, of which {shared[best]} are named as {table.network}'s",
            hint="it holds another network, or weights saved by a training script that renamed them",
        )
    return best


def _num_classes(table: Conversion, dialect: str, source: Mapping[str, Tensor]) -> int:
    name = next(row.source for row in reversed(table.dialects[dialect].rows) if row.kind == "linear")
    bias = source.get(f"{name}.bias")
    if bias is None or bias.ndim != 1:
        raise ModelError(
            f"the file has no classifier bias {name}.bias, which tells {table.network}'s number of classes"
        )
    return len(bias)


def _target_shapes(table: Conversion, num_classes: int) -> dict[str, torch.Size]:
    with torch.device("meta"):
        model = timm.create_model(table.architecture, pretrained=False, num_classes=num_classes, **table.model_args)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _changed(name: str, tensor: Tensor, operation: Operation) -> Tensor:
    if tensor.dtype not in (torch.float32, torch.float16):
        raise ModelError(f"{name} holds {tensor.dtype}, not float32 or float16 weights")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"{name} holds values that are not finite", hint="download the file again")
    tensor = tensor.float()
    if operation != "copy" and tensor.ndim != 2:
        raise ModelError(f"{name} has {tensor.ndim} dimensions; a linear layer's weight has 2")
    if operation == "copy":
        return tensor.clone(memory_format=torch.contiguous_format)
    tensor = tensor.t().contiguous()
    return tensor if operation == "transpose" else tensor[:, :, None, None]


def _complain(table: Conversion, dialect: str, what: str, names: Iterable[str]) -> None:
    names = list(names)
    if names:
        raise ModelError(
            f"the file, read as {table.network} with {dialect} keys, {what} {first_few(names)}",
            hint="it holds another network, or an incomplete copy; download it again from its official address",
        )
