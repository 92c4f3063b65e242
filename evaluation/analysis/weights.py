"""What training did to the weights: histograms of chosen layers, and their percentiles over training (Z. Shen et al.,
MEAL V2, Fig. 7 and 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ...base.errors import UsageError
from ...base.run_record import RunRecord
from ...engine.checkpoint import is_good
from ...zoo.weights_digest import check_folder
from ..charts import MOST, Chart, Lines, Series
from .section import Section, listed, slug

PERCENTILES = (10, 25, 50, 75, 90)  # MEAL V2, Fig. 8
_BINS = (15, 61)
_SHORTCUTS = ("downsample", "shortcut")


def weight_section(
    runs: Mapping[str, RunRecord], layers: Sequence[str], missing: list[tuple[str, str]]
) -> Section | None:
    """Histograms of the exported models' layers, and percentiles over the checkpoints; None where no run has a model.

    Args:
        runs: The runs.
        layers: Names of weights, such as ``layer2.0.conv1.weight``; by default the first, middle and last convolution
            of the first run, as in Fig. 7; shortcuts are passed over.
        missing: What could not be shown, and how to get it, is added here.

    Raises:
        UsageError: No run has a layer of one of these names.
        ModelError: A run's weights are not those that were written.
    """
    models = {name: run.path / "model" / "model.safetensors" for name, run in list(runs.items())[:MOST]}
    models = {name: path for name, path in models.items() if path.is_file()}
    for path in models.values():
        check_folder(path.parent)
    models = {name: path for name, path in models.items() if _shapes(path)}
    if not models:
        return None
    shapes = {name: _shapes(path) for name, path in models.items()}
    chosen = list(layers) or next((found for known in shapes.values() if (found := _first_middle_last(known))), [])
    if not chosen:
        what = "histograms of weights: no tensor has two or more dimensions"
        missing.append((what, "name the weights: kdzoo report RUN … --layers NAME"))
        return None
    unknown = [layer for layer in chosen if not any(layer in known for known in shapes.values())]
    if unknown:
        known = [key for key, shape in next(iter(shapes.values())).items() if len(shape) > 1]
        raise UsageError(f"no run has weights called {unknown[0]!r}", hint=f"there are: {', '.join(known[:6])}, …")
    charts: list[Chart] = []
    for layer in chosen:
        values = {name: _read(models[name], layer) for name in models if layer in shapes[name]}
        charts.append(_histogram(layer, values))
    evolving: list[Chart] = []
    rest = []
    for name in models:
        chart = _percentiles(name, runs[name].path, chosen[len(chosen) // 2])
        if chart is None:
            rest.append(name)
        else:
            evolving.append(chart)
    if rest:
        what = f"percentiles of weights over training of {listed(rest)}: fewer than two checkpoints are there"
        missing.append((what, "keep the run's checkpoints folder; kdzoo keeps the last two and the best one"))
    notes = ["The share of a layer's weights in bins of equal width; the axis spans all but 0.2 % of them."]
    if evolving:
        notes.append("Percentiles are drawn at the checkpoints that are there, which are few unless more were copied.")
    return Section("Weights", charts=(*charts, *evolving), notes=tuple(notes))


def _first_middle_last(shapes: Mapping[str, Sequence[int]]) -> list[str]:
    convolutions = [
        name for name, shape in shapes.items() if len(shape) == 4 and not any(word in name for word in _SHORTCUTS)
    ]
    convolutions = convolutions or [name for name, shape in shapes.items() if len(shape) > 1]
    chosen = [convolutions[0], convolutions[len(convolutions) // 2], convolutions[-1]] if convolutions else []
    return list(dict.fromkeys(chosen))


def _shapes(path: Path, prefix: str = "") -> dict[str, list[int]]:
    """Names and shapes of a file's tensors, in the order of the names; empty where it cannot be read."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return {
                key.removeprefix(prefix): list(file.get_slice(key).get_shape())
                for key in sorted(file.keys(), key=_natural)
                if key.startswith(prefix)
            }
    except (SafetensorError, OSError):
        return {}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``layer2`` before ``layer10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read(path: Path, key: str) -> np.ndarray:
    """One tensor, flat, float64; bfloat16 goes through torch."""
    with safe_open(str(path), framework="pt") as file:
        values: np.ndarray = file.get_tensor(key).double().flatten().numpy()
    return values


def _histogram(layer: str, values: Mapping[str, np.ndarray]) -> Lines:
    everything = np.concatenate(list(values.values()))
    low, high = np.quantile(everything, [0.001, 0.999])
    if low == high:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(min(map(len, values.values())) ** 0.5, *_BINS))  # few weights in many bins are noise
    edges = np.linspace(low, high, bins + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    series = []
    for slot, (name, weights) in enumerate(values.items()):
        share = 100 * np.histogram(weights, bins=edges)[0] / len(weights)
        series.append(Series(name, tuple(zip(middles.tolist(), share.tolist(), strict=True)), slot))
    return Lines(
        name=slug("weights", layer),
        title=f"Weights of {layer.removesuffix('.weight')}",
        series=tuple(series),
        x_label="weight",
        unit="% of the layer",
        from_zero=True,
        last_values=False,
    )


def _percentiles(name: str, run: Path, layer: str) -> Lines | None:
    """10, 25, 50, 75 and 90 % points of a layer's weights at the checkpoints of a run; None for fewer than two."""
    found = []
    for path in sorted((run / "checkpoints").glob("step-*.safetensors")):
        key, digits = f"student/{layer}", path.stem.removeprefix("step-")
        if digits.isdigit() and key in _shapes(path) and is_good(path):
            found.append((float(digits), np.percentile(_read(path, key), PERCENTILES)))
    if len(found) < 2:
        return None
    series = tuple(
        Series(f"{percent} %", tuple((step, float(values[k])) for step, values in found), k)
        for k, percent in enumerate(PERCENTILES)
    )
    title = f"Percentiles of {layer.removesuffix('.weight')}, {name}"
    return Lines(name=slug("percentiles", name), title=title, series=series, x_label="steps")
