"""A trained segmentor for other programs: mmsegmentation's own checkpoint and configuration, ONNX, torch.export."""

from __future__ import annotations

import dataclasses
import json
import pprint
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...base.amounts import first_few
from ...base.errors import ModelError
from ...base.writing import Content
from ...data.segmentation import IGNORED
from ...zoo import LoadedModel, seeded
from ...zoo.exporting import CheckImages, Exported, export_loaded
from ..dense.export import (
    AS_IT_IS,
    FrameworkFolder,
    refuse_form,
    require_own_network,
    weights_file,
    write_framework_folder,
)
from ..dense.trained import TrainedNetwork
from ..resnet_form import resnet_form
from .inference import at_size, padded
from .predictor import MaskPredictor, open_predictor
from .segmentor import DenseBackbone, Segmentor, dense_backbone
from .settings import SegmentationSettings

_CONFIG, _WEIGHTS = "config.py", "model.pth"
_LINES = f"""from mmseg.apis import inference_model, init_model

model = init_model("{_CONFIG}", "{_WEIGHTS}", device="cpu")  # or "cuda:0"
found = inference_model(model, "photo.jpg")  # found.pred_sem_seg.data, found.seg_logits.data
"""
_CHECKED = ((1, 3, 128, 160), (3, 3, 97, 131))


def export(run: TrainedNetwork, form: Any, out: Path) -> Exported:
    """Write a segmentor as ``form``; nothing is left where the check fails.

    Raises:
        UsageError: It cannot be written so.
        ModelError, CheckpointError: It cannot be built here, its weights are damaged, or the check fails.
        RunError: It cannot be written.
    """
    refuse_form(run, form, {"mmseg": "mmseg", "onnx": "any", "torch-export": "any"})
    predictor = open_predictor(run)
    if form != "mmseg":
        return _export_network(run, predictor, form, out)
    return write_framework_folder(run, predictor, _folder(run, predictor), out)


class _Logits(nn.Module):
    """A segmentor as one function of normalised images of any size, for the exporters."""

    def __init__(self, segmentor: Segmentor) -> None:
        super().__init__()
        self.model, self.segmentor = segmentor.model, segmentor

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, C, H, W)."""
        return padded(partial(self.segmentor.logits, self.model), images, self.segmentor.multiple)


def _export_network(run: TrainedNetwork, predictor: MaskPredictor, form: Any, out: Path) -> Exported:
    segmentor, own = predictor.network, predictor.settings
    loaded = LoadedModel(
        reference=str(run.folder),
        architecture=f"{own.head} of {run.engine} over {run.backbone().architecture}",
        model=_Logits(segmentor),
        preprocessing=dataclasses.replace(segmentor.preprocessing, image_size=96, image_width=128),
        num_classes=len(run.class_names),
        class_names=run.class_names,
    )
    record = {
        "task": run.kind,
        "input": "RGB images in [0, 1], normalised with mean and std, (N, 3, H, W)",
        "output": "logits (N, classes, H, W)",
        "test_scale": json.dumps(own.test_scale),
        "colours": json.dumps(run.colours),
    }
    with seeded(0):
        images = CheckImages([torch.randn(size) for size in _CHECKED], "random images of two sizes")
    return export_loaded(loaded, form, out, images=images, any_size=record)


def _folder(run: TrainedNetwork, predictor: MaskPredictor) -> FrameworkFolder:
    from .mmseg_engine import MmsegEngine, model_config, quiet
    from .mmseg_import import MODELS

    own, loaded = predictor.settings, run.backbone()
    dense = dense_backbone(run.backbone(), own)
    backbone = require_own_network(
        _backbone(loaded, dense, own), loaded.architecture, "mmsegmentation", "ResNets and what timm dilates as it does"
    )
    config = {**model_config(dense, own, len(run.class_names)), "backbone": backbone}
    with quiet():
        theirs = MODELS.build(config)
    theirs.load_state_dict(_renamed(predictor.network.model.state_dict(), theirs.state_dict(), loaded.architecture))
    config["data_preprocessor"] = {
        "type": "SegDataPreProcessor",
        **{name: [255 * value for value in getattr(loaded.preprocessing, name)] for name in ("mean", "std")},
        "bgr_to_rgb": True,
        "pad_val": 0,
        "seg_pad_val": IGNORED,
    }
    slides = own.test_mode == "slide"
    if slides:
        config["test_cfg"] = {"mode": "slide", "crop_size": own.crop, "stride": own.window_stride()}
    if dense.multiple > 1:
        padding = {"size": own.crop} if slides else {"size_divisor": dense.multiple}
        config["data_preprocessor"]["test_cfg"] = padding
    resize = [{"type": "Resize", "scale": own.test_scale, "keep_ratio": True}] if own.test_scale else []
    pipeline = [{"type": "LoadImageFromFile"}, *resize, {"type": "PackSegInputs"}]

    def compare(folder: Path, image: np.ndarray) -> tuple[float, float]:
        from mmseg.apis import inference_model, init_model

        with quiet():
            model = init_model(str(folder / _CONFIG), str(folder / _WEIGHTS), device="cpu")
            found = inference_model(model, np.ascontiguousarray(image[:, :, ::-1])).seg_logits.data
        shown = predictor.view(Image.fromarray(image))
        with torch.no_grad():
            ours = predictor.logits(predictor.network.model.eval(), shown, torch.device("cpu"))
        ours = at_size(ours, shown.size)[0]
        if found.shape != ours.shape:
            return float("inf"), 0.0
        return float((found - ours).abs().max()), float(ours.abs().max())

    values = {"default_scope": "mmseg", "model": config, "test_pipeline": pipeline}
    names = {"classes": run.class_names, "palette": [list(colour) for colour in run.colours]}
    files: dict[str, Content] = {
        _WEIGHTS: weights_file(theirs, "state_dict", meta={"dataset_meta": names}),
        _CONFIG: "\n\n".join(
            f"{name} = {pprint.pformat(value, 1, 120, sort_dicts=False)}" for name, value in values.items()
        ),
    }
    return FrameworkFolder(
        form="mmseg", reader=f"mmsegmentation {MmsegEngine.version}", files=files, lines=_LINES, compare=compare
    )


def _backbone(loaded: LoadedModel, dense: DenseBackbone, own: SegmentationSettings) -> dict[str, Any] | None:
    """A backbone as mmsegmentation's configurations describe it; None where it cannot build it.

    Files: models/fcn_r50-d8.py; mmseg/models/backbones/resnet.py, timm_backbone.py.
    """
    from .mmseg_engine import NORM

    network: Any = loaded.model
    form, strides = resnet_form(network), [level.stride for level in dense.body.levels]
    if form is not None and form.stem in ((), (32, 32, 64)):
        return {
            "type": "ResNet",
            "depth": form.depth,
            "deep_stem": bool(form.stem),
            "avg_down": form.pooled_shortcuts,
            "strides": (1, *(stride // finer for finer, stride in pairwise(strides))),
            "dilations": tuple(2 ** (level.stage + 1) // level.stride for level in dense.body.levels),
            "contract_dilation": True,
            "norm_cfg": NORM,
            "norm_eval": own.batchnorm == "frozen",
        }
    if dense.fixed or not type(network).__module__.startswith("timm."):
        return None
    common = {"type": "TIMMBackbone", "model_name": loaded.architecture, "pretrained": False, **loaded.model_args}
    if dense.branched:  # mmsegmentation's own HRNet adds its branches bilinearly, timm's by the nearest
        return {**common, "feature_location": "", "out_indices": tuple(level.stage for level in dense.body.levels)}
    modules = [entry["module"] for entry in network.feature_info]
    places = tuple(modules.index(level.module) for level in dense.body.levels)
    return {**common, "out_indices": places, "output_stride": own.output_stride}


def _renamed(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """Our tensors under mmsegmentation's names.

    Raises:
        ModelError: One has no place there, or one there has no tensor.
    """
    deep = "backbone.stem.0.weight" in theirs

    def plain(name: str) -> str:
        """The same for both: timm's features_only networks write ``stages_0`` for ``stages.0``."""
        name = name.replace("backbone.network.", "backbone.").replace("backbone.timm_model.", "backbone.")
        if deep:
            name = name.replace("backbone.conv1.", "backbone.stem.").replace("backbone.bn1.", "backbone.stem.7.")
        return name.replace(".", "_")

    left = {plain(name): tensor for name, tensor in ours.items()}
    found = {name: left.pop(plain(name), None) for name in theirs}
    counts = {name for name in found if name.endswith("num_batches_tracked")}  # frozen BatchNorm has none
    missing = [name for name, tensor in found.items() if tensor is None and name not in counts]
    if missing or left:
        raise ModelError(
            f"{architecture} is another network in mmsegmentation: no counterpart of {first_few([*missing, *left], 2)}",
            hint=f"--format onnx holds the network; {AS_IT_IS}",
        )
    return {name: theirs[name] if tensor is None else tensor for name, tensor in found.items()}
