"""docs/zoo.md, made from document.md and the entries: ``python -m kdzoo.zoo.document > docs/zoo.md``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .entries import COSTS, ENTRIES, PAPERS, Entry

_GROUPS = {
    "meal_v2": ("MEAL V2", "The eight files of the authors' release."),
    "ssld": (
        "SSLD",
        "PaddleClas' releases (source paddleclas: converted here) and those that timm hosts (source timm).",
    ),
    "distilled": ("Other distilled weights that timm hosts", "Under timm's names."),
    "teacher": ("The recipes' teachers and initial weights", "Under timm's names."),
    "reference": (
        "What they are compared with",
        "FixRes, Noisy Student, AdvProp, billion-scale and weakly supervised pre-training. Source paper: the number "
        "alone, no weights that kdzoo could pull.",
    ),
}


def page() -> str:
    """The text of docs/zoo.md."""
    parts = [Path(__file__).with_suffix(".md").read_text(encoding="utf-8")]
    for group, (title, text) in _GROUPS.items():
        parts += [f"## {title}", "", text, "", *_table([entry for entry in ENTRIES.values() if entry.group == group])]
    parts += ["## Papers", ""]
    parts += [f"- {paper.title}. {paper.authors}, {paper.year}. <{paper.url}>" for paper in PAPERS.values()]
    return "\n".join(parts) + "\n"


def _table(entries: list[Entry]) -> Iterator[str]:
    notes: dict[str, int] = {}
    yield "| name | network | px | top-1 | top-5 | params (M) | MACs (G) | licence | source | |"
    yield "|---|---|--:|--:|--:|--:|--:|---|---|---|"
    for entry in entries:
        params, macs = COSTS[entry.name]
        first = entry.results[0]
        marks = " ".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in entry.notes)
        arguments = ", ".join(f"{key}={value}" for key, value in entry.model_args.items())
        cells = (
            f"`{entry.name}`",
            f"`{entry.architecture}`" + (f" ({arguments})" if arguments else ""),
            *(first.image_size, f"{first.top1:.2f}", "" if first.top5 is None else f"{first.top5:.2f}"),
            *(f"{params / 1e6:.2f}", f"{macs / 1e9:.3g}", entry.licence or "none", entry.source, marks),
        )
        yield f"| {' | '.join(map(str, cells))} |".replace("  |", " |")
    yield ""
    for note, number in notes.items():
        yield f"[{number}] {note}  "
    if notes:
        yield ""


if __name__ == "__main__":
    print(page(), end="")
