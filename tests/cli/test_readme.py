"""The README's commands for own images run as they are written, on a small folder of JPEGs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = Path(__file__).parents[2] / "README.md"

# The README names networks that the Hub has weights of; small ones of kdzoo's own stand in for them here.
STAND_INS = {"resnet50": "cifar_resnet14", "resnet18": "cifar_resnet8"}

# How long, so that the test is quick: everything else follows from the images.
SHORT = {"train": "--epochs 2", "distill": "--epochs 2"}


def lines() -> list[list[str]]:
    """The commands of the section on own images."""
    section = README.read_text(encoding="utf-8").split("## Your own images")[1].split("\n## ")[0]
    code = "\n".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL))
    return [shlex.split(line) for line in code.splitlines() if line]


def photographs(folder: Path) -> None:
    """Coloured scans of three digits, as JPEGs in class folders; and a few without a class."""
    from kdzoo.data import open_source

    for split, count in (("train", 8), ("val", 4)):
        source = open_source("digits", split)
        for label in range(3):
            for row in np.flatnonzero(source.labels == label)[:count]:
                pixels = np.asarray(source.load(int(row))) * np.array([1.0, 0.6 + 0.1 * label, 0.8])
                image = Image.fromarray(pixels.astype(np.uint8)).resize((48, 40))
                place = folder / "photos" / split / f"digit {label}" / f"{row}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                image.save(place, quality=95)
                if split == "val":
                    (folder / "new-photos").mkdir(exist_ok=True)
                    image.save(folder / "new-photos" / f"{label}-{row}.jpg")


@pytest.mark.slow
def test_the_commands_for_own_images_run_as_they_are_written(kdzoo: Callable[..., object], tmp_path: Path) -> None:
    photographs(tmp_path)
    print(f"in place of the README's networks: {STAND_INS}")
    verbs = []
    for program, verb, *arguments in lines():
        assert program == "kdzoo"
        verbs.append(verb)
        named = [STAND_INS.get(word, word) for word in arguments]
        done = kdzoo(verb, *named, *shlex.split(SHORT.get(verb, "")))
        assert done.code == 0, (verb, done.err)
    assert verbs == ["train", "distill", "eval", "predict"]
    for run in ("teacher", "student"):
        assert json.loads((tmp_path / "runs" / run / "result.json").read_text())["num_images"] == 12
        assert (tmp_path / "runs" / run / "model" / "model.safetensors").exists()
    answers = (tmp_path / "answers.csv").read_text().splitlines()
    assert len(answers) == 1 + 12
    assert all("digit " in line for line in answers[1:])


def test_the_demo_page_shows_the_same_commands() -> None:
    from kdzoo.demo import _OWN_IMAGES

    shown = [shlex.split(line) for line in _OWN_IMAGES.splitlines()]
    assert shown == lines()[:3]


def test_the_first_two_code_lines_are_those_that_ci_runs() -> None:
    first = re.findall(r"```bash\n(python3 -m venv .*?)\n```", README.read_text(encoding="utf-8"))
    assert "kdzoo demo" in first[0]
    assert "pytest" in first[1]
