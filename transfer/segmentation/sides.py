"""The two backbones of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import KdzooError, ModelError
from ...zoo import LoadedModel, load_model, parse_reference
from ...zoo.cached import cached_weights

RANDOM = "random"
"""As a baseline: the backbone's own architecture from random weights."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of them.

    Attributes:
        role: ``backbone`` or ``baseline``.
        reference: As it was given.
        model: The reference to build: the backbone's where ``reference`` is `RANDOM`.
        architecture: timm's name; empty where it could not be told.
    """

    role: str
    reference: str
    model: str
    architecture: str = ""

    def load(self, *, pretrained: bool = True, seed: int = 0) -> LoadedModel:
        """The network, with its weights unless it is `RANDOM` (then drawn from the seed) or they are not wanted.

        Raises:
            ModelError: It cannot be built, or its weights are missing.
        """
        if self.reference == RANDOM:
            return load_model(self.model, pretrained=False, seed=seed)
        return load_model(self.model, pretrained=pretrained)


def settle_side(role: str, reference: str, backbone: str, problems: list[KdzooError]) -> Side:
    """The side as far as it can be told without its weights; what is missing goes to the problems."""
    name = backbone if reference == RANDOM else reference
    try:
        parsed = parse_reference(name)
        loaded = load_model(name, pretrained=False)
    except KdzooError as error:
        if reference != RANDOM:
            problems.append(error)
        return Side(role=role, reference=reference, model=name)
    if reference != RANDOM and cached_weights(parsed) is None:
        if parsed.kind == "zoo":
            problems.append(ModelError(f"{reference} is not pulled yet", hint=f"kdzoo pull {reference}"))
        elif parsed.kind == "timm" and not parsed.tag:
            problems.append(
                ModelError(f"{reference} has no published weights", hint="train it first, or name a run or a folder")
            )
    return Side(role=role, reference=reference, model=name, architecture=loaded.architecture)
