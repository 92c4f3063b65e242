"""Only ``base/`` writes: every other room asks it, so that what a kill may leave is decided in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cli", "kdzoo", "papers", "transfer", "planning", "recipes", "evaluation", "engine", "data", "zoo")
FUNCTIONS = {
    *(f"os.{name}" for name in ("replace", "rename", "renames", "link", "symlink", "truncate", "fsync", "mkdir")),
    *(f"os.{name}" for name in ("makedirs", "fdopen")),
    *(f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "copytree", "move", "rmtree", "copyfileobj")),
    *("torch.save", "np.savez", "json.dump", "yaml.dump", "pickle.dump"),
}
METHODS = {"write_text", "write_bytes", "touch", "mkdir", "rename", "hardlink_to", "symlink_to", "rmdir"}
ALLOWED = {
    "cli/main.py": "os.open",  # /dev/null, for a standard output that nobody reads
    "recipes/document.py": "write_text",  # a page of this repository's own docs, made by its author
    "transfer/dense/export.py": "torch.save",  # into the new file that base hands over
    "zoo/pickled_arrays/child.py": "open",  # a child that may write into one pipe-like file, and is not trusted
}


def writers(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every call that makes, renames or changes a file or folder."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        modes = [ast.literal_eval(one) for one in node.args[:2] if isinstance(one, ast.Constant)]
        modes += [one.value.value for one in node.keywords if one.arg == "mode" and isinstance(one.value, ast.Constant)]
        flags = ast.unparse(node) if name == "os.open" else ""
        opens = name in ("open", "io.open") or method == "open"
        if name in FUNCTIONS or method in METHODS:
            yield node.lineno, name if name in FUNCTIONS else method
        elif opens and any(isinstance(mode, str) and len(mode) < 4 and {*mode} & {*"wax+"} for mode in modes):
            yield node.lineno, "open"
        elif any(flag in flags for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")):
            yield node.lineno, "os.open"
        elif method == "replace" and len(node.args) == 1 and not node.keywords:  # of a text it has two arguments
            yield node.lineno, "replace"


def test_only_base_writes() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for line, name in writers(path.read_text(encoding="utf-8"))
        if ALLOWED.get(str(path.relative_to(ROOT))) != name
    }
    assert found == set()


@pytest.mark.parametrize("path", ALLOWED)
def test_no_exception_has_lost_its_object(path: str) -> None:
    assert ALLOWED[path] in {name for _, name in writers((ROOT / path).read_text(encoding="utf-8"))}


def test_base_is_where_it_is_done() -> None:
    found = {name for path in (ROOT / "base").glob("*.py") for _, name in writers(path.read_text(encoding="utf-8"))}
    assert {"os.replace", "os.rename", "os.link", "os.fsync", "mkdir", "write_bytes", "open"} <= found


@pytest.mark.parametrize(
    "source",
    [
        "os.replace(a, b)",
        "path.replace(other)",
        "path.rename(other)",
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('r+b')",
        "path.write_text(text)",
        "shutil.copyfile(a, b)",
        "os.makedirs(folder)",
        "os.open(path, os.O_RDWR | os.O_CREAT)",
        "torch.save(state, path)",
    ],
)
def test_a_writer_elsewhere_would_be_seen(source: str) -> None:
    assert list(writers(source))


@pytest.mark.parametrize("source", ["open(path)", "open(path, 'rb')", "text.replace('a', 'b')", "replace(one, a=1)"])
def test_what_reads_is_left_alone(source: str) -> None:
    assert not list(writers(source))
