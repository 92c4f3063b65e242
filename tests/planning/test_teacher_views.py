"""``teachers.view``: the same run where nothing differs, exact labels and resumption where something does, refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from mini_mpiigaze import PEOPLE, write_mpiigaze

import kdzoo.planning.run_teachers as teaching
from kdzoo.base.errors import CheckpointError, DataError, TeacherError, UsageError
from kdzoo.data import LabelStore
from kdzoo.planning.cost import estimate
from kdzoo.planning.label_cost import estimate_labels
from kdzoo.planning.label_run import label
from kdzoo.planning.labels import record_of
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.planning.teacher_views import sides_seen
from kdzoo.zoo import load_model, save_model

from ..recipes.gaze_runs import gaze_plan
from .conftest import small_plan

MIXED = ("xcl_mix", "small_images")


@pytest.fixture(scope="module")
def large(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stored teacher, taking 32 px: what the digits have, and twice what the students here see."""
    loaded = load_model(stored_teacher)
    loaded.preprocessing = replace(loaded.preprocessing, image_size=32)
    folder = tmp_path_factory.mktemp("large") / "teacher"
    save_model(loaded, folder, provenance={})
    return str(folder)


@pytest.fixture
def plan_of(few_digits: Path):
    def plan(recipe: str, *variants: str, **given: object) -> Plan:
        own = {"data__dataset": str(few_digits), "training__batch_size": 32, **given}
        return small_plan(recipe, *variants, **own)

    return plan


def outcome(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.suffix == ".safetensors" or path.name == "metrics.jsonl"]
    assert len(files) >= 4
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def go(plan: Plan, out: Path, *, resume: bool = False) -> dict[str, bytes]:
    run(plan, out=out, trust_teacher=True, resume=resume)
    return outcome(out)


def test_own_is_the_students_view_where_the_sizes_are_the_same(plan_of, stored_teacher: str, tmp_path: Path) -> None:
    teachers = {"teachers__models": (stored_teacher,)}
    whole = go(plan_of(*MIXED, **teachers), tmp_path / "student")
    assert go(plan_of(*MIXED, **teachers, teachers__view="own"), tmp_path / "own") == whole
    fixed = json.loads((tmp_path / "student/config.json").read_text())["fixed"]
    assert "teachers.view" not in fixed  # runs that were begun before there was a choice go on


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("recipe", "given"),
    [
        (MIXED, {"training__accumulate": 2}),
        pytest.param(("hinton_kd",), {}, marks=pytest.mark.slow),
        pytest.param(("meal_v2", "small_images", "cutmix"), {"teachers__view": 24}, marks=pytest.mark.slow),
    ],
)
def test_a_run_from_exact_labels_is_the_run_beside_its_teachers(
    recipe: tuple[str, ...],
    given: dict[str, object],
    plan_of,
    stored_teacher: str,
    large: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two teachers of two sizes: one sees the student's pixels, one its own, of the same mixed views."""
    taught = {"teachers__models": (stored_teacher, large), "teachers__view": "own", **given}
    label(plan_of(*recipe, **taught), out=tmp_path / "labels", trust_teacher=True)
    live = go(plan_of(*recipe, **taught), tmp_path / "live")
    plain = go(plan_of(*recipe, **{**taught, "teachers__view": "student"}), tmp_path / "plain")
    assert live != plain
    monkeypatch.setattr(teaching, "teachers_of", None)
    del taught["teachers__models"], taught["teachers__view"]
    stored = plan_of(*recipe, **taught, run__labels=str(tmp_path / "labels"))
    assert go(stored, tmp_path / "from_labels") == live
    view = given.get("teachers__view", "own")
    assert stored.to_dict()["settings"]["teachers.view"] == {"value": view, "source": "stored labels"}
    assert LabelStore(tmp_path / "labels").head.views["teachers.view"] == view
    other = plan_of(*recipe, **taught, run__labels=str(tmp_path / "labels"), teachers__view="student")
    with pytest.raises(DataError, match=f"of other views: teachers.view was '?{view}'?, is 'student'") as found:
        run(other, out=tmp_path / "other")
    assert found.value.hint == f"use --set teachers.view={view}, or label these views"


def test_labels_of_the_students_view_serve_no_other(plan_of, large: str, tmp_path: Path) -> None:
    taught = {"teachers__models": (large,)}
    label(plan_of("hinton_kd", **taught), out=tmp_path / "labels", trust_teacher=True)
    assert not {key for key in LabelStore(tmp_path / "labels").head.views if "teacher" in key}
    own = plan_of("hinton_kd", run__labels=str(tmp_path / "labels"), teachers__view="own")
    with pytest.raises(DataError, match=r"teachers\.view was 'student', is 'own'"):
        run(own, out=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"begun otherwise: teachers\.view was 'student', is 'own'"):
        label(plan_of("hinton_kd", **taught, teachers__view="own"), out=tmp_path / "labels", resume=True)


def test_a_cut_run_goes_on_to_the_same_bytes_and_only_with_the_same_view(plan_of, large: str, tmp_path: Path) -> None:
    given = {"teachers__models": (large,), "training__epochs": 2, "training__checkpoint_every_steps": 2}
    plan = plan_of(*MIXED, **given, teachers__view="own")
    whole = go(plan, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    states = sorted((tmp_path / "cut/checkpoints").glob("step-*.safetensors"))
    for path in (states[-1], states[-1].with_suffix(".sha256"), tmp_path / "cut/result.json"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"teachers\.view was 'own', is 32"):
        run(plan_of(*MIXED, **given, teachers__view=32), out=tmp_path / "cut", resume=True, trust_teacher=True)
    assert go(plan, tmp_path / "cut", resume=True) == whole


@pytest.mark.slow
def test_maps_of_a_teacher_that_sees_more_are_compared(plan_of, large: str, tmp_path: Path) -> None:
    given = {"teachers__models": (large, large), "objective__block_lengths": (64, 48, 32)}
    own = go(plan_of("meal_v1", "three_stages", **given, teachers__view="own"), tmp_path / "own")
    assert own != go(plan_of("meal_v1", "three_stages", **given), tmp_path / "student")


def test_the_plan_says_who_sees_what_and_what_it_costs(
    plan_of, stored_teacher: str, large: str, tmp_path: Path
) -> None:
    taught = {"teachers__models": (stored_teacher, large)}
    plan = plan_of("hinton_kd", **taught, teachers__view="own")
    for cost in (estimate(plan), estimate_labels(plan, out=tmp_path, form="float32")):
        assert f"teacher {stored_teacher} sees each view at 16 px, the student at 16 px" in cost.notes
        more = f"teacher {large} sees each view at 32 px, the student at 16 px, rendered from the same decoding with"
        assert f"{more} 4 times the pixels" in cost.notes
    before = estimate(plan_of("hinton_kd", **taught), measure=False)
    at_24 = estimate(plan_of("hinton_kd", **taught, teachers__view=24), measure=False)
    assert not any("sees each view" in note for note in before.notes)
    small, own = (teacher.flops for teacher in before.teachers)
    assert small < at_24.teachers[0].flops == at_24.teachers[1].flops < own


@pytest.mark.parametrize("value", ["own", "student", "160", 160])
def test_the_setting_is_a_word_or_a_size(value: object, plan_of, stored_teacher: str) -> None:
    plan = plan_of("hinton_kd", teachers__models=(stored_teacher,), teachers__view=value)
    assert plan.recipe.teachers.view == (160 if value in ("160", 160) else value)


@pytest.mark.parametrize("value", ["teacher", "0", "4097", "1.5", True])
def test_another_value_is_refused(value: object, plan_of, stored_teacher: str) -> None:
    with pytest.raises(UsageError, match=r"teachers\.view is one of student, own or an integer from 1 to 4,096, got"):
        plan_of("hinton_kd", teachers__models=(stored_teacher,), teachers__view=value)


def test_where_there_is_no_other_view_it_is_refused(plan_of, stored_teacher: str, tmp_path: Path) -> None:
    own = {"teachers__view": "own"}
    taught = {"teachers__models": (stored_teacher,), **own}
    with pytest.raises(UsageError, match="supervised has no teachers"):
        plan_of("supervised", "small_images", **own)
    with pytest.raises(
        UsageError, match="xcl_gan shows its teachers what the student sees: it makes images as it goes"
    ):
        plan_of("xcl_gan", **taught)
    with pytest.raises(UsageError, match="its teacher looks at distilled images"):
        plan_of("exrep", "small_images", **taught, objective__teacher_input="distilled")
    plan_of("xcl_gan", "offline", **taught, data__unlabeled=str(tmp_path))
    write_mpiigaze(tmp_path / "eyes", people=PEOPLE[:2], days=1, images_a_day=8)
    with pytest.raises(UsageError, match="its images are cut to 36×60 px for every network"):
        gaze_plan(tmp_path / "eyes", "xcl_gaze", **taught, training__batch_size=8)


def test_a_network_of_one_size_and_one_of_no_square_are_refused(plan_of, stored_teacher: str, tmp_path: Path) -> None:
    fixed = load_model("test_vit3", pretrained=False, num_classes=10, seed=0)
    save_model(fixed, tmp_path / "fixed", provenance={})
    plan = plan_of("hinton_kd", teachers__models=(str(tmp_path / "fixed"),), teachers__view=48)
    for attempt in (lambda: estimate(plan), lambda: run(plan, out=tmp_path / "run", trust_teacher=True)):
        with pytest.raises(TeacherError, match="fixed cannot be run at 48 px") as found:
            attempt()
        assert found.value.hint == "use teachers.view=own, or another size"
    wide = load_model(stored_teacher)
    wide.preprocessing = replace(wide.preprocessing, image_width=32)
    own = plan_of("hinton_kd", teachers__models=(stored_teacher,), teachers__view="own")
    with pytest.raises(TeacherError, match="takes images of 16×32 px, views are square"):
        sides_seen(own.recipe, [record_of(wide, "")])
    assert not (tmp_path / "run").exists()
