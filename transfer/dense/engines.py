"""Engines: the frameworks that build dense networks, what they build, and why one cannot be used here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, TypeVar

from torch import nn

from ...zoo import LoadedModel


@dataclass(frozen=True, kw_only=True)
class DenseNetwork:
    """A network over a backbone.

    Attributes:
        model: Everything that is trained, heads and backbone.
        stage_of: The stage (0 to 4) of each parameter of the backbone, by its name in ``model``.
        unused: The backbone's weights that it has no use for, such as the classifier.
        notes: What the reader should know about how it was built.
        extra_state: What the model keeps outside its tensors, and how to set it again.
        documents: Texts for the run folder, by file name.
        fixed: How it was built, where runs were once begun over another network of the same weights; see `RunJob`.
    """

    model: nn.Module
    stage_of: Mapping[str, int]
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    extra_state: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
    documents: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)


Settings = TypeVar("Settings", contravariant=True)
Network = TypeVar("Network", covariant=True)


class Engine(Protocol[Settings, Network]):
    """A framework that builds networks of one kind.

    Attributes:
        name: As in `EngineChoice`.
        version: Of the framework.
    """

    name: str
    version: str

    def build(self, loaded: LoadedModel, settings: Settings, num_classes: int, seed: int) -> Network:
        """A network over a backbone, on the CPU; the heads' first weights are a function of the seed."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs, and why.

    Attributes:
        name: Of the framework: ``torchvision``, ``detectron2`` or ``mmseg``.
        note: One line.
        install: The lines that would install the engine that was missed; empty where none was.
    """

    name: str
    note: str
    install: tuple[str, ...] = ()


def why_not(title: str, package: str, importer: str) -> str | None:
    """None where a framework can be imported, else why not, in a few words.

    Args:
        title: What a reader calls it.
        package: What has to be installed.
        importer: Full name of the module here that imports what is needed of it.
    """
    if importlib.util.find_spec(package) is None:
        return f"{title} is not installed"
    try:
        import_module(importer)
    except (ImportError, OSError, AssertionError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        return f"{title} is installed and cannot be imported: {line}"
    return None
