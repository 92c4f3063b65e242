"""Takes each safeguard of docs/reliability.md out, one at a time, and runs the tests that hold it.

    python benchmarks/safeguards.py [NAME ...]

The installed layout is copied beside the checkout's tests for each safeguard, so that the checkout stays as it
is. Prints a line a safeguard and, last, ``removed N / red N``; ends with 1 where a removal turned no test red.
``--table`` prints the table of docs/reliability.md instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/safeguards.toml"
TIMEOUT_S = 600


@dataclass(frozen=True)
class Safeguard:
    """One promise, the code that keeps it and the tests that notice its absence.

    Attributes:
        name: What the command line calls it.
        promise: What it protects, a line.
        file: Where it stands, relative to the checkout.
        old: Text of the file that is taken out; it stands there once.
        new: What takes its place.
        tests: pytest's names of the tests that must fail then.
    """

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def removed_from(self, text: str) -> str:
        """The file's text without the safeguard."""
        if text.count(self.old) != 1:
            raise SystemExit(f"{self.name}: its text stands {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


def read_safeguards() -> list[Safeguard]:
    """All of tests/safeguards.toml, in its order."""
    rows = tomllib.loads(LIST.read_text(encoding="utf-8"))["safeguard"]
    return [Safeguard(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def table() -> str:
    """The table of docs/reliability.md, as Markdown."""
    lines = ["| promise | kept in | test |", "|---|---|---|"]
    for one in read_safeguards():
        tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in one.tests)
        lines.append(f"| {one.promise} | {one.file} | {tests} |")
    return "\n".join(lines) + "\n"


def package_folders() -> Iterator[tuple[str, Path]]:
    """``(import path, folder of the checkout)`` of every package, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, folder in project["tool"]["setuptools"]["package-dir"].items():
        yield name.replace(".", "/"), ROOT / folder


def install_without(safeguard: Safeguard | None, site: Path) -> None:
    """Lay the packages out as an installation has them, less one safeguard; None leaves all in."""
    for name, folder in package_folders():
        (site / name).mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_file():
                shutil.copy(path, site / name / path.name)
                if safeguard is not None and path == ROOT / safeguard.file:
                    text = safeguard.removed_from(path.read_text(encoding="utf-8"))
                    (site / name / path.name).write_text(text, encoding="utf-8")


def is_red(safeguard: Safeguard | None, tests: Sequence[str]) -> bool:
    """Whether one of the tests fails once the safeguard is gone. Tests that cannot even be collected are no answer."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site")
        install_without(safeguard, site)
        answer = subprocess.run(  # -P: the checkout's own folder is not where kdzoo is imported from
            [sys.executable, "-P", "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    if answer.returncode not in (0, 1):
        raise SystemExit(f"{safeguard}: pytest ended with {answer.returncode}\n{answer.stdout[-3000:]}")
    return answer.returncode == 1


def main() -> None:
    """Remove the named safeguards, or all."""
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
        return
    chosen = [one for one in read_safeguards() if not sys.argv[1:] or one.name in sys.argv[1:]]
    tests = [one.tests for one in chosen]
    if is_red(None, sorted({test for some in tests for test in some})):
        raise SystemExit("a test fails with every safeguard in its place")
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = []
        for one, red in zip(chosen, pool.map(is_red, chosen, tests), strict=True):
            print(f"{'red' if red else 'GREEN':5}  {one.name}: {one.promise}", flush=True)
            found.append(red)
    print(f"removed {len(found)} / red {sum(found)}")
    raise SystemExit(0 if found and all(found) else 1)


if __name__ == "__main__":
    main()
