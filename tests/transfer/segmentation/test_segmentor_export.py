"""``kdzoo export`` of a segmentor: mmsegmentation without kdzoo, and onnxruntime, see what the run's network sees."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from drawn_masks import draw
from PIL import Image
from quick_segmentation import QUICK
from without_kdzoo import run_its_lines

import kdzoo
from kdzoo.cli.main import main

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture
def train(shapes: str, make_student: Callable[..., str]) -> Callable[..., Path]:
    """A segmentor; its backbone is gone then."""

    def make(architecture: str, head: str, engine: str, *more: str) -> Path:
        student = make_student("one", architecture=architecture)
        quick = ["--set=crop=32,64" if one.startswith("--set=crop=") else one for one in QUICK]  # an HRNet's multiple
        arguments = ["transfer", shapes, "--backbone", student, *quick, "--head", head, "--engine", engine, *more]
        arguments[arguments.index("--iterations") + 1] = "2"
        assert main([*arguments, "--out", "out"]) == 0
        shutil.rmtree(student)
        return Path("out/backbone-seed0")

    return make


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Of the size at which it is tested."""
    Image.fromarray(draw(7, (64, 48))[0]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "head", "more"),
    [
        ("resnet18d", "fcn", ()),
        ("resnet18", "deeplabv3plus", ("--test", "slide", "--batchnorm", "frozen")),
        ("hrnet_w18_small", "ocrnet", ()),
        ("mobilenetv3_small_050", "fcn", ()),
    ],
)
def test_mmsegmentation_sees_the_same_without_kdzoo(
    architecture: str, head: str, more: tuple[str, ...], mmseg: None, train: Callable[..., Path], photo: Path
) -> None:
    run, folder = train(architecture, head, "mmseg", *more), Path("segmentor")
    made = kdzoo.export_model(str(run), "mmseg", folder)
    assert made.largest is not None
    assert made.max_difference <= 1e-4 * max(1.0, made.largest)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.py", "model.pth", "classes.txt", "README.md"}
    labels, classes = run_its_lines(
        folder, photo, "[found.pred_sem_seg.data[0].tolist(), list(model.dataset_meta['classes'])]"
    )
    (answer,) = kdzoo.predict(str(run), str(photo), workers=0)
    assert (folder / "classes.txt").read_text().split() == classes
    assert np.mean(np.array(labels) != answer.labels) < 0.005  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "file"), [("onnx", "m.onnx"), ("torch-export", "m.pt2")])
def test_a_file_sees_the_same_at_any_size(
    form: Literal["onnx", "torch-export"], file: str, engine: str, train: Callable[..., Path], photo: Path
) -> None:
    run = train("test_resnet", "deeplabv3plus", engine)
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    made = kdzoo.export_model(str(run), form, file)
    assert (made.image_size, made.batch, made.checked_on) == (None, "any", "random images of two sizes")
    pixels = (np.asarray(Image.open(photo)) / 255 - MEAN) / STD
    images = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        logits = session.run(None, {"images": images.numpy()})[0]
        assert session.get_modelmeta().custom_metadata_map["kdzoo.output"] == "logits (N, classes, H, W)"
    else:
        logits = torch.export.load(file).module()(images).detach().numpy()
    (answer,) = kdzoo.predict(str(run), str(photo), workers=0)
    assert logits.shape == (1, 3, 48, 64)
    assert np.mean(logits[0].argmax(axis=0) != answer.labels) < 0.005  # type: ignore[attr-defined]


def test_what_cannot_be_written_is_one_line(train: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    run = str(train("test_resnet", "fcn", "torchvision"))
    capsys.readouterr()
    for form, out, words in (
        ("mmseg", "segmentor", "a segmentor of the torchvision engine is not written as mmseg"),
        ("safetensors", "m.safetensors", "--format onnx or torch-export"),
        ("onnx", "m.pt2", "--out m.onnx"),
    ):
        assert main(["export", run, "--format", form, "--out", out]) == 2
        assert words in capsys.readouterr().err
    assert not Path("segmentor").exists()
    assert main(["publish", run, "--repo", "org/a", "--dry-run"]) == 2
    assert "hint: write it with kdzoo export" in capsys.readouterr().err
