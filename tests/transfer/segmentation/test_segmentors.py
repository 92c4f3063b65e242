"""What engines build: the backbone's own weights, mmsegmentation's own heads, what is left out."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import torch

from kdzoo.base.errors import UsageError
from kdzoo.transfer.dense.engines import EngineChoice
from kdzoo.transfer.dense.plan import DenseRequest
from kdzoo.transfer.segmentation import make_plan
from kdzoo.transfer.segmentation.engines import PINS, choose_engine, install_lines, make_engine, why_no_mmseg
from kdzoo.transfer.segmentation.segmentor import Segmentor, dense_backbone
from kdzoo.transfer.segmentation.settings import SegmentationSettings, resolve_settings
from kdzoo.zoo import load_model

IMAGES = torch.linspace(-2, 2, 2 * 3 * 64 * 96).reshape(2, 3, 64, 96)
SMALL = {"channels": 16, "aux_channels": 8, "low_channels": 8, "ocr_channels": 8, "output_stride": 16}


def build(engine: str, head: str, model: str = "test_resnet", change: str | None = None, **own: Any) -> Segmentor:
    loaded = load_model(model, pretrained=False, num_classes=7, seed=3)
    if change is not None:
        with torch.no_grad():
            loaded.model.get_parameter(change)[0] += 1
    settings = SegmentationSettings(head=head, **{**SMALL, **own})
    return make_engine(EngineChoice(engine, "")).build(loaded, settings, 5, 0)


@pytest.mark.parametrize("head", ["fcn", "deeplabv3plus", "ocrnet"])
def test_weights_really_arrive(head: str, engine: str) -> None:
    if head == "ocrnet" and engine == "torchvision":
        with pytest.raises(UsageError, match="OCRNet"):
            build(engine, head)
        return
    given = load_model("test_resnet", pretrained=False, num_classes=7, seed=3).model.state_dict()
    shortcut = next(name for name, value in given.items() if name.startswith("layer2.0.downsample") and value.ndim == 4)
    segmentor, changed = build(engine, head), build(engine, head, change=shortcut)
    prefix = "backbone.network."
    kept = {
        name.removeprefix(prefix): value
        for name, value in segmentor.model.state_dict().items()
        if name.startswith(prefix)
    }
    assert set(segmentor.unused) == {"fc.weight", "fc.bias"}
    assert set(kept) | set(segmentor.unused) == set(given)
    assert all(torch.equal(value, given[name]) for name, value in kept.items())
    different = [
        name
        for name, value in segmentor.model.state_dict().items()
        if not torch.equal(value, changed.model.state_dict()[name])
    ]
    assert different == [prefix + shortcut]
    with torch.no_grad():
        mine, theirs = (one.logits(one.model.eval(), IMAGES) for one in (segmentor, changed))
    assert mine.shape == (2, 5, 64, 96)
    assert not torch.equal(mine, theirs)
    learning = {name for name, value in segmentor.model.named_parameters() if name.startswith(prefix)}
    assert set(segmentor.stage_of) == learning
    labels = torch.zeros(2, 64, 96, dtype=torch.int64)
    losses = segmentor.losses(segmentor.model.train(), IMAGES, labels)
    assert len(losses) == 2
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in segmentor.model.parameters())


def test_heads_start_from_the_seed(engine: str) -> None:
    one, same = build(engine, "fcn"), build(engine, "fcn")
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), same.model.parameters(), strict=True))


def test_an_hrnets_branches() -> None:
    reference = load_model("hrnet_w18_small", pretrained=False, seed=3).model.eval()
    own = reference.state_dict()
    dense = dense_backbone(
        load_model("hrnet_w18_small", pretrained=False, seed=3), SegmentationSettings(head="fcn", output_stride=8)
    )
    with torch.no_grad():
        stem = reference.act2(reference.bn2(reference.conv2(reference.act1(reference.bn1(reference.conv1(IMAGES))))))
        expected = reference.stages(stem)
        maps = dense.body.eval()(IMAGES)
    for mine, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert [level.stride for level in dense.body.levels] == [4, 8, 16, 32]
    assert dense.branched
    kept = {name.removeprefix("network.") for name in dense.body.state_dict()}
    assert kept | set(dense.unused) == set(own)
    assert kept.isdisjoint(dense.unused)


@pytest.mark.parametrize(
    ("file", "head", "model"),
    [
        ("fcn_r50-d8", "fcn", "resnet50d"),
        ("deeplabv3plus_r50-d8", "deeplabv3plus", "resnet50d"),
        ("ocrnet_r50-d8", "ocrnet", "resnet50d"),
        ("fcn_hr18", "fcn", "hrnet_w18"),
        ("ocrnet_hr18", "ocrnet", "hrnet_w18"),
    ],
)
def test_heads_are_mmsegmentations_own(file: str, head: str, model: str, mmseg: None) -> None:
    """Against the configuration files that the package carries, entry by entry."""
    from kdzoo.transfer.segmentation.mmseg_engine import model_config
    from kdzoo.transfer.segmentation.mmseg_import import mmengine
    from kdzoo.transfer.segmentation.mmseg_import import mmseg as package

    path = Path(package.__file__).parent / ".mim" / "configs" / "_base_" / "models" / f"{file}.py"
    theirs = mmengine.Config.fromfile(str(path)).model
    settings = resolve_settings("cityscapes", given={"head": (head, "test")}).settings
    mine = model_config(dense_backbone(load_model(model, pretrained=False), settings), settings, 19)
    assert mine["type"] == theirs["type"]
    assert ("auxiliary_head" in mine) == ("auxiliary_head" in theirs)
    assert mine["test_cfg"] == theirs["test_cfg"]
    for name in ("decode_head", "auxiliary_head"):
        heads = [one[name] if isinstance(one[name], list) else [one[name]] for one in (mine, theirs) if name in one]
        for own, published in zip(*heads, strict=True) if heads else ():
            own = {key: value for key, value in own.items() if key not in ("norm_cfg", "ignore_index")}
            assert own == {key: value for key, value in published.items() if key != "norm_cfg"}


def test_published_settings_are_the_files_own(mmseg: None) -> None:
    from kdzoo.transfer.segmentation.mmseg_import import mmengine
    from kdzoo.transfer.segmentation.mmseg_import import mmseg as package

    base = Path(package.__file__).parent / ".mim" / "configs" / "_base_"
    for task, file in (("cityscapes", "cityscapes"), ("ade20k", "ade20k"), ("voc2012", "pascal_voc12")):
        data = mmengine.Config.fromfile(str(base / "datasets" / f"{file}.py"))
        steps = {step["type"]: step for step in data.train_pipeline}
        own = resolve_settings(task).settings
        assert own.crop == tuple(steps["RandomCrop"]["crop_size"])
        assert own.cat_max_ratio == steps["RandomCrop"]["cat_max_ratio"]
        assert own.scale == tuple(steps["RandomResize"]["scale"])
        assert own.factors == tuple(steps["RandomResize"]["ratio_range"])
        assert own.flip == steps["RandomFlip"]["prob"]
        assert own.test_scale == tuple(data.test_pipeline[1]["scale"])
        assert own.batch_size % data.train_dataloader["batch_size"] == 0
    for name in ("20k", "40k", "80k", "160k", "320k"):
        schedule = mmengine.Config.fromfile(str(base / "schedules" / f"schedule_{name}.py"))
        own = resolve_settings("cityscapes", schedule=name).settings
        optimizer, rate = schedule.optimizer, schedule.param_scheduler[0]
        assert own.iterations == schedule.train_cfg["max_iters"] == rate["end"]
        assert (own.lr, own.momentum, own.weight_decay) == (
            optimizer["lr"],
            optimizer["momentum"],
            optimizer["weight_decay"],
        )
        assert (own.power, own.lr_end) == (rate["power"], rate["eta_min"])


def test_the_rate_is_mmengines(mmseg: None) -> None:
    """Apart from its last step: mmengine's ends one iteration before the run does."""
    from kdzoo.transfer.dense import IterationSchedule
    from kdzoo.transfer.segmentation import mmseg_import  # noqa: F401

    PolyLR = import_module("mmengine.optim").PolyLR
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    theirs = PolyLR(optimizer, eta_min=1e-4, power=0.9, begin=0, end=1001, by_epoch=False)
    mine = IterationSchedule(iterations=1000, name="poly", power=0.9, final=0.01)
    optimizer.step()
    for iteration in range(1000):
        assert 0.01 * mine.factor(iteration) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        theirs.step()


@pytest.mark.parametrize(
    ("backbone", "baseline", "words"),
    [
        ("hrnet_w18_small", None, "512x1024, strides 4 to 32, train"),
        ("hrnet_w18_small", "resnet18", "512x1024, output stride 8 (the HRNet's 4 to 32), train"),
        ("resnet18", None, "512x1024, output stride 8, train"),
    ],
)
def test_the_protocol_names_an_hrnets_own_strides(backbone: str, baseline: str | None, words: str) -> None:
    request = DenseRequest(task="cityscapes", backbone=backbone, baseline=baseline, engine="torchvision")
    assert words in make_plan(request).line()


def test_one_line_brings_what_the_tests_were_run_with() -> None:
    extra = [line.split(";")[0] for line in requires("kdzoo") or () if 'extra == "segmentation"' in line]
    assert tuple(extra) == PINS
    assert install_lines() == ["pip install 'kdzoo[segmentation]'"]


def test_what_runs_instead_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdzoo.transfer.dense.engines.importlib.util.find_spec", lambda name: None)
    assert why_no_mmseg() == "mmsegmentation is not installed"
    choice = choose_engine("auto", "fcn")
    assert choice.name == "torchvision"
    assert choice.install == tuple(install_lines())
    for name, head in (("mmseg", "fcn"), ("auto", "ocrnet"), ("torchvision", "ocrnet")):
        with pytest.raises(UsageError) as caught:
            choose_engine(name, head)
        assert "[segmentation]" in str(caught.value.hint)
        assert "runs now" in str(caught.value.hint)
