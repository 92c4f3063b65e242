"""Python of the user's own: one file, run because the user named it, and known by the SHA-256 of its bytes.

Nothing that is found in a run folder, on the Hub or in a config file is run: whoever calls this was given the path.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from .errors import KdzooError, RunError, UsageError
from .regular_files import refuse_special

SUFFIX = ".py"
_PREFIX = "kdzoo_own_code_"
_LONGEST = 300  # characters of what was raised


@dataclass(frozen=True)
class OwnCode:
    """Python that is not kdzoo's.

    Attributes:
        name: The file as the user named it, or the package with its version.
        sha256: Of the file.
        module: What it defines.
        package: The package that ships it; empty for a file of the user's.
    """

    name: str
    sha256: str
    module: ModuleType
    package: str = ""


def load_code(path: Path) -> OwnCode:
    """Run a file, once a process as long as it stays the same; nothing is written beside it.

    Raises:
        KdzooError: It is missing, is no Python, or raises.
    """
    refuse_special(path, what="the Python file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the Python file {path} cannot be read: {error.strerror}", hint="check the path") from error
    sha256 = hashlib.sha256(source).hexdigest()
    name = _PREFIX + hashlib.sha256(f"{path.absolute()} {sha256}".encode()).hexdigest()[:16]
    if name not in sys.modules:
        try:
            code = compile(source, str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:  # ValueError: a null byte
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise UsageError(
                f"{path}{line} is not Python: {getattr(error, 'msg', error)}", hint="correct it"
            ) from error
        module = sys.modules[name] = ModuleType(name)  # dataclasses look their annotations up there
        module.__file__ = str(path)
        try:
            exec(code, module.__dict__)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, KdzooError):
                raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
            said = failure_of(error)
            if said is None:
                raise
            raise said from error
    return OwnCode(str(path), sha256, sys.modules[name])


def failure_of(error: BaseException) -> KdzooError | None:
    """The error of a user's own code in one line with its place; None where it arose elsewhere, or is an interrupt."""
    frames = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith(_PREFIX)
    ]
    if not frames or not isinstance(error, Exception | SystemExit):
        return None
    said = " ".join(str(error).split())[:_LONGEST]
    return RunError(
        f"{frames[-1]}: {type(error).__name__}{f': {said}' if said else ''}",
        hint="that is Python of your own; --debug shows the whole traceback",
    )
