"""FitNets' hints beside a recipe's loss: what they compare, and runs with them on real images."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from kdzoo.base.errors import ModelError, TeacherError, UsageError
from kdzoo.cli.main import main
from kdzoo.engine.step import MixedBatch, Step, StepContext
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.planning.cost import estimate
from kdzoo.planning.hints import guided_stages, stage_shapes
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.recipes.hints import Hinted
from kdzoo.recipes.objectives.hints import StageShape, stage_pairs
from kdzoo.recipes.recipe import Shapes, TaughtSettings
from kdzoo.recipes.registry import get_recipe, recipe_names
from kdzoo.zoo import LoadedModel, load_model, save_model
from kdzoo.zoo.features import forward_keeping

from .conftest import small_plan
from .golden_losses import terms

WEIGHT = {"objective__features__weight": 2.0}


def objective_of(plan: Plan, student: LoadedModel, teachers: list[LoadedModel]) -> Hinted:
    shapes = Shapes(10, len(teachers), 64, (64,) * len(teachers), 100)
    stages = guided_stages(plan, student, teachers)
    assert stages is not None
    return Hinted(plan.recipe.objective.build(shapes), stages)


def test_the_terms_are_the_mean_squared_difference_of_the_stages_in_plain_torch(stored_teacher: str):
    torch.manual_seed(0)
    student = load_model("cifar_resnet8", num_classes=10, seed=1)
    wide = load_model("cifar_resnet8x4", num_classes=10, seed=2)
    same = load_model(stored_teacher)
    for one in (student, wide, same):
        one.preprocessing = same.preprocessing
    plan = small_plan("hinton_kd", teachers__models=(stored_teacher,), **WEIGHT)
    objective = objective_of(plan, student, [wide, same])
    images = torch.rand(4, 3, 16, 16)
    ensemble = TeacherEnsemble([wide, same], torch.device("cpu"))
    seen: dict[str, torch.Tensor] = {}
    for name, network in (("student", student.model), ("wide", wide.model), ("same", same.model)):
        for stage in ("layer1", "layer2", "layer3"):
            network.get_submodule(stage).register_forward_hook(
                lambda _, __, output, key=f"{name}.{stage}": seen.__setitem__(key, output)
            )
    student.model.eval()
    forward = partial(forward_keeping, objective.reads_maps, student.model)
    labels = torch.arange(4)
    batch = MixedBatch(images=images, labels=labels, sample_ids=labels)
    step = Step(
        batch,
        StepContext(student=forward, teachers=ensemble, num_training_images=100, reads_maps=objective.reads_maps),
        epoch=0,
        step=0,
    )
    found = objective.terms("student", step)
    assert {"kd", "hard_label", "hint_0", "hint_1", "hint_2"} <= set(found)
    for stage in (0, 1, 2):
        expected = []
        for number, name in enumerate(("wide", "same")):
            regressor = objective.regressors[number][stage]
            kernel = regressor.weight[:, :, None, None]
            mapped = functional.conv2d(seen[f"student.layer{stage + 1}"], kernel, regressor.bias)
            expected.append(((mapped - seen[f"{name}.layer{stage + 1}"]) ** 2).mean())
        want = 2.0 * (expected[0] + expected[1]) / (2 * 3)
        torch.testing.assert_close(found[f"hint_{stage}"], want)


def test_stages_are_paired_by_the_size_of_their_maps_the_last_of_each():
    def shapes(*heights: int) -> list[StageShape]:
        return [StageShape(8, height, height) for height in heights]

    assert stage_pairs(shapes(32, 16, 8), shapes(112, 56, 28, 14, 7)) == [(0, 2), (1, 3), (2, 4)]
    assert stage_pairs(shapes(56, 28, 14, 7), shapes(16, 16, 16)) == [(2, 2)]  # a transformer's blocks, 14 px patches
    assert stage_pairs(shapes(8, 8, 4), shapes(4, 8)) == [(1, 1), (2, 0)]
    assert stage_pairs(shapes(16, 8), shapes(3)) == []


@pytest.mark.parametrize("recipe", [name for name in recipe_names() if get_recipe(name).objective.uses_teachers])
def test_every_recipe_that_learns_from_teachers_has_hints_and_none_by_default(recipe: str):
    settings = get_recipe(recipe).objective
    assert isinstance(settings, TaughtSettings)
    assert settings.hint_weight == 0


def test_a_run_without_hints_is_fixed_to_what_it_was_before_there_were_any(stored_teacher: str):
    given = {"teachers__models": (stored_teacher,)}
    assert "objective.features.weight" not in small_plan("hinton_kd", **given).fixed()
    assert small_plan("hinton_kd", **given, **WEIGHT).fixed()["objective.features.weight"] == 2.0


@pytest.fixture(scope="module")
def runs(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run by hinton_kd with hints, and one without."""
    root = tmp_path_factory.mktemp("hints")
    given = {"teachers__models": (stored_teacher,), "teachers__view": "student"}
    plans = {"plain": small_plan("hinton_kd", **given), "hinted": small_plan("hinton_kd", **given, **WEIGHT)}
    return {name: Path(run(plan, out=root / name).run) for name, plan in plans.items()}


def test_a_run_with_hints_logs_them_and_exports_no_trace_of_the_regressors(runs: dict[str, Path]):
    first, last = terms(runs["hinted"])[0], terms(runs["hinted"])[-1]
    assert all(0 < last[f"hint_{stage}"] < first[f"hint_{stage}"] for stage in range(3))
    assert not [name for name in terms(runs["plain"])[0] if "hint" in name]
    # the first step is taken from the same weights: hints leave what the recipe computes as it is
    assert terms(runs["plain"])[0]["kd"] == first["kd"]
    models = {name: load_file(folder / "model" / "model.safetensors") for name, folder in runs.items()}
    assert models["plain"].keys() == models["hinted"].keys()
    assert {name: one.shape for name, one in models["plain"].items()} == {
        name: one.shape for name, one in models["hinted"].items()
    }
    checkpoint = max((runs["hinted"] / "checkpoints").glob("step-*.safetensors"))
    assert any("regressors.0.2.weight" in name for name in load_file(checkpoint))
    config = json.loads((runs["hinted"] / "config.json").read_text())
    assert config["settings"]["objective.features.weight"]["value"] == 2.0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["features", "meal_v1", "meal_v2"])
def test_recipes_that_read_maps_or_have_two_phases_take_hints_too(recipe: str, stored_teacher: str, tmp_path: Path):
    own = {"meal_v1": ("three_stages",), "meal_v2": ("alternating",)}.get(recipe, ())
    plan = small_plan(
        recipe, *own, teachers__models=(stored_teacher,), teachers__view="student", data__augmentation__crop="pad4",
        optimizer__lr=0.005, **WEIGHT,
    )  # fmt: skip
    run(plan, out=tmp_path / "run")
    names = set(terms(tmp_path / "run")[0])
    assert len({name for name in names if "hint_" in name}) == 3
    assert not {name for name in names if name.startswith("discriminator/hint")}


def test_what_does_not_fit_is_one_line_before_the_run(stored_teacher: str, tmp_path: Path, capfd):
    teacher = load_model("cifar_resnet8", num_classes=10, seed=0)
    teacher.class_names = tuple("0123456789")
    teacher.model.feature_info = []
    plan = small_plan("hinton_kd", teachers__models=(stored_teacher,), **WEIGHT)
    with pytest.raises(TeacherError, match=r"^teacher .*cifar_resnet8.* does not name its stages"):
        guided_stages(plan, teacher, [teacher])
    small = load_model(stored_teacher)
    save_model(small, tmp_path / "large", provenance={})
    config = json.loads((tmp_path / "large/config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 160, 160]
    (tmp_path / "large/config.json").write_text(json.dumps(config))
    large = small_plan("hinton_kd", teachers__models=(str(tmp_path / "large"),), **WEIGHT)
    for act in (lambda: estimate(large, measure=False), lambda: run(large, out=tmp_path / "run")):
        with pytest.raises(UsageError, match=r"no stage of teacher 1 has a map of a size of the student's: 160×160"):
            act()
    assert not (tmp_path / "run").exists()
    label = ["label", "--recipe", "hinton_kd", "--teacher", stored_teacher, "--student", "cifar_resnet8", "--data",
             "digits", "--set", "objective.features.weight=1", "--out", str(tmp_path / "labels")]  # fmt: skip
    assert main(label) != 0
    assert "cannot learn from stored labels: hints read the outputs of the teachers' stages" in capfd.readouterr().err
    made = small_plan("xcl_gan", teachers__models=(stored_teacher,), **WEIGHT)
    with pytest.raises(UsageError, match="xcl_gan takes no hints: its networks look at images that it makes"):
        estimate(made, measure=False)
    with pytest.raises(UsageError, match="setting"):
        small_plan("supervised", objective__features__weight=1)


def test_a_transformers_tokens_are_its_stages_maps():
    loaded = load_model("vit_tiny_patch16_224", num_classes=10, image_size=64, seed=0)
    assert set(stage_shapes(loaded, (64, 64))) == {StageShape(192, 4, 4)}
    loaded.model.num_prefix_tokens = 0  # 17 tokens are no grid
    with pytest.raises(ModelError, match=r"in its stage blocks\.0"):
        stage_shapes(loaded, (64, 64))
