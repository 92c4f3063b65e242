"""How a number is measured: what may be overridden, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...data import ImageSource
from ...data.eval_views import EvalView
from ...data.expected_counts import EXPECTED_COUNTS
from ...data.several_labels import SeveralLabelsSource
from ...engine.class_match import ClassMatch
from ...zoo import LoadedModel, Preprocessing
from ...zoo.preprocessing import CENTRE_CROP, describe_view

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class EvaluatedModel:
    """A model in the preprocessing in which it is measured.

    Attributes:
        loaded: The model; its ``preprocessing`` has the mean and the standard deviation.
        view: What it sees of an image.
        own: The preprocessing that the model was published with.
    """

    loaded: LoadedModel
    view: EvalView
    own: Preprocessing


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What to take in place of each model's own preprocessing; None for its own.

    Attributes:
        crop_pct: Crop over resized short side.
        interpolation: ``bilinear``, ``bicubic`` or ``opencv-bilinear``.
        crops: 1, 5 or 10.
        mean: Per channel, of images in [0, 1].
        std: Per channel, of images in [0, 1].
    """

    crop_pct: float | None = None
    interpolation: str | None = None
    crops: int = 1
    mean: Colour | None = None
    std: Colour | None = None

    def apply(self, loaded: LoadedModel) -> EvaluatedModel:
        """A model as it is to be measured; its image size is already the wanted one.

        Raises:
            UsageError: The preprocessing makes no sense, or has an interpolation that is not there.
        """
        look = replace(
            loaded.preprocessing,
            crop_pct=self.crop_pct if self.crop_pct is not None else loaded.preprocessing.crop_pct,
            interpolation=self.interpolation or loaded.preprocessing.interpolation,
            mean=self.mean or loaded.preprocessing.mean,
            std=self.std or loaded.preprocessing.std,
        )
        view = EvalView(
            image_size=look.image_size,
            image_width=look.image_width,
            crop_pct=look.crop_pct,
            interpolation=look.interpolation,
            crops=self.crops,
        )
        return EvaluatedModel(replace(loaded, preprocessing=look), view, loaded.preprocessing)


def describe_protocol(model: EvaluatedModel, source: ImageSource, match: ClassMatch) -> tuple[str, dict[str, Any]]:
    """In one line for a reader, and as settings: two numbers are comparable where these are equal."""
    view, look = model.view, model.loaded.preprocessing
    crops = {1: CENTRE_CROP[0], 5: "mean probability of 5 crops", 10: "mean probability of 5 crops and their mirrors"}
    size = f"{view.image_size}" if view.image_width is None else f"{view.size[0]}x{view.size[1]}"
    parts = [crops[view.crops]]
    settings: dict[str, Any] = {**look.to_dict(), "crops": view.crops, "classes": match.kind}
    if isinstance(source, SeveralLabelsSource):
        parts.append("any of an image's ReaL labels is right, images without one are left out")
    else:
        parts.append(CENTRE_CROP[1])
    partial = partial_words(source)
    if partial:
        parts.append(partial)
    if match.kind == "subset":
        parts.append(f"answers among the data's {len(source.class_names):,} classes")
        settings["num_classes"] = len(source.class_names)
    if match.kind == "assumed":
        parts.append("class order taken on trust")
    return describe_view(size, view.crop_pct, view.interpolation, *parts), settings


def partial_words(source: ImageSource) -> str | None:
    """That a data set has another number of images than its official split, in words; None where it has not."""
    images = EXPECTED_COUNTS.get(source.name, {}).get(source.split, (len(source), 0))[0]
    return None if images == len(source) else f"{len(source):,} images, the official {source.name} has {images:,}"
