"""Publishing a run's model on the Hugging Face Hub: what is sent, whether it may be sent, and sending it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.digests import sha256_of
from ..base.errors import ModelError, UsageError
from ..base.json_document import as_object
from ..base.writing import copy_file
from .building import load_model
from .card import render_card
from .card_subject import CardSubject, RecipeFacts
from .licences import Licence, choose_licence
from .run_evidence import Evidence, ResultsChoice, public_name, read_evidence
from .saving import write_model_folder

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A model's files as they would be published.

    Attributes:
        repository: ``ORG/NAME``.
        card: README.md.
        config: config.json.
        weights: The file of model.safetensors.
        digest: Its SHA-256.
        licence: Of the weights.
        headline: The model and its number in one line; the default commit message.
        left_out: Measurements of the run that its card leaves out.
    """

    repository: str
    card: bytes
    config: bytes
    weights: Path
    digest: str
    licence: Licence
    headline: str
    left_out: int = 0

    def files(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of each file, in order."""
        rows = [
            {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in (("README.md", self.card), ("config.json", self.config))
        ]
        return [*rows, {"path": _WEIGHTS, "bytes": self.weights.stat().st_size, "sha256": self.digest}]


def prepare(
    run: Path,
    repository: str,
    *,
    licence: str | None = None,
    licence_name: str | None = None,
    licence_link: str | None = None,
    recipe: RecipeFacts | None = None,
    revision: str | None = None,
    results: ResultsChoice | None = None,
) -> Package:
    """Make what would be sent, or say why it must not be.

    Args:
        run: A finished run's folder.
        repository: ``ORG/NAME``.
        licence: Of the weights, by the Hub's name; None where what they were made from leaves no choice.
        licence_name: Short name, where ``licence`` is ``other``.
        licence_link: Address of its text, where ``licence`` is ``other``.
        recipe: What the run's recipe says of itself.
        revision: Branch that it is meant for.
        results: Which results of the run its card lists.

    Raises:
        UsageError: The repository's name is none, or the licence must be named.
        RunError: The run is not finished.
        ModelError: The run has no evaluation, its weights are not finite or not those that were
            evaluated, or a licence forbids it.
    """
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise UsageError(f"{repository!r} is not a repository's name", hint="write ORG/NAME")
    evidence = read_evidence(run, results)
    chosen = choose_licence(licence, evidence.sources, name=licence_name, link=licence_link)
    weights = run / "model" / _WEIGHTS
    parameters = _check_weights(evidence)
    digest = sha256_of(weights)
    config = _config(evidence, chosen)
    subject = CardSubject(
        repository=repository,
        evidence=evidence,
        licence=chosen,
        parameters=parameters,
        digest=digest,
        config=config,
        recipe=recipe or RecipeFacts(),
        revision=revision,
    )
    first = evidence.evaluations[0]
    headline = f"{config['architecture']}: top-1 {first.value:.2f} on {first.dataset} {first.split}"
    text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return Package(
        repository=repository,
        card=render_card(subject).encode(),
        config=text.encode("utf-8", errors="replace"),
        weights=weights,
        digest=digest,
        licence=chosen,
        headline=headline,
        left_out=evidence.left_out,
    )


def write_package(package: Package, out: Path) -> Path:
    """Write exactly what would be sent into a folder, whole or not at all.

    Raises:
        ModelError: The place holds something else than a model.
        RunError: It cannot be written.
    """

    def write(new: Path) -> None:
        copy_file(package.weights, new)
        if sha256_of(new) != package.digest:
            raise ModelError(f"{package.weights} changed while it was copied", hint="let the run finish first")

    return write_model_folder(out, {"README.md": package.card, "config.json": package.config, _WEIGHTS: write})


def _check_weights(evidence: Evidence) -> int:
    """The number of parameters, after the model was built as its users will build it.

    Raises:
        ModelError: The weights are not those that were written, do not fit their configuration, or are not finite.
    """
    folder = evidence.run / "model"
    model = load_model(f"local-dir:{folder}", pretrained=True).model
    return sum(parameter.numel() for parameter in model.parameters())


def _config(evidence: Evidence, licence: Licence) -> dict[str, Any]:
    """config.json as it is sent: the run's own, its licence, and a record that names no folder of this machine."""
    config = json.loads(json.dumps(evidence.model_config))
    record = as_object(config.get("pretrained_cfg"))
    record["license"] = licence.identifier if licence.identifier != "other" else licence.name
    config["pretrained_cfg"] = record
    block = {key: _public(value) for key, value in evidence.provenance.items()}
    training = as_object(block.get("training_data"))
    if training:
        block["training_data"] = {key: value for key, value in training.items() if key != "path"}
    block["license"] = record["license"]
    block["results"] = [vars(one) for one in evidence.evaluations]
    settings = evidence.config.settings
    if settings:
        block["settings"] = {name: _public(setting.value) for name, setting in settings.items()}
    config["kdzoo"] = block
    return config


def _public(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.startswith("https://") or "/" not in value else public_name(value)
    if isinstance(value, Mapping):
        return {str(key): _public(item) for key, item in value.items()}
    return [_public(item) for item in value] if isinstance(value, list) else value
