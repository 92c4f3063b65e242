"""No kill strands a run: every verb that writes is killed at each of its points, and ends with the same bytes after it.

A verb's points are counted on one small run (see ``points.py``); then a real process is killed at each in turn, before
what it was about to do and with half of what it was writing, and the same command is given again. ``pytest -m slow
tests/kills -s`` prints each verb's count. ``KDZOO_KILLS_EVERY=5`` takes each fifth point.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_masks import write_pairs
from drawn_shapes import write_coco
from finished_run import make_run
from fork_server import ForkServer
from hub_copies import write_copy
from PIL import Image
from quick_detection import QUICK as QUICK_DETECTION
from quick_segmentation import QUICK as QUICK_SEGMENTATION
from transfer_trees import TREES

from kdzoo.cli.main import main
from kdzoo.zoo import load_model, save_model
from kdzoo.zoo.generators import save_generator
from kdzoo.zoo.networks.conditional_generator import ConditionalGenerator

pytestmark = pytest.mark.slow

_WALK = Path(__file__).with_name("walk.py")
_MACHINE = ("--workers", "0", "--device", "cpu")
_SHORT = ("--epochs", "2", "--batch-size", "8", "--image-size", "16", *_MACHINE, "--out", "run")
_ONE = ("--epochs", "1")
_TEACHER = ("--teacher", "@TEACHER", "--trust-teacher", "--variant", "small_images", "--data", "@DATA")
_TRANSFER = ("--backbone", "@TEACHER", *_MACHINE, "--out", "run")


def images(root: Path, train: int = 8, val: int = 4) -> Path:
    """Two classes of noise, one dark and one bright."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for name, offset in (("bright", 100), ("dark", 0)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count // 2):
                pixels = rng.integers(offset, offset + 150, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read; ``@NAME`` in their words."""
    root = tmp_path_factory.mktemp("inputs")
    images(root / "DATA")
    images(root / "MANY", train=64)
    save_model(load_model("cifar_resnet8", num_classes=2, seed=1), root / "TEACHER", provenance={})
    save_model(load_model("test_resnet", pretrained=False, num_classes=7, seed=1), root / "LARGE", provenance={})
    generator = ConditionalGenerator(image_size=16, num_classes=2, latent_features=4, width=4)
    save_generator(generator, root / "GENERATOR", provenance={})
    make_run(root / "RUN")
    TREES["dtd"](root / "DTD")
    write_coco(root / "COCO", train=2, val=1, size=(64, 56), most=2, sizes=(20, 40))
    write_pairs(root / "MASKS")
    write_copy(root / "COPY", train=2, test=1)
    for index in range(6):
        picture(root / "PHOTOS" / f"{index}.png", index)
    shutil.copy(root / "DATA" / "val" / "dark" / "0.png", root / "PHOTOS" / "copy.png")
    (root / "PHOTOS" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    return root


def picture(path: Path, seed: int) -> None:
    """Something to compare closely."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    coarse.resize((32, 32), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KDZOO_") and name != "KDZOO_KILLS_EVERY"]:
        monkeypatch.delenv(name)


class Walk:
    """Walks commands through their points, each in a working folder of its own."""

    def __init__(self, server: ForkServer, inputs: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server, self.inputs, self.folder, self.capsys = server, inputs, folder, capsys
        self.start = folder / "start"
        self.start.mkdir()

    def __call__(self, verb: str, *command: str, resumes: bool = True, **constants: Any) -> None:
        """Every point of a command ends in the same bytes.

        Args:
            verb: For what is said.
            command: Arguments of kdzoo; ``@NAME`` is an input.
            resumes: Whether the verb has --resume.
            constants: Module attributes to set, ``__`` for the dot.
        """
        given = [word.replace("@", f"{self.inputs}/") for word in command]
        plan = {
            "verb": verb,
            "command": given,
            "start": str(self.start),
            "work": str(self.folder / "work"),
            "resumes": resumes,
            "constants": {name.replace("__", "."): value for name, value in constants.items()},
            "every": int(os.environ.get("KDZOO_KILLS_EVERY", "1")),
        }
        (self.folder / "plan.json").write_text(json.dumps(plan))
        outcome = self.server.run(_WALK, self.folder / "plan.json", timeout=1800, check=False)
        with self.capsys.disabled():
            print(f"\n{outcome.stdout.strip()}")
        assert outcome.returncodes == (0,), outcome.stdout + outcome.stderr[-3000:]


@pytest.fixture
def walk(fork_server: ForkServer, inputs: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Walk]:
    """In memory where there is such a place: what is synced survives a power cut, which no test here makes."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Walk(fork_server, inputs, Path(folder), capsys)


def test_train(walk: Walk) -> None:
    walk("train", "train", "--model", "cifar_resnet8", "--data", "@DATA", *_SHORT)


def test_train_a_generator(walk: Walk) -> None:
    walk(
        "train class_gan",
        "train",
        "--recipe",
        "class_gan",
        "--model",
        "class_discriminator_tiny",
        "--data",
        "@DATA",
        *_SHORT,
        *_ONE,
    )


def test_distill_with_stages(walk: Walk) -> None:
    walk("distill ssld", "distill", "--recipe", "ssld", "--student", "cifar_resnet8", *_TEACHER, *_SHORT, *_ONE)


def test_label(walk: Walk) -> None:
    words = ("label", "--recipe", "meal_v2", *_TEACHER, *_SHORT)
    walk("label", *words, kdzoo__engine__labelling___COMMIT_EVERY_S=0)


def test_curate(walk: Walk) -> None:
    words = ("curate", "--unlabeled", "@PHOTOS", "--against", "@DATA", "--teacher", "@TEACHER", "--batch-size", "4")
    constant = {"kdzoo__engine__curation___COMMIT_EVERY_S": 0}
    walk("curate", *words, "--similarity", "0.3", *_MACHINE, "--out", "run", **constant)


def test_eval(walk: Walk) -> None:
    words = ("eval", "@TEACHER", "--on", "@DATA", "--batch-size", "2", "--trust-classes", *_MACHINE)
    walk("eval", *words, resumes=False)


def test_predict(walk: Walk) -> None:
    words = ("predict", "@TEACHER", "@PHOTOS", "--batch-size", "2", *_MACHINE, "--out", "answers.csv")
    walk("predict", *words, resumes=False, kdzoo__evaluation__prediction__files___COMMIT_EVERY=1)


@pytest.mark.parametrize(
    ("data", "quick", "out"),
    [
        ("coco:COCO", (*QUICK_DETECTION, "--set=score_threshold=0"), "boxes.csv"),
        ("masks:MASKS", (*QUICK_SEGMENTATION, "--engine", "torchvision"), "masks"),
    ],
)
def test_predict_dense(
    walk: Walk, inputs: Path, data: str, quick: tuple[str, ...], out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    trained = [*quick, "--iterations", "1", "--batch-size", "2", "--out", str(inputs / out)]
    assert main(["transfer", data, "--backbone", "LARGE", *trained]) == 0
    words = ("predict", f"@{out}", "@PHOTOS", *_MACHINE, "--out", out, "--drawn", "shown", "--drawn-images", "2")
    walk(f"predict {out}", *words, resumes=False, kdzoo__evaluation__prediction__files___COMMIT_EVERY=1)


@pytest.mark.parametrize("mode", ["linear", "finetune"])
def test_transfer_classes(walk: Walk, mode: str) -> None:
    length = ("--image-size", "32", "--epochs", "1", "--batch-size", "9", "--seeds", "1")
    walk(f"transfer {mode}", "transfer", "dtd:@DTD", "--mode", mode, *length, *_TRANSFER)


def test_transfer_detection(walk: Walk) -> None:
    quick = [*QUICK_DETECTION, "--set=checkpoint_every=1"]
    quick[quick.index("--iterations") + 1] = "2"
    quick[quick.index("--batch-size") + 1] = "2"
    walk("transfer detection", "transfer", "coco:@COCO", "--backbone", "@LARGE", *quick, "--out", "run")


def test_transfer_segmentation(walk: Walk) -> None:
    quick = [*QUICK_SEGMENTATION, "--engine", "torchvision"]
    quick[quick.index("--iterations") + 1] = "2"
    quick[quick.index("--batch-size") + 1] = "2"
    walk("transfer segmentation", "transfer", "masks:@MASKS", "--backbone", "@LARGE", *quick, "--out", "run")


def test_data_unpack(walk: Walk) -> None:
    walk("data unpack", "data", "unpack", "@COPY", "run", resumes=False)


def test_data_unpack_into_a_link(walk: Walk) -> None:
    (walk.start / "disk").mkdir()
    (walk.start / "run").symlink_to("disk")
    walk("data unpack into a link", "data", "unpack", "@COPY", "run", resumes=False)


def test_data_pack(walk: Walk) -> None:
    walk("data pack", "data", "pack", "@DATA", "run", "--images-per-shard", "3", resumes=False)


def test_data_generate(walk: Walk) -> None:
    walk("data generate", "data", "generate", "@GENERATOR", "run", "--num-images", "4", resumes=False)


@pytest.mark.parametrize(("form", "suffix"), [("safetensors", "safetensors"), ("torch-export", "pt2")])
def test_export(walk: Walk, form: str, suffix: str) -> None:
    walk(f"export {form}", "export", "@RUN", "--format", form, "--out", f"model.{suffix}", resumes=False)


def test_publish(walk: Walk) -> None:
    words = ("publish", "@RUN", "--repo", "org/name", "--dry-run", "--out", "run")
    walk("publish --dry-run", *words, resumes=False)


def test_publish_over_an_earlier_one(walk: Walk) -> None:
    save_model(load_model("cifar_resnet8", num_classes=2, seed=1), walk.start / "run", provenance={})
    words = ("publish", "@RUN", "--repo", "org/name", "--dry-run", "--out", "run")
    walk("publish --dry-run over an earlier one", *words, resumes=False)


def test_recipes_copy(walk: Walk) -> None:
    walk("recipes copy", "recipes", "copy", "meal_v2", "mine.yaml", "--force", resumes=False)


def test_reproduce(walk: Walk) -> None:
    words = ("reproduce", "xcl", "S1", "--scale", "small", "--data", "@MANY", "--epochs", "1", "--row", "ERM")
    walk("reproduce", *words, "--device", "cpu", "--out", "run")


def test_a_killed_process_among_several_is_one_line(inputs: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    outcome = fork_server.run(_WALK.with_name("killed_rank.py"), inputs / "DATA", tmp_path / "run")
    codes, said, resumed = outcome.stdout.split("-----\n")
    assert codes == "[1, -9]\n"
    errors = [line for line in said.splitlines() if line.startswith(("error:", "hint:", "Traceback"))]
    assert errors[0] == "error: another process of this run has ended"
    assert "--resume" in errors[1]
    assert resumed.endswith("[0, 0]\n")
