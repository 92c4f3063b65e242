"""What a model card is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .licences import Licence
from .run_evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class RecipeFacts:
    """What a recipe says of itself, for readers of a card.

    Attributes:
        title: The paper's.
        authors: As printed.
        year: Of the paper.
        url: Where to read it.
        summary: What the recipe does, in a sentence.
        deviations: Where it differs from the paper.
    """

    title: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    summary: str = ""
    deviations: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class CardSubject:
    """What a card is about.

    Attributes:
        repository: ``ORG/NAME``.
        evidence: The run.
        licence: Of the weights.
        parameters: Of the network.
        digest: SHA-256 of model.safetensors.
        recipe: What the recipe says of itself, where it is known.
        config: config.json as it is sent.
        revision: Branch that it is sent to, where it is not the default one.
    """

    repository: str
    evidence: Evidence
    licence: Licence
    parameters: int
    digest: str
    config: Mapping[str, Any]
    recipe: RecipeFacts = field(default_factory=RecipeFacts)
    revision: str | None = None
