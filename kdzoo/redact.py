"""Takes secrets out of text that is going to be saved: tokens, keys, passwords in addresses.

This module imports nothing of the project, so that every room may use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

_SECRET_NAME = r"(?:[\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|credential|signature)[\w.-]*|sig)"

_TOKENS = re.compile(
    r"""
      hf_[A-Za-z0-9]{8,}                       # Hugging Face
    | (?:gh[pousr]|github_pat|glpat)[_-][\w-]{16,}   # GitHub, GitLab
    | sk-[\w-]{16,}
    | AKIA[0-9A-Z]{16}                         # an AWS key's name
    | wandb_v1_\w{8,}
    | (?<![@/\w])[0-9a-f]{40}(?!\w)            # Weights & Biases; behind '@' the same shape is a revision
    """,
    re.VERBOSE,
)
_ASSIGNED = re.compile(rf"(?i)(?<!\w)({_SECRET_NAME})(\s*[=:]\s*)([^\s&;,]+)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{8,}")
_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@")
_SECRET_OPTION = re.compile(rf"(?i)--?{_SECRET_NAME}")


def redact(text: str) -> str:
    """``text`` with everything that looks like a secret replaced by ``***``."""
    text = _LOGIN.sub(rf"\g<1>{HIDDEN}@", text)
    text = _BEARER.sub(rf"\g<1> {HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\g<1>\g<2>{HIDDEN}", text)
    return _TOKENS.sub(HIDDEN, text)


def redact_arguments(arguments: Iterable[str]) -> list[str]:
    """A command line, argument by argument; the value that follows an option such as ``--token`` goes too."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        shown.append(HIDDEN if hide_next else redact(argument))
        hide_next = not hide_next and _SECRET_OPTION.fullmatch(argument) is not None
    return shown
