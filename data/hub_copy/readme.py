"""The front matter of a data set's README.md on the Hub: which files are which split, and the names of the classes.

Documented at huggingface.co/docs/hub/datasets-manual-configuration. What is not as documented is as if it were not
there: the files themselves decide then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_LONGEST = 4_000_000


def front_matter(folder: Path) -> dict[str, Any]:
    """The YAML between the first two lines of dashes, or nothing."""
    try:
        with open(folder / "README.md", encoding="utf-8") as file:
            text = file.read(_LONGEST)
    except (OSError, UnicodeDecodeError):
        return {}
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        return {}
    end = [line.strip() for line in lines].index("---", 1)
    try:
        found = yaml.safe_load("\n".join(lines[1:end]))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def declared_files(matter: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The patterns of each split of each configuration (``configs`` … ``data_files``)."""
    declared: dict[str, dict[str, list[str]]] = {}
    for config in _dicts(matter.get("configs")):
        splits = _patterns(config.get("data_files"))
        if splits:
            declared[str(config.get("config_name", "default"))] = splits
    return declared


def declared_features(matter: dict[str, Any], config: str) -> dict[str, Any]:
    """``dataset_info.features`` in the form of the files' own metadata: column to ``{"_type": …, "names": […]}``."""
    features: dict[str, Any] = {}
    for feature in _dicts(_info_of(matter, config).get("features")):
        kind = feature.get("dtype")
        names = kind.get("class_label", {}) if isinstance(kind, dict) else None
        if isinstance(names, dict) and names.get("names"):
            listed = names["names"]
            if isinstance(listed, dict):  # {'0': banded, '1': blotchy, …}
                listed = [listed.get(str(label), listed.get(label)) for label in range(len(listed))]
            listed = listed if isinstance(listed, list) and None not in listed else []
            features[str(feature.get("name"))] = {"_type": "ClassLabel", "names": [str(name) for name in listed]}
        elif kind == "image":
            features[str(feature.get("name"))] = {"_type": "Image"}
    return features


def declared_counts(matter: dict[str, Any], config: str) -> dict[str, int]:
    """How many images each split should have (``dataset_info.splits``)."""
    splits = _dicts(_info_of(matter, config).get("splits"))
    return {str(split.get("name")): count for split in splits if isinstance(count := split.get("num_examples"), int)}


def _info_of(matter: dict[str, Any], config: str) -> dict[str, Any]:
    infos = _dicts(matter.get("dataset_info"))
    if len(infos) == 1:
        return infos[0]
    return next((info for info in infos if str(info.get("config_name", "default")) == config), {})


def _dicts(value: Any) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def _patterns(value: Any) -> dict[str, list[str]]:
    """A split's patterns, from one text, a list of texts, or a list of ``{split, path}``."""
    if isinstance(value, str):
        return {"train": [value]}
    splits: dict[str, list[str]] = {}
    for one in value if isinstance(value, list) else []:
        given = one if isinstance(one, dict) else {"split": "train", "path": one}
        paths = given.get("path")
        listed = paths if isinstance(paths, list) else [paths]
        splits.setdefault(str(given.get("split")), []).extend(path for path in listed if isinstance(path, str))
    return splits
