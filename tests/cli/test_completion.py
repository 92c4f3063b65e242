"""Shell completion, asked as a shell asks."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from kdzoo.cli.completion import DATA_NAMES, recipe_names


def complete(process, line: str) -> set[str]:
    """What bash would offer for the last word of ``line``."""
    words = line.split(" ")
    seen = process(_KDZOO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert seen.code == 0
    return {row.partition(",")[2] for row in seen.out.splitlines() if row.startswith("plain")}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kdzoo d", {"distill", "demo", "data", "doctor"}),
        ("kdzoo recipes s", {"show"}),
        ("kdzoo distill --recipe me", {"meal_v1", "meal_v2"}),
        ("kdzoo train --data ci", {"cifar10", "cifar100"}),
        ("kdzoo data check dig", {"digits"}),
        ("kdzoo train --precision f", {"fp32", "fp16"}),
        ("kdzoo distill --st", {"--student", "--stage"}),
    ],
)
def test_names_are_offered(process, line: str, offered: set[str]) -> None:
    assert complete(process, line) == offered


def test_completing_imports_no_work() -> None:
    code = (
        "import os, sys; os.environ.update(_KDZOO_COMPLETE='bash_complete', "
        "COMP_WORDS='kdzoo distill --recipe ', COMP_CWORD='3'); "
        "from kdzoo.cli.main import main; main([]); "
        "print('@@', [n for n in ('torch', 'numpy', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "plain,meal_v2" in done.stdout
    assert done.stdout.endswith("@@ []\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_is_the_shells_own(kdzoo, shell: str, tmp_path) -> None:
    seen = kdzoo("completion", shell)
    assert seen.code == 0
    assert f"_KDZOO_COMPLETE={shell}_complete" in seen.out
    program = shutil.which(shell)
    if program is not None:
        script = tmp_path / "script"
        script.write_text(seen.out)
        subprocess.run([program, "-n", str(script)], check=True)


def test_an_unknown_shell_is_refused(kdzoo) -> None:
    seen = kdzoo("completion", "tcsh")
    assert seen.code == 2
    assert "'tcsh' is not one of" in seen.err


def test_the_names_are_those_of_the_rooms() -> None:
    from kdzoo.data import specs
    from kdzoo.recipes import registry

    assert DATA_NAMES == specs.NAMES
    assert recipe_names() == sorted(registry.recipe_names())
