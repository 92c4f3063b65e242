"""Calling the command as a user does: in this process where that is enough, as a process where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kdzoo.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a call gave."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, and none of the user's own KDZOO_ variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KDZOO_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def kdzoo(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``kdzoo("train", "--epochs", "3")`` in this process."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        seen = capsys.readouterr()
        return Outcome(code, seen.out, seen.err)

    return call


@pytest.fixture
def process() -> Callable[..., Outcome]:
    """The same as a process of its own."""

    def call(*arguments: str, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "kdzoo", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call
