"""Weights under other names: torchvision's networks, and maps of names that a user writes.

A map is a TOML table of patterns and what each is replaced by, applied in order wherever it matches, as ``re.sub``
does; a name that becomes empty is left out:

    '^backbone\\.' = ''
    '^head\\.fc\\.' = 'fc.'
    '^neck\\..*' = ''
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...base.errors import ModelError
from ...base.suggestions import suggestion

Renaming = Callable[[nn.Module, Mapping[str, Tensor]], dict[str, Tensor]]
"""Gives a file's tensors the names, and axes of length one, of the network that they are for."""


@dataclass(frozen=True)
class TorchvisionNetwork:
    """timm's network that computes what one of torchvision's does.

    Attributes:
        timm: Its name.
        arguments: What differs from its defaults.
        renaming: From torchvision's names; None where both have the same.
    """

    timm: str
    arguments: Mapping[str, Any]
    renaming: Renaming | None


def torchvision_network(name: str) -> TorchvisionNetwork:
    """The network that torchvision calls by a name.

    Raises:
        ModelError: None is known for it.
    """
    document = _torchvision()
    found = document["networks"].get(name)
    if found is None:
        raise ModelError(
            f"no network of timm is known to compute what torchvision's {name!r} does",
            hint=suggestion(name, document["networks"], "write ARCHITECTURE=FILE, with timm's name"),
        )
    rules = found.get("rules")
    renaming = by_rules(document["rules"][rules]) if rules else in_order if found.get("layers") else None
    return TorchvisionNetwork(found["timm"], found.get("arguments", {}), renaming)


@cache
def _torchvision() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("torchvision.toml").read_text(encoding="utf-8"))


def read_map(path: Path) -> Renaming:
    """A user's map of names.

    Raises:
        ModelError: It cannot be read, or is no flat table of patterns and texts.
    """
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"the map {path} cannot be read: {error}", hint="docs/conversion.md shows one") from error
    for pattern, text in rules.items():
        try:
            re.sub(pattern, text, "")
        except (re.error, TypeError, IndexError) as error:
            raise ModelError(
                f"the map {path} has {pattern!r} = {text!r}, which is no pattern and its replacement: {error}",
                hint="write '^backbone\\.' = '' in single quotes, a line for each",
            ) from error
    return by_rules(rules)


def by_rules(rules: Mapping[str, str]) -> Renaming:
    """The renaming of a map's rules."""

    def renamed(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        wanted = model.state_dict()
        found: dict[str, Tensor] = {}
        origin: dict[str, str] = {}
        for name, tensor in tensors.items():
            new = name
            for pattern, text in rules.items():
                new = re.sub(pattern, text, new)
            if new and new in found:
                raise ModelError(f"the map leads both {origin[new]} and {name} to {new}", hint="make its rules differ")
            if new:
                found[new], origin[new] = _fitted(tensor, wanted.get(new)), name
        return found

    return renamed


def in_order(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's layers, in the order of their numbers, as the network's in theirs; as they are where they differ."""
    wanted = model.state_dict()
    ours = [list(names) for _, names in groupby(wanted, key=_layer)]
    theirs = [sorted(names) for _, names in groupby(sorted(tensors, key=_numbered), key=_layer)]
    found: dict[str, Tensor] = {}
    for own, other in zip(ours, theirs, strict=False):
        by_parameter = {name.rpartition(".")[2]: name for name in other}
        for name in own:
            source = by_parameter.get(name.rpartition(".")[2])
            if source is not None:
                found[name] = _fitted(tensors[source], wanted[name])
    same = len(ours) == len(theirs) and len(found) == len(tensors)
    return found if same else dict(tensors)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _numbered(name: str) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Sort key: the classifier last, the others by the numbers in their names."""
    parts = _layer(name).split(".")
    numbers = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
    return name.startswith("classifier."), numbers


def _fitted(tensor: Tensor, wanted: Tensor | None) -> Tensor:
    """A tensor with the axes of length one that the network's has: a linear layer as a 1x1 convolution, say."""
    if wanted is None or tensor.shape == wanted.shape or tensor.layout != wanted.layout:
        return tensor
    long = [[size for size in one.shape if size != 1] for one in (tensor, wanted)]
    return tensor.reshape(wanted.shape) if long[0] == long[1] else tensor
