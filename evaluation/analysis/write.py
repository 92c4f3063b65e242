"""``kdzoo report``: read what there is, make the sections that it allows, write the page and the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import DataError, KdzooError
from ..drawing import draw
from ..page import write_page
from .calibration import calibration_section
from .classes import class_sections
from .files import write_figures
from .inputs import Inputs, read_inputs
from .section import Section, listed
from .trade_off import trade_off_sections
from .training import training_section
from .transfer import transfer_section
from .weights import weight_section


@dataclass(frozen=True)
class Analysis:
    """What was written.

    Attributes:
        page: The HTML file.
        figures: PNG and SVG files.
        sections: Titles of the parts of the page.
        missing: What the page could not show, and how to get it.
    """

    page: Path
    figures: tuple[Path, ...]
    sections: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "page": str(self.page),
            "figures": [str(path) for path in self.figures],
            "sections": list(self.sections),
            "missing": [{"what": what, "how": how} for what, how in self.missing],
        }


def write_analysis(
    paths: Sequence[str | Path],
    *,
    out: str | Path = "report.html",
    figures: str | Path | None = None,
    data: str | None = None,
    classes: Sequence[str] = (),
    layers: Sequence[str] = (),
    pair: Sequence[str] = (),
    device: str = "auto",
) -> Analysis:
    """Write one page over runs and results; a section appears where its data is there.

    Args:
        paths: Runs (with the results in them), folders of results, documents.
        out: The page, one self-contained HTML file.
        figures: Also write every chart as PNG and SVG into this folder.
        data: Labelled data; its validation split is shown to the runs' models for features and soft labels.
        classes: Of these data: which ones to draw. By default two that the models take for each other, and two others.
        layers: Names of weights for the histograms; by default the first, middle and last convolution.
        pair: Two models' names, before and after, whose classes are compared; by default the first and the last.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        DataError: A path holds nothing, a document is damaged, or the data cannot be read.
        RunError: A run cannot be read, or something cannot be written.
        UsageError: A class, a layer or a model of the pair is not there.
    """
    inputs = read_inputs(paths)
    missing: list[tuple[str, str]] = []
    sections = _sections(inputs, missing, pair)
    if inputs.runs:
        weights = weight_section(inputs.runs, layers, missing)
        sections += [] if weights is None else [weights]
    sections += _looked_at(inputs, missing, data, classes, device)
    if not sections:
        raise DataError(
            "there is nothing to report in these paths",
            hint="name runs that have trained, or folders that 'kdzoo eval' and 'kdzoo transfer' wrote",
        )
    charts = [chart for section in sections for chart in section.charts]
    written = write_figures(Path(figures).expanduser(), charts) if figures is not None else []
    page = write_page(
        Path(out).expanduser(),
        "analysis.html.j2",
        headline=_headline(inputs),
        sources=[str(path) for path in paths],
        sections=[{**vars(section), "charts": [draw(chart) for chart in section.charts]} for section in sections],
        problems=[f"{name}: {line}" for name, run in inputs.runs.items() for line in run.problems],
        missing=missing,
    )
    return Analysis(page, tuple(written), tuple(section.title for section in sections), tuple(missing))


def _headline(inputs: Inputs) -> str:
    models = dict.fromkeys([*inputs.runs, *(one.name for one in inputs.stored)])
    datasets = list(dict.fromkeys(one.result.dataset for one in inputs.stored))
    names = list(models)
    what = listed(names) if len(names) <= 3 else f"{len(names)} models"
    return f"{what} on {listed(datasets)}" if 0 < len(datasets) <= 3 else what


def _sections(inputs: Inputs, missing: list[tuple[str, str]], pair: Sequence[str]) -> list[Section]:
    """The sections that are made from documents alone, without weights or images."""
    stored = inputs.stored
    evaluate = f"kdzoo eval {' '.join(str(run.path) for run in inputs.runs.values()) or 'REF REF'} --on DATA"
    found: list[Section] = []

    def add(made: Sequence[Section | None], what: str, how: str) -> None:
        there = [section for section in made if section is not None]
        found.extend(there)
        if not there and what:
            missing.append((what, how))

    add([training_section(inputs.runs)], "training curves: no run among the paths", "kdzoo report RUN …")
    trades = trade_off_sections(stored)
    add(trades, "accuracy against cost: no two models of other cost on the same data", evaluate)
    known = len(missing)
    by_class = class_sections(stored, missing, pair)  # says itself what keeps two models from being compared
    why = "" if len(missing) > known else "accuracy class by class: fewer than two models on the same data"
    add(by_class, why, evaluate)
    calibration = "reliability diagrams: no result of 'kdzoo eval' with ten images of like certainty"
    add([calibration_section(stored)], calibration, evaluate)
    transfer = "transfer tables: no result of 'kdzoo transfer'"
    add([transfer_section(stored)], transfer, "kdzoo transfer TASK --backbone REF")
    return found


def _looked_at(
    inputs: Inputs,
    missing: list[tuple[str, str]],
    data: str | None,
    classes: Sequence[str],
    device: str,
) -> list[Section]:
    """The sections for which the runs' models look at images: features, soft labels."""
    runs = {name: run for name, run in inputs.runs.items() if (run.path / "model" / "config.json").is_file()}
    if data is None or not runs:
        if inputs.runs:
            what = "features of chosen classes, soft labels of teachers"
            why = "no data to look at" if data is None else "no run has finished"
            missing.append((f"{what}: {why}", "kdzoo report RUN … --data SPEC --classes A,B"))
        elif data is not None:
            missing.append(("features of chosen classes: no run among the paths", "kdzoo report RUN … --data SPEC"))
        return []
    from ...data import open_source
    from ...engine.distributed import choose_device
    from ...engine.teachers import TeacherEnsemble
    from ...zoo import load_model
    from .features import choose_classes, feature_section
    from .soft_labels import soft_label_section

    source, where = open_source(data, "val"), choose_device(device)
    if not source.class_names or source.targets is not None:
        raise DataError(f"{data} is not labelled with one class an image", hint="--data with class folders")
    models = {name: load_model(str(run.path)) for name, run in runs.items()}
    chosen = tuple(dict.fromkeys(classes)) or choose_classes(models, source, where)
    sections = [feature_section(models, source, chosen, where, given=bool(classes))]
    for name, run in runs.items():
        if not run.config.teachers:
            continue
        try:
            loaded = [load_model(one) for one in run.config.teachers]
        except KdzooError as error:
            missing.append((f"soft labels of {name}'s teachers: {error.message}", "call it where they are found"))
            continue
        if any(tuple(one.class_names) != tuple(source.class_names) for one in [models[name], *loaded]):
            what = f"soft labels of {name} and its teachers: they do not have the classes of {data}"
            missing.append((what, "--data with the data that the run was trained on"))
            continue
        teachers = TeacherEnsemble(loaded, where)
        sections.append(soft_label_section(name, models[name], teachers, source, chosen, where))
    if len(sections) == 1:
        missing.append(("soft labels: no run with teachers that can be loaded", "kdzoo report RUN, of 'kdzoo distill'"))
    return sections
