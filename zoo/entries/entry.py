"""What the zoo knows of one set of weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...base.paper import Paper
from ..preprocessing import Preprocessing

Format = Literal["pth", "pdparams", "timm", "none"]
Group = Literal["meal_v2", "ssld", "distilled", "teacher", "reference"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

PAPERS = {
    key: Paper(**values)
    for key, values in tomllib.loads(Path(__file__).with_name("papers.toml").read_text(encoding="utf-8")).items()
}
"""By the key that an entry's ``paper`` names."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """An accuracy on ImageNet's 50,000 validation images that somebody published, with its protocol.

    Attributes:
        top1: Percent.
        top5: Percent, or None where not given.
        image_size: Pixels of the square that the model saw.
        crop_pct: Crop over resized short side, or None where the source does not say.
        interpolation: Of the resize, or None where the source does not say.
        source: Where it is written.
    """

    top1: float
    top5: float | None
    image_size: int
    crop_pct: float | None
    interpolation: str | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One set of weights (or, in a reference row, a published number) with its provenance.

    Attributes:
        name: Names it in kdzoo.
        group: Which table it belongs to.
        architecture: timm's name (or one that ``kdzoo.zoo`` registers).
        model_args: Arguments that make the architecture the one of the weights.
        format: Of the published file; ``none`` where no weights are published.
        address: Of the published file; for ``timm``, the repository that timm takes them from.
        network: PaddleClas' name of the network, for ``pdparams``.
        timm_name: timm's name of the same weights, for ``timm``.
        digest: SHA-256 of the published file where its publisher states one; None means that the digest of the first
            download is kept and every later one is held to it.
        licence: Of the weights, as published; None where none is given.
        image_size: Pixels; with ``mean``, ``std``, ``interpolation`` and ``crop_pct`` in timm's meaning.
        results: Published accuracies; the first is the headline.
        paper: Key in ``PAPERS``.
        teachers: What it was distilled from, as far as published.
        notes: Conflicts between sources and traps.
    """

    name: str
    group: Group
    architecture: str
    format: Format
    address: str
    licence: str | None
    results: tuple[Published, ...]
    paper: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    network: str = ""
    timm_name: str = ""
    digest: str | None = None
    image_size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"
    crop_pct: float = 0.875
    teachers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def top1(self) -> float | None:
        """Published top-1 on ImageNet, percent."""
        return self.results[0].top1 if self.results else None

    @property
    def top5(self) -> float | None:
        """Published top-5 on ImageNet, percent."""
        return self.results[0].top5 if self.results else None

    @property
    def source(self) -> str:
        """Who publishes the file: ``meal_v2``, ``paddleclas``, ``timm``, or ``paper`` where there is none."""
        return {"pth": "meal_v2", "pdparams": "paddleclas", "timm": "timm", "none": "paper"}[self.format]

    @property
    def file_name(self) -> str:
        """The published file's own name."""
        return self.address.rsplit("/", 1)[-1]

    @property
    def preprocessing(self) -> Preprocessing:
        """What the weights expect."""
        return Preprocessing(
            image_size=self.image_size,
            mean=self.mean,
            std=self.std,
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
        )

    @property
    def promised_top1(self) -> float | None:
        """Percent that the weights reach at ``preprocessing``: the headline, where it was measured so."""
        if not self.results or self.format == "none":
            return None
        first = self.results[0]
        measured = (first.image_size, first.crop_pct, first.interpolation)
        return round(first.top1, 2) if measured == (self.image_size, self.crop_pct, self.interpolation) else None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, whole."""
        record = asdict(self)
        record["model_args"] = dict(self.model_args)
        record["source"] = self.source
        paper = PAPERS[self.paper]
        shown = {name: getattr(paper, name) for name in ("title", "authors", "year", "arxiv", "url")}
        record["paper"] = shown | {"key": self.paper}
        return record
