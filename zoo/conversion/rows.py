"""The vocabulary of a conversion table: what one layer of a Paddle network becomes in its timm twin.

A row names a layer on both sides; `tensors` spells out its parameters. Paddle and torch lay convolutions out alike; a
linear weight is [in, out] in Paddle and [out, in] in torch; BatchNorm's statistics are `_mean` and `_variance` in
Paddle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Operation = Literal["copy", "transpose", "transpose_to_conv"]


@dataclass(frozen=True)
class Naming:
    """How one generation of PaddleClas calls the two halves of its convolution-and-BatchNorm layer."""

    conv: str
    norm: str


PLAIN = Naming(conv="_conv", norm="_batch_norm")
LEGENDARY = Naming(conv="conv", norm="bn")


@dataclass(frozen=True)
class TensorRow:
    """One tensor: its name in the source, its name in the target, and what is done on the way."""

    source: str
    target: str
    operation: Operation = "copy"


@dataclass(frozen=True)
class Row:
    """One layer. `target` is the convolution or linear layer in the twin, `norm` its BatchNorm there.

    An optional row counts only where the twin has the target; both sides are checked for completeness afterwards, so
    that a layer that only one side has cannot be lost.
    """

    kind: Literal["conv_bn", "conv", "conv_with_bias", "linear", "linear_to_conv"]
    source: str
    target: str
    norm: str = ""
    optional: bool = False

    def named(self, places: Mapping[str, object]) -> Row:
        """This row with `{placeholders}` filled."""
        source, target, norm = (text.format_map(places) for text in (self.source, self.target, self.norm))
        return replace(self, source=source, target=target, norm=norm)

    def tensors(self, naming: Naming) -> Iterator[TensorRow]:
        """The row's tensors, by their full names."""
        if self.kind == "conv_bn":
            yield TensorRow(f"{self.source}.{naming.conv}.weight", f"{self.target}.weight")
            for ours, theirs in _BATCH_NORM:
                yield TensorRow(f"{self.source}.{naming.norm}.{theirs}", f"{self.norm}.{ours}")
            return
        operation: Operation = "copy"
        if self.kind == "linear":
            operation = "transpose"
        elif self.kind == "linear_to_conv":
            operation = "transpose_to_conv"
        yield TensorRow(f"{self.source}.weight", f"{self.target}.weight", operation)
        if self.kind != "conv":
            yield TensorRow(f"{self.source}.bias", f"{self.target}.bias")


_BATCH_NORM = (("weight", "weight"), ("bias", "bias"), ("running_mean", "_mean"), ("running_var", "_variance"))


def conv_bn(source: str, target: str, norm: str, *, optional: bool = False) -> Row:
    """A convolution without bias and the BatchNorm after it."""
    return Row("conv_bn", source, target, norm, optional)


def conv(source: str, target: str, *, bias: bool = False, optional: bool = False) -> Row:
    """A convolution that stands alone."""
    return Row("conv_with_bias" if bias else "conv", source, target, optional=optional)


def linear(source: str, target: str) -> Row:
    """A linear layer with a bias."""
    return Row("linear", source, target)


def linear_to_conv(source: str, target: str, *, optional: bool = False) -> Row:
    """A linear layer with a bias that the twin writes as a 1x1 convolution."""
    return Row("linear_to_conv", source, target, optional=optional)


def each(blocks: Iterable[Mapping[str, object]], *rows: Row) -> tuple[Row, ...]:
    """The rows of every block, their `{placeholders}` filled from the block's own."""
    return tuple(row.named(block) for block in blocks for row in rows)


def numbered(depths: Sequence[int]) -> list[dict[str, int]]:
    """Blocks of stages with these depths: `n` counts all, `s` the stage, `i` within it (all from 0); `S` is s + 1."""
    places = [(s, i) for s, depth in enumerate(depths) for i in range(depth)]
    return [{"n": n, "s": s, "S": s + 1, "i": i} for n, (s, i) in enumerate(places)]
