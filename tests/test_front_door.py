"""The package itself: what ``import kdzoo`` gives, and what is installed."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import import_module, metadata
from pathlib import Path

import pytest

import kdzoo
from kdzoo.cli.main import main
from kdzoo.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_kdzoo_imports_no_work() -> None:
    heavy = "('torch', 'numpy', 'pandas', 'timm', 'rich', 'click')"
    assert run_python(f"import kdzoo, sys; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_every_public_name_is_there() -> None:
    for name in kdzoo.__all__:
        assert getattr(kdzoo, name) is not None
    assert set(kdzoo.__all__) <= set(dir(kdzoo))


def test_an_editor_completes_every_argument() -> None:
    """Public functions have typed parameters; arguments that several share are named by a TypedDict."""
    seen = 0
    for name in kdzoo.__all__:
        found = getattr(kdzoo, name)
        if inspect.isfunction(found):
            seen += 1
            for parameter in inspect.signature(found).parameters.values():
                wanted = "Unpack[" if parameter.kind is parameter.VAR_KEYWORD else ""
                assert str(parameter.annotation).startswith(wanted), f"{name}: {parameter}"
                assert parameter.annotation is not parameter.empty, f"{name}: {parameter}"
    assert seen > 30


def test_every_verb_is_a_function_that_the_page_names() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    verbs = {verb for row in rows for verb in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert verbs == {*VERBS} - {"completion"}
    named = {name for row in rows for name in re.findall(r"`(\w+)\(", row)}
    assert len(named) > 30
    assert named <= {*kdzoo.__all__}


def test_a_wrong_argument_is_told_the_nearest_right_one() -> None:
    with pytest.raises(kdzoo.UsageError, match="no argument 'epoch'") as caught:
        kdzoo.distill("meal_v2", epoch=3)  # type: ignore[call-arg]
    assert "epochs" in str(caught.value.hint)
    with pytest.raises(kdzoo.UsageError, match="no argument 'labels'"):
        kdzoo.label("meal_v2", labels="stored")  # type: ignore[call-arg]


def test_python_and_the_command_line_settle_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[kdzoo.PlannedRun] = []
    monkeypatch.setattr("kdzoo.cli.start.show", lambda planned, **_: found.append(planned) or True)
    options = (
        "--student cifar_resnet8 --teacher cifar_resnet14 --data digits --epochs 3 --seed 0 --set optimizer.lr=0.02"
    )
    assert main(["distill", "--recipe", "hinton_kd", *options.split(), "--dry-run"]) == 0
    planned = kdzoo.plan_run(
        "distill",
        "hinton_kd",
        student="cifar_resnet8",
        teachers=["cifar_resnet14"],
        data="digits",
        epochs=3,
        seed=0,
        settings={"optimizer.lr": 0.02},
    )
    assert planned.plan.settings() == found[0].plan.settings()
    assert planned.out == found[0].out
    assert planned.plan.sources["training.epochs"] == "argument"
    assert found[0].plan.sources["training.epochs"] == "--epochs"


def test_each_verb_refuses_the_recipes_of_the_other() -> None:
    with pytest.raises(kdzoo.UsageError, match="supervised uses no teachers"):
        kdzoo.distill("supervised", student="cifar_resnet8", data="digits")
    with pytest.raises(kdzoo.UsageError, match="hinton_kd learns from teachers"):
        kdzoo.train("cifar_resnet8", recipe="hinton_kd", data="digits")


@pytest.mark.parametrize("package", ["kdzoo", "kdzoo.data", "kdzoo.planning", "kdzoo.recipes", "kdzoo.zoo"])
def test_the_type_checker_sees_what_runs(package: str) -> None:
    """The names under TYPE_CHECKING are those that the package gives when it is asked for them."""
    found = import_module(package)
    tree = ast.parse(Path(str(found.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: import_module(f".{node.module}", package)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name, module in seen.items():
        assert getattr(found, name) is getattr(module, name)
    assert {*seen} == {*found.__all__} - {"__version__", "networks"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="distil_"):
        kdzoo.distil_  # noqa: B018


def test_versions_agree() -> None:
    assert kdzoo.__version__ == PROJECT["project"]["version"] == metadata.version("kdzoo")


def test_every_folder_with_code_is_packaged() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    folders = {
        str(path.parent.relative_to(ROOT))
        for top in {value.split("/")[0] for value in setuptools["package-dir"].values()} | {"transfer"}
        for path in (ROOT / top).rglob("*.py")
    }
    assert set(setuptools["package-dir"].values()) == folders
    assert sorted(setuptools["package-dir"]) == sorted(setuptools["packages"])
    for package, folder in setuptools["package-dir"].items():
        assert package == "kdzoo" or package == "kdzoo." + folder.removeprefix("kdzoo/").replace("/", ".")
        assert (ROOT / folder / "__init__.py").is_file()


def test_every_data_file_is_packaged() -> None:
    """Files beside the code that are no code (templates, tables) are named in package-data."""
    setuptools = PROJECT["tool"]["setuptools"]
    for package, folder in setuptools["package-dir"].items():
        patterns = setuptools["package-data"].get(package, [])
        for path in (ROOT / folder).iterdir():
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert any(path.match(pattern) for pattern in patterns), f"{path.relative_to(ROOT)} is not packaged"


_MODULES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "faster_coco_eval": "faster-coco-eval",
    "huggingface_hub": "huggingface-hub",
    "mlflow": "mlflow-skinny",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


_FRAMEWORKS = {
    "transfer/detection/detectron2_backbones.py": {"detectron2"},
    "transfer/detection/detectron2_engine.py": {"fvcore"},
    "transfer/detection/detectron2_resnet_d.py": {"detectron2"},
    "transfer/segmentation/mmseg_import.py": {"mmengine", "mmseg"},
}
"""Frameworks that their users install by hand, and the modules that are imported only where these are there."""


def _imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The packages of others that these nodes import, by the names under which they are installed."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return {_MODULES.get(name, name) for name in found if name not in sys.stdlib_module_names} - {"kdzoo"}


def test_every_import_is_a_declared_dependency() -> None:
    """A plain installation imports every module; what stands inside functions may come from an extra."""
    from packaging.requirements import Requirement

    required = {Requirement(text).name.lower() for text in PROJECT["project"]["dependencies"]}
    extras = PROJECT["project"]["optional-dependencies"]
    optional = {Requirement(text).name.lower() for name, texts in extras.items() if name != "dev" for text in texts}
    at_top: set[str] = set()
    anywhere: set[str] = set()
    for folder in PROJECT["tool"]["setuptools"]["package-dir"].values():
        for path in (ROOT / folder).glob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            own = _FRAMEWORKS.get(str(path.relative_to(ROOT)), set())
            assert own <= _imported(ast.walk(tree))
            at_top |= _imported(tree.body) - own
            anywhere |= _imported(ast.walk(tree))
    anywhere -= set().union(*_FRAMEWORKS.values())
    assert at_top <= required
    assert anywhere <= required | optional
    assert "torch" in at_top
