"""Takes secrets out of text that is going to be saved: tokens, keys, passwords in addresses.

This module imports nothing of the project, so that every room may use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"

_OWNERS = (
    "access|account|anthropic|api|auth|aws|azure|client|encryption|gcp|github|gitlab|google|hf|hub|mistral|openai|"
    "private|secret|service|shared|signing|slack|stripe|wandb"
)
_WORDS = rf"token|secrets?|passw(?:or)?d|passphrase|credentials?|signature|(?:{_OWNERS})[_-]?key"
# The name ends in the word: a tokenizer, a number of tokens and an author are no secrets.
_SECRET_NAME = rf"(?:[\w.-]*(?:{_WORDS})(?:[_-](?:v?\d+|value|base64|live|test|prod))?|(?:[\w.-]*[_.-])?auth|sig)"

_TOKENS = re.compile(
    r"""
      hf_[A-Za-z0-9]{8,}                                  # Hugging Face
    | (?:gh[pousr]|github_pat|glpat|gldt)[_-][\w-]{16,}   # GitHub, GitLab
    | \bsk-[\w-]{16,}                                     # OpenAI (also sk-proj-), Anthropic (sk-ant-)
    | \b[spr]k_(?:live|test)_\w{8,} | \bwhsec_\w{16,}     # Stripe
    | \bxox[a-z](?:\.xox[a-z])?-[\w-]{10,} | \bxapp-[\w-]{16,}            # Slack
    | \bAIza[\w-]{30,} | \bya29\.[\w-]{10,} | \bGOCSPX-[\w-]{16,}         # Google
    | \bnpm_[A-Za-z0-9]{30,} | \bpypi-Ag[\w-]{16,} | \bdckr_pat_[\w-]{16,}  # package and image registries
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                       # an AWS key's name
    | \beyJ[\w-]{8,}(?:\.[\w-]+){2,4}                     # JSON web tokens
    | \bwandb_v1_\w{8,}
    """,
    re.VERBOSE,
)
_HEX40 = re.compile(r"(?<![@/\w])[0-9a-f]{40}(?!\w)")
"""A key of Weights & Biases, unless it stands where a revision does."""
_REVISION = re.compile(r"(?i)(?:revision|rev|commit|sha-?1?|digest|checkout|tree|blob)[\"']?[\s:=(\"']{0,4}$")
_ASSIGNED = re.compile(
    rf"""(?ix)(?<!\w) ({_SECRET_NAME}) (\\*["']?\s*[=:]\s*)
    (?: (\\*)"(?:[^"\\]|\\(?!").)*\3" | '[^']*' | [^\s&;,"']+ )"""
)
_AUTHORIZATION = re.compile(r"""(?i)\b(authorization\\*["']?\s*[=:]\s*\\*["']?(?:[a-z]\w*\s+)?)([^\s"',;\\]+)""")
_SCHEME = re.compile(r"\b((?i:bearer|basic))\s+(?=\S*[0-9=])[\w.+/=~-]{8,}")
_LOGIN = re.compile(r"""(?i)\b([a-z][a-z0-9+.-]*://)[^\s/"'<>]+@""")  # up to the last @: a password may hold one
_SECRET_OPTION = re.compile(rf"(?i)--?{_SECRET_NAME}")
_REVISION_OPTION = re.compile(r"(?i)--?(?:revision|rev|commit|sha1?)")


def redact(text: str) -> str:
    """``text`` with everything that looks like a secret replaced by ``***``."""
    text = _LOGIN.sub(rf"\g<1>{HIDDEN}@", text)
    text = _AUTHORIZATION.sub(rf"\g<1>{HIDDEN}", text)
    text = _SCHEME.sub(rf"\g<1> {HIDDEN}", text)
    text = _ASSIGNED.sub(_hide_value, text)
    text = _TOKENS.sub(HIDDEN, text)
    return _HEX40.sub(lambda found: found[0] if _REVISION.search(text[: found.start()]) else HIDDEN, text)


def redact_values(value: Any) -> Any:
    """A JSON value with every text in it, names of entries included, redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(key)): redact_values(item) for key, item in value.items()}
    return [redact_values(item) for item in value] if isinstance(value, list | tuple) else value


def redact_arguments(arguments: Iterable[str]) -> list[str]:
    """A command line, argument by argument; the value that follows an option such as ``--token`` goes too."""
    shown: list[str] = []
    before = ""
    for argument in arguments:
        if _SECRET_OPTION.fullmatch(before):
            shown.append(HIDDEN)
            before = ""
            continue
        revision = _REVISION_OPTION.fullmatch(before) and _HEX40.fullmatch(argument)
        shown.append(argument if revision else redact(argument))
        before = argument
    return shown


def _hide_value(found: re.Match[str]) -> str:
    """The name as it was, and its value hidden inside the quotes that it had."""
    name, between = found[1], found[2]
    value = found[0][len(name) + len(between) :]
    quote = re.match(r"""\\*["']""", value)
    mark = quote[0] if quote else ""
    return f"{name}{between}{mark}{HIDDEN}{mark}"
