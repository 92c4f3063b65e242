"""A paper's recipe on other data than the paper's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kdzoo.base.errors import CheckpointError
from kdzoo.planning import own_data
from kdzoo.planning.default_recipe import plan_verb
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.zoo import load_model, save_model

from .conftest import given

Planned = Callable[..., Plan]
TEACHER = ("cifar_resnet8",)


def meal(planned: Planned, images: int, **own: object) -> Plan:
    settings = {"student__model": "cifar_resnet8", "teachers__models": TEACHER, **own}
    return planned(images, "distill", "meal_v2", **settings)


def test_batch_and_rate_follow_the_number_of_images_and_it_is_said(planned: Planned) -> None:
    plan = meal(planned, 1_437, side=32)
    assert (plan.recipe.training.batch_size, plan.recipe.optimizer.lr) == (128, pytest.approx(0.0025))
    assert plan.image_size == 32
    assert plan.adapted == (
        "data.augmentation.image_size: 224 → 32 (every image has 32×32 px)",
        "data.evaluation.crop_pct: 0.875 → 1 (every image has 32×32 px)",
        "training.batch_size: 512 → 128 (1,437 images: a batch is at most a tenth of them)",
        "optimizer.lr: 0.01 → 0.0025 (linear in the batch, 512 → 128)",
    )
    assert plan.remarks[0].startswith("meal_v2 is adapted to this data (--exact ")
    assert plan.to_dict()["adapted"] == list(plan.adapted)


@pytest.mark.parametrize(("images", "batch"), [(12, 2), (40, 4), (300, 16), (3_000, 256), (60_000, 512)])
def test_a_batch_is_a_tenth_of_the_images_at_most(planned: Planned, images: int, batch: int) -> None:
    assert meal(planned, images).recipe.training.batch_size == batch


def test_the_rate_follows_a_given_batch_unless_it_is_given(planned: Planned) -> None:
    assert meal(planned, 3_000, training__batch_size=64).recipe.optimizer.lr == pytest.approx(0.00125)
    assert meal(planned, 3_000, training__batch_size=64, optimizer__lr=0.3).recipe.optimizer.lr == 0.3


def test_adams_rate_follows_by_the_square_root(planned: Planned) -> None:
    own = {"variants": ("cifar_binary",), "student__model": "cifar_binary_resnet18", "side": 32}
    plan = planned(320, "train", "supervised", **own)
    assert plan.recipe.optimizer.name == "adam"
    assert plan.recipe.training.batch_size == 32
    assert plan.recipe.optimizer.lr == pytest.approx(2e-4 / 2)


def test_images_are_never_scaled_up(planned: Planned) -> None:
    plan = meal(planned, 3_000, side=150)
    assert plan.image_size == 128
    assert meal(planned, 3_000, side=150, data__augmentation__image_size=200).image_size == 200
    assert meal(planned, 3_000, side=400).image_size == 224


def test_a_student_from_weights_has_their_normalisation(planned: Planned, tmp_path: Path) -> None:
    model = str(save_model(load_model("test_resnet", num_classes=7, seed=1), tmp_path / "student", provenance={}))
    plan = meal(planned, 3_000, student__model=model)
    assert (plan.recipe.data.mean, plan.recipe.data.std) == ("model", "model")
    assert any("0.5, 0.5, 0.5" in line for line in plan.adapted)
    bare = meal(planned, 3_000, student__model="resnet34")
    assert (bare.student, bare.recipe.student.init) == ("resnet34.a1_in1k", "pretrained")
    assert isinstance(bare.recipe.data.mean, tuple)


def test_exact_keeps_the_papers_values(planned: Planned) -> None:
    plan = meal(planned, 3_000, run__exact=True, student__model="resnet34")
    assert (plan.recipe.training.batch_size, plan.recipe.optimizer.lr, plan.adapted) == (512, 0.01, ())
    assert plan.recipe.student.init == "random"  # of other classes, as ever
    note = meal(planned, 3_000, run__exact=True, training__batch_size=64)
    assert note.recipe.optimizer.lr == 0.01
    assert any("linear scaling would make it" in line for line in note.notes)


def test_the_papers_data_by_number_is_the_papers_data(planned: Planned) -> None:
    plan = planned(1_281_167, "distill", "meal_v2", classes=1000, side=375, student__model="resnet50")
    assert plan.adapted == ()


def test_stages_adapt_each_to_its_own_batch(planned: Planned) -> None:
    plan = planned(1_437, "distill", "ssld", side=32, student__model="cifar_resnet8", teachers__models=TEACHER)
    first, second = (stage.recipe for stage in plan.stages)
    assert (first.training.batch_size, second.training.batch_size) == (128, 128)
    assert (first.optimizer.lr, second.optimizer.lr) == (pytest.approx(0.05), pytest.approx(0.0005))
    assert second.schedule.warmup_epochs <= 0.1 * second.training.epochs


def test_a_budget_is_as_long_as_our_own_recipes(planned: Planned) -> None:
    ours = planned(3_000, "distill", student__model="cifar_resnet8", teachers__models=TEACHER, run__budget="quick")
    theirs = meal(planned, 3_000, run__budget="quick")
    assert theirs.recipe.training.epochs == ours.recipe.training.epochs
    assert theirs.recipe.schedule.milestones == (round(101 * theirs.recipe.training.epochs / 180),)
    staged = planned(
        3_000, "distill", "ssld", student__model="cifar_resnet8", teachers__models=TEACHER, run__budget="quick"
    )
    assert staged.stages[0].recipe.training.epochs == ours.recipe.training.epochs


def test_folders_of_32_pixel_images_are_trained_at_32_but_from_weights_for_larger_ones(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for label, grey in (("a", 0), ("b", 200)):
            (tmp_path / split / label).mkdir(parents=True)
            for index in range(6):
                Image.new("RGB", (32, 32), (grey + index, 0, 9)).save(tmp_path / split / label / f"{index}.png")
    own = given(student__model="resnet18", data__dataset=str(tmp_path))
    for recipe, size in (("supervised", 32), ("finetune", 128), ("from_scratch", 32)):
        plan = plan_verb("train", recipe, given=own)
        assert (plan.image_size, plan.recipe.data.evaluation.crop_pct) == (size, 1.0)
        assert not any("short side" in line for line in plan.warnings)


QUICK = {
    "student__model": "cifar_resnet8",
    "data__dataset": "digits",
    "data__augmentation__image_size": 16,
    "training__epochs": 1,
    "training__batch_size": 256,
    "run__workers": 0,
    "run__device": "cpu",
}


def test_a_run_goes_on_with_what_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    first = run(plan_verb("train", None, given=given(**QUICK)), out=out)
    before = next(row.from_scratch for row in own_data.TABLE if row.name == "optimizer.weight_decay")
    changed = tuple(
        replace(row, from_scratch=0.5) if row.name == "optimizer.weight_decay" else row for row in own_data.TABLE
    )
    monkeypatch.setattr(own_data, "TABLE", changed)
    with pytest.raises(CheckpointError, match=rf"optimizer\.weight_decay was {before}, is 0\.5"):
        run(plan_verb("train", None, given=given(**QUICK)), out=out, resume=True)
    resumed = plan_verb("train", None, given=given(**QUICK), resumed=out)
    assert resumed.sources["optimizer.weight_decay"] == f"as the run in {out} began"
    assert run(resumed, out=out, resume=True) == first
    other = plan_verb("train", None, given=given(**{**QUICK, "optimizer__weight_decay": 0.1}), resumed=out)
    with pytest.raises(CheckpointError, match=rf"optimizer\.weight_decay was {before}, is 0\.1"):
        run(other, out=out, resume=True)


def test_a_run_from_before_recipes_adapted_goes_on(tmp_path: Path) -> None:
    out, quick = tmp_path / "run", {**QUICK, "training__batch_size": 512}
    first = run(plan_verb("train", "supervised", given=given(**quick, run__exact=True)), out=out)
    config = json.loads((out / "config.json").read_text())
    for name in ("run.exact", "run.budget"):
        del config["settings"][name]
        assert name not in config["fixed"]
    (out / "config.json").write_text(json.dumps(config))
    assert config["settings"]["optimizer.lr"]["value"] == 0.4
    for recipe in ("supervised", None):
        plan = plan_verb("train", recipe, given=given(**quick), resumed=out)
        assert (plan.recipe.name, plan.recipe.optimizer.lr) == ("supervised", 0.4)
        assert run(plan, out=out, resume=True) == first
