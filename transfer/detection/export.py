"""A trained detector as detectron2 reads it: its checkpoint and a configuration for its own DefaultPredictor."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from ...base.writing import Content
from ...zoo.exporting import Exported
from ..dense.export import FrameworkFolder, refuse_form, require_own_network, weights_file, write_framework_folder
from ..dense.trained import TrainedNetwork
from ..resnet_form import ResnetForm, resnet_form
from .predictor import BoxPredictor, open_predictor
from .settings import DetectionSettings

_WEIGHTS, _CONFIG, _BACKBONE = "model_final.pth", "config.yaml", "resnet_d.py"
_DATASET = "kdzoo_export"

_LINES = f"""import cv2
from detectron2.config import get_cfg
from detectron2.data import MetadataCatalog
from detectron2.engine import DefaultPredictor
%s
cfg = get_cfg()
cfg.merge_from_file("{_CONFIG}")
cfg.MODEL.WEIGHTS = "{_WEIGHTS}"
cfg.MODEL.DEVICE = "cpu"  # or "cuda"
MetadataCatalog.get("{_DATASET}").thing_classes = open("classes.txt").read().splitlines()
found = DefaultPredictor(cfg)(cv2.imread("photo.jpg"))["instances"]  # pred_boxes, scores, pred_classes
"""


def export(run: TrainedNetwork, form: str, out: Path) -> Exported:
    """Write a detector as ``form``; nothing is left where the check fails.

    Raises:
        UsageError: It cannot be written so.
        ModelError, CheckpointError: It cannot be built here, its weights are damaged, or the check fails.
        RunError: It cannot be written.
    """
    refuse_form(run, form, {"detectron2": "detectron2"})
    loaded = run.backbone()
    resnet = require_own_network(resnet_form(loaded.model), loaded.architecture, "detectron2", "ResNet-18 to -152")
    predictor = open_predictor(run, score_threshold=0.0)
    return write_framework_folder(run, predictor, _folder(run, resnet, predictor), out)


def _folder(run: TrainedNetwork, resnet: ResnetForm, predictor: BoxPredictor) -> FrameworkFolder:
    from . import detectron2_resnet_d
    from .detectron2_engine import Detectron2Engine, make_config

    def compare(folder: Path, image: np.ndarray) -> tuple[float, float]:
        """On every box, where a user's have the run's least score; both see the same pixels, detectron2 as BGR."""
        from detectron2.config import get_cfg
        from detectron2.engine import DefaultPredictor

        cfg = get_cfg()
        cfg.merge_from_file(str(folder / _CONFIG))
        cfg.MODEL.WEIGHTS = str(folder / _WEIGHTS)
        cfg.MODEL.RETINANET.SCORE_THRESH_TEST = cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            theirs = DefaultPredictor(cfg)(np.ascontiguousarray(image[:, :, ::-1]))["instances"]
            shown = predictor.view(Image.fromarray(image))
            ours = predictor.find(predictor.network.model.eval(), shown, torch.device("cpu"))
        if not torch.equal(theirs.pred_classes, ours.labels):
            return float("inf"), 0.0
        boxes = theirs.pred_boxes.tensor - ours.boxes
        return float(torch.cat([boxes.flatten(), theirs.scores - ours.scores, torch.zeros(1)]).abs().max()), 1.0

    cfg = make_config(run.settings(DetectionSettings), run.backbone(), len(run.class_names), resnet)
    cfg.MODEL.WEIGHTS, cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = _WEIGHTS, (), (_DATASET,)
    files: dict[str, Content] = {
        _WEIGHTS: weights_file(predictor.network.model, "model"),
        _CONFIG: yaml.safe_dump(_plain(cfg), sort_keys=False),
    }
    registering = ""
    if not resnet.is_plain:
        call = f"register(stem={resnet.stem}, pooled_shortcuts={resnet.pooled_shortcuts})"
        files[_BACKBONE] = f"{inspect.getsource(detectron2_resnet_d)}\n\n{call}\n"
        registering = f"\nimport {Path(_BACKBONE).stem}  # registers the backbone\n"
    return FrameworkFolder(
        form="detectron2",
        reader=f"detectron2 {Detectron2Engine.version}",
        files=files,
        lines=_LINES % registering,
        compare=compare,
    )


def _plain(config: Any) -> Any:
    """A configuration without tuples, which a safe reader of YAML refuses."""
    if isinstance(config, dict):
        return {name: _plain(value) for name, value in config.items()}
    return [_plain(value) for value in config] if isinstance(config, list | tuple) else config
