"""Every way of failing: one clear line, what to do, the right exit code, and stdout left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import click
import pytest

from kdzoo.base.errors import DataError, Interrupted, UsageError
from kdzoo.cli.commands import VerbCommand
from kdzoo.cli.root import Root


@pytest.fixture
def failing(monkeypatch, kdzoo):
    """``failing(error)`` calls a verb whose work raises that error."""

    def call(error: BaseException, *arguments: str):
        def callback() -> None:
            raise error

        real = Root.get_command

        def get_command(self, ctx, name):
            return VerbCommand(name="doctor", callback=callback) if name == "doctor" else real(self, ctx, name)

        monkeypatch.setattr(Root, "get_command", get_command)
        return kdzoo(*arguments, "doctor")

    return call


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (DataError("x is missing", hint="get x"), 1, ["error: x is missing", "hint: get x"]),
        (UsageError("no such key"), 2, ["error: no such key"]),
        (Interrupted("stopped", hint="resume it"), 130, ["error: stopped", "hint: resume it"]),
        (KeyboardInterrupt(), 130, ["error: interrupted"]),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/file"),
            1,
            [
                "error: cannot write /full/file: No space left on device",
                "hint: make room there, or write somewhere else; what was finished before is kept",
            ],
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/x"),
            1,
            ["error: cannot use /root/x: Permission denied", "hint: check who owns it, or use another place"],
        ),
        (
            ValueError("first line\nsecond line"),
            1,
            ["error: ValueError: first line", "hint: this is a bug in kdzoo, run again with --debug"],
        ),
        (
            EOFError(),
            1,
            ["error: EOFError", "hint: this is a bug in kdzoo, run again with --debug"],
        ),
        (MemoryError(), 1, ["error: out of memory: no more to give", "hint: use a smaller --batch-size"]),
        (click.Abort(), 130, ["error: interrupted"]),
    ],
)
def test_each_failure_has_its_lines_and_code(failing, error, code, lines) -> None:
    seen = failing(error)
    assert (seen.code, seen.out, seen.err.splitlines()) == (code, "", lines)


@pytest.mark.parametrize("arguments", [("--debug",), ()])
def test_debug_shows_the_traceback_and_only_then(failing, arguments) -> None:
    seen = failing(ValueError("deep"), *arguments)
    assert ("Traceback" in seen.err) == bool(arguments)
    assert seen.err.splitlines()[-2] == "error: ValueError: deep"


def test_debug_stands_at_the_verb_and_in_the_environment_too(kdzoo, monkeypatch) -> None:
    assert "Traceback" not in kdzoo("data", "check", "nowhere").err
    assert "Traceback" in kdzoo("data", "check", "nowhere", "--debug").err
    monkeypatch.setenv("KDZOO_DEBUG", "1")
    assert "Traceback" in kdzoo("data", "check", "nowhere").err
    monkeypatch.setenv("KDZOO_DEBUG", "0")
    assert "Traceback" not in kdzoo("data", "check", "nowhere").err


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["distil"], "no verb 'distil'; did you mean 'distill'?", "'kdzoo --help'"),
        (["recipes", "lst"], "no verb 'lst'; did you mean 'list'?", "'kdzoo recipes --help'"),
        (["xyzzy"], "no verb 'xyzzy'; there are: distill, train,", "'kdzoo --help'"),
        (["train", "--epoch", "3"], "no such option", "did you mean --epochs?"),
        (["--verson"], "no such option", "did you mean --version?"),
        (["train"], "missing option '--model'", "'kdzoo train --help'"),
        (["train", "--model", "x", "--epochs", "0"], "invalid value for '--epochs'", "'kdzoo train --help'"),
        (["train", "--model", "x", "--epochs", "two"], "invalid value for '--epochs'", "'kdzoo train --help'"),
        (["train", "--model", "x", "--precision", "fp8"], "invalid value for '--precision'", "'kdzoo train --help'"),
        (["train", "--model"], "option '--model' requires an argument", "'kdzoo train --help'"),
        (["doctor", "extra"], "got unexpected extra argument", "'kdzoo doctor --help'"),
        (["--debug"], "missing command", "'kdzoo --help'"),
    ],
)
def test_wrong_usage_is_answered_with_the_nearest_right_one(kdzoo, arguments, error, hint) -> None:
    seen = kdzoo(*arguments)
    assert (seen.code, seen.out) == (2, "")
    *_, first, second = seen.err.splitlines()
    assert first.startswith(f"error: {error}")
    assert hint in second


def test_python_m_and_the_installed_command_are_the_same(process) -> None:
    assert (
        process("--version").out
        == subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "kdzoo"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert process("distil").code == 2


def test_a_reader_that_leaves_is_no_error() -> None:
    """``kdzoo … | head -0``: quiet, whatever was still to be written."""
    child = subprocess.Popen([sys.executable, "-m", "kdzoo", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    message = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), message) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kdzoo", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: cannot write: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs /proc to see what the child does")
def test_control_c_ends_with_130_and_no_traceback() -> None:
    """A real signal to a real process, while it imports the work or does it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "kdzoo", "models", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(f"/proc/{child.pid}/maps") as maps:
            if "libtorch" in maps.read():
                break
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "error: interrupted"
