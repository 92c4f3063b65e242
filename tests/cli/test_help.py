"""Help: complete, grouped, the same as the docs, and without importing the work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click

from kdzoo.cli.reference import everything, page, verbs
from kdzoo.cli.verbs import SECTIONS, VERBS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "numpy", "pandas", "PIL", "timm", "huggingface_hub", "rich", "sklearn", "yaml")
DESIGNED = {
    *("demo", "recipes", "models", "train", "distill", "label", "curate", "eval", "predict"),
    *("transfer", "compare", "report", "reproduce", "pull", "publish", "export", "data", "doctor"),
}


_PROBE = f"""
import contextlib, io, json, sys
from kdzoo.cli.main import main
seen = []
for arguments in json.loads(sys.argv[1]):
    before = set(sys.modules)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(arguments)
    heavy = [name for name in {HEAVY!r} if name in sys.modules and name not in before]
    seen.append([code, printed.getvalue(), heavy])
print(json.dumps(seen))
"""


def imported_by(*calls: list[str]) -> list[tuple[int, str, list[str]]]:
    """Of each call its exit code, stdout, and which heavy packages it is the first to import; in one new process."""
    done = subprocess.run([sys.executable, "-c", _PROBE, json.dumps(calls)], capture_output=True, text=True, check=True)
    return [(code, text, heavy) for code, text, heavy in json.loads(done.stdout)]


def test_no_help_imports_the_work() -> None:
    for verb, (code, text, heavy) in zip(verbs(), imported_by(*([*verb.split(), "--help"] for verb in verbs()))):
        assert (code, heavy) == (0, []), verb
        assert text.startswith(f"Usage: kdzoo {verb}".rstrip())


def test_version_and_errors_of_usage_import_no_work_and_the_probe_sees_an_import() -> None:
    version, wrong, work = imported_by(["--version"], ["train", "--epochs", "many"], ["recipes", "show", "meal_v2"])
    assert version[::2] == (0, [])
    assert wrong[::2] == (2, [])
    assert "torch" in work[2]


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
