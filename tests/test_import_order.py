"""The rooms' import order, read from every import in the source: who may know whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import kdzoo

ROOT = Path(__file__).resolve().parent.parent
TABLES = "kdzoo.papers.tables"
GROUND = {"kdzoo.base"}
FOUNDATION = {"kdzoo.engine", "kdzoo.data", "kdzoo.zoo"} | GROUND
MAY_IMPORT: dict[str, set[str]] = {
    "kdzoo.base": set(),
    "kdzoo.data": GROUND,
    "kdzoo.zoo": GROUND,
    "kdzoo.engine": {"kdzoo.data", "kdzoo.zoo"} | GROUND,
    "kdzoo.evaluation": FOUNDATION,
    "kdzoo.recipes": FOUNDATION,
    "kdzoo.planning": FOUNDATION | {"kdzoo.recipes"},
    "kdzoo.transfer": FOUNDATION | {"kdzoo.recipes", "kdzoo.planning", "kdzoo.evaluation", TABLES},
    "kdzoo.papers": FOUNDATION | {"kdzoo.recipes", "kdzoo.planning", "kdzoo.evaluation", "kdzoo.transfer", TABLES},
    TABLES: GROUND,
}
"""Beside itself; ``papers/tables`` is data, and a room of its own."""
MAY_IMPORT["kdzoo"] = {*MAY_IMPORT, "kdzoo.cli"}
MAY_IMPORT["kdzoo.cli"] = {"kdzoo"} | GROUND
ROOMS = [room for room in MAY_IMPORT if room not in ("kdzoo", TABLES)]


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        module: Where the import stands, such as ``kdzoo.engine.loop``.
        line: Its line.
        target: What is imported, absolute; for ``from a import b`` both ``a`` and ``a.b`` are tried, see ``names``.
        names: What is taken from it.
        lazy: Whether it stands inside a function.
        typing_only: Whether it stands under ``if TYPE_CHECKING``.
    """

    module: str
    line: int
    target: str
    names: tuple[str, ...]
    lazy: bool
    typing_only: bool

    @property
    def at_import(self) -> bool:
        """Whether importing the module runs it."""
        return not self.lazy and not self.typing_only


def source_files() -> dict[str, Path]:
    """Every module of the package, by import name."""
    files = {}
    for prefix in (*ROOMS, "kdzoo"):
        folder = prefix.removeprefix("kdzoo.")
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            files[".".join([prefix, *(part for part in parts if part != "__init__")])] = path
    return files


FILES = source_files()
PACKAGES = {name for name, path in FILES.items() if path.name == "__init__.py"}


def imports_of(module: str, source: str, *, is_package: bool) -> Iterator[Import]:
    """Every import statement of a module's text."""

    def walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, (), lazy, typing_only)
        elif isinstance(node, ast.ImportFrom):
            target = node.module or ""
            if node.level:
                base = module.split(".")
                base = base[: len(base) - node.level + is_package]
                target = ".".join([*base, *([node.module] if node.module else [])])
            yield Import(module, node.lineno, target, tuple(alias.name for alias in node.names), lazy, typing_only)
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            typing = typing_only
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                typing = typing_only or child in node.body
            yield from walk(child, inside, typing)

    yield from walk(ast.parse(source), False, False)


@cache
def all_imports() -> tuple[Import, ...]:
    """Every import of the package."""
    return tuple(
        found
        for module, path in FILES.items()
        for found in imports_of(module, path.read_text(encoding="utf-8"), is_package=module in PACKAGES)
    )


def room_of(module: str) -> str:
    """The room that a module of the project belongs to."""
    if module.startswith(TABLES):
        return TABLES
    room = ".".join(module.split(".")[:2])
    return room if room in ROOMS else "kdzoo"


def targets(found: Import) -> set[str]:
    """The modules of the project that an import reaches; the version number counts as none."""
    if found.target.split(".")[0] != "kdzoo" or (found.target == "kdzoo" and found.names == ("__version__",)):
        return set()
    deeper = {f"{found.target}.{name}" for name in found.names}
    modules = {name for name in deeper if name in FILES}
    others = deeper - modules
    return modules | ({found.target} if others or not found.names else set())


def show(found: Import, what: str) -> str:
    return f"{FILES[found.module].relative_to(ROOT)}:{found.line} {what}"


def order_violations(imports: Iterable[Import]) -> list[str]:
    wrong = []
    for found in imports:
        own = room_of(found.module)
        for target in targets(found):
            room = room_of(target)
            if room != own and room not in MAY_IMPORT[own]:
                wrong.append(show(found, f"{own} may not import {target}"))
    return wrong


def test_the_source_was_found() -> None:
    assert len(FILES) > 40
    assert {room_of(module) for module in FILES} >= set(ROOMS)
    assert any(targets(found) == {"kdzoo.data"} for found in all_imports())


def test_rooms_import_only_what_they_may() -> None:
    assert order_violations(all_imports()) == []


@pytest.mark.parametrize(
    ("module", "source", "forbidden"),
    [
        ("kdzoo.base.writing", "from ..data import specs", "kdzoo.data"),
        ("kdzoo.data.specs", "from ..engine import loop", "kdzoo.engine"),
        ("kdzoo.data.specs", "def f():\n    from .. import zoo", "kdzoo.zoo"),
        ("kdzoo.zoo.networks.cifar_resnet", "from ...data import Batch", "kdzoo.data"),
        ("kdzoo.engine.loop", "import kdzoo.planning.plan", "kdzoo.planning"),
        ("kdzoo.evaluation.report", "from kdzoo.planning import resolve", "kdzoo.planning"),
        ("kdzoo.planning.plan", "from ..cli.output import print_json", "kdzoo.cli"),
        ("kdzoo.recipes.meal_v2", "from ..planning.plan import Plan", "kdzoo.planning"),
        ("kdzoo.transfer.sides", "from ..papers.record import Record", "kdzoo.papers"),
        ("kdzoo.data.specs", "from .. import distill", "kdzoo"),
        ("kdzoo.cli.start", "from ..planning.run import run", "kdzoo.planning"),
        ("kdzoo.cli.eval", "def f():\n    from .. import zoo", "kdzoo.zoo"),
        ("kdzoo.cli.label", "if TYPE_CHECKING:\n    from ..data import CheckReport", "kdzoo.data"),
    ],
)
def test_a_wrong_import_would_be_seen(module: str, source: str, forbidden: str) -> None:
    found = list(imports_of(module, source, is_package=False))
    assert forbidden in order_violations(found)[0]


def circles(imports: Iterable[Import]) -> set[frozenset[str]]:
    """The groups of modules that import each other, lazily or not; what stands there for the type checker counts not.

    A package that only names its modules' names (its ``__init__``) is no part of a circle through them.
    """
    reached: dict[str, set[str]] = {module: set() for module in FILES}
    for found in imports:
        if not found.typing_only and found.module not in PACKAGES:
            reached[found.module] |= targets(found) - {found.module} - PACKAGES
    after = {module: set(direct) for module, direct in reached.items()}
    grown = True
    while grown:
        grown = False
        for known in after.values():
            more = set().union(*(after[one] for one in known)) - known if known else set()
            known |= more
            grown = grown or bool(more)
    return {frozenset(b for b in after if b in after[a] and a in after[b]) for a in after if a in after[a]}


def test_no_module_imports_itself_through_others() -> None:
    assert circles(all_imports()) == set()


def test_a_circle_would_be_seen() -> None:
    there = imports_of("kdzoo.planning.plan", "def f():\n    from .resolution import resolve", is_package=False)
    assert circles([*all_imports(), *there])


def test_the_front_door_imports_the_rooms_lazily() -> None:
    wrong = [
        show(found, found.target)
        for found in all_imports()
        if room_of(found.module) == "kdzoo"
        and found.at_import
        and any(room_of(target) not in ("kdzoo", "kdzoo.cli", "kdzoo.base") for target in targets(found))
    ]
    assert wrong == []


def test_objectives_know_tensors_only() -> None:
    """No files, names, devices or ranks: torch, the standard library and themselves."""
    wrong = []
    for found in all_imports():
        if not found.module.startswith("kdzoo.recipes.objectives"):
            continue
        top = found.target.split(".")[0]
        own = top == "kdzoo" and found.target.startswith("kdzoo.recipes.objectives")
        if not (own or top == "torch" or top in sys.stdlib_module_names):
            wrong.append(show(found, found.target))
    assert wrong == []


def unpublished(imports: Iterable[Import]) -> list[str]:
    """What the command line takes from the package and the package does not offer to everybody."""
    taken = [one for one in imports if room_of(one.module) == "kdzoo.cli" and one.target == "kdzoo"]
    return [show(one, name) for one in taken for name in one.names if name not in kdzoo.__all__]


def test_the_command_line_takes_public_names_alone() -> None:
    assert unpublished(all_imports()) == []
    assert unpublished(imports_of("kdzoo.cli.start", "from .. import plan_run, _private", is_package=False))


def test_verbs_import_only_click_at_the_top() -> None:
    """The command line answers before torch could even be found."""
    wrong = []
    for found in all_imports():
        if room_of(found.module) != "kdzoo.cli" or not found.at_import:
            continue
        top = found.target.split(".")[0]
        ours = top == "kdzoo" and all(room_of(t) in ("kdzoo.cli", "kdzoo.base") for t in targets(found))
        if not (top == "click" or top in sys.stdlib_module_names or ours):
            wrong.append(show(found, found.target))
    assert wrong == []


def importers(package: str) -> set[str]:
    """The modules that import a foreign package, lazily or not."""
    return {
        found.module
        for found in all_imports()
        if found.target == package
        or found.target.startswith(f"{package}.")
        or package in {f"{found.target}.{name}" for name in found.names}
    }


def test_only_the_zoo_talks_to_the_hub() -> None:
    assert {room_of(module) for module in importers("huggingface_hub")} <= {"kdzoo.zoo"}


@cache
def names_of(path: Path) -> set[str]:
    """Every dotted name and every plain name that a file's code (not its text) uses."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    dotted = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    return dotted | {node.id for node in nodes if isinstance(node, ast.Name)}


def test_only_one_file_names_process_groups() -> None:
    allowed = {"kdzoo.engine.distributed"}
    assert importers("torch.distributed") <= allowed
    assert importers("torch.nn.parallel") <= allowed
    words = ("torch.distributed", "nn.parallel", "DistributedDataParallel", "init_process_group")
    users = {module for module, path in FILES.items() if any(word in name for name in names_of(path) for word in words)}
    assert users <= allowed
    assert importers("torch.distributed") == allowed, "the rule has lost its object"


def test_only_one_file_loads_foreign_weights() -> None:
    """Pickles are read in one place, with weights_only."""
    users = {module for module, path in FILES.items() if names_of(path) & {"torch.load", "pickle.load", "pickle.loads"}}
    assert users == {"kdzoo.zoo.weight_files"}
