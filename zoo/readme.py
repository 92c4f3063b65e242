"""The short README.md beside a saved model. Whatever a field holds comes out literal: not as Markdown, HTML or YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .references import is_kdzoo_network

_KINDS = {
    "classifier": ("An image classification model", "image-classification"),
    "regression": ("A gaze estimation model", "gaze-estimation"),
    "backbone": ("A backbone without a classifier,", "image-feature-extraction"),
}
"""What a model is called, and its tag on the Hub."""
_SHOWN = 400


def literal(value: Any) -> str:
    """A value as a Markdown code span, in which nothing has a meaning; unprintable characters as their code points."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not text or text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text.strip() else "(empty)"


def render_readme(config: Mapping[str, Any], folder: str) -> str:
    """The README of a model folder, from its config.json.

    Args:
        config: The content of config.json.
        folder: Name of the folder.
    """
    record, provenance = config["pretrained_cfg"], config["kdzoo"]
    height, width = record["input_size"][1:]
    regression, backbone = provenance.get("task") == "regression", config["num_classes"] == 0
    facts = {
        "architecture": config["architecture"],
        "arguments": config.get("model_args") or None,
        "outputs" if regression else "classes": None if backbone else config["num_classes"],
        "features": config.get("num_features") if backbone else None,
        "image size": f"{height} x {width}",
        "mean": record["mean"],
        "std": record["std"],
        "resize and crop": f"{record['interpolation']}, crop_pct {record['crop_pct']}",
    }
    what, tag = _KINDS["regression" if regression else "backbone" if backbone else "classifier"]
    pipeline = [] if regression else [f"pipeline_tag: {tag}"]  # the Hub has no pipeline for a gaze
    lines = ["---", "library_name: timm", *pipeline, "tags:", f"- {tag}", "- timm", "- knowledge-distillation", "---"]
    lines += ["", f"# {what} written by kdzoo", "", "## What it is", ""]
    lines += [f"- {name}: {literal(value)}" for name, value in facts.items() if value is not None]
    lines += ["", "## Where it comes from, and its numbers", ""]
    lines += [f"- {literal(str(name))}: {literal(value)}" for name, value in provenance.items() if value is not None]
    if not provenance:
        lines.append("Nothing is recorded.")
    lines += ["", "## Load it", "", "In Python, with timm (run beside this folder):", ""]
    lines += [f"    {line}" for line in _timm_lines(folder, is_kdzoo_network(config["architecture"]))]
    lines += ["", "With kdzoo:", "", *(f"    {line}" for line in _kdzoo_lines(folder)), ""]
    return "\n".join(lines)


def _timm_lines(folder: str, own: bool) -> list[str]:
    first = ["import kdzoo.zoo  # registers the architecture"] if own else []
    return [*first, "import timm", f"model = timm.create_model({f'local-dir:{folder}'!a}, pretrained=True)"]


def _kdzoo_lines(folder: str) -> list[str]:
    return ["from kdzoo.zoo import load_model", f"model = load_model({f'local-dir:{folder}'!a}).model"]
