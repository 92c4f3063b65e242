"""Stored labels against live teachers: the same bytes where they are exact, close where they are compact, refused where
they belong to other images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mini_mpiigaze import PEOPLE, write_mpiigaze
from PIL import Image

import kdzoo.engine.label_folder as label_folder
import kdzoo.planning.run_teachers as teaching
from kdzoo.base.errors import CheckpointError, DataError, KdzooError, RunError, UsageError
from kdzoo.data import LabelStore
from kdzoo.data.label_store import epoch_file
from kdzoo.planning.label_cost import estimate_labels
from kdzoo.planning.label_run import label
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.zoo import load_model, save_model

from ..recipes.gaze_runs import gaze_plan
from .conftest import small_plan

IMAGES, BATCH = 160, 32
NARROW = {"objective__distiller__width": 8, "objective__distiller__max_width": 16, "optimizer__lr": 0.001}
FEW = {"objective__contrast__num_negatives": 16}
CASES = {
    "hinton_kd": ("hinton_kd", (), {}),
    "meal_v2": ("meal_v2", ("small_images",), {"training__accumulate": 2}),
    "meal_v2-alternating-cutmix": ("meal_v2", ("small_images", "alternating", "cutmix"), {}),
    "ssld": ("ssld", ("small_images",), {}),
    "xcl_mix": (
        "xcl_mix",
        ("small_images",),
        {"training__accumulate": 4, "training__epochs": 2, "training__views_per_decode": 2},
    ),
    "ae_kd": ("ae_kd", (), {}),
    "crd": ("crd", (), FEW),
    "meal_v1-logits": ("meal_v1", ("logits_only",), {}),
    "xcl_gan-offline": ("xcl_gan", ("offline",), {"data__unlabeled": "more"}),
    "exrep": ("exrep", ("small_images",), {**FEW, **NARROW}),
}
QUICK = ("meal_v2", "ssld", "xcl_mix", "crd")
"""What the others are slow beside: parts and phases, stages, mixing, features."""

DATA = Path("set by the fixture")


@pytest.fixture(scope="module", autouse=True)
def _few_digits(few_digits: Path) -> None:
    """A step on 160 images is as real as one on a thousand."""
    global DATA
    DATA = few_digits


def few_plan(recipe: str, *variants: str, **given: object) -> Plan:
    """As `small_plan`, on these; ``more`` stands for the images without labels."""
    more = {"data__unlabeled": str(DATA / "more")} if given.get("data__unlabeled") == "more" else {}
    return small_plan(recipe, *variants, **{"data__dataset": str(DATA), "training__batch_size": BATCH, **given, **more})


def with_teachers(case: str, *teachers: str) -> Plan:
    recipe, variants, given = CASES[case]
    return few_plan(recipe, *variants, teachers__models=teachers, **given)


def two_epochs(teacher: str) -> Plan:
    return few_plan("hinton_kd", teachers__models=(teacher,), training__epochs=2)


def with_labels(case: str, folder: Path, **more: object) -> Plan:
    recipe, variants, given = CASES[case]
    return few_plan(recipe, *variants, **{**given, "run__labels": str(folder), **more})


def outcome(out: Path) -> dict[str, bytes]:
    """What a run is judged by: every state, every exported weight, every logged loss."""
    files = [path for path in out.rglob("*") if path.suffix == ".safetensors" or path.name == "metrics.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "train"]


@pytest.fixture
def no_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can load a teacher any more."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a teacher was asked for")

    monkeypatch.setattr(teaching, "teachers_of", refuse)
    monkeypatch.setattr(teaching, "TeacherEnsemble", refuse)


@pytest.mark.numeric
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_run_from_exact_labels_is_the_run_with_its_teachers_to_the_byte(
    case: str, stored_teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = shutil.copytree(stored_teacher, tmp_path / "second")
    teachers = (str(second),) if case == "exrep" else (stored_teacher, str(second))
    label(with_teachers(case, *teachers), out=tmp_path / "labels")
    run(with_teachers(case, *teachers), out=tmp_path / "live")
    shutil.rmtree(second)
    monkeypatch.setattr(teaching, "teachers_of", None)
    run(with_labels(case, tmp_path / "labels"), out=tmp_path / "from_labels")
    assert len(outcome(tmp_path / "live")) >= 4
    assert outcome(tmp_path / "from_labels") == outcome(tmp_path / "live")


@pytest.fixture(scope="module")
def labels(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of unmixed images in batches of 32, for several students."""
    out = tmp_path_factory.mktemp("labels") / "store"
    label(two_epochs(stored_teacher), out=out)
    return out


@pytest.fixture(scope="module")
def mixed(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch of CutMix images in batches of 32."""
    out = tmp_path_factory.mktemp("labels") / "mixed"
    label(few_plan("meal_v2", "small_images", "cutmix", teachers__models=(stored_teacher,)), out=out)
    return out


@pytest.mark.usefixtures("no_teacher")
def test_students_may_differ_in_all_but_their_images(labels: Path, stored_teacher: str, tmp_path: Path) -> None:
    """Another network, another recipe, batch, optimiser, loss, and fewer epochs."""
    other = few_plan(
        "ae_kd",
        run__labels=str(labels),
        student__model="cifar_resnet14",
        training__epochs=1,
        training__batch_size=25,
        optimizer__name="adamw",
        optimizer__lr=0.001,
    )
    result = run(other, out=tmp_path / "run")
    assert result.steps == IMAGES // 25
    config = json.loads((tmp_path / "run/config.json").read_text())
    store = LabelStore(labels)
    assert config["fixed"]["labels.digest"] == store.digest(1) != store.digest(2)
    assert config["fixed"]["teachers.digests"] == [store.head.teachers[0].sha256]
    assert config["teacher_reports"] == list(store.head.reports)
    assert config["settings"]["teachers.models"] == {"value": [stored_teacher], "source": "stored labels"}
    record = load_model(result.model).provenance
    assert [teacher["reference"] for teacher in record["teachers"]] == [stored_teacher]
    assert record["stored_labels"] == {"form": "float32", "sha256": store.head.identity}


@pytest.mark.numeric
def test_another_batch_size_reads_each_images_own_label(labels: Path, stored_teacher: str, tmp_path: Path) -> None:
    """The teachers saw other batches, so that the last bits may differ, and no more."""
    given = {"training__batch_size": 25, "training__epochs": 2}
    run(few_plan("hinton_kd", teachers__models=(stored_teacher,), **given), out=tmp_path / "live")
    run(few_plan("hinton_kd", run__labels=str(labels), **given), out=tmp_path / "from_labels")
    live, stored = losses(tmp_path / "live"), losses(tmp_path / "from_labels")
    assert len(live) == 2 * (IMAGES // 25)
    assert stored == pytest.approx(live, rel=1e-5)


@pytest.mark.numeric
@pytest.mark.parametrize(("form", "size", "tolerance"), [("float16", 24, 3e-4), ("top5", 26, 2e-2)])
def test_a_compact_store_is_close_to_its_teachers(
    form: str, size: int, tolerance: float, labels: Path, stored_teacher: str, tmp_path: Path
) -> None:
    """The loss of the first step: later ones amplify any difference, as training does."""
    one = {"training__epochs": 1}
    plan = few_plan("hinton_kd", teachers__models=(stored_teacher,), **one)
    (result,) = label(plan, out=tmp_path / "labels", form=form)
    assert result.bytes_per_label == size
    assert result.bytes == IMAGES * size
    exact = {"run__labels": str(labels), "objective__temperature": 1.0, **one}
    run(few_plan("hinton_kd", **exact), out=tmp_path / "exact")
    run(few_plan("hinton_kd", **{**exact, "run__labels": str(tmp_path / "labels")}), out=tmp_path / "compact")
    first, other = losses(tmp_path / "exact")[0], losses(tmp_path / "compact")[0]
    assert other == pytest.approx(first, rel=tolerance)
    assert other != first


@pytest.mark.usefixtures("no_teacher")
def test_a_student_from_labels_goes_on_to_the_same_bytes_and_only_with_the_same_labels(
    labels: Path, mixed: Path, stored_teacher: str, tmp_path: Path
) -> None:
    plan = with_labels("hinton_kd", labels, training__checkpoint_every_steps=2, training__epochs=2)
    run(plan, out=tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    states = sorted((tmp_path / "cut/checkpoints").glob("step-*.safetensors"))
    for path in (states[-1], states[-1].with_suffix(".sha256"), tmp_path / "cut/result.json"):
        path.unlink()
    other = shutil.copytree(labels, tmp_path / "other")
    manifest = other / "labels.json"
    document = json.loads(manifest.read_text())
    document["epochs"][1]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=r"labels\.digest was"):
        run(with_labels("hinton_kd", other, training__epochs=2), out=tmp_path / "cut", resume=True)
    moved = shutil.copytree(labels, tmp_path / "moved")
    again = with_labels("hinton_kd", moved, training__checkpoint_every_steps=2, training__epochs=2)
    run(again, out=tmp_path / "cut", resume=True)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.usefixtures("no_teacher")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run__seed": 1}, r"of other views: run\.seed was 0, is 1"),
        ({"data__augmentation__image_size": 24}, r"image_size was 16, is 24"),
        ({"data__augmentation__hflip_prob": 0.5}, r"hflip_prob was 0.*, is 0\.5"),
        ({"data__mixing__cutmix_prob": 0.5}, r"cutmix_prob was 0\.0, is 0\.5"),
        ({"training__views_per_decode": 2}, r"views_per_decode was 1, is 2"),
        ({"training__epochs": 3}, "holds the labels of 2 epochs, the run has 3"),
        ({"teachers__models": ("resnet50.a1_in1k",)}, r"are of .*, not of resnet50\.a1_in1k"),
        ({"run__labels": "nowhere"}, "nowhere is not there"),
    ],
)
def test_what_changes_the_images_is_refused_by_name(
    given: dict[str, Any], message: str, labels: Path, tmp_path: Path
) -> None:
    with pytest.raises(KdzooError, match=message) as found:
        run(with_labels("hinton_kd", labels, **given), out=tmp_path / "run")
    assert found.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_teacher")
def test_where_batches_are_mixed_their_size_and_alpha_must_be_the_same(mixed: Path, tmp_path: Path) -> None:
    cutmix = ("meal_v2", "small_images", "cutmix")
    for given, message in (
        ({"training__batch_size": 16}, r"training\.batch_size was 32, is 16"),
        ({"data__mixing__cutmix_alpha": 0.5}, r"cutmix_alpha was 1\.0, is 0\.5"),
    ):
        with pytest.raises(DataError, match=message):
            run(few_plan(*cutmix, run__labels=str(mixed), **given), out=tmp_path / "run")
    with pytest.raises(DataError, match=r"cutmix_prob was 1\.0, is 0\.0"):
        run(few_plan("meal_v2", "small_images", run__labels=str(mixed)), out=tmp_path / "run")


@pytest.mark.usefixtures("no_teacher")
@pytest.mark.parametrize(
    ("recipe", "variants", "given", "message"),
    [
        ("crd", (), FEW, "crd reads the teachers' features, .* holds their logits alone"),
        ("meal_v1", ("three_stages",), {}, "it reads the outputs of the teachers' stages"),
        ("xcl_gan", (), {}, "it makes images as it goes"),
        (
            "exrep",
            ("small_images",),
            {**FEW, **NARROW, "objective__teacher_input": "distilled"},
            "its teacher looks at distilled images",
        ),
        ("supervised", ("small_images",), {}, "supervised has no teachers"),
    ],
)
def test_recipes_that_read_more_than_is_stored_are_refused(
    recipe: str, variants: tuple[str, ...], given: dict[str, Any], message: str, labels: Path, tmp_path: Path
) -> None:
    with pytest.raises(KdzooError, match=message):
        run(few_plan(recipe, *variants, run__labels=str(labels), **given), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_labelled_is_refused(stored_teacher: str, labels: Path, tmp_path: Path) -> None:
    teachers = {"teachers__models": (stored_teacher,)}
    for plan, form, message in (
        (few_plan("supervised", "small_images"), "float32", "supervised uses no teachers"),
        (few_plan("xcl_gan", **teachers), "float32", "xcl_gan cannot learn from stored labels"),
        (few_plan("meal_v1", "three_stages", **teachers), "float32", "meal_v1 cannot learn from stored labels"),
        (few_plan("hinton_kd", **teachers), "float8", "unknown form 'float8'"),
        (few_plan("hinton_kd", **teachers), "top10", "top10 keeps 10 probabilities, a teacher has 10 outputs"),
        (few_plan("crd", **teachers, **FEW), "top5", "crd reads the teachers' features, of which top5 keeps nothing"),
        (with_labels("hinton_kd", labels), "float32", "labels are stored from teachers"),
    ):
        with pytest.raises(UsageError, match=message):
            label(plan, out=tmp_path / "labels", form=form)
    with pytest.raises(UsageError, match="has no stages"):
        label(with_teachers("hinton_kd", stored_teacher), out=tmp_path / "labels", stage="distil")
    with pytest.raises(UsageError, match="no stage of ssld 'tune'"):
        label(with_teachers("ssld", stored_teacher), out=tmp_path / "labels", stage="tune")


def test_folders_that_hold_something_are_refused(stored_teacher: str, labels: Path, tmp_path: Path) -> None:
    plan = two_epochs(stored_teacher)
    with pytest.raises(RunError, match="already holds labels"):
        label(plan, out=labels)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/thesis.tex").write_text("")
    with pytest.raises(RunError, match=r"holds no labels \(it has thesis\.tex\)"):
        label(plan, out=tmp_path / "taken")
    given = {"teachers__models": (stored_teacher,), "training__epochs": 2}
    for more, message in (
        ({"run__seed": 3}, r"run\.seed was 0, is 3"),
        ({"training__batch_size": 16}, "batch_size was 32, is 16"),
    ):
        with pytest.raises(CheckpointError, match=f"were begun otherwise: {message}"):
            label(few_plan("hinton_kd", **given, **more), out=labels, resume=True)
    with pytest.raises(CheckpointError, match="form was 'float32', is 'float16'"):
        label(plan, out=labels, form="float16", resume=True)
    other = shutil.copytree(stored_teacher, tmp_path / "teacher")
    weights = load_model(str(other))
    with torch.no_grad():
        next(weights.model.parameters()).mul_(1.001)
    save_model(weights, other, provenance={})
    with pytest.raises(CheckpointError, match="the teachers' weights was"):
        label(with_teachers("hinton_kd", str(other)), out=labels, resume=True)


def test_epochs_can_be_added_and_are_what_they_would_have_been(
    labels: Path, stored_teacher: str, tmp_path: Path
) -> None:
    one = few_plan("hinton_kd", teachers__models=(stored_teacher,), training__epochs=1)
    label(one, out=tmp_path / "labels")
    digest = LabelStore(tmp_path / "labels").digest(1)
    (result,) = label(two_epochs(stored_teacher), out=tmp_path / "labels", resume=True)
    assert result.epochs == 2
    for name in ("labels.json", epoch_file(0), epoch_file(1)):
        assert (tmp_path / "labels" / name).read_bytes() == (labels / name).read_bytes()
    assert LabelStore(labels).digest(1) == digest
    (nothing,) = label(one, out=tmp_path / "labels", resume=True)
    assert (nothing.epochs, nothing.images_per_s) == (2, 0)


@pytest.mark.usefixtures("no_teacher")
@pytest.mark.parametrize("workers", [0, 2])
def test_damage_stops_the_run_with_a_line(workers: int, labels: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(labels, tmp_path / "labels")
    content = bytearray((broken / epoch_file(0)).read_bytes())
    content[44 * 100] ^= 1
    (broken / epoch_file(0)).write_bytes(content)
    with pytest.raises(DataError, match="damaged, or of another store: label 100 of epoch 1"):
        run(with_labels("hinton_kd", broken, run__workers=workers), out=tmp_path / "run")
    (broken / epoch_file(1)).write_bytes(b"")
    with pytest.raises(DataError, match="have 0 bytes instead of 7,040"):
        run(with_labels("hinton_kd", broken, training__epochs=2), out=tmp_path / "other")


def test_the_dry_run_knows_what_comes_out(stored_teacher: str, labels: Path, tmp_path: Path) -> None:
    plan = two_epochs(stored_teacher)
    cost = estimate_labels(plan, out=tmp_path / "not/there", form="float32")
    files = sum(path.stat().st_size for path in labels.glob("*.labels"))
    assert (cost.bytes, cost.bytes_per_label, cost.labels_per_epoch) == (files, 44, IMAGES)
    assert cost.seconds is not None
    assert cost.seconds > 0
    assert not list(tmp_path.iterdir())
    mixed = few_plan("meal_v2", "small_images", "cutmix", teachers__models=(stored_teacher, stored_teacher))
    cost = estimate_labels(mixed, out=tmp_path, form="top5")
    assert (cost.labels_per_epoch, cost.bytes_per_label) == (IMAGES, 2 * 22 + 4)


def test_an_unreadable_image_is_replaced_as_it_is_in_training(stored_teacher: str, tmp_path: Path) -> None:
    root, rng = tmp_path / "data", np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 10)):
        for index in range(count):
            folder = root / split / str(index % 10)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    (root / "train/3/3.png").write_bytes(b"no image")
    given = {"data__dataset": str(root), "training__batch_size": 8, "training__max_unreadable_fraction": 0.5}
    teacher = load_model(stored_teacher)
    save_model(teacher, tmp_path / "teacher", provenance={})
    taught = {"teachers__models": (str(tmp_path / "teacher"),)}
    (result,) = label(few_plan("hinton_kd", **given, **taught), out=tmp_path / "labels", trust_teacher=True)
    assert result.unreadable == 1
    run(few_plan("hinton_kd", **given, **taught), out=tmp_path / "live", trust_teacher=True)
    run(few_plan("hinton_kd", **given, run__labels=str(tmp_path / "labels")), out=tmp_path / "from_labels")
    assert outcome(tmp_path / "from_labels") == outcome(tmp_path / "live")
    few = {**given, "training__max_unreadable_fraction": 0.01}
    with pytest.raises(RunError, match="1 of the 40 training images cannot be decoded"):
        label(few_plan("hinton_kd", **few, **taught), out=tmp_path / "other", trust_teacher=True)


def test_a_gaze_is_stored_with_how_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression: mixed targets, head poses, and an uncertainty that only the teacher's folder explains."""
    write_mpiigaze(tmp_path / "eyes", people=PEOPLE[:4], days=1, images_a_day=8)
    record = {"task": "regression", "targets": ["pitch", "yaw"], "output": {"form": "gaussian", "scale": "variance"}}
    pose = load_model("gaze_preact_resnet8_pose", num_classes=3, seed=4)
    save_model(pose, tmp_path / "teacher", provenance=record)
    given = {"training__batch_size": 16, "student__model": "gaze_lenet_pose"}
    taught = {"teachers__models": (str(tmp_path / "teacher"),)}
    live = gaze_plan(tmp_path / "eyes", "xcl_gaze", "either", **given, **taught)
    label(live, out=tmp_path / "labels", trust_teacher=True)
    run(live, out=tmp_path / "live", trust_teacher=True)
    shutil.rmtree(tmp_path / "teacher")
    monkeypatch.setattr(teaching, "teachers_of", None)
    stored = gaze_plan(tmp_path / "eyes", "xcl_gaze", "either", **given, run__labels=str(tmp_path / "labels"))
    run(stored, out=tmp_path / "from_labels")
    assert outcome(tmp_path / "from_labels") == outcome(tmp_path / "live")
    with pytest.raises(UsageError, match="xcl_gaze reads numbers that are no softmax"):
        label(live, out=tmp_path / "top", form="top2")


def test_a_disk_that_is_too_small_is_noticed_before_the_first_label(
    stored_teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = two_epochs(stored_teacher)
    monkeypatch.setattr(label_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=2 * 44 * IMAGES - 1))
    with pytest.raises(RunError, match=r"14,080 bytes of labels are still to be stored, .* has 14,079 free") as found:
        label(plan, out=tmp_path / "labels")
    assert "--form float16" in str(found.value.hint)
    assert not list((tmp_path / "labels").glob("*.labels"))
