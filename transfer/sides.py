"""The two backbones of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import KdzooError, ModelError
from ..zoo import LoadedModel, load_model, parse_reference
from ..zoo.cached import cached_weights

RANDOM = "random"
"""As a baseline: the backbone's own architecture from random weights (MEAL V2 Table 6, "From Scratch")."""


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
        return load_model(self.model, pretrained=pretrained, new_head=True)


def settle_sides(backbone: str, baseline: str | None, problems: list[KdzooError]) -> tuple[Side, ...]:
    """The backbone and, where there is one, the baseline, as far as they can be told without their weights.

    Args:
        backbone: A model reference.
        baseline: Another one, `RANDOM`, or None.
        problems: Gets what is missing.
    """
    given = (("backbone", backbone), ("baseline", baseline))
    return tuple(_side(role, reference, backbone, problems) for role, reference in given if reference is not None)


def _side(role: str, reference: str, backbone: str, problems: list[KdzooError]) -> Side:
    name = backbone if reference == RANDOM else reference
    try:
        loaded = load_model(name, pretrained=False)
        missing = None if reference == RANDOM else missing_weights(reference)
    except KdzooError as error:
        if reference != RANDOM:
            problems.append(error)
        return Side(role=role, reference=reference, model=name)
    if missing is not None:
        problems.append(missing)
    return Side(role=role, reference=reference, model=name, architecture=loaded.architecture)


def missing_weights(reference: str) -> ModelError | None:
    """What keeps a reference's weights from being read here; None where they are here, or will be fetched.

    Raises:
        ModelError: The reference has no form of the grammar.
    """
    parsed = parse_reference(reference)
    if cached_weights(parsed) is None:
        if parsed.kind == "zoo":
            return ModelError(f"{reference} is not pulled yet", hint=f"kdzoo pull {reference}")
        if parsed.kind == "timm" and not parsed.tag:
            return ModelError(
                f"{reference} has no published weights",
                hint=f"train it (kdzoo train --model {reference}), then name its run; random weights are "
                "'--baseline random'",
            )
    return None
