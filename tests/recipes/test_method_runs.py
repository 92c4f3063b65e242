"""Real runs of CRD, ExRep and its stage 2, AE-KD, MEAL and FixRes on the digits, and the losses they begin with."""

from pathlib import Path

import pytest
import torch

from kdzoo.base.errors import KdzooError, UsageError
from kdzoo.base.run_documents import TrainResult
from kdzoo.base.settings import Given
from kdzoo.engine.checkpoint import newest_good
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run
from kdzoo.recipes.input_distiller import load_distiller
from kdzoo.zoo import load_model

from .conftest import STORED_TEACHER, small_plan
from .golden_losses import check_golden, terms

pytestmark = pytest.mark.slow  # a run of each method, then what came of it: .ci/run calls this file by name

FEW = {"objective__contrast__num_negatives": 64}
NARROW = {**FEW, "objective__distiller__width": 8, "objective__distiller__max_width": 16, "optimizer__lr": 0.001}
ROWS = {"tf_efficientnet_b1": 0.882, "efficientnet_b0": 0.875, "resnext50_32x4d": 0.875}
BLOCKS = {"objective__block_lengths": (64, 48, 32)}
CASES = {
    "crd": ("crd", (), FEW, 1),
    "crd-kd-relaxed": ("crd", ("crd_kd", "relaxed_positive"), FEW, 2),
    "exrep": ("exrep", ("small_images",), NARROW, 1),
    "exrep-mse": ("exrep", ("small_images", "mse"), NARROW, 1),
    "exrep-frozen": ("exrep", ("small_images", "frozen_student"), NARROW, 1),
    "ae_kd": ("ae_kd", (), {}, 3),
    "meal_v1": ("meal_v1", ("three_stages",), BLOCKS, 2),
    "meal_v1-logits": ("meal_v1", ("logits_only",), {}, 2),
}

QUICK = ("crd", "exrep", "ae_kd", "meal_v1")
"""One of each method; what is a variant of one is slow."""


@pytest.fixture(scope="session")
def runs(stored_teacher: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every case's run folder, made when it is first asked for."""
    root = tmp_path_factory.mktemp("methods")

    class Runs(dict[str, Path]):
        def __missing__(self, case: str) -> Path:
            recipe, variants, given, teachers = CASES[case]
            models = {"student__model": stored_teacher, "teachers__models": (stored_teacher,) * teachers}
            plan = small_plan(recipe, *variants, **models, **given)
            self[case] = Path(run(plan, out=root / case).run)
            return self[case]

    return Runs()


@pytest.mark.numeric
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_recipe_takes_real_steps_and_lands_on_its_golden_losses(case, runs):
    assert len(terms(runs[case])) == 1437 // 256
    check_golden(case, runs[case])


def weights(model: str | Path) -> dict[str, torch.Tensor]:
    return load_model(str(model)).model.state_dict()


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_teacher_is_what_it_was_after_every_run(stored_teacher, runs):
    before = weights(STORED_TEACHER)
    for case in ("crd", "exrep", "ae_kd", "meal_v1"):
        assert runs[case].exists()
    assert moved(before, weights(stored_teacher)) == set()


def test_banks_and_normalisers_are_in_the_checkpoint_and_only_seen_rows_were_refreshed(runs):
    state = newest_good(runs["crd"] / "checkpoints", print)["objective"]
    banks = {name.rsplit(".", 1)[-1]: tensor for name, tensor in state.items()}
    assert banks["student_bank"].shape == banks["teacher_bank"].shape == (1437, 128)
    assert (banks["normalizers"] > 0).all()
    for bank in ("student_bank", "teacher_bank"):
        unit = torch.isclose(banks[bank].norm(dim=1), torch.tensor(1.0), atol=1e-5)
        assert int(unit.sum()) == 5 * 256  # the incomplete last batch is dropped


def test_exrep_keeps_batchnorm_still_and_trains_the_student_and_a_frozen_one_is_what_it_was(stored_teacher, runs):
    before = weights(stored_teacher)
    trained = moved(before, weights(runs["exrep"]))
    assert trained
    assert not any("running" in name or "num_batches" in name for name in trained)
    assert moved(before, weights(runs["exrep-frozen"])) == set()


def test_exrep_logs_both_phases_in_the_published_order(runs):
    names = list(terms(runs["exrep"])[0])
    assert [name for name in names if "/" in name and not name.endswith("lr")] == [
        "critic/critic_real",
        "critic/critic_fake",
        "student/kd",
        "student/hard_label",
        "student/contrast",
        "student/adversarial",
    ]


@pytest.mark.numeric
@pytest.mark.parametrize("prob", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_a_stored_distiller_helps_to_train_a_new_classifier(prob, runs, tmp_path: Path):
    given = {"objective__distiller_run": str(runs["exrep"]), "objective__distiller_size": 24}
    plan = small_plan("exrep_transfer", objective__pass_prob=prob, **given)
    folder = Path(run(plan, out=tmp_path / "run").run)
    check_golden(f"exrep_transfer-{prob:g}", folder)
    stored = load_distiller(str(runs["exrep"])).state_dict()
    state = newest_good(folder / "checkpoints", print)["objective"]
    assert {f"distiller.{name}" for name in stored} == set(state)
    assert all(torch.equal(tensor, state[f"distiller.{name}"]) for name, tensor in stored.items())
    assert terms(folder) != terms(runs["crd"])


def test_stage_2_says_what_is_wrong_with_the_run_it_is_given(runs, teacher: TrainResult, tmp_path: Path):
    for given, message in (
        ("", "needs the input distiller of an exrep run"),
        (str(tmp_path), "is not a run folder"),
        (teacher.run, "another recipe than exrep"),
    ):
        with pytest.raises(UsageError, match=message):
            load_distiller(given)
    chosen = sorted((runs["exrep"] / "checkpoints").glob("step-*.safetensors"))[-1]
    named, newest = load_distiller(str(chosen)), load_distiller(str(runs["exrep"]))
    assert moved(newest.state_dict(), named.state_dict()) == set()


@pytest.mark.numeric
def test_fixres_moves_the_classifier_and_the_last_batchnorms_statistics_alone(stored_teacher, tmp_path: Path):
    before, moves = weights(stored_teacher), {}
    for name in ("", "classifier_only"):
        plan = small_plan(
            "fixres", *([name] if name else []), student__model=stored_teacher, data__augmentation__image_size=24
        )
        folder = Path(run(plan, out=tmp_path / f"run{name}").run)
        moves[name] = moved(before, weights(folder))
        loaded = load_model(str(folder / "model"))
        assert loaded.preprocessing.image_size == 24
    last = [name for name in before if name.endswith("running_mean")][-1].removesuffix("running_mean")
    statistics = {f"{last}{part}" for part in ("running_mean", "running_var", "num_batches_tracked")}
    assert moves["classifier_only"] == {"fc.weight", "fc.bias"}
    assert moves[""] == {"fc.weight", "fc.bias"} | statistics
    check_golden("fixres", tmp_path / "run")


def test_banks_larger_than_memory_are_refused_before_they_are_taken(
    teacher: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "meminfo").write_text("MemAvailable: 700000 kB\n")
    monkeypatch.setattr("kdzoo.planning.memory._HOST", tmp_path / "meminfo")
    plan = small_plan("crd", teachers__models=(teacher.model,), objective__contrast__embedding_dim=65_536)
    stated = [note for note in plan.notes if note.startswith("CRD, 2 banks of 1437 × 65536, 16384 negatives")]
    assert len(stated) == 1
    assert "753 MB held all through the run and in every checkpoint" in stated[0]
    with pytest.raises(UsageError, match=r"CRD, 2 banks.* do not fit into the .* that are free \(cpu\)"):
        run(plan, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        ("exrep", {"data__augmentation__image_size": 20}, "halves images 3 times: 20 is no multiple of 8"),
        ("exrep", {"student__model": "cifar_resnet8x4"}, "features are 256 wide and the teacher's 64"),
        ("exrep", {"objective__freeze_student": True, "objective__distiller__form": "none"}, "learns nothing"),
        ("meal_v1", {}, "has 3 stages, objective.block_lengths names 4"),
        ("meal_v1", {"objective__block_lengths": (8,)}, "5 values for 2 blocks"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(recipe, given, message, teacher: TrainResult, tmp_path: Path):
    variants = ("small_images",) if recipe == "exrep" else ()
    plan = small_plan(
        recipe, *variants, teachers__models=(teacher.model,), **{**(FEW if recipe == "exrep" else {}), **given}
    )
    with pytest.raises(KdzooError, match=message):
        run(plan, out=tmp_path / "run")


def test_a_student_whose_batchnorm_stays_as_it_is_should_be_a_trained_one(teacher: TrainResult):
    taught = {"teachers__models": (teacher.model,)}

    def warned(recipe: str, *variants: str, **given: object) -> bool:
        plan = small_plan(recipe, *variants, **{**given, **({} if recipe == "fixres" else taught)})
        return any("from random weights it goes astray" in warning for warning in plan.warnings)

    assert warned("exrep")
    assert warned("fixres")
    assert not warned("exrep", objective__student_mode="train")
    assert not warned("exrep", student__model=teacher.model)
    assert not warned("crd")


def test_a_smaller_exrep_student_is_tested_at_its_own_crop():
    plans = {name: resolve("exrep", given={"student.model": Given(name, "test")}) for name in ROWS}
    assert {name: plan.recipe.data.evaluation.crop_pct for name, plan in plans.items()} == ROWS
