"""The images of a run in folders: what is held out is stored, and what was replaced is noticed when it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from photo_folders import make, write_image

from kdzoo.base.errors import CheckpointError, DataError
from kdzoo.planning.run import run
from kdzoo.planning.sources import open_sources

from .conftest import small_plan


def _plan(data: str, **given: object):
    settings = {"training__batch_size": 4, "data__augmentation__image_size": 8, **given}
    return small_plan("supervised", "small_images", data__dataset=data, **settings)


def _fixed(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "config.json").read_text())["fixed"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make(tmp_path / "photos", "fig", "plum", images=5)


def test_the_share_is_stored_and_replaced_images_are_noticed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, spec = tmp_path / "run", f"{photos}@val-share=0.2"
    first = run(_plan(spec), out=out)
    assert first.metrics.num_images == 2
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["data.dataset"]["value"] == config["fixed"]["data.dataset"] == spec
    assert (config["train_data"]["num_images"], config["train_data"]["val_share"]) == (8, 0.2)
    assert config["notes"][0] == f"{photos}: 2 of 10 images are held out, 1 a class (val-share=0.2)"
    assert config["notes"][0] in capsys.readouterr().err
    with pytest.raises(CheckpointError, match=r"data\.dataset was .*val-share=0\.2', is .*val-share=0\.4'"):
        run(_plan(f"{photos}@val-share=0.4"), out=out, resume=True)
    assert run(_plan(spec), out=out, resume=True) == first

    kept = (photos / "fig" / "1.png").read_bytes()
    (photos / "fig" / "1.png").write_bytes(kept + b"\0")
    with pytest.raises(
        CheckpointError, match="begun with other images: files of the same names have other sizes"
    ) as bad:
        run(_plan(spec), out=out, resume=True)
    assert "bring the images back" in str(bad.value.hint)
    (photos / "fig" / "1.png").write_bytes(kept)

    # A run of a kdzoo that did not record sizes goes on, and that is said.
    old = {key: value for key, value in config["fixed"].items() if not key.endswith("_sizes")}
    (out / "config.json").write_text(json.dumps({**config, "fixed": old}))
    capsys.readouterr()
    assert run(_plan(spec), out=out, resume=True) == first
    assert "did not record data.train_sizes, data.val_sizes" in capsys.readouterr().err


def test_replaced_bytes_are_noticed_where_they_are_asked_for(photos: Path, tmp_path: Path) -> None:
    out, plan = tmp_path / "run", _plan(f"{photos}@val-share=0.2", run__check_contents=True)
    first = run(plan, out=out)
    assert _fixed(out).keys() >= {"data.train_contents", "data.val_contents", "data.train_sizes"}
    assert run(plan, out=out, resume=True) == first
    file = photos / "plum" / "3.png"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\0")
    assert len(file.read_bytes()) == len(content)
    with pytest.raises(CheckpointError, match="files of the same names have other contents"):
        run(plan, out=out, resume=True)


def test_a_run_on_memory_has_no_sizes_to_record() -> None:
    sources = open_sources(small_plan("supervised", "small_images").recipe)
    assert (sources.sizes, sources.warnings) == ({}, ())


def test_images_without_a_split_are_refused_before_the_run(photos: Path, tmp_path: Path) -> None:
    plan = _plan(str(photos))
    assert "no validation and no test images of its own" in str(plan.facts.missing)
    with pytest.raises(DataError, match="no validation and no test images of its own"):
        run(plan, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    make(tmp_path / "other", "fig", "plum")
    for number in range(4):
        write_image(tmp_path / "other" / "fig" / f"new{number}.png", 900 + number)
    write_image(tmp_path / "other" / "plum" / "copy.png", 900)
    write_image(tmp_path / "seen" / "fig" / "0.png", 900)
    write_image(tmp_path / "seen" / "plum" / "0.png", 77)
    with pytest.raises(DataError, match="1 of 2 validation images are training images too"):
        open_sources(_plan(str(tmp_path / "other"), data__val_dataset=str(tmp_path / "seen")).recipe)


def test_unlabeled_images_must_not_hold_the_validation_images(photos: Path) -> None:
    recipe = _plan(f"{photos}@val-share=0.4").recipe
    recipe = replace(recipe, data=replace(recipe.data, unlabeled=str(photos)))
    with pytest.raises(DataError, match="not held out: 4 of 4 validation images are training images too"):
        open_sources(recipe)
