"""Which engine runs, and what would install the other."""

from __future__ import annotations

import platform
import shutil

from ...base.errors import UsageError
from ..checks import one_of
from ..dense.engines import EngineChoice, why_not
from .detector import DetectionEngine

ENGINES = ("auto", "torchvision", "detectron2")

DETECTRON2_REVISION = "02b5c4e295e990042a714712c21dc79b731e8833"
"""What the tests marked ``detectron2`` were run with."""


def choose_engine(name: str) -> EngineChoice:
    """Settle ``--engine``.

    Args:
        name: One of ENGINES; ``auto`` is detectron2 where it can be imported.

    Raises:
        UsageError: detectron2 was asked for and cannot be imported.
    """
    one_of("engine", name, ENGINES)
    if name == "torchvision":
        return EngineChoice("torchvision", "torchvision, as asked")
    missing = why_no_detectron2()
    if missing is None:
        return EngineChoice("detectron2", "detectron2, the papers' framework")
    if name == "detectron2":
        lines = "; ".join(install_lines())
        raise UsageError(f"engine detectron2: {missing}", hint=f"{lines}; --engine torchvision runs now")
    return EngineChoice("torchvision", f"torchvision ({missing})", tuple(install_lines()))


def why_no_detectron2() -> str | None:
    """None where detectron2 can be imported, else why not, in a few words."""
    return why_not("detectron2", "detectron2", f"{__package__}.detectron2_import")


def install_lines() -> list[str]:
    """The lines that install detectron2 on this platform; it is on no package index."""
    lines = []
    if platform.system() == "Linux" and shutil.which("g++") is None:
        lines.append("sudo apt-get install g++")
    if platform.system() == "Darwin" and shutil.which("clang") is None:
        lines.append("xcode-select --install")
    lines.append("pip install 'setuptools<81' wheel ninja")
    source = f"git+https://github.com/facebookresearch/detectron2.git@{DETECTRON2_REVISION}"
    lines.append(f"pip install --no-build-isolation '{source}'")
    return lines


def make_engine(choice: EngineChoice) -> DetectionEngine:
    """The engine that was chosen."""
    if choice.name == "detectron2":
        from .detectron2_engine import Detectron2Engine

        return Detectron2Engine()
    from .torchvision_engine import TorchvisionEngine

    return TorchvisionEngine()
