"""Gaze recipes as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mini_mpiigaze import PEOPLE, write_mpiigaze

from kdzoo.zoo import load_model, save_model

FAST = ("--epochs", "1", "--batch-size", "16", "--workers", "0", "--device", "cpu")


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("eyes") / "MPIIGaze"
    write_mpiigaze(path, people=PEOPLE[:4], days=1, images_a_day=8)
    return f"mpiigaze@p00:{path}"


@pytest.mark.numeric
def test_a_gaze_is_trained_distilled_and_measured(kdzoo, eyes: str) -> None:
    trained = kdzoo("train", "--recipe", "gaze", "--model", "gaze_lenet", "--data", eyes, "--out", "teacher", *FAST)
    assert trained.code == 0, trained.err
    assert "angular error" in trained.out
    assert "top-1" not in trained.out
    given = ("--recipe", "xcl_gaze", "--student", "gaze_lenet", "--teacher", "teacher", "--data", eyes)
    made = kdzoo("distill", *given, "--out", "student", "--trust-teacher", *FAST, "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert 0 < document["angular_error"] < 180
    assert "top1" not in document
    assert "°" in Path("student/report.html").read_text()
    seen = kdzoo("eval", "student", "teacher", "--on", eyes, "--workers", "0", "--device", "cpu", "--json")
    assert seen.code == 0, seen.err
    rows = json.loads(seen.out)["models"]
    assert rows[0]["angular_error"] == pytest.approx(document["angular_error"], rel=1e-4)
    assert [row["num_images"] for row in rows] == [16, 16]
    table = kdzoo("eval", "student", "--on", eyes, "--workers", "0", "--device", "cpu")
    assert "degrees" in table.out
    again = kdzoo("distill", *given, "--out", "student", "--trust-teacher", *FAST, "--resume")
    assert again.code == 0
    assert "nothing to do" in again.err
    shared = kdzoo("publish", "student", "--repo", "me/gaze", "--license", "mit", "--dry-run", "--out", "card")
    assert shared.code == 1
    assert "predicts a gaze: model cards are written for classifiers so far" in shared.err


def test_a_dry_run_says_what_is_predicted(kdzoo, eyes: str) -> None:
    shown = kdzoo("train", "--recipe", "gaze", "--model", "gaze_lenet", "--data", eyes, "--dry-run")
    assert shown.code == 0, shown.err
    assert "2 numbers to predict, at 36×60 px" in " ".join(shown.out.split())
    missing = kdzoo("train", "--recipe", "gaze", "--model", "gaze_lenet", "--dry-run")
    assert missing.code == 1, missing.err
    assert missing.out.startswith("cannot start: mpiigaze not found")


def test_the_data_is_checked_and_the_recipes_are_listed(kdzoo, eyes: str) -> None:
    checked = kdzoo("data", "check", eyes, "--workers", "0")
    assert checked.code == 0, checked.out
    assert "4 people" in checked.out
    listed = kdzoo("recipes", "list")
    assert "xcl_gaze" in listed.out
    shown = kdzoo("recipes", "show", "xcl_gaze")
    assert "leave-one-person-out" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--on", "{eyes},digits"), "classes and gazes are measured apart"),
        (("--on", "{eyes}", "--image-size", "72"), "--image-size has no meaning for a gaze"),
        (("--on", "{eyes}", "--crops", "5"), "--crops has no meaning"),
        (("--on", "{eyes}", "--results", "kept"), "--results: angular errors are printed and not kept"),
        (("--on", "{eyes}"), "knows 3 classes"),
    ],
)
def test_what_has_no_meaning_for_a_gaze_is_refused(kdzoo, eyes: str, tmp_path: Path, arguments, message) -> None:
    knows = load_model("gaze_lenet", num_classes=3)
    knows.class_names = ("left", "right", "ahead")
    save_model(knows, tmp_path / "classes", provenance={})
    refused = kdzoo("eval", "local-dir:classes", *(text.format(eyes=eyes) for text in arguments), "--workers", "0")
    assert refused.code in (1, 2)
    assert message in refused.err
