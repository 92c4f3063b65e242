"""YAML from others: plain values alone, no key twice, and whatever cannot be read in one clear line."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ..base.errors import UsageError
from ..base.regular_files import refuse_special

_MAX_BYTES = 4 * 2**20
_MAX_DEPTH = 100
_MERGE = "tag:yaml.org,2002:merge"


class _KeyTwice(yaml.YAMLError):
    """A key that stands twice in one mapping."""


class _Loader(yaml.SafeLoader):
    """As PyYAML's safe one, which would take the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise _KeyTwice(f"{key.value!r} stands twice, in line {lines[key.value]} and in line {line}")
                lines[key.value] = line
        return super().construct_mapping(node, deep=deep)


def _deepest(text: str) -> int:
    """How deep brackets are nested at most, before PyYAML spends seconds on finding out; quotes are not looked at."""
    steps = (1 if character in "[{" else -1 for character in text if character in "[]{}")
    return max(itertools.accumulate(steps), default=0)


def read_yaml(path: Path, *, what: str, hint: str) -> Any:
    """A YAML file's content.

    Args:
        path: The file.
        what: What it is, such as ``the recipe file``.
        hint: How to write one that is right.

    Raises:
        UsageError: It cannot be read, is not YAML, is nested too deeply, or has a key twice.
    """
    refuse_special(path, what=what)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{what} {path} is larger than {_MAX_BYTES // 2**20} MiB", hint=hint)
        text = path.read_text(encoding="utf-8")
        if _deepest(text) > _MAX_DEPTH:
            raise RecursionError
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except _KeyTwice as error:
        raise UsageError(f"{path}: {error}", hint="keep one of them") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}", hint=hint) from error
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what} {path} cannot be read ({error})", hint="check the path") from error
    except ValueError as error:  # an integer of thousands of digits, the 31st of February
        raise UsageError(f"{path} holds a value that is none: {error}", hint=hint) from error
