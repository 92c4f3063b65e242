"""Whole runs of every recipe on real images, and the losses they begin with."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdzoo.base.errors import CheckpointError, DataError, ModelError, RunError, TeacherError
from kdzoo.base.run_documents import TrainResult
from kdzoo.planning.run import run
from kdzoo.recipes.registry import get_recipe
from kdzoo.zoo import load_model, save_model

from .conftest import small_plan
from .golden_losses import check_golden, terms

CASES = {
    "supervised": ("supervised", ("small_images",), {}),
    "supervised-smooth-cutmix": ("supervised", ("small_images", "label_smoothing", "cutmix"), {}),
    "hinton_kd": ("hinton_kd", (), {}),
    "xcl_mix": ("xcl_mix", ("small_images",), {}),
    "meal_v2": ("meal_v2", ("small_images",), {}),
    "meal_v2-reversed-cutmix": ("meal_v2", ("small_images", "reversed", "cutmix"), {}),
    "meal_v2-alternating": ("meal_v2", ("small_images", "alternating"), {}),
}
QUICK = ("supervised-smooth-cutmix", "hinton_kd", "xcl_mix", "meal_v2", "meal_v2-alternating")
"""The others are slow: every teacher here is trained by the plain `supervised`."""


@pytest.mark.numeric
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_recipe_takes_real_steps_and_lands_on_its_golden_losses(case, stored_teacher, tmp_path: Path):
    recipe, variants, given = CASES[case]
    if get_recipe(recipe).objective.uses_teachers:
        given = {**given, "teachers__models": (stored_teacher,)}
    result = run(small_plan(recipe, *variants, **given), out=tmp_path / "run")
    assert len(terms(tmp_path / "run")) == result.steps == 1437 // 256
    check_golden(case, tmp_path / "run")


def test_the_result_is_a_timm_model_that_carries_the_recipes_normalisation(teacher: TrainResult):
    loaded = load_model(teacher.model)
    assert loaded.preprocessing.mean == (0.485, 0.456, 0.406)
    assert loaded.preprocessing.image_size == 16
    assert len(loaded.class_names) == 10
    assert loaded.promised_top1 == pytest.approx(teacher.metrics["top1"])
    assert teacher.metrics["top1"] > 40  # chance is 10; stored_teacher, the same training once, has 81.7
    assert loaded.provenance["recipe"] == "supervised"


def test_config_says_where_each_setting_came_from(teacher: TrainResult):
    config = json.loads((Path(teacher.run) / "config.json").read_text())
    assert config["settings"]["optimizer.lr"] == {"value": 0.05, "source": "test"}
    assert config["settings"]["optimizer.nesterov"] == {"value": True, "source": "supervised: §A.5"}
    assert config["settings"]["data.augmentation.crop"]["source"].startswith("variant small_images: ours")
    assert config["class_names"] == [str(digit) for digit in range(10)]


@pytest.mark.numeric
def test_the_teacher_is_what_it_was_after_the_run(teacher: TrainResult, tmp_path: Path):
    def state() -> dict[str, torch.Tensor]:
        return load_model(teacher.model).model.state_dict()

    before = state()
    run(small_plan("meal_v2", "small_images", teachers__models=(teacher.model,)), out=tmp_path / "run")
    assert all(torch.equal(before[name], tensor) for name, tensor in state().items())


def test_resuming_refuses_other_settings_and_repeats_a_finished_result(tmp_path: Path):
    plan = small_plan("supervised", "small_images")
    first = run(plan, out=tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        run(plan, out=tmp_path / "run")
    assert run(plan, out=tmp_path / "run", resume=True) == first
    with pytest.raises(CheckpointError, match=r"optimizer\.lr was 0\.05, is 0\.1"):
        run(small_plan("supervised", "small_images", optimizer__lr=0.1), out=tmp_path / "run", resume=True)
    run(small_plan("supervised", "small_images", run__workers=1), out=tmp_path / "run", resume=True)


def test_a_teacher_no_better_than_chance_stops_the_run_unless_trusted(tmp_path: Path):
    bad = load_model("cifar_resnet8", num_classes=10, seed=0)
    bad.class_names = tuple("0123456789")
    save_model(bad, tmp_path / "bad", provenance={"data": "digits", "top1": 95.0})
    plan = small_plan("meal_v2", "small_images", teachers__models=(str(tmp_path / "bad"),))
    with pytest.raises(TeacherError, match=r"95\.0 % is promised"):
        run(plan, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert math.isfinite(run(plan, out=tmp_path / "run", trust_teacher=True).metrics["loss"])


def test_a_teacher_without_weights_says_how_to_make_one(tmp_path: Path):
    plan = small_plan("hinton_kd", teachers__models=("cifar_resnet32x4",))
    with pytest.raises(ModelError, match="without published weights") as error:
        run(plan, out=tmp_path / "run")
    assert "kdzoo train --model cifar_resnet32x4 --data digits" in error.value.hint


def test_training_and_validation_classes_must_agree(tmp_path: Path):
    for split, labels in (("train", "ab"), ("val", "ac")):
        for label in labels:
            folder = tmp_path / split / split / label
            folder.mkdir(parents=True)
            for index in range(4):
                Image.fromarray(np.full((16, 16, 3), 10 * index, np.uint8)).save(folder / f"{index}.png")
    plan = small_plan(
        "supervised",
        "small_images",
        data__dataset=str(tmp_path / "train" / "train"),
        data__val_dataset=str(tmp_path / "val" / "val"),
        training__batch_size=4,
    )
    with pytest.raises(DataError, match="class 1 is 'b' in the one and 'c' in the other"):
        run(plan, out=tmp_path / "run")


def test_a_checkpoint_of_a_run_is_a_model_reference(teacher: TrainResult):
    checkpoint = max(Path(teacher.run, "checkpoints").glob("step-*.safetensors"))
    from_checkpoint = load_model(str(checkpoint))
    exported = load_model(teacher.run)
    assert from_checkpoint.class_names == exported.class_names == tuple("0123456789")
    assert from_checkpoint.preprocessing == exported.preprocessing
    for name, tensor in exported.model.state_dict().items():
        assert torch.equal(from_checkpoint.model.state_dict()[name], tensor)
