"""The wheel: what is in it, and that nothing of it lands bare in site-packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"base", "cli", "data", "engine", "evaluation", "recipes", "transfer", "zoo", "tests", "docs", "benchmarks"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that no leftover of an earlier build is in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for top in {path.split("/")[0] for path in project["tool"]["setuptools"]["package-dir"].values()}:
        shutil.copytree(ROOT / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder / "dist"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_nothing_lands_bare_in_site_packages(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names_in(wheel)}
    assert not tops & ROOMS
    assert {top for top in tops if not top.endswith(".dist-info")} == {"kdzoo"}


def test_every_module_and_file_is_inside(wheel: Path) -> None:
    names = names_in(wheel)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package, folder in project["tool"]["setuptools"]["package-dir"].items():
        for path in (wheel.parent.parent / "source" / folder).iterdir():
            if path.is_file() and path.suffix != ".pyc":
                assert f"{package.replace('.', '/')}/{path.name}" in names
    assert "kdzoo/py.typed" in names
    assert any(name.startswith("kdzoo/evaluation/") and name.endswith(".html.j2") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_installed_wheel_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['kdzoo', 'recipes', 'show', 'meal_v2']; "
        "import kdzoo; print(kdzoo.__file__, file=sys.stderr); from kdzoo.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert str(site) in done.stderr
    assert "code: imagenet.py" in done.stdout, "the citations are read from the installed files"
    assert {path.name for path in site.iterdir()} <= {"kdzoo", "bin", *(p.name for p in site.glob("*.dist-info"))}
