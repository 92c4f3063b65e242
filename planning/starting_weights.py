"""What a student's network, or the weights that it starts from, expect of an image; known without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from timm.models import get_pretrained_cfg

from ..base.errors import ModelError
from ..base.regular_files import read_json
from ..zoo.entries import ENTRIES
from ..zoo.model_folder import read_model_config
from ..zoo.preprocessing import Preprocessing, preprocessing_from_dict, preprocessing_from_timm
from ..zoo.references import Reference

_USUAL = Preprocessing(
    image_size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bicubic", crop_pct=0.875
)


@dataclass(frozen=True, kw_only=True)
class OwnInput:
    """What a network expects of an image.

    Attributes:
        image_size: Pixels.
        crop_pct: Of its evaluation.
        interpolation: Of its evaluation, or the nearest that a run can have.
        mean: Normalisation, in [0, 1]; empty where it is not known before the weights are here.
        std: As ``mean``.
        fixed: Whether its weights fit this size alone.
    """

    image_size: int
    crop_pct: float
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fixed: bool = False


def own_input(reference: Reference) -> OwnInput:
    """What a reference's network expects of an image; ImageNet's usual where nothing says."""
    architecture, found = _found(reference)
    record: Any = get_pretrained_cfg(architecture) if architecture else None
    look = found or _USUAL
    return OwnInput(
        image_size=look.image_size,
        crop_pct=look.crop_pct,
        interpolation="bilinear" if look.interpolation == "bilinear" else "bicubic",
        mean=look.mean if found is not None else (),
        std=look.std if found is not None else (),
        fixed=bool(record is not None and record.fixed_input_size),
    )


def _found(reference: Reference) -> tuple[str, Preprocessing | None]:
    """(architecture, preprocessing) as far as they stand somewhere on this machine."""
    try:
        if reference.kind in ("timm", "weights"):
            record: Any = get_pretrained_cfg(reference.timm_name)
            known = None if record is None else preprocessing_from_timm(record.to_dict(), reference.text)[0]
            return reference.architecture, known
        if reference.kind == "zoo":
            return reference.architecture, ENTRIES[reference.text].preprocessing
        if reference.kind == "checkpoint":
            student = read_json(reference.path.parent.parent / "config.json")["student"]
            return str(student["architecture"]), preprocessing_from_dict(student["preprocessing"], reference.text)
        if reference.kind in ("folder", "run"):
            folder = reference.path / "model" if reference.kind == "run" else reference.path
            config = read_model_config(folder / "config.json")
            return config.architecture, config.preprocessing
    except (ModelError, OSError, ValueError, KeyError, TypeError):
        pass  # what is wrong with it is said when it is built
    return "", None
