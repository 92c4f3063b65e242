"""Publishing and exporting, for the command line and for Python."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from .base.errors import UsageError
from .base.run_documents import read_config

if TYPE_CHECKING:
    from .zoo.card_subject import RecipeFacts
    from .zoo.exporting import Exported, Format
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
    from .predictions import dense_run
    from .zoo.publishing import prepare
    from .zoo.run_evidence import ResultsChoice

    folder = Path(run).expanduser()
    if dense_run(str(folder)) is not None:
        what = f"{folder} is of a detector or segmentor, and model cards are written for classifiers"
        raise UsageError(what, hint="write it with kdzoo export, and send that folder with hf upload ORG/NAME FOLDER")
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


class ExportArguments(TypedDict, total=False):
    """How a classifier is exported.

    Attributes:
        image_size: Side of its images in pixels, in place of the model's own.
        fuse: Whether reparametrised blocks go out as the single layers that they amount to; never as safetensors.
        data: Data spec; the check is then on 64 of its held-out images, in the model's preprocessing.
        int8: Also write an int8 file, ``NAME-int8.onnx`` beside ``NAME.onnx``, and measure the model and both files on
            all held-out images.
        calibration_images: Training images, at most, that settle the ranges of the int8 activations; 512 by default.
        seed: Which images those and the 64 are.
    """

    image_size: int | None
    fuse: bool
    data: str | None
    int8: bool
    calibration_images: int
    seed: int


def export_model(reference: str, form: Format, out: str | Path, **how: Unpack[ExportArguments]) -> Exported:
    """Write a model for other programs, checked against the model itself; nothing is left where the check fails.

    Args:
        reference: A model reference, or the run of a detector or segmentor (or the measurement's folder).
        form: ``onnx`` and ``torch-export`` hold the network too, and take any number of normalised images;
            ``safetensors`` holds the weights by their names in timm's network. Of a detector ``detectron2``, of a
            segmentor ``mmseg``, ``onnx`` or ``torch-export``: the frameworks' own are a folder of weights,
            configuration and a README, which load without kdzoo.
        out: The file, or the folder.
        how: ``data``, ``int8`` and the others of `ExportArguments`, for a classifier.

    Raises:
        UsageError: A format that this model has not, a file name that does not go with it, or int8 without data or
            ONNX.
        ModelError, CheckpointError: A package is missing, the model's weights or outputs are not finite, it cannot be
            exported, or the file computes something else.
        DataError: Data is missing, unreadable, or of other classes than the model's.
        RunError: The file cannot be written.
        Interrupted: SIGTERM or SIGINT came; what is there is whole.
    """
    from .predictions import dense_run

    run, place = dense_run(reference), Path(out).expanduser()
    if run is None:
        from .evaluation.exporting import export_classifier

        return export_classifier(reference, form, place, **how)
    for name in ("image_size", "data", "int8"):
        if dict(how).get(name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} has no meaning for a detector or segmentor", hint="leave it out")
    from .measurements import dense_room
    from .transfer.dense.trained import read_trained

    trained = read_trained(run)
    made: Exported = dense_room(trained.kind).export(trained, form, place)
    return made


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
