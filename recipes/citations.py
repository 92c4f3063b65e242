"""Where each value of a recipe comes from, read from the comments of the recipe's own file.

A recipe file writes every value as a literal (or as a constant of the file) and ends its line in a citation::

    lr=0.01,  # §6.1
    momentum=0.9,  # code: opts.py
    discriminator_min_width=8,  # ours: …

A citation begins with a place in the paper (``§``, ``Table``, ``Eq.``, ``Fig.``, ``App.``, ``Supp.``; the name of
another paper may stand before it), with ``code:``, ``timm:`` or ``ours:``. Settings that a recipe leaves to their class
are ``kdzoo default``.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from ..base.settings import flatten
from .recipe import DESCRIPTION, Recipe

DEFAULT = "kdzoo default"
_PAPER, _PLACE = r"(?:[A-Z][\w.-]*(?: [a-zA-Z]\w*)* )?", r"(?:§|(?:Table|Eq\.|Fig\.|App\.|Supp\.) ?\w)"
_FORM = re.compile(rf"^{_PAPER}{_PLACE}|^(?:code|timm|ours): \S")
_NO_SETTING = {
    "Variant": ("name", "why", "students"),
    "StudentRow": ("note", "variants"),
    "Stage": ("name", "why", "only_with"),
}


@dataclass(frozen=True)
class Value:
    """A value as a recipe file writes it.

    Attributes:
        path: Its dotted path: a setting, ``students.NAME.FIELD``, ``variants.NAME.SETTING`` or ``stages.NAME.SETTING``.
        line: Where it ends, 1-based.
        citation: The comment on that line, or None.
        text: The value as it is written.
    """

    path: str
    line: int
    citation: str | None
    text: str = ""

    @property
    def cited(self) -> bool:
        """Whether the comment is a citation."""
        return self.citation is not None and _FORM.match(self.citation) is not None


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def _recipe_call(tree: ast.Module) -> ast.Call:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if "RECIPE" in targets:
                return node.value
    raise ValueError("no RECIPE = Recipe(...) in this file")


def _row_name(call: ast.Call, index: int) -> str:
    for keyword in call.keywords:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return str(index)


def _leaves(node: ast.expr, path: str) -> Iterator[tuple[str, ast.expr]]:
    """(path, expression) of every value below an expression; calls and tuples of calls are gone into."""
    if isinstance(node, ast.Call):
        kind = node.func.id if isinstance(node.func, ast.Name) else ""
        for keyword in node.keywords:
            described = _NO_SETTING.get(kind, ()) if kind != "Recipe" else DESCRIPTION
            if keyword.arg and keyword.arg not in described:
                named = kind == "Variant" or (kind == "Stage" and keyword.arg == "overrides")
                inner = path if named else f"{path}.{keyword.arg}".lstrip(".")
                yield from _leaves(keyword.value, inner)
    elif isinstance(node, ast.Tuple | ast.List) and any(isinstance(item, ast.Call) for item in node.elts):
        for index, item in enumerate(node.elts):
            name = _row_name(item, index) if isinstance(item, ast.Call) else str(index)
            yield from _leaves(item, f"{path}.{name}")
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield from _leaves(value, f"{path}.{ast.literal_eval(key)}" if key else f"{path}.**")
    else:
        yield path, node


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of the file's own constants: what a recipe writes once for several rows."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name != "RECIPE" and not name.startswith("_"):
                yield name, node.value


def read_values(source: str) -> list[Value]:
    """Every value of a recipe file, in the file's order.

    Args:
        source: The file's text.

    Raises:
        ValueError: There is no ``RECIPE = Recipe(...)``, or a value is neither a literal nor a constant of the file.
    """
    tree, comments = ast.parse(source), _comments(source)
    constants = dict(_constants(tree))
    values = []
    for path, node in [*constants.items(), *_leaves(_recipe_call(tree), "")]:
        if not isinstance(node, ast.Name) or node.id not in constants:
            try:
                ast.literal_eval(node)
            except ValueError as error:
                raise ValueError(f"line {node.lineno}: {path} is not a literal") from error
        line = node.end_lineno or node.lineno
        values.append(Value(path, line, comments.get(line), ast.unparse(node)))
    return values


def recipe_source(recipe: Recipe) -> str:
    """The text of the file that defines a recipe."""
    return inspect.getsource(import_module(f".{recipe.name}", __package__))


@lru_cache
def _cited(name: str) -> Mapping[str, str]:
    source = inspect.getsource(import_module(f".{name}", __package__))
    return {value.path: value.citation or "" for value in read_values(source)}


def citations(recipe: Recipe) -> dict[str, str]:
    """The citation of every setting, by its dotted path, of every row (``students.NAME.FIELD``), of every variant's
    change (``variants.NAME.SETTING``) and of every stage's (``stages.NAME.SETTING``)."""
    cited = _cited(recipe.name)
    settings = {path: cited.get(path, DEFAULT) for path in flatten(recipe)}
    tables = {path: text for path, text in cited.items() if path.startswith(("students.", "variants.", "stages."))}
    return {**settings, **tables}
