"""Where the command begins and ends: parse, run, and turn every way of failing into one clear line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

from ..base.errors import KdzooError, UsageError
from ..base.own_code import failure_of
from .commands import PROGRAM
from .output import echo, flush_output
from .root import root

_COMPLETE_VARIABLE = "_KDZOO_COMPLETE"
_BROKEN_PIPE = 141  # what a shell reports of a program that died of SIGPIPE
_INTERRUPTED = 130
_LONGEST = 2000  # characters of a message
_WRONG_PATH = (
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENOTEMPTY),
    *(errno.ENXIO, errno.EINVAL, errno.EBUSY, errno.ETXTBSY, errno.EXDEV),
)
"""What the system says of a path that cannot be what it is used as."""
_NO_PATH = {
    "null byte": "a path holds a null byte",
    "has an empty name": "an empty path, or a folder, stands where a file is wanted",
    "home directory": "a path begins with ~ and a name that no user has",
}
"""What Python says of a text that is no path, and what that means."""


@dataclass
class Session:
    """What one call of the command shares between its parts; click carries it as ``ctx.obj``.

    Attributes:
        debug: Whether errors show their traceback.
    """

    debug: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows ``kdzoo``; the process's own by default.

    Returns:
        The exit code: 0, 1 for a failure, 2 for wrong usage, 130 for an interrupt.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Before torch is loaded: threads that spin at every barrier lose four fifths of their speed when a core is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    session = Session(debug=os.environ.get("KDZOO_DEBUG", "").lower() not in ("", "0", "false", "no"))
    try:
        _refuse_bytes(arguments)
        code = _invoke(arguments, session)
        flush_output()
        return code
    except BrokenPipeError:
        _discard_stdout()
        return _BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        message, hint, code = _explain(error)
        if session.debug:
            echo(traceback.format_exc(), err=True, lines=True)
        _say(message, hint)
        _close_stdout()
        return code


def _invoke(arguments: list[str], session: Session) -> int:
    instruction = os.environ.get(_COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, PROGRAM, _COMPLETE_VARIABLE, instruction)
    try:
        with root.make_context(PROGRAM, arguments, obj=session) as context:
            root.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    return 0


def _refuse_bytes(arguments: list[str]) -> None:
    """Check that arguments and variables are text, which the files of a run can hold.

    Raises:
        UsageError: One has bytes that are not UTF-8.
    """
    given = {name: value for name, value in os.environ.items() if name.startswith("KDZOO_")}
    for what, text in [*(("the argument", text) for text in arguments), *given.items()]:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{what} {text!r} holds bytes that are not UTF-8", hint="rename the file, or name it by a link"
            ) from None


def _explain(error: BaseException) -> tuple[str, str | None, int]:
    """What to say of an exception: what happened, what to do, the exit code."""
    if isinstance(error, KdzooError):
        return error.message, error.hint, error.exit_code
    if isinstance(error, click.ClickException):
        return _explain_usage(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted", None, _INTERRUPTED
    if isinstance(error, OSError):
        known = _explain_system(error)
        if known is not None:
            return known
    if isinstance(error, ValueError | RuntimeError):
        for said, meaning in _NO_PATH.items():
            if said in str(error):
                return meaning, "name another path", UsageError.exit_code
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory: {_first_line(error) or 'no more to give'}", "use a smaller --batch-size", 1
    own = failure_of(error)
    if own is not None:
        return _explain(own)
    line = _first_line(error)
    name = type(error).__name__
    return f"{name}: {line}" if line else name, "this is a bug in kdzoo, run again with --debug", 1


def _explain_usage(error: click.ClickException) -> tuple[str, str | None, int]:
    message = error.message if isinstance(error, click.NoSuchOption) else error.format_message()
    hint = None
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"'{error.ctx.command_path} --help' shows what it takes"
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        hint = f"did you mean {error.possibilities[0]}? {hint or ''}".rstrip()
    message = message.rstrip(".")
    return message[:1].lower() + message[1:], hint, error.exit_code


def _explain_system(error: OSError) -> tuple[str, str | None, int] | None:
    place = f" {error.filename}" if error.filename is not None else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "make room there, or write somewhere else; what was finished before is kept"
        return f"cannot write{place}: {error.strerror}", hint, 1
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot use{place}: {error.strerror}", "check who owns it, or use another place", 1
    if error.errno in _WRONG_PATH and place:
        return f"cannot use{place}: {error.strerror}", "name another path", 1
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _say(message: str, hint: str | None) -> None:
    echo(f"error: {_cut(message)}", err=True)
    if hint:
        echo(f"hint: {_cut(hint)}", err=True)


def _cut(text: str) -> str:
    """A message that repeats what it was given is no longer than a screen."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _close_stdout() -> None:
    """Write what is still buffered; where that is impossible, keep Python from complaining about it at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _discard_stdout()


def _discard_stdout() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):  # not a real file, as under a test
        pass
    finally:
        os.close(null)
