"""A trained dense network, recorded in its run: enough to build it again without its data and its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...base.errors import CheckpointError, ModelError
from ...engine.checkpoint import is_good, newest_good
from ...engine.progress import say
from ...engine.state_file import read_state
from ...zoo import LoadedModel, load_model
from ...zoo.model_folder import read_model_config
from ...zoo.saving import model_config
from ...zoo.weights import refuse_not_finite
from .engines import DenseNetwork

RECORD = Path("backbone") / "config.json"
"""In each run's folder: the backbone in timm's layout, without weights, and in kdzoo's block what stands over it."""

Settings = TypeVar("Settings")


def network_record(
    loaded: LoadedModel, *, kind: str, engine: str, classes: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What `RECORD` holds of a network.

    Args:
        loaded: The backbone, before the engine takes it apart.
        kind: ``detection`` or ``segmentation``.
        engine: The framework's name.
        classes: ``class_names`` in label order, and ``colours`` where classes have some.
        settings: The values by name.
    """
    return model_config(loaded, loaded.model, {"task": kind, "engine": engine, **classes, "settings": dict(settings)})


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """What a run says of its network.

    Attributes:
        folder: The run's.
        checkpoint: The one that is asked for; None for the newest.
        kind: ``detection`` or ``segmentation``.
        engine: The framework's name.
        class_names: In label order.
        colours: RGB of each class; empty for a detector.
        values: The settings' values by name.
    """

    folder: Path
    checkpoint: Path | None
    kind: str
    engine: str
    class_names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    values: Mapping[str, Any]

    def settings(self, kind: type[Settings], **changed: Any) -> Settings:
        """The run's settings, with some of them changed.

        Raises:
            ModelError: Another version's settings.
            UsageError: A value makes no sense.
        """
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in self.values.items()}
        try:
            return kind(**{**values, **changed})
        except TypeError as error:
            raise ModelError(
                f"the settings of {self.folder} are another version's ({error})", hint="use the kdzoo that trained it"
            ) from error

    def backbone(self) -> LoadedModel:
        """The backbone's network; its weights are in the whole network's.

        Raises:
            ModelError: It cannot be built here.
        """
        return load_model(f"local-dir:{self.folder / RECORD.parent}", pretrained=False)

    def fill(self, network: DenseNetwork) -> None:
        """Put the trained weights into the network.

        Raises:
            ModelError: They belong to another network, or are not finite.
            CheckpointError: The checkpoint is damaged, or there is none.
        """
        if self.checkpoint is not None and not is_good(self.checkpoint):
            raise CheckpointError(f"{self.checkpoint} is damaged: its SHA-256 does not hold", hint=f"use {self.folder}")
        state = (
            newest_good(self.folder / "checkpoints", say) if self.checkpoint is None else read_state(self.checkpoint)
        )
        if state is None:
            raise CheckpointError(f"{self.folder} holds no checkpoint", hint="train it again")
        try:
            network.model.load_state_dict(state["model"])
        except (KeyError, RuntimeError) as error:
            first = " ".join(str(error).split("\n")[:2])
            raise ModelError(
                f"the checkpoint of {self.folder} belongs to another network ({first})",
                hint=f"use the versions of kdzoo, timm and {self.engine} that environment.json names",
            ) from error
        refuse_not_finite(network.model, str(self.folder))


def read_trained(reference: Path) -> TrainedNetwork:
    """What a run, or the run of a checkpoint, says of its network.

    Raises:
        ModelError: It does not say it, or it was written wrongly.
    """
    checkpoint = reference if reference.is_file() else None
    folder = reference if checkpoint is None else reference.parent.parent
    if not (folder / RECORD).is_file():
        raise ModelError(
            f"{folder} does not say yet how its network is built",
            hint="finish the run: give its command again with --resume (a finished one is only written down)",
        )
    record = read_model_config(folder / RECORD).provenance
    try:
        return TrainedNetwork(
            folder=folder,
            checkpoint=checkpoint,
            kind=str(record["task"]),
            engine=str(record["engine"]),
            class_names=tuple(map(str, record["class_names"])),
            colours=tuple((int(red), int(green), int(blue)) for red, green, blue in record.get("colours", ())),
            values=dict(record["settings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder / RECORD} is damaged ({type(error).__name__}: {error})", hint="give the run's command --resume"
        ) from error
