"""A model without class names: which order its answers speak for, and which orders can be said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kdzoo.base.errors import DataError
from kdzoo.engine.class_order import doubt_order, names_in_order, natural_order

NUMBERED = tuple(sorted(f"class{number}" for number in range(1, 13)))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("class10", "class2", "class1"), ("class1", "class2", "class10")),
        (("Zebra", "ant", "bee"), ("ant", "bee", "Zebra")),
        (("7b", "7a", "10a"), ("7a", "7b", "10a")),
        (("10", "9", "x"), ("9", "10", "x")),
    ],
)
def test_natural_order_is_timms(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    from timm.utils import natural_key

    assert natural_order(names) == expected
    try:
        assert tuple(sorted(names, key=natural_key)) == expected
    except ImportError:  # an older timm
        pytest.skip("timm has no natural_key")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is no order of classes and no file"),
        (b"", "names no class"),
        (b"cat\ndog\ncat\n", "names 'cat' twice"),
        (b"\xff\xfe\x00", "is no text"),
    ],
)
def test_a_class_file_that_is_none(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        names_in_order(str(path), ("cat", "dog"))


def _answers(meaning: list[int], per_class: int, right: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a teacher whose output ``meaning.index(c)`` stands for class c, right for this share."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(meaning)), per_class)
    outputs = np.array([meaning.index(label) for label in labels])
    wrong = rng.random(len(labels)) >= right
    outputs[wrong] = rng.integers(0, len(meaning), int(wrong.sum()))
    return outputs, labels


@pytest.mark.parametrize("right", [0.5, 0.8, 1.0])
def test_the_datas_own_order_is_not_doubted(right: float) -> None:
    names = [f"c{letter}" for letter in "abcdefghij"]
    for seed in range(5):
        assert doubt_order(*_answers(list(range(10)), 36, right, seed), names) is None
    assert doubt_order(*_answers(list(range(12)), 20, right), NUMBERED) is None


@pytest.mark.parametrize("right", [0.6, 1.0])
def test_an_order_by_number_is_told_from_one_by_string(right: float) -> None:
    meaning = [NUMBERED.index(name) for name in natural_order(NUMBERED)]
    doubt = doubt_order(*_answers(meaning, 20, right), NUMBERED)
    assert doubt is not None
    assert "they fit the natural order (timm's: class2 before class10; class1, class2, class3, …)" in doubt.reason
    assert doubt.top1 is not None
    assert doubt.top1 > 50


def test_too_few_images_to_tell_two_orders_apart_are_a_doubt() -> None:
    answers, labels = _answers(list(range(12)), 1, 1.0)
    kept = [0]  # class1 is first in both orders
    assert doubt_order(answers[kept], labels[kept], NUMBERED) is not None


@pytest.mark.parametrize(("classes", "per_class"), [(2, 3), (3, 4), (10, 30), (100, 10)])
def test_two_classes_that_changed_places_are_noticed_among_many(classes: int, per_class: int) -> None:
    names = [f"c{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(classes)]
    meaning = list(range(classes))
    meaning[0], meaning[1] = 1, 0
    doubt = doubt_order(*_answers(meaning, per_class, 1.0), names)
    assert doubt is not None
    assert doubt.top1 is None
    assert f"they know {names[1]!r} as {names[0]!r}" in doubt.reason
