"""Rows of every kind at the full size, in a table made here: tiny networks, generated images, nothing downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdzoo.base.errors import UsageError
from kdzoo.papers.measured import evaluate_published, teachers_together
from kdzoo.papers.tables import Column, Evaluate, Network, NotRun, OnLabels, PaperTables, RecipeRun, Row, Table
from kdzoo.reproduction import reproduce, select_rows

COLUMNS = (
    Column(key="top1", heading="top-1", measured="top1"),
    Column(key="teacher", heading="teacher", better=None, measured="teacher_top1"),
    Column(key="gap", heading="gap", better="lower", measured="gap_top1"),
    Column(key="bright", heading="class bright", measured="class:bright"),
)
HALF = {"training.batch_size": 16, "training.epochs": 4, "data.augmentation.image_size": 32, "run.workers": 0}
TEACHER = Network(model="cifar_resnet8", trained=OnLabels(variants=("small_images",), settings=HALF), copies=2)
STUDENT = Network(model="cifar_resnet8")


def table_of(model: str) -> tuple[PaperTables, Table]:
    """Two trained rows that share teachers, one that evaluates ``model``, one that is a number alone."""
    run = RecipeRun(recipe="xcl_mix", variants=("small_images",), settings=HALF, student=STUDENT, teachers=(TEACHER,))
    plain = RecipeRun(
        recipe="xcl_mix", variants=("small_images", "unmixed"), settings=HALF, student=STUDENT, teachers=(TEACHER,)
    )
    rows = (
        Row(label="mixed", numbers={"top1": 80.0}, takes=run),
        Row(label="unmixed", numbers={"top1": 70.0, "gap": 1.0}, takes=plain),
        Row(label="published", numbers={"top1": 60.0, "bright": 50.0}, takes=Evaluate(model=model)),
        Row(label="number", numbers={"top1": 50.0}, takes=NotRun(why="nobody can")),
    )
    table = Table(number="1", title="A table", citation="Own, Table 1", columns=COLUMNS, rows=rows, epochs=4)
    return PaperTables(key="own", title="Own", authors="-", year=2020, url="-", tables=(table,)), table


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noise, one dark and one bright, 32 and 12 images each."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", 32), ("val", 12)):
        for name, offset in (("bright", 100), ("dark", 0)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(offset, offset + 150, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def made(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("own") / "table"
    paper, table = table_of(str(out / "mixed" / "seed-0"))
    record = reproduce(paper, table, out=out, data=str(images), epochs=2, seeds=2, device="cpu")
    assert record.document == json.loads((out / "results.json").read_text())
    return {"out": out, "rows": {row["label"]: row for row in record.rows}, "images": str(images)}


def test_teachers_are_trained_first_and_once(made: dict[str, Any]) -> None:
    folders = sorted(path.name for path in (made["out"] / "teachers").iterdir())
    assert folders == ["cifar_resnet8-small_images-1", "cifar_resnet8-small_images-2"]
    digests = {
        json.loads((made["out"] / run / "config.json").read_text())["fixed"]["teachers.digests"].__repr__()
        for label in ("mixed", "unmixed")
        for run in made["rows"][label]["runs"]
    }
    assert len(digests) == 1


def test_a_rows_numbers_are_the_mean_of_its_seeds(made: dict[str, Any]) -> None:
    row = made["rows"]["unmixed"]
    assert row["runs"] == ["unmixed/seed-0", "unmixed/seed-1"]
    top1 = [json.loads((made["out"] / run / "result.json").read_text())["top1"] for run in row["runs"]]
    assert row["ours"]["top1"] == pytest.approx(np.mean(top1))
    assert row["spread"]["top1"] == pytest.approx(np.std(top1, ddof=1))
    teachers = [str(path) for path in sorted((made["out"] / "teachers").iterdir())]
    together = teachers_together(teachers, made["images"], "cpu")["top1"]
    assert row["ours"]["teacher"] == pytest.approx(together)
    assert row["difference"]["gap"] == pytest.approx(together - np.mean(top1) - 1.0)


def test_shorter_runs_and_other_images_are_said(made: dict[str, Any]) -> None:
    words = made["rows"]["mixed"]["scaled_down"]
    assert words == [f"{made['images']} (64 images, 2 classes) for imagenet", "2 epochs for 4"]


def test_published_weights_are_evaluated_on_all_and_on_one_class(made: dict[str, Any]) -> None:
    row, model = made["rows"]["published"], str(made["out"] / "mixed" / "seed-0")
    result = json.loads((made["out"] / "mixed" / "seed-0" / "result.json").read_text())
    assert row["status"] == "done"
    assert row["ours"]["top1"] == pytest.approx(result["top1"])
    both = evaluate_published(model, made["images"], ["class:bright", "class:dark"], "cpu")
    assert row["ours"]["bright"] == both["class:bright"]
    assert (both["class:bright"] + both["class:dark"]) / 2 == pytest.approx(both["top1"])  # as many images of each


def test_a_number_alone_says_why(made: dict[str, Any]) -> None:
    assert made["rows"]["number"]["status"] == "reference"
    assert made["rows"]["number"]["why"] == "nobody can"


def test_rows_are_chosen_by_label_or_number() -> None:
    _, table = table_of("cifar_resnet8")
    assert [row.label for row in select_rows(table, ["4", "Mixed"])] == ["mixed", "number"]
    assert len(select_rows(table, [])) == 4
    with pytest.raises(UsageError, match="no row '5'"):
        select_rows(table, ["5"])
