"""detectron2 where it is installed: converter parity, pixels, schedule, learning, resuming through the command."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from drawn_shapes import draw
from quick_detection import QUICK, needs_detectron2
from torch import nn

from kdzoo.base.errors import UsageError
from kdzoo.cli.main import main
from kdzoo.data.detection import BoxBatch
from kdzoo.transfer.dense import IterationSchedule, parameter_groups
from kdzoo.transfer.detection.detectron2_resnet import convert_resnet
from kdzoo.transfer.detection.engines import choose_engine
from kdzoo.transfer.detection.settings import DetectionSettings
from kdzoo.transfer.resnet_form import resnet_form
from kdzoo.zoo import LoadedModel, load_model

HERE = importlib.util.find_spec("detectron2") is not None


FIRST_STEPS = """
import sys, torch
from kdzoo.data.detection import BoxBatch
from kdzoo.transfer.detection.detectron2_engine import Detectron2Engine
from kdzoo.transfer.detection.settings import DetectionSettings
from kdzoo.transfer.resnet_form import resnet_form
from kdzoo.zoo import load_model

settings = DetectionSettings(detector=sys.argv[1], fpn_channels=16, box_head_width=16, proposals=50)
built = Detectron2Engine().build(load_model("resnet18", pretrained=False), settings, 3, 0)
image = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
boxes, labels = torch.tensor([[8.0, 8, 60, 70], [50, 20, 120, 90]]), torch.tensor([0, 2])
batch = BoxBatch([image], [boxes], [labels], [0], [(96, 128)])
model, found = built.model.train(), []
for _ in range(4):
    torch.manual_seed(0)
    built.extra_state[1](100.0)
    model.zero_grad(set_to_none=True)
    losses = built.losses(model, batch, torch.device("cpu"))
    torch.stack(list(losses.values())).sum().backward()
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    found.append([*(value.detach() for value in losses.values()), *gradients])
for later in found[1:]:
    print("same" if all(map(torch.equal, found[0], later)) else "other")
"""


def lively(name: str, seed: int = 0) -> LoadedModel:
    """A network whose BatchNorm does something, as a trained one's does."""
    loaded = load_model(name, pretrained=False, seed=seed)
    random = torch.Generator().manual_seed(seed)
    for module in loaded.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1, generator=random)
            nn.init.uniform_(module.running_var, 0.8, 1.2, generator=random)
            nn.init.uniform_(module.weight, 0.5, 1.0, generator=random)
            nn.init.normal_(module.bias, 0, 0.1, generator=random)
    return loaded


@pytest.mark.skipif(HERE, reason="detectron2 is installed")
def test_what_is_missing_is_said_with_the_lines_that_install_it() -> None:
    choice = choose_engine("auto")
    assert choice.name == "torchvision"
    assert "detectron2 is not installed" in choice.note
    assert any("git+https://github.com/facebookresearch/detectron2" in line for line in choice.install)
    with pytest.raises(UsageError, match="detectron2 is not installed") as raised:
        choose_engine("detectron2")
    assert "--engine torchvision runs now" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("name", "depth", "plain"),
    [
        ("resnet18", 18, True),
        ("resnet50", 50, True),
        ("resnet101", 101, True),
        ("resnet18d", 18, False),
        ("resnet50d", 50, False),
        ("resnet101d", 101, False),
    ],
)
def test_resnets_are_known_and_every_weight_has_a_name(name: str, depth: int, plain: bool) -> None:
    loaded = load_model(name, pretrained=False)
    form = resnet_form(loaded.model)
    assert form is not None
    assert (form.depth, form.is_plain) == (depth, plain)
    tensors = loaded.model.state_dict()
    converted, unused = convert_resnet(tensors, form)
    assert unused == ("fc.weight", "fc.bias")
    assert len(converted) == sum(not key.endswith("num_batches_tracked") for key in tensors) - 2


@pytest.mark.parametrize(
    "name", ["resnet10t", "resnext50_32x4d", "seresnet50", "wide_resnet50_2", "resnetblur50", "mobilenetv3_small_050"]
)
def test_what_detectron2_does_not_have_is_no_resnet_of_its(name: str) -> None:
    assert resnet_form(load_model(name, pretrained=False).model) is None


class TestDetectron2:
    """Only where detectron2 can be imported."""

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = list(needs_detectron2)

    @pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet101", "resnet18d", "resnet50d", "resnet101d"])
    def test_features_are_timms_at_every_stage(self, name: str) -> None:
        from kdzoo.transfer.detection.detectron2_engine import Detectron2Engine

        settings = DetectionSettings(detector="faster_rcnn", fpn_channels=16, box_head_width=16)
        loaded = lively(name)
        image, _ = draw(5, width=96, height=64)
        pixels = torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())
        look = loaded.preprocessing
        mean, std = (torch.tensor(values)[:, None, None] for values in (look.mean, look.std))
        normalised = ((pixels / 255 - mean) / std)[None]
        with torch.no_grad():
            expected = loaded.model.eval().forward_intermediates(normalised, intermediates_only=True)[-4:]
            detector = Detectron2Engine().build(loaded, settings, 3, 0)
            model = detector.model.eval()
            shown = model.preprocess_image([{"image": pixels}]).tensor  # type: ignore[operator]
            torch.testing.assert_close(shown, normalised, rtol=1e-4, atol=1e-4)  # order, mean and std of the pixels
            features = model.backbone.bottom_up(shown)  # type: ignore[operator, union-attr]
        for stage, own in enumerate(expected, start=2):
            difference = (features[f"res{stage}"] - own).abs().max()
            assert difference <= 1e-4 * own.abs().max().clamp(min=1), f"res{stage}"
        assert detector.unused == ("fc.weight", "fc.bias")

    def test_a_changed_weight_arrives_and_stages_are_frozen_as_asked(self) -> None:
        from kdzoo.transfer.detection.detectron2_engine import Detectron2Engine

        for name, place in (
            ("resnet18d", "backbone.bottom_up.res3.0.conv1.weight"),
            ("mobilenetv3_small_050", "backbone.bottom_up.body.network.blocks.1.0.conv_pw.weight"),
        ):
            own = "layer2.0.conv1.weight" if name == "resnet18d" else "blocks.1.0.conv_pw.weight"
            loaded = load_model(name, pretrained=False)
            with torch.no_grad():
                loaded.model.get_parameter(own).add_(1)
            wanted = loaded.model.get_parameter(own).detach().clone()
            detector = Detectron2Engine().build(loaded, DetectionSettings(fpn_channels=16, frozen_stages=2), 3, 0)
            assert torch.equal(detector.model.state_dict()[place], wanted)
            learning = {key for key, parameter in detector.model.named_parameters() if parameter.requires_grad}
            assert {stage for key, stage in detector.stage_of.items() if key in learning} == {2, 3, 4}
            assert detector.unused

    def test_settings_and_schedule_are_its_own(self) -> None:
        from detectron2.solver import build_lr_scheduler, build_optimizer

        from kdzoo.transfer.detection.detectron2_engine import Detectron2Engine, make_config
        from kdzoo.transfer.detection.detectron2_import import detectron2
        from kdzoo.transfer.detection.settings import resolve_settings

        folder = Path(detectron2.__file__).parent / "model_zoo" / "configs" / "COCO-Detection"
        from detectron2.config import get_cfg

        for detector, schedule in (
            ("retinanet", "1x"),
            ("retinanet", "3x"),
            ("faster_rcnn", "1x"),
            ("faster_rcnn", "3x"),
        ):
            settings = resolve_settings(schedule, {"detector": (detector, "test")}).settings
            loaded = load_model("resnet50", pretrained=False)
            ours = make_config(settings, loaded, 80, resnet_form(loaded.model))
            theirs = get_cfg()
            theirs.merge_from_file(str(folder / f"{detector}_R_50_FPN_{schedule}.yaml"))
            changed = _differences(ours, theirs)
            assert changed == {
                "MODEL.WEIGHTS",
                "MODEL.DEVICE",
                "MODEL.PIXEL_MEAN",
                "MODEL.PIXEL_STD",
                "MODEL.RESNETS.STRIDE_IN_1X1",
                "INPUT.FORMAT",
            }
        loaded = load_model("resnet18", pretrained=False)
        cfg = make_config(settings, loaded, 3, resnet_form(loaded.model))
        model = Detectron2Engine().build(loaded, settings, 3, 0).model
        optimizer = build_optimizer(cfg, model)
        own = parameter_groups(model, stage_of={}, weight_decay=1e-4, weight_decay_norm=0.0)
        count = sum(len(group["params"]) for group in own)
        assert count == sum(len(group["params"]) for group in optimizer.param_groups)
        scheduler = build_lr_scheduler(cfg, optimizer)
        schedule_ = IterationSchedule(
            iterations=settings.iterations,
            milestones=settings.milestones,
            warmup_iterations=settings.warmup_iterations,
            warmup_factor=settings.warmup_factor,
        )
        for iteration in (0, 1, 500, 999, 1000, 209_999, 210_001, 249_999, 250_001, 269_999):
            factor = scheduler._multiplier(iteration / settings.iterations)
            assert schedule_.factor(iteration) == pytest.approx(factor, rel=1e-6)

    @pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
    def test_the_command_trains_resumes_and_writes(
        self,
        detector: str,
        shapes: str,
        make_student: Callable[..., str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        quick = [*QUICK, "--engine", "auto", "--detector", detector]
        arguments = ["transfer", shapes, "--backbone", make_student("one"), "--baseline", make_student("two"), *quick]
        assert main([*arguments, "--out", "out", "--json"]) == 0
        shown = capsys.readouterr()
        document = json.loads(shown.out)
        assert document["engine"] == "detectron2"
        assert all(row["difference"] == 0 for row in document["metrics"])
        assert "engine: detectron2" in shown.err
        assert "yaml.unsafe_load" not in shown.err
        assert "META_ARCHITECTURE" in Path("out/backbone-seed0/detectron2.yaml").read_text()
        run = Path("out/backbone-seed0")
        whole = (run / "checkpoints" / "step-000000004.safetensors").read_bytes()
        for name in ("step-000000004.safetensors", "step-000000004.sha256"):
            (run / "checkpoints" / name).unlink()
        (run / "result.json").unlink()
        assert main([*arguments, "--out", "out", "--resume"]) == 0
        assert (run / "checkpoints" / "step-000000004.safetensors").read_bytes() == whole
        other = [argument if argument != "auto" else "torchvision" for argument in arguments]
        assert main([*other, "--out", "out", "--resume"]) == 1
        assert "engine was 'detectron2" in capsys.readouterr().err

    @pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
    def test_a_process_first_step_is_as_every_later_one(self, detector: str) -> None:
        """To the bit, losses and gradients, in a process in which nothing was scripted or called yet."""
        done = subprocess.run([sys.executable, "-P", "-c", FIRST_STEPS, detector], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["same"] * 3

    def test_an_image_without_boxes_gives_finite_losses(self) -> None:
        from kdzoo.transfer.detection.detectron2_engine import Detectron2Engine

        loaded = load_model("resnet18", pretrained=False)
        for detector in ("retinanet", "faster_rcnn"):
            settings = DetectionSettings(detector=detector, fpn_channels=16, box_head_width=16)
            built = Detectron2Engine().build(loaded, settings, 3, 0)
            image = torch.zeros(3, 64, 96, dtype=torch.uint8)
            batch = BoxBatch([image], [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)], [0], [(64, 96)])
            losses = built.losses(built.model.train(), batch, torch.device("cpu"))
            assert all(torch.isfinite(value) for value in losses.values())


def _differences(ours: object, theirs: object, path: str = "") -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(ours, "items"):
            same = list(ours) == list(theirs) if isinstance(ours, list | tuple) else ours == theirs  # type: ignore[call-overload]
            return set() if same else {path}
        found: set[str] = set()
        for key, value in ours.items():
            found |= _differences(value, theirs[key], f"{path}.{key}".lstrip("."))  # type: ignore[index]
        return found
