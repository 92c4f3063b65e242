"""Every value of every recipe is cited; the check itself can fail."""

import pytest

from kdzoo.base.settings import flatten
from kdzoo.recipes.citations import DEFAULT, citations, is_citation
from kdzoo.recipes.description import commands, describe_recipe, numbered
from kdzoo.recipes.overrides import typed
from kdzoo.recipes.registry import get_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_value_of_every_recipe_is_cited(name):
    recipe = get_recipe(name)
    assert len(recipe.cited) > 40
    assert [row.path for row in recipe.cited if not is_citation(row.citation)] == []
    paths = [row.path for row in recipe.cited]
    assert len(paths) == len(set(paths))
    tables = [f"variants.{variant.name}.{path}" for variant in recipe.variants for path in variant.overrides]
    tables += [f"stages.{stage.name}.{path}" for stage in recipe.stages for path in (*stage.overrides, "start")]
    for row in recipe.students:
        tables += [f"students.{row.name}.{field}" for field in ("name", "model", "teachers", "image_size")]
        tables += [f"students.{row.name}.overrides.{path}" for path in row.overrides]
    assert [path for path in tables if path not in paths] == []


@pytest.mark.parametrize("name", recipe_names())
def test_values_are_literals_of_their_settings_types(name):
    recipe = get_recipe(name)
    values = flatten(recipe)
    assert typed(recipe, values) == values
    for row in recipe.cited:
        parts = row.value if isinstance(row.value, tuple) else (row.value,)
        assert all(part is None or type(part) in (str, int, float, bool) for part in parts), row.path


@pytest.mark.parametrize(
    "text", ["§6.1", "Table 3", "CRD §4.1", "Supp. Eq. 1", "code: opts.py", "timm: x.csv", "ours: so"]
)
def test_a_place_is_a_citation(text):
    assert is_citation(text)


@pytest.mark.parametrize("text", ["", "a good value", "ours", "ours:", "the code", None])
def test_a_remark_is_no_citation(text):
    assert not is_citation(text)


def test_citations_name_the_place():
    cited = citations(get_recipe("meal_v2"))
    assert cited["optimizer.lr"] == "§6.1"
    assert cited["optimizer.momentum"] == "code: opts.py"
    assert cited["students.resnet50.top1"] == "Table 3"
    assert cited["variants.epochs_200.training.epochs"] == "code: opts.py, script/train.sh"
    assert cited["training.log_every_steps"] == DEFAULT
    assert set(flatten(get_recipe("meal_v2"))) <= set(cited)


@pytest.mark.parametrize("name", recipe_names())
def test_what_decides_a_result_is_not_left_to_a_default(name):
    cited = citations(get_recipe(name))
    decisive = [path for path in cited if path.split(".")[0] in ("student", "teachers", "objective")]
    decisive += ["training.epochs", "training.batch_size", "training.precision", "optimizer.nesterov"]
    decisive += ["schedule.name", "schedule.gamma", "schedule.warmup_epochs", "data.augmentation.scale"][:3]
    assert [path for path in decisive if cited[path] == DEFAULT] == []


@pytest.mark.parametrize("name", recipe_names())
def test_variants_change_known_settings_to_other_values(name):
    recipe = get_recipe(name)
    for variant in recipe.variants:
        assert typed(recipe, variant.overrides) == variant.overrides
        assert variant.why


@pytest.mark.parametrize("name", recipe_names())
def test_the_head_of_a_recipe_file_lists_deviations_and_commands(name):
    recipe = get_recipe(name)
    assert len(numbered(recipe, "Deviations")) >= 4
    assert numbered(recipe, "Conflicts")
    assert all(line.endswith(".") for line in numbered(recipe, "Deviations"))
    assert all(command.startswith("kdzoo ") for command in commands(recipe))
    described = describe_recipe(recipe)
    assert described["settings"]["optimizer.lr"]["citation"]
