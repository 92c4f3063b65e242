"""A recipe file from somewhere else: what it says twice, or says in no readable way, is named and not run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data.label_store import read_document
from kdzoo.evaluation.results import read_results
from kdzoo.recipes.recipe_file import load_recipe, read_recipe_file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: meal_v2\ntraining:\n  epochs: 3\n  epochs: 7\n", "'epochs' stands twice, in line 3 and in line 4"),
        ("base: meal_v2\nbase: ssld\n", "'base' stands twice, in line 1 and in line 2"),
        ("base: meal_v2\noptimizer: {lr: 1, lr: 1}\n", "'lr' stands twice, in line 2 and in line 2"),
        ("base: meal_v2\noptimizer: {lr: 1}\noptimizer.lr: 2\n", "optimizer.lr stands twice"),
        ("base: meal_v2\nvariants:\n- name: a\n  overrides:\n    optimizer.lr: 1\n    optimizer.lr: 2\n", "lines? 5"),
        ("base: " + "[" * 5000, "nested too deeply"),
        ("base: meal_v2\nstudents:\n" + "".join(" " * n + "-\n" for n in range(1, 1200)), "nested too deeply"),
        ("base: meal_v2\ntraining: {epochs: " + "9" * 5000 + "}\n", "holds a value that is none"),
        ("base: meal_v2\ntraining: {epochs: 0x" + "f" * 5000 + "}\n", "training.epochs is an integer .*very long int"),
        ("base: meal_v2\noptimizer: {lr: .nan}\n", "optimizer.lr is a number above 0 .*nan"),
        ("base: meal_v2\noptimizer: {lr: .inf}\n", "optimizer.lr is a number above 0 .*inf"),
        ("base: meal_v2\noptimizer: {lr: 2020-02-31}\n", "holds a value that is none"),
        ('base: meal_v2\ndata: {dataset: "a\\0b"}\n', "data.dataset is a text"),
        ('base: meal_v2\ndata: {dataset: "\\ud800"}\n', "data.dataset is a text|not YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nbase: *c\n", "own.yaml: base is a text"),
        ("base: meal_v2\nteachers: &x\n  models: *x\n", "teachers.models|not YAML|recursive"),
    ],
)
def test_what_is_no_recipe_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        read_recipe_file(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500 + len(str(path))
    assert caught.value.hint


def test_merged_keys_are_no_keys_twice(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("base: meal_v2\ntraining: {epochs: 3}\noptimizer: {lr: 0.5}\n", encoding="utf-8")
    assert read_recipe_file(path).recipe.training.epochs == 3


def test_special_files_are_named_not_opened(tmp_path: Path) -> None:
    """Each of these hung, or filled the memory."""
    for name, word in (("fifo.yaml", "FIFO"), ("zero.yaml", "device"), ("loop.yaml", "back to itself")):
        path = tmp_path / name
        if name.startswith("fifo"):
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero" if name.startswith("zero") else path)
        with pytest.raises(UsageError, match=word):
            load_recipe(str(path))
    for folder, name in (("labels", "labels.json"), ("results", "one.json")):
        (tmp_path / folder).mkdir()
        os.mkfifo(tmp_path / folder / name)
    with pytest.raises(DataError, match="FIFO"):
        read_document(tmp_path / "labels")
    with pytest.raises(DataError, match="FIFO"):
        read_results([tmp_path / "results"])
