"""Recipes as YAML files, there and back."""

import pytest
import yaml

from kdzoo.base.errors import UsageError
from kdzoo.base.settings import flatten
from kdzoo.recipes.recipe_file import export_recipe, load_recipe
from kdzoo.recipes.registry import get_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_an_exported_recipe_reads_back_as_itself(name, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(export_recipe(get_recipe(name)), encoding="utf-8")
    loaded = load_recipe(str(path))
    assert loaded.recipe == get_recipe(name)
    assert loaded.changed == frozenset()
    assert export_recipe(loaded.recipe) == path.read_text(encoding="utf-8")


def test_values_carry_their_citations_as_comments():
    text = export_recipe(get_recipe("meal_v2"))
    assert "  lr: 0.01  # §6.1\n" in text
    assert "    mixup_prob: 0.0  # Table 2\n" in text
    assert "  top1: 80.67  # Table 3\n" in text
    assert "    schedule.milestones: [100]  # §6.1\n" in text
    assert yaml.safe_load(text)["data"]["augmentation"]["scale"] == [0.08, 1.0]


def test_an_edited_file_changes_only_what_was_edited(tmp_path):
    path = tmp_path / "mine.yaml"
    text = export_recipe(get_recipe("meal_v2")).replace("  lr: 0.01  #", "  lr: 2e-2  #")
    path.write_text(text, encoding="utf-8")
    loaded = load_recipe(str(path))
    assert loaded.changed == {"optimizer.lr"}
    assert loaded.recipe.optimizer.lr == 0.02
    path.write_text(
        "base: meal_v2\ntraining: {epochs: 5}\nstudents:\n- {name: a, model: resnet18, teachers: [x], image_size: 64}\n"
    )
    loaded = load_recipe(str(path))
    assert loaded.changed == {"training.epochs"}
    assert [row.name for row in loaded.recipe.students] == ["a"]
    assert loaded.recipe.variants == get_recipe("meal_v2").variants
    changed = {k for k, v in flatten(loaded.recipe).items() if v != flatten(get_recipe("meal_v2"))[k]}
    assert changed == {"training.epochs"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("training: {epochs: 5}", "names no base recipe", "meal_v2"),
        ("base: meal_v3", "no recipe 'meal_v3'", "meal_v2"),
        ("base: meal_v2\noptimizer: {leaning_rate: 1}", "optimizer.leaning_rate", "optimizer."),
        ("base: meal_v2\noptimiser: {lr: 1}", "'optimiser'", "recipes copy"),
        ("base: meal_v2\noptimizer: 3", "optimizer must be a mapping", "recipes copy"),
        ("base: meal_v2\noptimizer: {lr: fast}", "optimizer.lr is a number", "optimizer.lr"),
        ("base: meal_v2\nstudents: [{name: a}]", "lacks model, teachers, image_size", "recipes copy"),
        ("base: meal_v2\nstudents: [{nam: a}]", "'nam'", "'name'"),
        ("base: meal_v2\nvariants: [{name: a, overrides: {optimizer.lrr: 1}}]", "optimizer.lrr", "optimizer.lr"),
        ("base: [", "is not YAML", "recipes copy"),
        ("- 1", "must be a mapping", "recipes copy"),
        ("base: meal_v2\nx: !!python/object/apply:os.getcwd []", "is not YAML", "recipes copy"),
    ],
)
def test_a_wrong_file_says_what_and_where(text, message, hint, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        load_recipe(str(path))
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert "\n" not in error.value.message


def test_an_unknown_name_is_no_file():
    with pytest.raises(UsageError, match="no recipe 'mealv2'") as error:
        load_recipe("mealv2")
    assert "'meal_v2'" in error.value.hint
    assert "kdzoo recipes" in error.value.hint
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe("no/such/file.yaml")
