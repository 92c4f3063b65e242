"""Help: complete, grouped, the same as the docs, and without importing the work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kdzoo.cli.reference import everything, page, verbs
from kdzoo.cli.verbs import SECTIONS, VERBS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "numpy", "pandas", "PIL", "timm", "huggingface_hub", "rich", "sklearn", "yaml")
DESIGNED = {
    *("demo", "recipes", "models", "train", "distill", "label", "curate", "eval"),
    *("transfer", "compare", "report", "reproduce", "pull", "publish", "export", "data", "doctor"),
}


def imported_by(arguments: list[str]) -> tuple[int, str, list[str]]:
    """Exit code, stdout, and which heavy packages one call imported, in a fresh interpreter."""
    code = (
        "import sys; from kdzoo.cli.main import main; "
        f"code = main({arguments!r}); print('@@', code, *[n for n in {HEAVY!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, last = done.stdout.rpartition("@@ ")
    code_text, *heavy = last.split()
    return int(code_text), text, heavy


@pytest.mark.parametrize("verb", verbs())
def test_help_imports_no_work(verb: str) -> None:
    code, text, heavy = imported_by([*verb.split(), "--help"])
    assert (code, heavy) == (0, [])
    assert text.startswith(f"Usage: kdzoo {verb}".rstrip())


def test_the_probe_sees_an_import() -> None:
    assert "torch" in imported_by(["models", "list", "cifar_resnet8"])[2]


def test_version_and_errors_of_usage_import_no_work() -> None:
    assert imported_by(["--version"])[::2] == (0, [])
    assert imported_by(["train", "--epochs", "many"])[::2] == (2, [])


def test_root_help_lists_every_verb_under_its_heading(kdzoo) -> None:
    text = kdzoo("--help").out
    assert set(VERBS) == {*DESIGNED, "completion"}
    positions = [text.index(f"\n{section}:\n") for section in SECTIONS]
    assert positions == sorted(positions)
    for name, verb in VERBS.items():
        line = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert verb.summary.split(".")[0][:30] in line
    assert "kdzoo demo" in text.partition("Examples:")[2]


def test_without_a_verb_the_help_is_shown(kdzoo) -> None:
    assert kdzoo().out == kdzoo("--help").out
    assert kdzoo().code == 0
    assert kdzoo("recipes").out == kdzoo("recipes", "-h").out


def test_a_narrow_terminal_cuts_no_option(kdzoo, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = kdzoo("distill", "-h").out
    for name in ("--recipe", "--student", "--teacher", "--trust-teacher", "--dry-run"):
        assert name in text


def test_every_command_explains_itself_under_its_own_name() -> None:
    for ctx, command in everything():
        if ctx.parent is not None and ctx.parent.parent is None and command.name != "command":
            assert command.name == ctx.info_name
        assert command.help, ctx.command_path


def test_every_option_explains_itself() -> None:
    for ctx, command in everything():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{ctx.command_path} {parameter.name}"


def test_docs_show_the_help_as_it_is() -> None:
    """Words, not white space: click's versions break lines differently."""
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    made = page()
    squeeze = re.compile(r"\s+")
    assert squeeze.sub(" ", written) == squeeze.sub(" ", made), "run: python -m kdzoo.cli.reference > docs/cli.md"
