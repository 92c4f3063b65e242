"""The model of a measurement, in the form that results keep."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...engine.teachers import weights_sha256
from ...zoo import LoadedModel
from ...zoo.onnx_files import OnnxNetwork
from .document import MeasuredModel


def describe_model(loaded: LoadedModel, *, run: str | None = None) -> MeasuredModel:
    """What a result says of a loaded model.

    Args:
        loaded: The model; it is not changed.
        run: Its run folder.
    """
    if isinstance(loaded.model, OnnxNetwork):
        file, counted = loaded.model, loaded.model.record.get("parameters", "")
        return MeasuredModel(
            reference=loaded.reference,
            architecture=loaded.architecture,
            weights_sha256=file.sha256,
            parameters=int(counted) if counted.isdecimal() else None,
        )
    with torch.device("meta"):
        network = copy.deepcopy(loaded.model).to("meta").eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.empty(1, *loaded.preprocessing.input_size))
    return MeasuredModel(
        reference=loaded.reference,
        architecture=loaded.architecture,
        weights_sha256=weights_sha256(loaded.model),
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        macs=counter.get_total_flops() // 2,
        run=run,
    )
