"""Every value of every recipe is cited; the check itself can fail."""

import pytest

from kdzoo.base.settings import flatten
from kdzoo.recipes.citations import DEFAULT, citations, read_values, recipe_source
from kdzoo.recipes.description import commands, describe_recipe, numbered
from kdzoo.recipes.overrides import typed
from kdzoo.recipes.registry import get_recipe, list_recipes, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_value_of_every_recipe_is_cited(name):
    values = read_values(recipe_source(get_recipe(name)))
    assert len(values) > 40
    assert [f"line {value.line}: {value.path}" for value in values if not value.cited] == []


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("lr=0.01,  # §6.1", "lr=0.01,", "optimizer.lr"),
        ("lr=0.01,  # §6.1", "lr=0.01,  # a good value", "optimizer.lr"),
        ("top1=80.67,  # Table 3", "top1=80.67,", "students.resnet50.top1"),
        ("(100,),  # §6.1", "(100,),", "variants.paper_schedule.schedule.milestones"),
        ('resnet152s.gluon_in1k")  # §6.1; code: README, their old names', 'resnet152s.gluon_in1k")', "TEACHERS_224"),
    ],
)
def test_an_uncited_value_is_found(before, after, path):
    source = recipe_source(get_recipe("meal_v2"))
    assert source.count(before) == 1
    uncited = [value.path for value in read_values(source.replace(before, after)) if not value.cited]
    assert uncited == [path]


def test_a_computed_value_is_refused():
    source = recipe_source(get_recipe("meal_v2")).replace("lr=0.01,  # §6.1", "lr=0.1 / 10,  # §6.1")
    with pytest.raises(ValueError, match=r"optimizer\.lr is not a literal"):
        read_values(source)


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


@pytest.mark.parametrize("listing", list_recipes(), ids=lambda listing: listing.name)
def test_the_listing_says_what_the_recipe_says(listing):
    recipe = get_recipe(listing.name)
    assert (listing.title, listing.year, listing.summary) == (recipe.paper.title, recipe.paper.year, recipe.summary)
    assert listing.students == tuple(row.name for row in recipe.students)


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
