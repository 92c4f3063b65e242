"""Where the images of a few classes lie for each model: t-SNE of pooled features (Z. Shen et al., MEAL V2, Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...base.errors import UsageError
from ...data import ImageSource
from ...zoo import LoadedModel, forward_with_features
from ..charts import MOST, Points, Scatter
from ..examples import shown_batches
from .confusion import confusion_matrix, contrasting_classes
from .section import Section, slug

MOST_IMAGES = 100
"""Of a class; more would hide each other."""
_LOOKED_AT = 2000


@dataclass(frozen=True)
class Seen:
    """What a model makes of some images.

    Attributes:
        features: Pooled penultimate ones, float32 (N, D).
        answers: The likeliest output, int64 (N,).
    """

    features: np.ndarray
    answers: np.ndarray


def look(loaded: LoadedModel, source: ImageSource, positions: Sequence[int], device: torch.device) -> Seen:
    """Run a model over some images in its own preprocessing; it is left in evaluation mode on the device."""
    network, own = loaded.model.to(device).eval(), loaded.preprocessing
    features, answers = [], []
    with torch.no_grad():
        for *_, inputs in shown_batches(source, own, positions, device):
            logits, pooled = forward_with_features(network, inputs)
            features.append(pooled.float().flatten(1).cpu().numpy())
            answers.append(logits.argmax(dim=1).cpu().numpy())
    return Seen(np.concatenate(features), np.concatenate(answers))


def choose_classes(models: Mapping[str, LoadedModel], source: ImageSource, device: torch.device) -> tuple[str, ...]:
    """Two classes that the models take for each other, and two that they take for nothing.

    Where no model has the data's classes, the first four.
    """
    fitting = [model for model in models.values() if tuple(model.class_names) == tuple(source.class_names)]
    if not fitting or len(source.class_names) <= 4:
        return tuple(source.class_names[:4])
    positions = np.linspace(0, len(source) - 1, min(_LOOKED_AT, len(source))).round().astype(int).tolist()
    labels = np.asarray(source.labels)[positions]
    matrices = [
        confusion_matrix(labels, look(model, source, positions, device).answers, len(source.class_names))
        for model in fitting
    ]
    return tuple(source.class_names[label] for label in contrasting_classes(matrices))


def class_positions(source: ImageSource, classes: Sequence[str], most: int = MOST_IMAGES) -> list[int]:
    """Positions of the classes' images, at most ``most`` of each, evenly spread, class by class.

    Raises:
        UsageError: The data has no such class, or there is none of its images.
    """
    positions: list[int] = []
    for name in classes:
        if name not in source.class_names:
            some = ", ".join(source.class_names[:8])
            raise UsageError(f"{source.name} has no class {name!r}", hint=f"there are: {some}, …")
        own = np.flatnonzero(np.asarray(source.labels) == source.class_names.index(name))
        if not len(own):
            raise UsageError(f"{source.name} ({source.split}) has no image of {name!r}", hint="choose another class")
        positions += own[np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int)].tolist()
    return positions


def embed(features: np.ndarray) -> np.ndarray:
    """t-SNE (L. van der Maaten and G. Hinton, JMLR 9, 2008) of features, (N, 2), from their principal components.

    The perplexity is 30, less for few images. Equal features give an equal map.

    Args:
        features: (N, D), at least 4 images.
    """
    from sklearn.manifold import TSNE

    values = features.astype(np.float64)
    spread = values.std()
    values = values / spread if spread > 0 else values
    perplexity = min(30.0, (len(values) - 1) / 3)
    wide = min(values.shape) >= 2 and spread > 0
    model = TSNE(perplexity=perplexity, init="pca" if wide else "random", random_state=0, n_jobs=1)
    found: np.ndarray = model.fit_transform(values)
    return found


def feature_section(
    models: Mapping[str, LoadedModel],
    source: ImageSource,
    classes: Sequence[str],
    device: torch.device,
    *,
    given: bool,
) -> Section:
    """A map for each model.

    Args:
        models: At most seven are shown.
        source: Labelled images.
        classes: Names.
        device: Where the models compute.
        given: Whether the user named the classes; else `choose_classes` did.

    Raises:
        UsageError: A class is not there, or there are fewer than four images or more than seven classes.
    """
    chosen = tuple(dict.fromkeys(classes))
    if len(chosen) > MOST:
        raise UsageError(f"{len(chosen)} classes cannot be told apart", hint=f"--classes with at most {MOST}")
    positions = class_positions(source, chosen)
    if len(positions) < 4:
        raise UsageError(f"{len(positions)} images make no map", hint="choose classes with more images")
    labels = np.asarray(source.labels)[positions]
    charts = []
    for name, model in list(models.items())[:MOST]:
        places = embed(look(model, source, positions, device).features)
        groups = tuple(
            Points(
                name=label,
                points=tuple(map(tuple, places[labels == source.class_names.index(label)].tolist())),
                slot=slot,
            )
            for slot, label in enumerate(chosen)
        )
        charts.append(Scatter(name=slug("features", name), title=f"Features of {name}", groups=groups))
    how = "as asked" if given else "two that the models take for each other, and two that they do not"
    notes = (
        f"t-SNE of pooled features of {len(positions)} images of {source.name} ({source.split}), classes {how}; "
        "distances between far groups mean little.",
    )
    return Section(f"Features of {len(chosen)} classes", charts=tuple(charts), notes=notes)
