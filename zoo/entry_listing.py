"""The zoo's entries as a table, and one of them as a whole record."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from ..base.errors import UsageError
from .cached import cached_weights
from .entries import COSTS, ENTRIES, PAPERS, Entry, get_entry
from .pulled import model_folder, read_record, trusted_digest
from .references import is_kdzoo_network, parse_reference

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("name", "top1", "top5", "image_size", "params_m", "macs_g", "size_mb", "licence", "paper", "source", "group"),
    *("architecture", "pulled"),
)
SORTS = ("name", "top1", "top5", "image_size", "params_m", "macs_g", "size_mb", "licence", "paper", "source")
_HIGHEST_FIRST = ("top1", "top5")
_BYTES_PER_PARAM = 4


def list_models(
    pattern: str | None = None,
    *,
    paper: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    min_top1: float | None = None,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_size: float | None = None,
    sort: str | None = None,
) -> pd.DataFrame:
    """The zoo's entries, one row each.

    Args:
        pattern: A part of the name, or a pattern with ``*`` and ``?``.
        paper: Key of a paper, or a part of its title.
        licence: A part of the licence; ``none`` for weights that come with none.
        source: ``meal_v2``, ``paddleclas``, ``timm`` or ``paper``.
        min_top1: Percent.
        max_params: Millions.
        max_macs: Thousand million multiply-adds of one image.
        max_size: MB of the weights in float32.
        sort: A column; accuracies the highest first, the others the lowest first.

    Returns:
        ``name``; ``top1`` and ``top5`` in percent, as published; ``image_size`` in pixels; ``params_m``, millions;
        ``macs_g``, thousand millions; ``size_mb``; ``licence``; ``paper``; ``source``; ``group``; ``architecture``;
        ``pulled``, whether its weights are on this machine.

    Raises:
        UsageError: There is no such column to sort by.
    """
    import pandas as pd

    if sort is not None and sort not in SORTS:
        raise UsageError(f"the list cannot be sorted by {sort!r}", hint=f"it can by {', '.join(SORTS)}")
    rows = [_row(entry) for entry in ENTRIES.values() if _fits(entry, pattern, paper, licence, source)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column, limit in (("params_m", max_params), ("macs_g", max_macs), ("size_mb", max_size)):
        if limit is not None:
            frame = frame[frame[column] <= limit]
    if min_top1 is not None:
        frame = frame[frame["top1"] >= min_top1]
    if sort is not None:
        frame = frame.sort_values(sort, ascending=sort not in _HIGHEST_FIRST, kind="stable")
    return frame.reset_index(drop=True)


def describe_model(reference: str) -> dict[str, Any]:
    """Everything known of one model: `entry_record` of an entry of the zoo, else `model_record`. Nothing is downloaded.

    Raises:
        ModelError: The reference names nothing.
    """
    if reference in ENTRIES:
        return entry_record(reference)
    from .listing import model_record

    return model_record(reference)


def entry_record(name: str) -> dict[str, Any]:
    """Everything that the zoo knows of one entry, as JSON values.

    Raises:
        ModelError: There is no such entry.
    """
    entry = get_entry(name)
    params, macs = COSTS[name]
    record = read_record(name)
    return {
        **entry.to_dict(),
        "params": params,
        "macs": macs,
        "size_mb": _size_mb(params),
        "promised_top1": entry.promised_top1,
        "pulled": _is_here(entry),
        "sha256": entry.digest or (record or {}).get("sha256") or trusted_digest(entry.timm_name or name),
        "get": None if entry.format == "none" else f"kdzoo pull {name}",
        "load_in_timm": _in_timm(entry),
        "load_in_kdzoo": None if entry.format == "none" else f"kdzoo.load_model({name!r})",
    }


def _in_timm(entry: Entry) -> str | None:
    if entry.format == "none":
        return None
    if entry.timm_name:
        return f"timm.create_model({entry.timm_name!r}, pretrained=True)"
    first = "import kdzoo.zoo; " if is_kdzoo_network(entry.architecture) else ""
    return f"{first}timm.create_model({f'local-dir:{model_folder(entry.name)}'!r}, pretrained=True)"


def _row(entry: Entry) -> tuple[Any, ...]:
    params, macs = COSTS[entry.name]
    return (
        *(entry.name, entry.top1, entry.top5, entry.image_size, round(params / 1e6, 2), round(macs / 1e9, 3)),
        *(_size_mb(params), entry.licence, entry.paper, entry.source, entry.group, entry.architecture),
        _is_here(entry),
    )


def _is_here(entry: Entry) -> bool:
    """Whether the weights are on this machine: in kdzoo's home, or in the cache where timm looks for them."""
    return entry.format != "none" and cached_weights(parse_reference(entry.name)) is not None


def _size_mb(params: int) -> float:
    return round(params * _BYTES_PER_PARAM / 1e6, 1)


def _fits(entry: Entry, pattern: str | None, paper: str | None, licence: str | None, source: str | None) -> bool:
    if pattern and not (
        fnmatch.fnmatchcase(entry.name, pattern) if any(c in pattern for c in "*?[") else pattern in entry.name
    ):
        return False
    if paper and paper != entry.paper and paper.lower() not in PAPERS[entry.paper].title.lower():
        return False
    if licence and (entry.licence is not None if licence == "none" else licence.lower() not in (entry.licence or "")):
        return False
    return not source or source == entry.source
