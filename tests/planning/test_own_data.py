"""Our own recipes: which one runs where none is named, and how their values follow the images and the student."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from kdzoo.base.errors import ModelError, UsageError
from kdzoo.base.settings import flatten
from kdzoo.planning.default_recipe import choose_recipe
from kdzoo.planning.models import student_of
from kdzoo.planning.own_data import OURS, TABLE, table_lines
from kdzoo.planning.plan import Plan
from kdzoo.recipes import get_recipe
from kdzoo.zoo import load_model, save_model

from .conftest import given

DEFAULTS = Path(__file__).parents[2] / "docs" / "defaults.md"
Planned = Callable[..., Plan]
VERBS = {"finetune": "train", "from_scratch": "train", "function_matching": "distill", "features": "distill"}


def own(recipe: str, **more: object) -> dict[str, object]:
    return {"teachers__models": ("cifar_resnet8",), **more} if VERBS[recipe] == "distill" else more


@pytest.fixture
def run_folder(tmp_path: Path) -> str:
    """A model with weights whose mean is 0.5, and a size of 160 px."""
    return str(save_model(load_model("test_resnet", num_classes=7, seed=1), tmp_path / "student", provenance={}))


@pytest.mark.parametrize(
    ("verb", "settings", "variants", "recipe"),
    [
        ("train", {"student__model": "resnet18", "data__dataset": "photos"}, (), "finetune"),
        ("train", {"student__model": "resnet18.tv_in1k", "data__dataset": "digits"}, (), "finetune"),
        ("train", {"student__model": "cifar_resnet8", "data__dataset": "digits"}, (), "from_scratch"),
        (
            "train",
            {"student__model": "resnet18", "student__init": "random", "data__dataset": "photos"},
            (),
            "from_scratch",
        ),
        ("train", {"student__model": "resnet18", "data__dataset": "imagenet:/data"}, (), "supervised"),
        ("train", {"student__model": "resnet18"}, (), "supervised"),
        ("train", {"student__model": "cifar_resnet20", "data__dataset": "cifar100"}, ("cifar",), "supervised"),
        ("distill", {"student__model": "resnet18", "data__dataset": "photos"}, (), "function_matching"),
        ("label", {"data__dataset": "photos"}, (), "function_matching"),
    ],
)
def test_which_recipe_runs_where_none_is_named(verb, settings, variants, recipe) -> None:
    chosen, why = choose_recipe(verb, given(**settings), variants)
    assert chosen == recipe
    assert why


def test_weights_of_any_kind_are_fine_tuned(run_folder: str) -> None:
    weights = f"test_resnet={run_folder}/model.safetensors"
    for reference in (run_folder, f"local-dir:{run_folder}", weights):
        chosen, _ = choose_recipe("train", given(student__model=reference, data__dataset="photos"))
        assert chosen == "finetune"


@pytest.mark.parametrize("recipe", OURS)
@pytest.mark.parametrize("images", [2, 12, 40, 300, 3_000, 1_300_000])
@pytest.mark.parametrize("model", ["resnet18", "cifar_resnet8"])
def test_every_number_of_images_has_a_batch_and_a_length(planned: Planned, recipe, images, model) -> None:
    plan = planned(images, VERBS[recipe], recipe, classes=2, student__model=model, **own(recipe))
    training = plan.recipe.training
    assert training.batch_size <= min(images, 128)
    assert training.batch_size.bit_count() == 1
    assert plan.steps_per_epoch
    assert training.epochs <= max(row.taught_scratch for row in TABLE if row.name == "most_passes")
    assert 0 < plan.recipe.schedule.warmup_epochs < training.epochs / 2
    assert training.epochs / training.evaluate_every_epochs <= 40
    assert plan.adapted == ()


@pytest.mark.parametrize("recipe", OURS)
def test_the_recipes_literals_are_the_tables_for_3000_photographs(planned: Planned, recipe: str) -> None:
    plan = planned(3_000, VERBS[recipe], recipe, student__model="resnet18", **own(recipe))
    literal, found = flatten(get_recipe(recipe)), flatten(plan.recipe)
    of_weights = ("data.augmentation.interpolation", "data.evaluation.interpolation")  # resnet18's own
    named = ("student.model", "teachers.models", "data.dataset")
    changed = {path for path, value in found.items() if value != literal[path]}
    assert changed - {*of_weights, *named} == set()


def test_the_student_decides_between_the_columns(planned: Planned) -> None:
    def taught(model: str) -> Plan:
        return planned(3_000, "distill", student__model=model, teachers__models=("cifar_resnet8",))

    tuned, scratch = taught("resnet18"), taught("cifar_resnet8")
    rows = {row.name: row for row in TABLE if not row.only}
    assert tuned.recipe.optimizer.weight_decay == rows["optimizer.weight_decay"].taught_weights
    assert scratch.recipe.optimizer.weight_decay == rows["optimizer.weight_decay"].taught_scratch
    assert scratch.recipe.training.epochs > tuned.recipe.training.epochs
    assert scratch.sources["optimizer.weight_decay"] == "ours: a student from random weights"


@pytest.mark.parametrize(
    ("model", "side", "size"),
    [
        ("resnet18", 400, 224),
        ("resnet18", 150, 128),
        ("resnet18", 50, 50),
        ("resnet18", 70, 64),
        ("resnet18", 32, 32),
        ("resnet18", 28, 28),
        ("vit_tiny_patch16_224", 100, 224),
        ("cifar_resnet8", 400, 64),
    ],
)
def test_the_image_size_is_the_networks_or_what_the_images_have(planned: Planned, model, side, size) -> None:
    plan = planned(3_000, "train", side=side, student__model=model)
    assert plan.image_size == size
    if side <= 64:
        assert plan.recipe.data.evaluation.crop_pct == 1.0
        assert plan.sources["data.augmentation.image_size"] == f"data: every image has {side}×{side} px"


def test_digits_are_not_mirrored_and_other_images_are_and_it_is_said() -> None:
    from kdzoo.planning.default_recipe import plan_verb

    digits = plan_verb("train", None, given=given(student__model="cifar_resnet8", data__dataset="digits"))
    assert digits.recipe.data.augmentation.hflip_prob == 0
    assert digits.sources["data.augmentation.hflip_prob"] == "data: a mirrored digit is another sign"
    assert (digits.image_size, digits.recipe.data.augmentation.crop) == (32, "pad4")


def test_mirroring_is_said_unless_it_was_given(planned: Planned) -> None:
    said = planned(3_000, "train", student__model="resnet18")
    assert said.recipe.data.augmentation.hflip_prob == 0.5
    assert any("mirrored" in note for note in said.notes)
    asked = planned(3_000, "train", student__model="resnet18", data__augmentation__hflip_prob=0.5)
    assert not any("mirrored" in note for note in asked.notes)


def test_what_is_given_holds_and_the_rate_follows_a_given_batch(planned: Planned) -> None:
    rate, batch = (next(row.finetune for row in TABLE if row.name == name) for name in ("lr", "lr_batch"))
    plan = planned(3_000, "train", student__model="resnet18", training__batch_size=100)
    assert (plan.recipe.training.batch_size, plan.recipe.optimizer.lr) == (100, pytest.approx(100 * rate / batch))
    plan = planned(3_000, "train", student__model="resnet18", training__batch_size=128, optimizer__lr="0.3")
    assert plan.recipe.optimizer.lr == 0.3
    plan = planned(3_000, "train", student__model="resnet18", training__epochs=40)
    share = next(row.finetune for row in TABLE if row.name == "warmup_share")
    assert (plan.recipe.training.epochs, plan.recipe.schedule.warmup_epochs) == (40, pytest.approx(40 * share))


def test_a_recipe_file_is_given_too(planned: Planned, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: finetune\noptimizer: {weight_decay: 0.5}\n")
    plan = planned(1_000, "train", str(path), student__model="resnet18")
    assert plan.recipe.optimizer.weight_decay == 0.5
    assert plan.sources["training.batch_size"] == "data: 1,000 images"


def test_budgets_are_four_times_each_other_and_stand_in_place_of_epochs(planned: Planned) -> None:
    epochs = [
        planned(3_000, "train", student__model="cifar_resnet8", run__budget=budget).recipe.training.epochs
        for budget in ("quick", "normal", "patient")
    ]
    assert epochs[1] == pytest.approx(4 * epochs[0], abs=2)
    assert epochs[2] == 4 * epochs[1]
    with pytest.raises(UsageError, match="both given"):
        planned(3_000, "train", student__model="cifar_resnet8", run__budget="quick", training__epochs=3)


def test_a_run_sees_images_as_its_own_weights_did(planned: Planned, run_folder: str) -> None:
    plan = planned(3_000, "train", student__model=run_folder)
    assert (plan.recipe.name, plan.recipe.student.init, plan.image_size) == ("finetune", "pretrained", 160)
    look = student_of(plan, 10).preprocessing
    assert look.mean == look.std == (0.5, 0.5, 0.5)


def test_a_bare_name_uses_its_weights_and_says_so(planned: Planned) -> None:
    plan = planned(3_000, "train", student__model="resnet18", classes=7)
    assert (plan.student, plan.recipe.student.init) == ("resnet18.a1_in1k", "pretrained")
    assert any("resnet18.a1_in1k, with a new classifier for 7 classes" in note for note in plan.notes)
    scratch = planned(3_000, "train", "from_scratch", student__model="resnet18.a1_in1k")
    assert scratch.recipe.student.init == "random"


def test_weights_that_cannot_be_had_end_with_both_ways_out(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    plan = planned(3_000, "train", student__model="resnet18")
    with pytest.raises(ModelError, match="not in the local cache") as error:
        student_of(plan, 10)
    assert "hf download timm/resnet18.a1_in1k" in str(error.value.hint)
    assert str(error.value.hint).endswith("--set student.init=random")


def test_missing_images_leave_the_recipes_length(planned: Planned) -> None:
    plan = planned(None, "train", student__model="resnet18")
    assert plan.recipe.training.epochs == get_recipe("finetune").training.epochs


def test_the_page_shows_the_table() -> None:
    text = "\n".join(table_lines())
    assert text in DEFAULTS.read_text(encoding="utf-8"), "python -m kdzoo.planning.own_data prints it"
