"""Finding a network's weights in somebody else's file: in which part, under which prefix, with or without a head.

Training frameworks wrap the network (Lightning's ``model.``, self-supervised projects' ``encoder_q.`` and
``student.backbone.``) and keep other things beside it. The part that fits the network exactly is taken, by names and
shapes alone; nothing is loaded that leaves a tensor of the network unfilled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from timm.models import get_pretrained_cfg, is_model
from torch import Tensor, nn

from ..base.errors import ModelError
from .timm_conversion import in_timms_names
from .weight_files import State
from .weights import load_weights, strip_wrappers

_AVERAGES = re.compile(r"(^|[._])(ema|averaged?|swa)([._]|$)")
_COPIES = re.compile(r"(^|[._])(encoder_k|key_encoder|momentum\w*|target\w*|\w+_momentum|\w+_target)([._]|$)")
"""The slow copies of self-supervised training, which its authors do not publish results of."""


_MAX_PREFIXES = 64


@dataclass(frozen=True)
class Fit:
    """Weights that fill a network, or all of it but its classifier.

    Attributes:
        state: Where in the file they are.
        prefix: What is taken off their names.
        tensors: By the network's names.
        headless: Whether the network's classifier is not among them.
        classes: Outputs of their classifier; None where they have none.
    """

    state: State
    prefix: str
    tensors: dict[str, Tensor]
    headless: bool
    classes: int | None

    @property
    def place(self) -> str:
        """Where in the file they are, in words that a message can show."""
        return f"{self.state.place}.{self.prefix}".strip(".")

    @property
    def is_plain(self) -> bool:
        """Whether the weights are where every script keeps them, so that nothing need be said of it."""
        return self.state.is_usual and self.prefix.replace("module.", "").replace("_orig_mod.", "") == ""

    @property
    def rank(self) -> int:
        """Sort key: averages come first, as in timm; slow copies last."""
        return 0 if _AVERAGES.search(self.place) else 2 if _COPIES.search(self.place) else 1


@dataclass(frozen=True)
class _Wanted:
    """What a network needs: all of its tensors, its classifier's modules, and the tensors before these."""

    tensors: Mapping[str, Tensor]
    heads: tuple[str, ...]
    body: tuple[str, ...]
    any_classes: bool

    def in_head(self, name: str) -> bool:
        return any(name.startswith(f"{head}.") for head in self.heads)


def find_fit(
    model: nn.Module, states: Sequence[State], source: str, *, any_classes: bool = False, headless: bool = False
) -> Fit:
    """The weights for a network among those of a file.

    Args:
        model: The network.
        states: The file's, as ``read_states`` gives them.
        source: Names the file in messages.
        any_classes: Whether the classifier may have another number of outputs than the network's.
        headless: Whether weights without the classifier will do.

    Raises:
        ModelError: None fits, or several do that differ.
    """
    wanted = _wanted(model, any_classes)
    found = [fit for state in states for fit in _fits(wanted, state)]
    found = found or [fit for state in states for fit in _converted(model, wanted, state)]
    usable = [fit for fit in found if not fit.headless] or (found if headless else [])
    if usable:
        return _choose(usable, source)
    if found:
        raise ModelError(
            f"{_named(source, found[0].place)} is a backbone without its classifier ({', '.join(wanted.heads)})",
            hint="a training can start from it (kdzoo transfer, or a student with --set student.init=pretrained); "
            "to be measured it needs its classifier",
        )
    from .conversion.efficientnets import from_the_port

    state, tensors = max(
        (
            (state, tensors)
            for state in states
            for bare in _bare(state)
            for tensors in (bare, from_the_port(model, bare))
            if tensors
        ),
        key=lambda pair: len(pair[1].keys() & wanted.tensors.keys()),
    )
    load_weights(model, tensors, _named(source, state.place))
    raise ModelError(f"{source} does not fit", hint="save the network's own weights alone")


def _wanted(model: nn.Module, any_classes: bool) -> _Wanted:
    tensors = model.state_dict()
    record: Any = getattr(model, "pretrained_cfg", None) or {}
    classifier = record.get("classifier")
    if not classifier and is_model(record.get("architecture") or ""):
        known = get_pretrained_cfg(record["architecture"])
        classifier = known.classifier if known is not None else None
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    wanted = _Wanted(tensors, heads, (), any_classes)
    body = [name for name in tensors if not name.endswith(".num_batches_tracked") and not wanted.in_head(name)]
    return replace(wanted, body=tuple(body))


def _fits(wanted: _Wanted, state: State) -> Iterator[Fit]:
    tensors = {name.replace("._orig_mod.", "."): tensor for name, tensor in state.tensors.items()}
    first = wanted.body[0] if wanted.body else next(iter(wanted.tensors))
    prefixes = {name.removesuffix(first) for name in tensors if name == first or name.endswith(f".{first}")}
    for prefix in sorted(prefixes, key=lambda text: (len(text), text))[:_MAX_PREFIXES]:
        inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        fit = _match(wanted, state, prefix, inner)
        if fit is not None and fit.headless and prefix:  # the head may stand beside the wrapped backbone
            head = {name: tensor for name, tensor in tensors.items() if wanted.in_head(name)}
            fit = _match(wanted, state, prefix, fit.tensors | head) or fit
        if fit is not None:
            yield fit


def _match(wanted: _Wanted, state: State, prefix: str, given: Mapping[str, Tensor]) -> Fit | None:
    """The network's tensors, where all of its body is there in its shapes and no further layer of it."""
    if any(name not in given or given[name].shape != wanted.tensors[name].shape for name in wanted.body):
        return None
    counters = {name for name, tensor in given.items() if "." not in name and tensor.numel() == 1}
    further = {n for n in given if n not in wanted.tensors and not wanted.in_head(n)} - counters
    modules = {name.split(".")[0] for name in wanted.body}
    if any(name.split(".")[0] in modules for name in further):
        return None
    own = {name: tensor for name, tensor in given.items() if name in wanted.tensors and not wanted.in_head(name)}
    head = {name: tensor for name, tensor in given.items() if wanted.in_head(name)}
    if _head_fits(wanted, head) and not further:
        weights = [head[f"{name}.weight"] for name in wanted.heads if f"{name}.weight" in head]
        return Fit(state, prefix, own | head, headless=False, classes=len(weights[0]) if weights else None)
    if any(map(wanted.in_head, wanted.tensors)) and not head.keys() & wanted.tensors.keys():
        return Fit(state, prefix, own, headless=True, classes=None)
    return None


def _head_fits(wanted: _Wanted, head: Mapping[str, Tensor]) -> bool:
    needed = {name: tensor for name, tensor in wanted.tensors.items() if wanted.in_head(name)}
    if not needed and wanted.any_classes:  # a network without a head, and a file that may have one
        return all(name.removesuffix(".weight").removesuffix(".bias") in wanted.heads for name in head)
    skipped = 1 if wanted.any_classes else 0
    return head.keys() == needed.keys() and all(
        head[name].ndim == needed[name].ndim and head[name].shape[skipped:] == needed[name].shape[skipped:]
        for name in needed
    )


def _converted(model: nn.Module, wanted: _Wanted, state: State) -> Iterator[Fit]:
    from .conversion.efficientnets import from_the_port, is_port_name  # most commands read no foreign weights

    for tensors in _bare(state):
        converted = from_the_port(model, tensors)
        if converted is None:
            converted = in_timms_names(model, tensors)
        elif any(map(is_port_name, converted)):  # it has layers that the network has not
            continue
        fit = None if converted is None else _match(wanted, state, "", converted)
        if fit is not None:
            yield fit
            return


def _bare(state: State) -> Iterator[dict[str, Tensor]]:
    """A state's tensors without the prefixes of wrappers, and without all that their names have in common."""
    tensors = strip_wrappers(state.tensors)
    yield tensors
    named = {name: tensor for name, tensor in tensors.items() if "." in name}
    while named and len({name.split(".")[0] for name in named}) == 1 and all(n.count(".") > 1 for n in named):
        named = {name.partition(".")[2]: tensor for name, tensor in named.items()}
        yield named


def _choose(fits: Sequence[Fit], source: str) -> Fit:
    best = min(fit.rank for fit in fits)
    first, *others = [fit for fit in fits if fit.rank == best]
    for other in others:
        comparable = other.state is first.state or not first.state.is_usual
        if comparable and not _same(first.tensors, other.tensors):
            raise ModelError(
                f"{source} holds several sets of weights that fit, and they differ: {first.place or 'its own'} and "
                f"{other.place}",
                hint=f"save the one that is meant alone, with {first.prefix or first.place!r} taken off its names",
            )
    return first


def _same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def _named(source: str, place: str) -> str:
    return f"{source} ({place})" if place else source
