"""What can be built: kdzoo's own networks and timm's."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch.utils.flop_counter import FlopCounterMode

from .building import create, load_model
from .features import blank_conditions, network_output
from .references import default_tag, is_kdzoo_network, parse_reference

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("name", "default_tag", "source", "params_m", "image_size", "weights", "licence")
_COUNTED = 40


def list_architectures(pattern: str | None = None, *, count_params: bool | None = None) -> pd.DataFrame:
    """What can be built, one row an architecture.

    Args:
        pattern: A part of the name, or a pattern with ``*`` and ``?``; a pattern with a dot is also matched against
            ``architecture.tag``, one row for each tag that fits.
        count_params: Whether every architecture is built, without memory, to count its parameters; by default where
            the list is short.

    Returns:
        ``name``; ``default_tag``, timm's name of the weights that a bare name would take; ``source``, ``kdzoo`` or
        ``timm``; ``params_m``, millions of parameters, or NaN where not counted; ``image_size`` in pixels;
        ``weights``, where they come from; ``licence`` of the weights.
    """
    import pandas as pd

    names = _matching(pattern)
    count = len(names) <= _COUNTED if count_params is None else count_params
    frame = pd.DataFrame([_row(name, count) for name in names], columns=list(COLUMNS))
    return frame.sort_values("source", kind="stable", ignore_index=True)


def model_record(reference: str) -> dict[str, Any]:
    """Everything known of one model, built with random weights: nothing is downloaded.

    Returns:
        JSON values: ``reference`` (pinned), ``architecture``, ``source``, ``params``, ``flops`` of one image's forward
        pass (a multiplication and an addition are two), ``macs`` (half of them), ``image_size``, ``preprocessing``,
        ``num_classes``, ``num_features``, ``weights``, ``licence``, ``tags``, ``load_in_timm``, ``notes``.

    Raises:
        ModelError: The reference names nothing.
    """
    parsed = parse_reference(reference)
    loaded = load_model(reference, pretrained=False)
    model, size = loaded.model.eval(), loaded.preprocessing.image_size
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network_output(model, torch.zeros(1, *loaded.preprocessing.input_size), blank_conditions(model, 1))
    flops = counter.get_total_flops()
    ours = is_kdzoo_network(loaded.architecture)
    record = get_pretrained_cfg(parsed.pinned) if parsed.kind == "timm" else None
    name = parsed.pinned if parsed.kind == "timm" else parsed.text
    if parsed.kind == "folder":
        name = f"local-dir:{parsed.path}"
    elif parsed.kind == "run":
        name = f"local-dir:{parsed.path / 'model'}"
    pretrained = "" if record is not None and not record.has_weights else ", pretrained=True"
    loadable = parsed.kind in ("timm", "folder", "run", "hub")
    tags = timm.list_models(loaded.architecture, include_tags=True, pretrained=True)
    return {
        "reference": name if parsed.kind == "timm" else parsed.text,
        "architecture": loaded.architecture,
        "source": _source(loaded.architecture),
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "flops": flops,
        "macs": flops // 2,
        "image_size": size,
        "preprocessing": loaded.preprocessing.to_dict(),
        "num_classes": loaded.num_classes,
        "num_features": int(getattr(model, "num_features", 0)),
        "weights": _weights(record) if parsed.kind == "timm" else parsed.text,
        "licence": record.license if record is not None else loaded.licence,
        "tags": [tag for tag in tags if "." in tag],
        "load_in_timm": (
            f"{'import kdzoo.zoo; ' if ours else ''}timm.create_model({name!r}{pretrained})" if loadable else None
        ),
        "notes": list(parsed.notes),
    }


def _matching(pattern: str | None) -> list[str]:
    names = timm.list_models()
    if not pattern:
        return names
    if "." in pattern:
        names = timm.list_models(include_tags=True)
    if any(c in pattern for c in "*?["):
        return fnmatch.filter(names, pattern)
    return [name for name in names if pattern in name]


def _row(name: str, count: bool) -> tuple[Any, ...]:
    record = get_pretrained_cfg(name)
    architecture, _, tag = name.partition(".")
    return (
        name,
        (tag or default_tag(architecture)) or None,
        _source(architecture),
        _params_m(architecture) if count else float("nan"),
        record.input_size[-1] if record else None,
        _weights(record),
        record.license if record and record.has_weights else None,
    )


def _source(architecture: str) -> str:
    return "kdzoo" if is_kdzoo_network(architecture) else "timm"


def _weights(record: Any) -> str | None:
    if record is None or not record.has_weights:
        return None
    if record.hf_hub_id:
        return f"hf-hub:{record.hf_hub_id}"
    return record.url if isinstance(record.url, str) else record.url[0]


def _params_m(architecture: str) -> float:
    with torch.device("meta"):  # shapes without memory
        model = create(architecture, architecture)
    return round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 3)
