"""How a run is resolved: layers, their order, and what follows from data and flags."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdzoo.base.errors import UsageError
from kdzoo.base.settings import Given
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.recipes.registry import get_recipe, recipe_names

TEACHERS = ("senet154.gluon_in1k", "resnet152s.gluon_in1k")


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)


def plan(recipe: str, *variants: str, **given: object) -> Plan:
    """Settings as keywords, ``__`` for the dot; every one from ``--flag``."""
    entries = {key.replace("__", "."): Given(value, "--flag") for key, value in given.items()}
    return resolve(recipe, given=entries, variants=variants)


def on_digits(recipe: str, *variants: str, **given: object) -> Plan:
    teachers = {} if recipe == "supervised" else {"teachers__models": ("cifar_resnet8",)}
    shared = {"data__dataset": "digits", "training__batch_size": 64, "run__exact": True, **teachers}
    return plan(recipe, *variants, **{**shared, **given})


@pytest.mark.parametrize("given", [{}, {"student__model": "resnet50"}])
def test_the_papers_own_run(given):
    found = plan("meal_v2", **given)
    assert found.student == "resnet50.ram_in1k"
    assert found.teachers == TEACHERS
    assert (found.recipe.data.dataset, found.image_size, found.recipe.student.init) == ("imagenet", 224, "pretrained")
    assert (found.recipe.training.epochs, found.recipe.training.batch_size) == (180, 512)
    assert (found.recipe.optimizer.lr, found.recipe.optimizer.weight_decay) == (0.01, 0.0)
    assert found.recipe.schedule.milestones == (101,)
    assert found.recipe.objective.discriminator == "published"
    assert found.notes == found.warnings == ()
    assert "imagenet" in found.facts.missing
    assert "KDZOO_DATA" in found.facts.missing
    assert found.facts.num_images == 1_281_167
    assert found.sources["optimizer.lr"] == "meal_v2: §6.1"
    assert "students.resnet50" in found.sources["teachers.models"]


@pytest.mark.parametrize("name", recipe_names())
def test_a_plan_is_json_and_every_setting_has_a_source(name):
    recipe = get_recipe(name)
    must_be_named = recipe.objective.uses_teachers and not recipe.teachers.models
    given = {"teachers__models": ("resnet101.a1_in1k",)} if must_be_named else {}
    document = json.loads(json.dumps(plan(name, **given).to_dict()))
    assert all(entry["source"] for entry in document["settings"].values())
    assert document["settings"]["run.seed"]["value"] == 0


def test_rows_variants_and_flags_in_order_of_strength():
    assert plan("meal_v2", student__model="tf_efficientnet_b0").student == "tf_efficientnet_b0.aa_in1k"
    large = plan("meal_v2", "resnet50_380")
    assert (large.image_size, large.student) == (380, "resnet50.ram_in1k")
    assert large.teachers == ("tf_efficientnet_b4.ns_jft_in1k", "tf_efficientnet_b4.aa_in1k")
    assert large.sources["data.augmentation.image_size"] == "variant resnet50_380: Table 3"
    own = plan("meal_v2", "resnet50_380", data__augmentation__image_size="320", teachers__models=("resnet101.a1_in1k",))
    assert (own.image_size, own.teachers) == (320, ("resnet101.a1_in1k",))
    assert own.sources["data.augmentation.image_size"] == "--flag"
    assert plan("meal_v2", "paper_schedule").recipe.schedule.milestones == (100,)
    both = plan("meal_v2", "cutmix", "epochs_200")
    assert (both.recipe.data.mixing.cutmix_prob, both.recipe.training.epochs) == (1.0, 200)
    assert both.recipe.schedule.milestones == (101,)


def test_a_student_outside_the_table_is_pinned_and_says_so():
    found = plan("meal_v2", student__model="resnet34")
    assert found.student.startswith("resnet34.")
    assert any("pinned" in note for note in found.notes)
    assert found.teachers == TEACHERS
    tagged = plan("meal_v2", student__model="resnet34.tv_in1k")
    assert tagged.student == "resnet34.tv_in1k"


def test_a_bare_name_meets_other_classes_with_random_weights_and_a_tag_keeps_its_own():
    bare = on_digits("meal_v2", student__model="resnet18")
    assert (bare.student, bare.recipe.student.init) == ("resnet18", "random")
    assert any("resnet18.tv_in1k" in note for note in bare.notes)
    tagged = on_digits("meal_v2", student__model="resnet18.tv_in1k")
    assert (tagged.student, tagged.recipe.student.init) == ("resnet18.tv_in1k", "pretrained")
    forced = on_digits("meal_v2", student__model="resnet18", student__init="pretrained")
    assert (forced.student, forced.recipe.student.init) == ("resnet18.tv_in1k", "pretrained")
    nothing = on_digits("meal_v2", student__model="cifar_resnet8")
    assert nothing.recipe.student.init == "random"
    assert any("no pretrained weights" in note for note in nothing.notes)
    supervised = on_digits("supervised", student__model="resnet18.tv_in1k")
    assert supervised.recipe.student.init == "pretrained"
    assert on_digits("supervised", student__model="resnet18").recipe.student.init == "random"


def test_the_image_size_is_the_datas_own_unless_asked_for():
    found = on_digits("meal_v2", student__model="cifar_resnet8")
    assert (found.image_size, found.recipe.data.evaluation.crop_pct) == (32, 1.0)
    assert found.sources["data.augmentation.image_size"].startswith("data:")
    asked = on_digits("meal_v2", student__model="cifar_resnet8", data__augmentation__image_size=64)
    assert asked.image_size == 64
    assert any("32 px" in warning for warning in asked.warnings)
    assert not found.warnings


def test_small_images_in_folders_are_warned_of(tmp_path: Path):
    for split in ("train", "val"):
        for label in ("a", "b"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for index in range(4):
                Image.fromarray(np.full((40, 50, 3), 10 * index, np.uint8)).save(folder / f"{index}.png")
    exact = {"data__dataset": str(tmp_path), "run__exact": True}
    found = plan("supervised", training__batch_size=2, student__model="resnet18", **exact)
    assert found.image_size == 224
    assert any("short side is about 40 px" in warning for warning in found.warnings)


def test_milestones_and_warmup_are_scaled_with_given_epochs():
    found = on_digits("meal_v2", student__model="cifar_resnet8", training__epochs="18")
    assert found.recipe.schedule.milestones == (10,)
    assert found.sources["schedule.milestones"] == "scaled from [101] of 180 epochs"
    assert any("180 epochs became 18" in note for note in found.notes)
    own = on_digits("meal_v2", student__model="cifar_resnet8", training__epochs=18, schedule__milestones="12,15")
    assert own.recipe.schedule.milestones == (12, 15)
    warm = on_digits("supervised", student__model="cifar_resnet8", training__epochs=30)
    assert warm.recipe.schedule.warmup_epochs == pytest.approx(0.5)
    unchanged = on_digits("meal_v2", student__model="cifar_resnet8", training__epochs=180)
    assert unchanged.recipe.schedule.milestones == (101,)


def test_the_learning_rate_is_never_scaled_silently():
    found = on_digits("meal_v2", student__model="cifar_resnet8")
    assert found.recipe.optimizer.lr == 0.01
    assert any("0.00125" in note for note in found.notes)
    given = on_digits("meal_v2", student__model="cifar_resnet8", optimizer__lr="0.02")
    assert not any("linear scaling" in note for note in given.notes)


def test_other_classes_than_the_recipes_teachers_know_are_warned_of():
    found = plan("meal_v2", data__dataset="digits", training__batch_size=64)
    assert any("--teacher REF" in warning for warning in found.warnings)


def test_a_few_class_discriminator_is_said():
    notes = on_digits("meal_v2", student__model="cifar_resnet8").notes
    assert any("10-8-8-2" in note for note in notes)


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: plan("meal_v2", "cutmixx"), "no variant of meal_v2 'cutmixx'", "'cutmix'"),
        (lambda: plan("meal_v2", optimizer__lrr=1), "optimizer.lrr", "'optimizer.lr'"),
        (lambda: plan("meal_v2", run__sed=1), "run.sed", "'run.seed'"),
        (lambda: plan("meal_v2", training__epochs="many"), "training.epochs is an integer", "training.epochs"),
        (lambda: plan("meal_v2", training__epochs=0), "is an integer from 1 to 1,000,000, got 0", "training.epochs"),
        (
            lambda: plan("meal_v2", run__seed=-1),
            "run.seed is an integer from 0 to 9,223,372,036,854,775,807, got -1",
            "run.seed",
        ),
        (lambda: on_digits("supervised", teachers__models=("resnet18",)), "has no teachers", "distill"),
        (lambda: on_digits("meal_v2", teachers__models=()), "needs a teacher", "--teacher"),
    ],
)
def test_wrong_wishes_are_usage_errors(call, message, hint):
    with pytest.raises(UsageError) as error:
        call()
    assert message in error.value.message
    assert hint in error.value.hint


def test_a_batch_larger_than_the_data_becomes_smaller():
    settled = on_digits("meal_v2", training__batch_size=4096)
    assert settled.recipe.training.batch_size == 1432  # 1,437 digits; a multiple of 8 can be shared and split
    assert settled.steps_per_epoch == 1
    line = next(line for line in settled.adapted if "4,096" in line)
    assert line == "a batch of 4,096 became 1,432: there are 1,437 training images"
    assert settled.recipe.optimizer.lr == 0.01, "a given batch leaves the rate as the recipe has it"
    assert "fewer than 4,096" in settled.sources["training.batch_size"]
    assert on_digits("meal_v2", training__batch_size=1437).recipe.training.batch_size == 1437


@pytest.mark.parametrize(
    ("recipe", "views", "message"),
    [("meal_v2", 33, "a batch of 32 cannot hold 33 views"), ("crd", 2, "crd remembers an image until it comes again")],
)
def test_views_that_a_batch_cannot_hold_side_by_side_are_refused(recipe: str, views: int, message: str):
    with pytest.raises(UsageError, match=message):
        on_digits(recipe, training__batch_size=32, training__views_per_decode=views)
    assert on_digits("meal_v2", training__batch_size=32, training__views_per_decode=32).recipe


def test_labels_and_unlabeled_images_do_not_mix(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="reads labels"):
        on_digits("hinton_kd", student__model="cifar_resnet8", data__unlabeled=str(tmp_path))
    found = on_digits("meal_v2", student__model="cifar_resnet8", data__unlabeled=str(tmp_path))
    assert found.facts.num_images == 1438


def test_a_recipe_file_is_a_source(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: meal_v2\noptimizer: {lr: 0.5}\n")
    found = resolve(str(path), given={"training.epochs": Given("3", "--set")})
    assert found.sources["optimizer.lr"] == str(path)
    assert found.sources["optimizer.momentum"] == "meal_v2: code: opts.py"
    assert found.sources["training.epochs"] == "--set"
    assert found.student == "resnet50.ram_in1k"
