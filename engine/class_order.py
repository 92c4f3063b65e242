"""The order of a model's classes where the model does not name them: said by the user, or doubted on evidence.

Trainers number class folders in two ways: by string (torchvision: class10 before class2) and naturally (timm: class2
before class10, upper and lower case alike). A checkpoint does not say which; a model in the wrong order still answers
above chance where some classes keep their place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import DataError

DATA, NATURAL, STRING = "data", "natural", "string"
ORDERS = {
    DATA: "the data's own",
    NATURAL: "timm's: class2 before class10",
    STRING: "torchvision's: class10 before class2",
}
"""Orders of class folders by name, and who has them."""

_MAX_BYTES = 2**24


def natural_order(names: Sequence[str]) -> tuple[str, ...]:
    """Names with digits by their value and letters without their case, as timm sorts class folders (natural_key)."""
    return tuple(sorted(sorted(names), key=_natural_key))


def _natural_key(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def names_in_order(order: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """The class names in an order.

    Args:
        order: One of `ORDERS`, or a file of class names, one a line.
        class_names: The data's.

    Raises:
        DataError: It is neither, or the file cannot be read or is no list of different names.
    """
    if order == DATA:
        return tuple(class_names)
    if order == NATURAL:
        return natural_order(class_names)
    if order == STRING:
        return tuple(sorted(class_names))
    names = _read(Path(order).expanduser())
    _refuse_repeated(names, order)
    return names


def class_table(order: str, class_names: Sequence[str], data: str) -> dict[str, str] | None:
    """What a file of lines "class of the data, tab, class of the model" says; None of an order and a file of names.

    Args:
        order: As of `names_in_order`.
        class_names: The data's.
        data: The data's name, for a message.

    Raises:
        DataError: The file cannot be read, a line has another form, or a class is named twice or not the data's.
    """
    lines = () if order in ORDERS else _read(Path(order).expanduser())
    if not any("\t" in line for line in lines):
        return None
    rows = [[part.strip() for part in line.split("\t")] for line in lines]
    odd = next((line for line, row in zip(lines, rows, strict=True) if len(row) != 2 or not all(row)), None)
    if odd is not None:
        raise DataError(f"{order} has the line {odd!r}, which is not a class, a tab and a class", hint=_TABLE)
    _refuse_repeated([row[0] for row in rows], order)
    for name, _ in rows:
        if name not in class_names:
            raise DataError(f"{order} names {name!r}, which is no class of {data}", hint=_TABLE)
    return {row[0]: row[1] for row in rows}


_TABLE = "a line a class: the data's class, a tab, and the model's name or number (from 0) of it"


def _refuse_repeated(names: Sequence[str], path: str) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path} names {twice!r} twice", hint="name each class once")


def _read(path: Path) -> tuple[str, ...]:
    hint = (
        f"give {', '.join(ORDERS)}, or a text file of the model's class names in its order, a name a line; or {_TABLE}"
    )
    if not path.is_file():
        raise DataError(f"{path} is no order of classes and no file", hint=hint)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is too large for a list of class names", hint=hint)
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text", hint=hint) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}", hint=hint) from None
    if not names:
        raise DataError(f"{path} names no class", hint=hint)
    return names


@dataclass(frozen=True)
class OrderDoubt:
    """What speaks against a model's outputs being in the data's order.

    Attributes:
        reason: Short text for a message.
        top1: Percent right in the better one of `ORDERS`; None where it is none of these that speaks against it.
    """

    reason: str
    top1: float | None = None


def doubt_order(answers: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> OrderDoubt | None:
    """What speaks against a model's outputs being in the data's order, or None.

    The outputs are matched with the classes as the answers would have it, and in each order of `ORDERS`. Where another
    matching is right more often than the data's by more than chance, or an order is not clearly worse, the order is in
    doubt.

    Args:
        answers: int64, (N,): the model's likeliest output for each image.
        labels: int64, (N,).
        class_names: In label order.
    """
    own = answers == labels
    fits: dict[str, np.ndarray] = {}
    for order in (NATURAL, STRING):
        position = {name: label for label, name in enumerate(class_names)}
        meaning = np.array([position[name] for name in names_in_order(order, class_names)])
        if (meaning != np.arange(len(meaning))).any():
            fits[order] = meaning[answers] == labels
    best = max(fits, key=lambda order: int(fits[order].sum()), default=None)
    if best is not None and _ahead(own, fits[best]) <= 2:
        shown = ", ".join(names_in_order(best, class_names)[:3])
        return OrderDoubt(
            f"they fit the {best} order ({ORDERS[best]}; {shown}, …) at {_percent(fits[best])} of {len(labels)} "
            f"images, the data's ({', '.join(class_names[:3])}, …) at {_percent(own)}",
            100 * float(fits[best].mean()),
        )
    meaning = _best_meaning(answers, labels, len(class_names))
    matched = meaning[answers] == labels
    if _ahead(matched, own) <= 1:
        return None
    moved = np.unique(answers[matched & ~own])
    pairs = ", ".join(f"{class_names[meaning[output]]!r} as {class_names[output]!r}" for output in moved[:3])
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return OrderDoubt(
        f"they fit the data's order at {_percent(own)} of {len(labels)} images, and another at {_percent(matched)}: "
        f"they know {pairs}{more}"
    )


def _ahead(one: np.ndarray, other: np.ndarray) -> float:
    """By how many standard deviations one is right more often than the other, over the images where they differ."""
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    return (wins - losses) / max(1.0, float(np.sqrt(wins + losses)))


def _percent(right: np.ndarray) -> str:
    return f"{100 * right.mean():.1f} %"


def _best_meaning(answers: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The class of each output with which the most answers are right; an output keeps its own where nothing is won."""
    from scipy.optimize import linear_sum_assignment

    seen = np.union1d(answers, labels)
    counts = np.zeros((len(seen), len(seen)))
    np.add.at(counts, (np.searchsorted(seen, answers), np.searchsorted(seen, labels)), 1)
    outputs, classes = linear_sum_assignment(counts + 1e-6 * np.eye(len(seen)), maximize=True)
    meaning = np.arange(num_classes)
    meaning[seen[outputs]] = seen[classes]
    return meaning
