"""The recipe ``features``: teachers with and without a classifier, images without labels, and what such a run says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

import kdzoo
from kdzoo.base.errors import DataError, ModelError, TeacherError, UsageError
from kdzoo.base.metrics import FEATURE_COSINE
from kdzoo.base.run_documents import TrainResult
from kdzoo.cli.main import main
from kdzoo.data import open_source
from kdzoo.data.unlabeled_pair import open_unlabeled_pair
from kdzoo.engine.result_warnings import result_warnings
from kdzoo.evaluation.report import write_report
from kdzoo.planning.cost import estimate
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.recipes.features import Features
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.registry import get_recipe
from kdzoo.zoo import forward_with_dense, load_model, save_model

from .conftest import small_plan
from .golden_losses import check_golden, terms

VIT = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 32}


def features_plan(**given: object) -> Plan:
    own = {"teachers__view": "student", "data__augmentation__crop": "pad4", "optimizer__lr": 0.005}
    return small_plan("features", **{**own, **given})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A heap of 60 digits without a class, some in a folder."""
    folder, digits = tmp_path_factory.mktemp("pictures"), open_source("digits", "train")
    (folder / "more").mkdir()
    for index in range(60):
        digits.load(index).save(folder / ("more" if index % 3 else ".") / f"{index:03d}.png")
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A transformer without a classifier, as foundation models come, of random weights."""
    loaded = load_model("vit_tiny_patch16_224", num_classes=0)
    torch.manual_seed(4)
    loaded.model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **VIT)
    loaded.model_args = VIT
    loaded.preprocessing = replace(loaded.preprocessing, image_size=32)
    folder = tmp_path_factory.mktemp("vit") / "teacher"
    save_model(loaded, folder, provenance={})
    return str(folder)


@pytest.fixture(scope="module")
def taught(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A student that learnt an epoch from the stored teacher."""
    plan = features_plan(teachers__models=(stored_teacher,), training__batch_size=16)
    return run(plan, out=tmp_path_factory.mktemp("taught") / "run")


@pytest.mark.numeric
def test_the_recipe_takes_real_steps_and_lands_on_its_golden_losses(stored_teacher: str, tmp_path: Path):
    slowly = {"optimizer__lr": 1e-4}  # Adam's first steps leap, and with them a rounding error
    result = run(features_plan(teachers__models=(stored_teacher,), **slowly), out=tmp_path / "run")
    assert len(terms(tmp_path / "run")) == result.steps == 1437 // 256
    check_golden("features", tmp_path / "run")


@pytest.mark.slow
def test_a_student_comes_far_closer_to_its_teacher_than_an_untrained_one(stored_teacher, tmp_path: Path):
    still = features_plan(teachers__models=(stored_teacher,), optimizer__lr=1e-12)
    untrained = run(still, out=tmp_path / "untrained").metrics
    plan = features_plan(teachers__models=(stored_teacher,), training__epochs=3, training__batch_size=32)
    taught = run(plan, out=tmp_path / "taught").metrics
    # An untrained student's directions have nothing to do with the teacher's: cosines of about 0 and a loss of 1.88.
    # Three epochs brought 0.90 pooled, 0.77 dense and 0.31: half of the way leaves any processor room.
    assert max(abs(untrained[name]) for name in ("pooled_cosine", "dense_cosine")) < 0.2
    assert taught["pooled_cosine"] > untrained["pooled_cosine"] + 0.4
    assert taught["dense_cosine"] > untrained["dense_cosine"] + 0.3
    assert taught["loss"] < 0.6 * untrained["loss"]


def test_what_comes_out_is_a_backbone_without_a_classifier_or_projections(taught: TrainResult):
    loaded, config = load_model(taught.model), json.loads((Path(taught.run) / "config.json").read_text())
    assert (loaded.num_classes, loaded.class_names, loaded.provenance["task"]) == (0, (), "features")
    assert not [name for name in load_file(f"{taught.model}/model.safetensors") if "fc" in name or "head" in name]
    assert loaded.provenance["feature_cosine"] == taught.metrics["feature_cosine"]
    assert taught.metrics.primary is FEATURE_COSINE
    both = (taught.metrics["pooled_cosine"] + taught.metrics["dense_cosine"]) / 2
    assert taught.metrics["feature_cosine"] == pytest.approx(both)
    assert set(config["teacher_reports"][0]["constant_cosine"]) == {"pooled_cosine", "dense_cosine"}
    assert config["train_data"]["num_classes"] == 0
    assert load_model(taught.model, num_classes=10).model.get_classifier().out_features == 10


def test_the_report_and_the_verbs_speak_of_a_backbone(taught: TrainResult, pictures: Path, capfd):
    page = write_report(Path(taught.run)).read_text()
    assert f"cosine of {taught.metrics['feature_cosine']:.4f}" in page
    assert "kdzoo transfer cifar10" in page
    assert "no labels read" in page
    assert "top-1" not in page.lower()
    assert "nats" not in page
    assert "A backbone without a classifier" in Path(taught.model, "README.md").read_text()
    refused = {
        ("eval", taught.run, "--on", "digits", "--workers", "0"): "is a backbone without a classifier",
        ("predict", taught.run, str(pictures)): "is a backbone without a classifier",
        ("publish", taught.run, "--repo", "me/x", "--dry-run"): "has no classifier",
        ("distill", "--student", "cifar_resnet8", "--teacher", taught.run, "--data", "digits", "--out",
         f"{taught.run}-x"): "--recipe features learns from its features",
        ("label", "--recipe", "features", "--teacher", taught.run, "--data", "digits"): "cannot learn from stored",
    }  # fmt: skip
    for command, words in refused.items():
        assert main(list(command)) != 0, command
        said = capfd.readouterr().err
        assert words in said, command
        assert "bug in kdzoo" not in said


def test_predict_gives_a_backbones_embeddings(taught: TrainResult, pictures: Path):
    answers = list(kdzoo.predict(taught.run, str(pictures), embeddings=True, workers=0))
    assert len(answers) == 60
    assert all(answer.classes == () and answer.embedding.shape == (64,) for answer in answers)


@pytest.mark.parametrize("student", ["cifar_resnet8", "vit"])
def test_a_transformer_without_classifier_teaches_on_images_without_labels(student, vit, pictures, tmp_path: Path):
    given = {
        "data__dataset": str(pictures),
        "teachers__models": (vit,),
        "teachers__view": "own" if student == "vit" else 16,  # which the transformer is built for
        "training__batch_size": 16,
        "student__model": vit if student == "vit" else student,
        **({"data__augmentation__image_size": 32} if student == "vit" else {}),
    }
    result = run(features_plan(**given), out=tmp_path / "run")
    assert (result.steps, result.metrics.num_images) == (57 // 16, 3)
    assert -1 <= result.metrics["dense_cosine"] <= 1
    if student != "vit":
        assert estimate(features_plan(**given), measure=False).num_classes == 0


def test_teachers_of_several_widths_and_one_part_alone(vit, stored_teacher, pictures, tmp_path: Path):
    given = {"data__dataset": str(pictures), "training__batch_size": 16, "data__augmentation__image_size": 32}
    plan = features_plan(**given, teachers__models=(vit, stored_teacher), objective__dense_weight=0)
    result = run(plan, out=tmp_path / "run")
    assert set(terms(tmp_path / "run")[0]) >= {"pooled_cosine", "pooled_smooth_l1"}
    assert "dense_cosine" not in result.metrics.values
    assert result.metrics["feature_cosine"] == result.metrics["pooled_cosine"]
    assert run(plan, out=tmp_path / "run", resume=True) == result


def test_tokens_become_the_grid_of_their_patches_and_what_is_no_grid_is_named(vit: str):
    loaded = load_model(vit)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, features, (dense,) = forward_with_dense(loaded.model.eval(), images)
        tokens = loaded.model.forward_features(images)
    assert torch.equal(features, tokens[:, 0])
    assert torch.equal(dense[:, :, 2, 1], tokens[:, 1 + 2 * 4 + 1])
    loaded.model.num_prefix_tokens = 0  # 17 tokens are no grid
    with pytest.raises(ModelError, match=r"no dense features.*\(2, 17, 24\)"):
        forward_with_dense(loaded.model, images)


def test_what_does_not_fit_is_one_clear_line(stored_teacher: str, vit: str, pictures: Path, tmp_path: Path):
    with pytest.raises(TeacherError, match="nearly the same features"):
        run(features_plan(teachers__models=(constant(stored_teacher, tmp_path),)), out=tmp_path / "a")
    weights = {"objective__pooled_weight": 0, "objective__dense_weight": 0}
    with pytest.raises(UsageError, match="nothing would be learnt"):
        run(features_plan(teachers__models=(stored_teacher,), **weights), out=tmp_path / "b")
    with pytest.raises(UsageError, match="needs a teacher"):
        features_plan()
    with pytest.raises(ModelError, match="does not fit"):  # a size below that of a patch
        run(features_plan(teachers__models=(vit,), teachers__view=4), out=tmp_path / "c")
    with pytest.raises(UsageError, match="no classes"):
        run(features_plan(teachers__models=(stored_teacher,), run__teacher_classes=("data",)), out=tmp_path / "d")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(pictures / "000.png", alone)
    with pytest.raises(DataError, match="one image"):
        open_unlabeled_pair(str(alone))
    assert not any((tmp_path / name).exists() for name in "abcd")


def constant(teacher: str, folder: Path) -> str:
    """A teacher whose last BatchNorms give the same whatever they are shown."""
    loaded = load_model(teacher)
    for name, parameter in loaded.model.named_parameters():
        if "bn" in name and name.endswith("weight"):
            parameter.data.zero_()
        if "bn" in name and name.endswith("bias"):
            parameter.data.copy_(torch.linspace(0, 1, len(parameter)))
    save_model(loaded, folder / "constant", provenance={})
    return str(folder / "constant")


def test_the_images_are_found_without_labels_and_some_are_held_out_always_the_same(pictures: Path, tmp_path: Path):
    train, val = open_unlabeled_pair(str(pictures))
    names = [{source.identity(index) for index in range(len(source))} for source in (train, val)]
    assert (len(train), len(val)) == (57, 3)
    assert not names[0] & names[1]
    assert all(label == -1 for source in (train, val) for label in source.labels)
    assert any("3 of 60 images are held out" in note for note in train.notes)
    train, val = open_unlabeled_pair(f"{pictures}@val-share=0.5")
    assert len(val) == 30
    train, val = open_unlabeled_pair("digits")
    assert (len(train), len(val), train.class_names, val.class_names) == (1437, 360, (), ())
    for split, count in (("train", 8), ("val", 4)):
        (tmp_path / "split" / split).mkdir(parents=True)
        for index in range(count):
            open_source("digits", split).load(index).save(tmp_path / "split" / split / f"{index}.png")
    train, val = open_unlabeled_pair(str(tmp_path / "split"))
    assert (len(train), len(val), train.name) == (8, 4, "split")
    train, val = open_unlabeled_pair(str(pictures), str(tmp_path / "split"))
    assert (len(train), len(val)) == (60, 4)


def test_a_result_that_is_no_better_than_a_constant_says_so(taught: TrainResult):
    reports = [{"reference": "t", "constant_cosine": {"pooled_cosine": 0.99, "dense_cosine": -1.0}}]
    found = result_warnings(taught.metrics, open_source("digits", "val").labels, 0, reports)
    assert len(found) == 1
    assert "pooled features are no better" in found[0]


def test_the_projections_are_a_group_of_their_own_beside_the_student():
    settings = get_recipe("features").objective
    shapes = Shapes(
        num_classes=0, num_teachers=2, student_features=8, teacher_features=(5, 6), num_training_images=9,
        student_dense=4, teacher_dense=(7, 6),
    )  # fmt: skip
    objective = settings.build(shapes)
    assert isinstance(objective, Features)
    (phase,) = objective.phases(torch.nn.Linear(2, 2))
    sizes = {tuple(parameter.shape) for name, parameter in phase.groups[1].parameters if name.endswith("weight")}
    assert sizes == {(5, 8), (6, 8), (7, 4), (6, 4)}
