"""mmsegmentation's own heads and losses, built through its registry over any backbone.

Its model is trained by kdzoo's loop for dense tasks rather than by mmengine's Runner: the data order, the views and the
schedule are then the same for every engine and for a backbone and its baseline, and a run that was killed goes on to
the same bytes, which the Runner's random states do not give.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ...data.segmentation import IGNORED
from ...zoo import LoadedModel, seeded
from .mmseg_import import MODELS, MMLogger, PixelData, SegDataSample, mmseg
from .segmentor import DenseBackbone, Segmentor, dense_backbone
from .settings import SegmentationSettings

NORM = {
    "type": "BN",
    "requires_grad": True,
}  # models/fcn_r50-d8.py has SyncBN: converted to it where there are several
_DROPOUT = 0.1  # models/fcn_r50-d8.py dropout_ratio
_DILATIONS = (1, 12, 24, 36)  # models/deeplabv3plus_r50-d8.py, for an output stride of 8


class MmsegEngine:
    """mmsegmentation's heads."""

    name = "mmseg"
    version = mmseg.__version__

    def build(self, loaded: LoadedModel, settings: SegmentationSettings, num_classes: int, seed: int) -> Segmentor:
        """A segmentor; see `Engine`.

        Raises:
            ModelError: The backbone does not have the maps that the head needs.
        """
        dense = dense_backbone(loaded, settings)
        config = model_config(dense, settings, num_classes)
        with seeded(seed), quiet() as said:
            model = MODELS.build({**config, "backbone": {"type": lambda: dense.body}})
            model.init_weights()

        def losses(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            samples = []
            for one in labels:
                sample = SegDataSample()
                sample.gt_sem_seg = PixelData(data=one[None])
                samples.append(sample)
            found = network.loss(images, samples)  # type: ignore[operator]
            return {name: value for name, value in found.items() if "loss" in name}

        def logits(network: nn.Module, images: Tensor) -> Tensor:
            meta = {"img_shape": images.shape[2:]}
            return network.encode_decode(images, [meta])  # type: ignore[operator]

        return Segmentor(
            model=model,
            stage_of={f"backbone.network.{name}": stage for name, stage in dense.body.stage_of.items()},
            unused=dense.unused,
            preprocessing=loaded.preprocessing,
            losses=losses,
            logits=logits,
            multiple=dense.multiple,
            notes=dense.notes,
            fixed=dense.fixed,
            documents={"mmseg.log": f"{_text(config)}\n\n{said.getvalue()}\n{model}\n"},
        )


def model_config(dense: DenseBackbone, settings: SegmentationSettings, num_classes: int) -> dict[str, Any]:
    """The model as mmsegmentation's configurations describe it, without the backbone.

    Files: models/fcn_r50-d8.py, fcn_hr18.py, deeplabv3plus_r50-d8.py, ocrnet_r50-d8.py, ocrnet_hr18.py.
    """
    channels = [level.channels for level in dense.body.levels]
    last = len(channels) - 1
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0}
    if settings.class_weights:
        loss["class_weight"] = list(settings.class_weights)
    common = {
        "num_classes": num_classes,
        "norm_cfg": NORM,
        "align_corners": False,
        "ignore_index": IGNORED,
        "loss_decode": loss,
    }
    auxiliary_loss = {**loss, "loss_weight": settings.aux_weight}
    branches = {"in_channels": channels, "in_index": tuple(range(len(channels))), "input_transform": "resize_concat"}
    narrow = {"kernel_size": 1, "num_convs": 1, "concat_input": False, "dropout_ratio": -1}
    every = {"type": "FCNHead", **common, **branches, "channels": sum(channels), **narrow}
    auxiliary = {
        "type": "FCNHead",
        **common,
        "in_channels": channels[last - 1],
        "in_index": last - 1,
        "channels": settings.aux_channels,
        "num_convs": 1,
        "concat_input": False,
        "dropout_ratio": _DROPOUT,
        "loss_decode": auxiliary_loss,
    }
    on_last = {"in_channels": channels[last], "in_index": last, "channels": settings.channels}
    whole = {"train_cfg": {}, "test_cfg": {"mode": "whole"}}
    if settings.head == "ocrnet":
        regions = {"type": "OCRHead", **common, "channels": settings.channels, "ocr_channels": settings.ocr_channels}
        if dense.branched:
            heads = [{**every, "loss_decode": auxiliary_loss}, {**regions, **branches, "dropout_ratio": -1}]
        else:
            heads = [auxiliary, {**regions, **on_last, "dropout_ratio": _DROPOUT}]
        return {"type": "CascadeEncoderDecoder", "num_stages": 2, "decode_head": heads, **whole}
    head: dict[str, Any]
    if settings.head == "deeplabv3plus":
        scale = 8 / dense.body.levels[-1].stride
        head = {
            "type": "DepthwiseSeparableASPPHead",
            **common,
            **on_last,
            "dilations": tuple(max(1, round(rate * scale)) for rate in _DILATIONS),
            "c1_in_channels": channels[0],
            "c1_channels": settings.low_channels,
            "dropout_ratio": _DROPOUT,
        }
    elif dense.branched:
        head = every
    else:
        head = {
            "type": "FCNHead",
            **common,
            **on_last,
            "num_convs": 2,
            "concat_input": True,
            "dropout_ratio": _DROPOUT,
        }
    config = {"type": "EncoderDecoder", "decode_head": head, **whole}
    if not dense.branched and settings.aux_weight > 0:
        config["auxiliary_head"] = auxiliary
    return config


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """What the framework says while it builds, as text; nothing of it on the terminal."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logger = MMLogger.get_current_instance()
    kept, logger.handlers = logger.handlers, [handler]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said):
            warnings.simplefilter("ignore")
            yield said
    finally:
        logger.handlers = kept


def _text(config: dict[str, Any]) -> str:
    import pprint

    return pprint.pformat(config, sort_dicts=False, width=120)
