"""docs/zoo.md, made from the entries: ``python -m kdzoo.zoo.document > docs/zoo.md``."""

from __future__ import annotations

from collections.abc import Iterator

from .entries import COSTS, ENTRIES, PAPERS, Entry

_HEAD = """\
# The zoo

<!-- Made by `python -m kdzoo.zoo.document > docs/zoo.md`; a test fails where the two differ. -->

```console
kdzoo models list --max-params 6 --sort top1   # what is there
kdzoo models show ssld_resnet50d               # one entry whole: numbers with protocol and source, licence, digest
kdzoo pull ssld_resnet50d meal_v2_resnet50     # fetch; from then on they load by name, with no network
kdzoo eval ssld_resnet50d --on imagenet        # a zoo name stands wherever a model is asked for
```

```python
import kdzoo

kdzoo.list_models(max_params=6, sort="top1")  # a DataFrame
kdzoo.load_model("ssld_resnet50d").model  # once it is pulled
```

## What a pull does

1. The released file is downloaded from its official address, or from a mirror of the same layout (`--mirror URL`,
   `KDZOO_MIRROR`). A broken download goes on where it broke, if the server still has the same file.
2. Its SHA-256 is checked. None of these releases states one: the digest of the first pull is recorded in
   `digests/NAME.sha256`, and every later file is held to it (`--sha256 HEX` checks the first one too; `--force` trusts
   another file from then on).
3. It is read without running anything in it. A `.pdparams` file is a pickle: a small interpreter in a process of its
   own, with little memory and time, takes the arrays out and refuses all else. A `.pth` file is read with torch's
   `weights_only`; a compressed one is refused.
4. Its tensors get timm's names ([conversion](conversion.md): same logits to 1e-4) and must fill the network exactly.
5. It is saved in timm's layout (`config.json`, `model.safetensors`, `README.md`) with what the entry says of it, whole
   or not at all. Loading checks the digests of these files every time.

A second pull of the same model touches no network; two at once wait for each other. `kdzoo pull --convert FILE --as
NAME` takes a file that is on disk already. Everything lies under `KDZOO_HOME`, else `$XDG_CACHE_HOME/kdzoo`, else
`~/.cache/kdzoo`.

What the Hub hosts (timm's weights, and `kdzoo pull hf-hub:ORG/NAME[@REVISION]`) is not stored twice: it stays in the
cache of the Hub's own client, where timm finds it, with its digest checked. A pulled repository is pinned to the commit
it had; pulling again looks for a newer one.

A mirror has the files below one address, as the publishers have them below theirs: `MEALV2_ResNet50_224.pth`,
`legendary_models/ResNet50_vd_ssld_pretrained.pdparams`, `Fix_ResNet50_vd_ssld_v2_pretrained.pdparams`.

## How to read the tables

Accuracies are published ones, in percent, on ImageNet's validation images, each at its own protocol. Parameters and
multiply-adds (MACs, of one image) are counted at the size in the column px. "none" under licence: its publisher states
none. Numbers in brackets point to the notes below a table.
"""

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
    parts = [_HEAD]
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
