"""An ONNX file with int8 weights and activations, by onnxruntime's own static quantisation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..base.errors import ModelError
from ..base.writing import write_file
from .exporting import exporter_errors
from .onnx_files import RECORD, OnnxNetwork


class _CalibrationImages:
    """Gives onnxruntime's calibration a batch after the other."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self._batches, self.last = iter(batches), torch.empty(0)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        if batch is None:
            return None
        self.last = batch
        return {"images": batch.contiguous().numpy()}


def quantise(file: Path, out: Path, batches: Iterable[Tensor], words: str) -> None:
    """Write the int8 form of an exported file.

    Weights are signed, one scale a channel; activations unsigned, between the smallest and the largest value that the
    calibration shows. Of the weights' 8 bits 7 are used (``reduce_range``): processors without VNNI add two products in
    16 bits, which 8 bits would overflow, so that the answers would depend on the processor.

    Args:
        file: As `export_loaded` wrote it.
        out: The new file.
        batches: Normalised images, (N, channels, height, width) each.
        words: What these images are, for the file's record.

    Raises:
        ModelError: It cannot be quantised, or answers with what is no number.
        RunError: The file cannot be written.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    model = onnx.load(file)
    onnx.helper.set_model_props(
        model, {one.key: one.value for one in model.metadata_props} | {f"{RECORD}int8": f"calibrated on {words}"}
    )
    images = _CalibrationImages(batches)

    def write(new: Path) -> None:
        with exporter_errors(f"the int8 form of {file}"):
            quantize_static(
                model,
                new,
                images,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            answers = OnnxNetwork(new)(images.last)
        if not bool(torch.isfinite(answers).all()):
            raise ModelError(f"the int8 form of {file} gives no finite numbers", hint=f"use {file} itself")

    write_file(out, write)
