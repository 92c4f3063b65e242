"""Publishing and exporting, for the command line and for Python."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .base.errors import UsageError
from .base.run_documents import read_config

if TYPE_CHECKING:
    from .zoo.card_subject import RecipeFacts
    from .zoo.hub_upload import Published
    from .zoo.publishing import Package


class PackageArguments(TypedDict, total=False):
    """What `package` and `publish` share.

    Attributes:
        licence: Of the weights, by the Hub's name (``apache-2.0``, ``cc-by-nc-4.0``, ``other``); may be left out where
            those of its teachers leave no choice.
        licence_name: Short name, where ``licence`` is ``other``.
        licence_link: Address of its text, where ``licence`` is ``other``.
        revision: Branch that it is meant for; `publish` makes it where it is not there.
        results: Which of the run's results the card lists beside its own evaluation: those on as many images as the
            ``official`` data set has (the default), ``all``, or none (``own``).
    """

    licence: str | None
    licence_name: str | None
    licence_link: str | None
    revision: str | None
    results: Literal["official", "all", "own"]


def package(run: str | Path, repository: str, **how: Unpack[PackageArguments]) -> Package:
    """What publishing a run would send: model card, config.json, weights. Nothing is sent and nothing is asked.

    Args:
        run: A finished run's folder.
        repository: ``ORG/NAME``.
        how: ``licence``, ``results`` and the others of `PackageArguments`.

    Raises:
        UsageError: The repository's name is none, or the licence must be named.
        RunError, ModelError: The run is not finished or not evaluated, its weights are not finite, or a licence
            forbids it.
    """
    from .zoo.publishing import prepare
    from .zoo.run_evidence import ResultsChoice

    folder = Path(run).expanduser()
    asked: dict[str, Any] = dict(how)
    results = ResultsChoice(which=asked.pop("results", "official"), official=official_counts())
    return prepare(folder, repository, recipe=recipe_facts(folder), results=results, **asked)


def official_counts() -> dict[str, dict[str, int]]:
    """Images of the official evaluation sets, by data set and split."""
    from .data.expected_counts import EXPECTED_COUNTS
    from .data.segmentation import EXPECTED

    counted = {
        name: {split: images for split, (images, _) in splits.items() if split != "train"}
        for name, splits in {**EXPECTED_COUNTS, **EXPECTED}.items()
    }
    return {**counted, "coco": {"val": 5000}}


def publish(
    run: str | Path,
    repository: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    message: str | None = None,
    **how: Unpack[PackageArguments],
) -> Published:
    """Publish a run's model on the Hub with a card that carries its evidence; no commit where nothing changed.

    The login is the Hub's own (``hf auth login`` or HF_TOKEN).

    Args:
        run: A finished run's folder.
        repository: ``ORG/NAME``; made where it is not there.
        private: Make a new repository private.
        create_pr: Propose it as a pull request to an existing repository.
        message: Of the commit.
        how: As `package`'s.

    Raises:
        UsageError, RunError, ModelError: As `package`; or there is no login, no permission, or no connection.
    """
    from .zoo.hub_upload import upload

    made, revision = package(run, repository, **how), how.get("revision")
    return upload(made, private=private, revision=revision, create_pr=create_pr, message=message)


def recipe_facts(run: Path) -> RecipeFacts | None:
    """What the recipe of a run says of itself, or None for one that is not kdzoo's, whose code is not run for it."""
    from .recipes.description import numbered
    from .recipes.registry import get_recipe, recipe_names
    from .zoo.card_subject import RecipeFacts

    with contextlib.suppress(OSError, ValueError, UsageError):
        name = read_config(run / "config.json").recipe
        if name not in recipe_names():
            return None
        recipe = get_recipe(name)
        if recipe.ours:
            return RecipeFacts(summary=recipe.summary)
        return RecipeFacts(
            title=recipe.paper.title,
            authors=recipe.paper.authors,
            year=recipe.paper.year,
            url=recipe.paper.url,
            summary=recipe.summary,
            deviations=numbered(recipe, "Deviations"),
        )
    return None
