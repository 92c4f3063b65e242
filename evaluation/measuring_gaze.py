"""``kdzoo eval`` on images with a gaze: the mean angle between the predicted and the true one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import DataError

if TYPE_CHECKING:
    from ..base.metrics import Metrics


@dataclass(frozen=True)
class MeasuredGaze:
    """One model on one data set.

    Attributes:
        model: Its reference.
        dataset: The data, with the people that are held out.
        result: Angular error and its spread in degrees, squared error, count.
    """

    model: str
    dataset: str
    result: Metrics

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"model": self.model, "dataset": self.dataset, **self.result.to_dict()}


def evaluate_gaze(
    models: Sequence[str],
    on: Sequence[str],
    *,
    batch_size: int = 64,
    workers: int | None = None,
    device: str = "auto",
) -> list[MeasuredGaze]:
    """Measure models that predict a gaze, each image exactly once, in the models' own preprocessing.

    Args:
        models: Model references.
        on: Data specs; the held-out people of each are used.
        batch_size: Images at once.
        workers: Processes that read images; one a core, at most eight, by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        One for each model and data set, those of a model together.

    Raises:
        DataError: Data is missing or damaged, or a model predicts something else.
        ModelError: A model cannot be built.
        Interrupted: SIGTERM or SIGINT came.
    """
    from ..data import open_source
    from ..engine.distributed import start_processes
    from ..engine.evaluate import PassSettings, evaluate_model
    from ..engine.signals import StopRequest
    from ..zoo import load_model

    measured = []
    with StopRequest() as stop:
        processes = start_processes(device)
        try:
            sources = [open_source(spec, "val") for spec in on]
            for reference in models:
                loaded = load_model(reference, pretrained=True)
                if loaded.class_names:
                    raise DataError(
                        f"{loaded.reference} knows {len(loaded.class_names)} classes, {sources[0].name} has a gaze",
                        hint="evaluate a model that the recipe gaze or xcl_gaze trained",
                    )
                for source in sources:
                    how = PassSettings(
                        batch_size=batch_size,
                        workers=min(8, os.cpu_count() or 1) if workers is None else workers,
                        processes=processes,
                        stop=stop,
                        title=f"{loaded.reference} on {source.name}" if processes.is_main else None,
                    )
                    result = evaluate_model(loaded, source, how)
                    measured.append(MeasuredGaze(loaded.reference, source.name, result))
        finally:
            processes.stop()
    return measured
