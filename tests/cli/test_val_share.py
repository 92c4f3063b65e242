"""`--val-share`: what the verbs make of it, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from photo_folders import make

from kdzoo.base.errors import UsageError
from kdzoo.base.settings import Given
from kdzoo.evaluation.classification.own_share import held_out_spec


def test_data_check_shows_both_sides(kdzoo, tmp_path: Path) -> None:
    make(tmp_path / "photos", "fig", "plum", images=5)
    (tmp_path / "photos" / "fig" / "x.heic").write_bytes(b"x")
    whole = kdzoo("data", "check", "photos", "--workers", "0")
    assert whole.code == 1
    assert "problem: photos has class folders (fig, plum), no validation" in whole.out
    shared = kdzoo("data", "check", "photos", "--val-share", "0.2", "--workers", "0")
    assert shared.code == 0, shared.out
    assert "images a class: train: fig 4, plum 4" in shared.out
    assert "note: photos: 2 of 10 images are held out, 1 a class (val-share=0.2)" in shared.out
    assert "ignored: 1 .heic" in shared.out
    document = json.loads(kdzoo("data", "check", "photos@val-share=0.2", "--workers", "0", "--json").out)
    assert [split["num_images"] for split in document["splits"]] == [8, 2]
    assert document["splits"][0]["left_out"] == {".heic": 1}


def test_data_check_shows_the_folders_of_the_splits(kdzoo, tmp_path: Path) -> None:
    make(tmp_path / "photos", "Training/fig", "Training/plum", "valid/fig")
    seen = kdzoo("data", "check", "photos", "--workers", "0")
    assert seen.code == 0, seen.out
    rows = [line.split() for line in seen.out.splitlines()]
    assert ["train", "Training/"] in [row[:2] for row in rows]
    assert ["val", "valid/"] in [row[:2] for row in rows]
    assert "note: photos: valid/ is taken for validation" in seen.out
    assert "note: photos/valid has no images of 1 of the 2 classes that are trained on: plum" in seen.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--data", "digits", "--val-share", "0.1"), "digits says itself what is validated on"),
        (
            ("train", "--data", "photos", "--val-data", "digits", "--val-share", "0.1"),
            "--val-data has validation images",
        ),
        (("train", "--val-share", "0.1"), "no --data to hold images out of"),
        (("train", "--data", "photos@test", "--val-share", "0.1"), "photos@test says itself"),
        (("train", "--data", "photos", "--val-share", "1"), "--val-share"),
        (("eval", "--on", "digits", "--val-share", "0.1"), "digits says itself what is validated on"),
    ],
)
def test_what_has_validation_images_takes_no_share(
    kdzoo, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    make(tmp_path / "photos", "fig", "plum")
    verb, *options = arguments
    seen = kdzoo(verb, *(("--model", "cifar_resnet8") if verb == "train" else ("cifar_resnet8",)), *options)
    assert seen.code == 2, seen.err
    assert said in seen.err


def test_the_share_becomes_a_part_of_the_data(kdzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "photos", "fig", "plum", images=5)
    given = {}

    def plan_verb(verb, recipe, *, given: dict, **_) -> None:
        settled.update(given)
        raise UsageError("far enough")

    settled = given
    monkeypatch.setattr("kdzoo.planning.default_recipe.plan_verb", plan_verb)
    monkeypatch.setenv("KDZOO_TRAIN_VAL_SHARE", "0.25")
    assert kdzoo("train", "--model", "cifar_resnet8", "--data", "photos").code == 2
    assert settled["data.dataset"] == Given("photos@val-share=0.25", "--data, KDZOO_TRAIN_VAL_SHARE")


def _run(folder: Path, data: str) -> str:
    folder.mkdir()
    config = {"settings": {"data.dataset": {"value": data, "source": "--data"}}}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_run_is_measured_on_what_it_held_out(tmp_path: Path) -> None:
    photos = make(tmp_path / "photos", "fig", "plum")
    run, other = _run(tmp_path / "a", f"{photos}@val-share=0.2"), _run(tmp_path / "b", f"{photos}@val-share=0.3")
    plain = _run(tmp_path / "c", "digits")
    spec, said = held_out_spec("photos/", [plain, run, "resnet18"])
    assert spec == "photos@val-share=0.2"
    assert str(said).startswith(f"{run} was trained on photos/: measured on the images that it held out")
    for text in (f"{photos}@val-share=0.4", f"{photos}@test", "digits"):
        assert held_out_spec(text, [run]) == (text, None)
    assert held_out_spec(str(photos), [plain]) == (str(photos), None)
    with pytest.raises(UsageError, match="held out other images"):
        held_out_spec(str(photos), [run, other])
