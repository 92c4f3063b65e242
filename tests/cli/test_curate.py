"""``kdzoo curate`` as a user calls it: what it leaves out and in, kills and resumes, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdzoo.cli.main import main
from kdzoo.zoo import load_model, save_model

TOP = 5


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((32, 32), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """val/ with 8 images of two classes; photos/ with 40 others, two altered copies and a broken file; a teacher."""
    root = tmp_path_factory.mktemp("curate")
    for index in range(8):
        path = root / "data/val" / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(index).save(path)
    photos = root / "photos/deep"
    photos.mkdir(parents=True)
    for index in range(40):
        picture(100 + index).save(photos / f"{index:02d}.png")
    picture(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "photos/copy-mirrored.jpg", quality=80)
    picture(4).resize((48, 48)).save(root / "photos/copy-resized.jpg", quality=80)
    (root / "photos/broken.jpg").write_bytes(b"\xff\xd8 no image")
    teacher = load_model("cifar_resnet8", pretrained=False, num_classes=2, seed=1)
    teacher.class_names = ("cat", "dog")
    save_model(teacher, root / "teacher", provenance={})
    return root


def arguments(place: Path, out: Path, *extra: str) -> list[str]:
    return [
        *("curate", "--unlabeled", str(place / "photos"), "--against", str(place / "data")),
        *("--teacher", f"local-dir:{place / 'teacher'}", "--out", str(out), "--top", str(TOP), "--batch-size", "4"),
        *("--workers", "0", "--device", "cpu", *extra),
    ]


def results(out: Path) -> dict[str, bytes]:
    """The files that must not depend on kills."""
    names = ("manifest.jsonl", "near_duplicates.jsonl", "unreadable.jsonl")
    state = ("state/scores.bin", "state/pairs.bin")
    return {name: (out / name).read_bytes() for name in (*names, *state)}


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Path:
    out = place / "undisturbed"
    assert main(arguments(place, out)) == 0
    return out


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_copies_are_left_out_and_the_best_of_each_class_are_in(undisturbed: Path, place: Path) -> None:
    head, *rows = lines(undisturbed / "manifest.jsonl")
    assert head["root"] == str(place / "photos")
    assert head["class_names"] == ["cat", "dog"]
    assert head["num_images"] == len(rows)
    for label in (0, 1):
        scores = [row["score"] for row in rows if row["class"] == label]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= TOP
    assert all(row["id"].startswith("deep/") and 0.5 <= row["score"] <= 1 for row in rows)
    pairs = {(pair["id"], pair["evaluation_id"]) for pair in lines(undisturbed / "near_duplicates.jsonl")}
    assert pairs == {("copy-mirrored.jpg", "dog/3.png"), ("copy-resized.jpg", "cat/4.png")}
    assert [line["id"] for line in lines(undisturbed / "unreadable.jsonl")] == ["broken.jpg"]


def test_the_page_shows_the_pairs_and_loads_nothing(undisturbed: Path) -> None:
    page = (undisturbed / "near_duplicates.html").read_text()
    assert page.count('src="data:image/png;base64,') == 4
    assert "copy-mirrored.jpg" in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


def run_until(place: Path, out: Path, due: Callable[[], bool], number: int) -> int:
    """Run the command, send it a signal as soon as ``due``, and return its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, *arguments(place, out, "--resume")],
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 400
    while not due() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=400)


# The command with a commit after every step, each step slow enough to be hit.
_SLOW = """
import sys, time
from kdzoo.engine import curation_stages
from kdzoo.engine.curation_state import CurationState
commit = CurationState.commit
def slow(self, *rest):
    commit(self, *rest)
    time.sleep(0.15)
CurationState.commit = slow
curation_stages._COMMIT_EVERY_S = 0
from kdzoo.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def progress(out: Path) -> tuple[str, int]:
    try:
        document = json.loads((out / "state/progress.json").read_text())
    except (OSError, ValueError):
        return "", 0
    return document["stage"], document["position"]


@pytest.mark.slow
def test_killed_in_every_stage_it_ends_with_the_same_bytes(undisturbed: Path, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    places: list[tuple[Callable[[], bool], int]] = [
        (lambda: progress(out) >= ("score", 2), signal.SIGKILL),
        (lambda: progress(out) >= ("score", 5), signal.SIGTERM),
        (lambda: progress(out)[0] in ("confirm", "choose"), signal.SIGKILL),
    ]
    codes = [run_until(place, out, due, number) for due, number in places]
    assert codes[:2] == [-signal.SIGKILL, 130]
    with open(out / "state/pairs.bin", "ab") as file:
        file.write(b"half a rec")  # written, not committed
    done = subprocess.run(
        [sys.executable, "-m", "kdzoo", *arguments(place, out, "--resume", "--json")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["num_duplicates"] == 2
    assert results(out) == results(undisturbed)


def refused(kdzoo: Callable[..., Any], *call: str) -> str:
    """The error's two lines."""
    outcome = kdzoo(*call)
    assert outcome.code != 0
    said = [line for line in outcome.err.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.split(":")[0] for line in said] == ["error", "hint"], outcome.err
    return "\n".join(said)


def test_a_folder_with_no_image_is_refused(kdzoo: Callable[..., Any], place: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    call = arguments(place, tmp_path / "out")
    call[2] = str(tmp_path / "empty")
    assert f"no images under {tmp_path / 'empty'}" in refused(kdzoo, *call)


def test_a_missing_library_says_how_to_get_it(
    kdzoo: Callable[..., Any], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "cv2" else find(name, *rest))
    said = refused(kdzoo, *arguments(place, tmp_path / "out"))
    assert "pip install 'kdzoo[curation]'" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_or_of_other_settings_is_refused(
    kdzoo: Callable[..., Any], place: Path, undisturbed: Path
) -> None:
    before = results(undisturbed)
    assert "already holds a curation" in refused(kdzoo, *arguments(place, undisturbed))
    said = refused(kdzoo, *arguments(place, undisturbed, "--resume", "--similarity", "0.9"))
    assert "begun with another similarity: 0.7, now 0.9" in said
    assert results(undisturbed) == before


def test_the_evaluation_images_own_folder_is_refused(kdzoo: Callable[..., Any], place: Path, tmp_path: Path) -> None:
    call = arguments(place, tmp_path / "out")
    call[2] = str(place / "data")
    assert "the evaluation images lie in" in refused(kdzoo, *call)


@pytest.mark.parametrize("name", ["evaluation.bin", "scores.bin"])
def test_a_damaged_state_is_refused(kdzoo: Callable[..., Any], place: Path, undisturbed: Path, name: str) -> None:
    path = undisturbed / "state" / name
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    try:
        assert "is damaged" in refused(kdzoo, *arguments(place, undisturbed, "--resume"))
    finally:
        path.write_bytes(content)


def test_another_top_chooses_anew_from_the_stored_scores(
    kdzoo: Callable[..., Any], place: Path, undisturbed: Path
) -> None:
    before = results(undisturbed)
    outcome = kdzoo(*arguments(place, undisturbed, "--resume", "--top", "2", "--json"))
    assert outcome.code == 0, outcome.err
    counts = json.loads(outcome.out)["class_counts"]
    assert max(counts.values()) == 2
    assert kdzoo(*arguments(place, undisturbed, "--resume")).code == 0
    assert results(undisturbed) == before


def test_images_are_read_as_the_spec_says(kdzoo: Callable[..., Any], place: Path, tmp_path: Path) -> None:
    sideways = Image.Exif()
    sideways[0x0112] = 6
    (tmp_path / "photos").mkdir()
    copy = picture(3).transpose(Image.Transpose.ROTATE_90)  # upright it is an evaluation image
    copy.save(tmp_path / "photos/copy.jpg", quality=90, exif=sideways)
    left_out = {}
    for spec in ("", "@exif=apply"):
        call = arguments(place, tmp_path / f"out{spec}", "--json")
        call[2] = f"{tmp_path / 'photos'}{spec}"
        outcome = kdzoo(*call)
        assert outcome.code == 0, outcome.err
        left_out[spec] = json.loads(outcome.out)["num_duplicates"]
        assert lines(tmp_path / f"out{spec}/manifest.jsonl")[0].get("reading", "") == spec
    assert left_out == {"": 0, "@exif=apply": 1}
    call[2] = str(tmp_path / "photos")
    assert "begun with another unlabeled" in refused(kdzoo, *call, "--resume")
