"""Stand-ins for what numpy's numbers and arrays are pickled as: a checkpoint may hold them beside its weights.

Training scripts keep an epoch or an accuracy as ``np.float64``, and the weights are refused for it. Nothing of numpy
runs here: each stand-in takes what the pickle gives it and keeps nothing, since only the weights are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class InertNumpy:
    """Stands in for a number, an array or a type of numpy: it loads and does nothing."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


INERT_NUMPY: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (InertNumpy, name)
    for name in (
        "numpy.dtype",
        "numpy.ndarray",
        *(
            f"numpy.{core}.multiarray.{name}"
            for core in ("core", "_core")  # numpy 1 and 2
            for name in ("scalar", "_reconstruct")
        ),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    )
]
"""For ``torch.serialization.safe_globals``: each with the name that it stands in for."""
