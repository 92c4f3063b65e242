"""Which engine runs, and what would install the other."""

from __future__ import annotations

import platform

from ...base.errors import UsageError
from ..checks import one_of
from ..dense.engines import EngineChoice, why_not
from .segmentor import SegmentationEngine

ENGINES = ("auto", "torchvision", "mmseg")

PINS = ("onedl-mmsegmentation==1.4.2", "onedl-mmcv==2.3.6")
"""What the tests of this engine were run with: the extra ``segmentation``. The project's continuation, with mmcv's
Python alone; mmsegmentation itself and mmcv no longer install."""


def choose_engine(name: str, head: str) -> EngineChoice:
    """Settle ``--engine``.

    Args:
        name: One of ENGINES; ``auto`` is mmsegmentation where it can be imported.
        head: What is to be built: OCRNet is mmsegmentation's only.

    Raises:
        UsageError: What was asked for cannot run here.
    """
    one_of("engine", name, ENGINES)
    missing = None if name == "torchvision" else why_no_mmseg()
    lines = tuple(install_lines())
    if head == "ocrnet" and (name == "torchvision" or missing):
        what = "torchvision has no OCRNet" if name == "torchvision" else f"OCRNet needs mmsegmentation: {missing}"
        hint = "--engine mmseg" if name == "torchvision" and why_no_mmseg() is None else "; ".join(lines)
        raise UsageError(what, hint=f"{hint}; --head fcn or deeplabv3plus runs now")
    if name == "torchvision":
        return EngineChoice("torchvision", "torchvision, as asked")
    if missing is None:
        return EngineChoice("mmseg", "mmsegmentation")
    if name == "mmseg":
        raise UsageError(f"engine mmseg: {missing}", hint=f"{'; '.join(lines)}; --engine torchvision runs now")
    return EngineChoice("torchvision", f"torchvision ({missing})", lines)


def why_no_mmseg() -> str | None:
    """None where mmsegmentation can be imported, else why not, in a few words."""
    return why_not("mmsegmentation", "mmseg", f"{__package__}.mmseg_import")


def install_lines() -> list[str]:
    """The line that installs mmsegmentation on this platform."""
    quote = '"' if platform.system() == "Windows" else "'"
    return [f"pip install {quote}kdzoo[segmentation]{quote}"]


def make_engine(choice: EngineChoice) -> SegmentationEngine:
    """The engine that was chosen."""
    if choice.name == "mmseg":
        from .mmseg_engine import MmsegEngine

        return MmsegEngine()
    from .torchvision_engine import TorchvisionEngine

    return TorchvisionEngine()
