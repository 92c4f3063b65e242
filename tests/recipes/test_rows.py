"""Rows and students run as their sources say: no variant of another data set, no recipe of another paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.base.errors import DataError, UsageError
from kdzoo.base.settings import Given
from kdzoo.papers.choices import Choices
from kdzoo.papers.jobs import Job, Jobs
from kdzoo.papers.tables import PAPERS, get_table
from kdzoo.planning.label_run import label
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run

from .conftest import small_plan

TEACHER = ("resnet101.a1_in1k",)


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)


def plan(recipe: str, *variants: str, **given: object) -> Plan:
    entries = {key.replace("__", "."): Given(value, "--flag") for key, value in given.items()}
    return resolve(recipe, given=entries, variants=variants)


def plans_of(paper: str, number: str) -> dict[str, list[Plan]]:
    """``{row: plans of what is trained first, then its own}`` of rows that train; runs alike but for seeds once."""
    table = get_table(PAPERS[paper], number)
    jobs = Jobs(table, Choices())
    found = {}
    for row in table.rows:
        for job in jobs.of(row):
            first = {(one.recipe, one.variants, one.settings): one for one in job.first()}
            found[row.label] = [one.plan(None) for one in (*first.values(), job) if isinstance(one, Job)]
    return found


@pytest.mark.parametrize("number", ["S2", "S4", "S5"])
def test_cutmix_teachers_on_cifar_mix_half_of_the_batches(number: str) -> None:
    mixed = [
        one.recipe.data.mixing.cutmix_prob
        for plans in plans_of("xcl", number).values()
        for one in plans[:-1]
        if "cutmix" in one.variants
    ]
    assert mixed
    assert set(mixed) == {0.5}
    imagenet = plans_of("xcl", "S1")["XCL-Mix"][0]
    assert imagenet.recipe.data.mixing.cutmix_prob == 1.0


@pytest.mark.parametrize(
    ("variants", "dataset", "prob"),
    [
        (("cutmix",), None, 1.0),
        (("cifar", "cutmix"), None, 0.5),
        (("cutmix", "cifar_pyramidnet"), None, 0.5),
        (("cifar", "cutmix"), "digits", 0.5),
        (("cutmix",), "cifar10", 0.5),
        (("cutmix",), "cifar100:/elsewhere", 0.5),
        (("cutmix",), "imagenet:/elsewhere", 1.0),
    ],
)
def test_a_variants_value_follows_the_data_set(variants: tuple[str, ...], dataset: str | None, prob: float) -> None:
    given = {} if dataset is None else {"data__dataset": dataset}
    found = plan("supervised", *variants, **given)
    assert found.recipe.data.mixing.cutmix_prob == prob
    forced = plan("supervised", *variants, **{**given, "data__mixing__cutmix_prob": 0.25})
    assert forced.recipe.data.mixing.cutmix_prob == 0.25


def test_ssld_baselines_are_those_of_its_authors() -> None:
    first = {row: plans[-1].recipe for row, plans in plans_of("ssld", "1").items() if "SSLD" not in row}
    assert len(first) == 7
    for name, recipe in first.items():
        assert (recipe.training.batch_size, recipe.optimizer.lr, recipe.optimizer.nesterov) == (256, 0.1, False), name
        assert (recipe.data.augmentation.color_jitter, recipe.data.augmentation.lighting_std) == (None, 0.0)
        assert (recipe.data.mixing.mixup_alpha, recipe.data.mixing.cutmix_alpha) == (0.2, 0.2)
        assert recipe.objective.smoothing_definition == "all_classes"  # type: ignore[attr-defined]
        assert recipe.schedule.warmup_epochs == 0
    assert first["ResNet50 + cutout"].data.augmentation.cutout_size == 112
    grid = first["ResNet50 + gridmask"].data.augmentation
    assert (grid.grid_prob, grid.grid_ramp_epochs, grid.grid_degrees) == (1.0, 240, 1)
    assert {recipe.training.epochs for row, recipe in first.items() if "-D" not in row} == {300}
    second = {row: plans[-1].recipe for row, plans in plans_of("ssld", "2").items() if "SSLD" not in row}
    lengths = {
        label: (one.training.epochs, one.optimizer.lr, one.optimizer.weight_decay) for label, one in second.items()
    }
    assert lengths == {
        "MobileNetV1": (120, 0.1, 3e-5),
        "MobileNetV2": (240, 0.045, 4e-5),
        "MobileNetV3-small": (360, 2.6, 2e-5),
        "MobileNetV3-large": (360, 2.6, 2e-5),
        "HRNet-18W-C": (120, 0.1, 1e-4),
        "ResNet50-D": (200, 0.1, 7e-5),
        "ResNet101-D": (200, 0.1, 1e-4),
        "ResNet200-D": (200, 0.1, 1e-4),
    }


def test_ssld_ablations_keep_their_warm_up() -> None:
    for number in ("3", "4", "5", "6"):
        for name, (found,) in plans_of("ssld", number).items():
            assert [one.recipe.schedule.warmup_epochs for one in found.stages] == [5.0, 5.0], (number, name)


@pytest.mark.parametrize(
    ("recipe", "student", "variant", "settings"),
    [
        ("xcl_mix", "cifar_resnet18", "cifar", ("cifar100", 32, "sgd", 0.1, 400)),
        ("xcl_mix", "cifar_pyramidnet200_a240", "cifar_pyramidnet", ("cifar100", 32, "sgd", 0.25, 300)),
        ("xcl_mix", "cifar_binary_resnet18", "cifar_binary", ("cifar100", 32, "adam", 2e-4, 350)),
        ("xcl_gan", "resnet50", "imagenet", ("imagenet", 224, "sgd", 0.4, 300)),
    ],
)
def test_a_student_row_brings_its_variant(
    recipe: str, student: str, variant: str, settings: tuple[str, int, str, float, int]
) -> None:
    found = plan(recipe, student__model=student, teachers__models=TEACHER)
    own = found.recipe
    seen = (own.data.dataset, found.image_size, own.optimizer.name, own.optimizer.lr, own.training.epochs)
    assert seen == settings
    assert any(f"variant {variant}" in note for note in found.notes)
    asked = plan(recipe, variant, student__model=student, teachers__models=TEACHER)
    assert asked.settings() == found.settings()
    assert asked.variants == found.variants == (variant,)
    changed = plan(recipe, student__model=student, teachers__models=TEACHER, optimizer__lr=0.5)
    assert changed.recipe.optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("student", "decays_norms"),
    [
        ("mobilenetv3_small_050", False),
        ("tf_mobilenetv3_large_075", False),
        ("lcnet_050", False),
        ("ghostnet_100", False),
        ("mobilenetv2_140", True),
        ("efficientnet_lite0", True),
    ],
)
def test_a_mobile_network_outside_the_table_has_the_small_students_settings(student: str, decays_norms: bool) -> None:
    found = plan("ssld", student__model=student)
    assert found.teachers == ("ssld_resnet50d",)
    assert found.recipe.optimizer.weight_decay == 1e-5
    assert found.recipe.data.augmentation.policy is None
    assert found.recipe.objective.decay_norms is decays_norms  # type: ignore[attr-defined]
    assert any("outside the table" in note for note in found.notes)
    large = plan("ssld", student__model="resnet34d")
    assert (large.variants, large.recipe.optimizer.weight_decay) == ((), 4e-5)


def test_published_rows_name_what_they_are_about() -> None:
    assert plan("fixres", "cutmix_320").recipe.training.epochs == 56  # 11 is the row with another augmentation
    contrast = plan("crd", "imagenet").recipe.objective.contrast  # type: ignore[attr-defined]
    assert (contrast.replacement, contrast.num_negatives) == ("always", 4096)
    start = plan("meal_v2", student__model="resnet50.tv_in1k")
    assert (start.student, start.recipe.student.init) == ("resnet50.tv_in1k", "pretrained")
    begun = plans_of("meal_v2", "3")["ResNet-50 + FixRes + CutMix, 320 px"][0].recipe
    assert (begun.training.batch_size, begun.optimizer.lr, begun.schedule.milestones) == (256, 0.1, (75, 150, 225))


def test_a_gan_trains_no_classifier() -> None:
    with pytest.raises(UsageError, match="class_gan cannot train cifar_resnet8") as error:
        plan("class_gan", student__model="cifar_resnet8")
    assert "class_discriminator" in str(error.value.hint)
    assert plan("class_gan", "tiny").student == "class_discriminator_tiny"


def test_a_stage_needs_its_own_labels_alone(stored_teacher: str, few_digits: Path, tmp_path: Path) -> None:
    given = {"data__dataset": str(few_digits), "training__batch_size": 32, "stages__finetune__training__epochs": 1}
    live = small_plan("ssld", "small_images", teachers__models=(stored_teacher,), **given)
    label(live, out=tmp_path / "labels", stage="distil")
    stored = small_plan("ssld", "small_images", run__labels=str(tmp_path / "labels"), **given)
    with pytest.raises(DataError, match="finetune"):
        run(stored, out=tmp_path / "all")
    assert not (tmp_path / "all").exists()
    result = run(stored, out=tmp_path / "one", stage="distil")
    assert result.epochs == 1
    with pytest.raises(DataError, match="finetune"):
        run(stored, out=tmp_path / "one", stage="finetune", resume=True)
