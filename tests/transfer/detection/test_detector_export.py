"""``kdzoo export`` of a detector: detectron2's own predictor, without kdzoo, finds what the run's network finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_shapes import draw
from quick_detection import QUICK, needs_detectron2
from without_kdzoo import run_its_lines

import kdzoo
from kdzoo.cli.main import main


@pytest.fixture
def train(shapes: str, make_student: Callable[..., str]) -> Callable[..., Path]:
    """A detector whose boxes are all kept; its backbone is gone then."""

    def make(architecture: str, detector: str, engine: str) -> Path:
        student = make_student("one", architecture=architecture)
        arguments = ["transfer", shapes, "--backbone", student, *QUICK, "--iterations", "1", "--detector", detector]
        arguments += ["--engine", engine, "--set=score_threshold=0", "--out", "out"]
        assert main(arguments) == 0
        shutil.rmtree(student)
        return Path("out/backbone-seed0")

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "detector", "files"),
    [
        pytest.param("resnet18", "retinanet", {"config.yaml"}, marks=needs_detectron2),
        pytest.param("resnet18d", "faster_rcnn", {"config.yaml", "resnet_d.py"}, marks=needs_detectron2),
    ],
)
def test_detectron2_finds_the_same_boxes_without_kdzoo(
    architecture: str,
    detector: str,
    files: set[str],
    train: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, folder, photo = train(architecture, detector, "detectron2"), Path("detector"), Path("photo.png")
    capsys.readouterr()
    assert main(["export", str(run), "--format", "detectron2", "--out", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "one image at a time, of any size" in shown
    assert "largest difference  0.00e+00" in shown
    assert {path.name for path in folder.iterdir()} == {*files, "model_final.pth", "classes.txt", "README.md"}
    draw(7, width=90, height=70)[0].save(photo)
    found = run_its_lines(
        folder, photo, "[found.pred_boxes.tensor.tolist(), found.scores.tolist(), found.pred_classes.tolist()]"
    )
    (answer,) = kdzoo.predict(str(run), str(photo), workers=0)
    names = (folder / "classes.txt").read_text().split()
    assert len(answer.classes) > 20
    assert tuple(names[label] for label in found[2]) == answer.classes
    np.testing.assert_allclose(found[0], answer.boxes, rtol=0, atol=1e-3)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found[1], answer.probabilities, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "engine", "said"),
    [
        ("test_resnet", "torchvision", "a detector of the torchvision engine is not written as detectron2"),
        pytest.param(
            "mobilenetv3_small_050",
            "detectron2",
            "mobilenetv3_small_050 is timm's: detectron2 alone cannot build it",
            marks=needs_detectron2,
        ),
    ],
)
def test_what_cannot_be_written_is_one_line(
    architecture: str, engine: str, said: str, train: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(train(architecture, "retinanet", engine))
    for more, words in (
        ([], said),
        (["--int8"], "--int8 has no meaning"),
        (["--data", "digits"], "--data has no meaning"),
    ):
        assert main(["export", run, "--format", "detectron2", "--out", "detector", *more]) in (1, 2)
        assert words in capsys.readouterr().err
    assert not Path("detector").exists()


def test_the_backbones_file_stands_alone() -> None:
    import kdzoo.transfer.detection as room

    (folder,) = room.__path__
    text = (Path(folder) / "detectron2_resnet_d.py").read_text()
    assert "kdzoo" not in text
    assert "from ." not in text
