"""ExRep's input distiller as recipes use it: from its settings, or from a run that has trained it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ..base.errors import CheckpointError, UsageError
from ..base.regular_files import read_json
from ..base.setting_values import Range, Width
from ..engine.checkpoint import newest_good
from ..engine.progress import say
from ..engine.run_folder import RunFolder
from ..engine.state_file import State, read_state
from .objectives.input_distiller import InputDistiller, published_distiller

_PREFIX = "distiller."


@dataclass(frozen=True, kw_only=True)
class DistillerSettings:
    """The input distiller G.

    Attributes:
        form: ``notebook`` (three halvings, straight back up), ``repository`` (two more blocks on either side of the
            bottom, tanh) or ``none``: the student sees the images as they are.
        width: Channels of its first convolution; 0 for the published rule, 2^14 // image size (68 at 240 pixels).
        max_width: Cap of the channels, which double at each halving.
    """

    form: Literal["notebook", "repository", "none"]
    width: Annotated[int, Range(0, 65_536)]
    max_width: Width

    def build(self, image_size: int) -> InputDistiller | None:
        """G with fresh weights, for images of this size; None where there is none.

        Raises:
            UsageError: The images cannot be halved three times.
        """
        if self.form == "none":
            return None
        network = published_distiller(self.form, image_size, width=self.width, max_width=self.max_width)
        multiple = 2**network.num_halvings
        if image_size % multiple or image_size == multiple:
            raise UsageError(
                f"the input distiller halves images {network.num_halvings} times: {image_size} is no multiple of "
                f"{multiple} above it",
                hint=f"--set data.augmentation.image_size={max(2, image_size // multiple) * multiple}",
            )
        return network


def load_distiller(run: str | None) -> InputDistiller:
    """The input distiller of an ExRep run: of its newest good checkpoint, or of the checkpoint that is named.

    Args:
        run: A run folder, or a ``.safetensors`` file in its ``checkpoints``.

    Raises:
        UsageError: None is named, or there is no ExRep run with a distiller there.
        CheckpointError: No checkpoint is good.
    """
    if not run:
        raise UsageError(
            "exrep_transfer needs the input distiller of an exrep run",
            hint="--set objective.distiller_run=RUN (kdzoo distill --recipe exrep --out RUN makes one)",
        )
    path = Path(run).expanduser()
    folder = RunFolder(path.parent.parent if path.suffix == ".safetensors" else path)
    settings = _settings(folder)
    state = _state(path, folder)
    weights = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in state.get("objective", {}).items()
        if name.startswith(_PREFIX)
    }
    form = DistillerSettings(
        form=settings["objective.distiller.form"],
        width=settings["objective.distiller.width"],
        max_width=settings["objective.distiller.max_width"],
    )
    network = form.build(settings["data.augmentation.image_size"])
    if network is None or not weights:
        raise UsageError(f"{folder.path} is an exrep run without an input distiller", hint="use a run that has one")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"the input distiller in {path} is not the one that {folder.config} describes", hint="use another run"
        ) from error
    return network


def _settings(folder: RunFolder) -> Mapping[str, Any]:
    try:
        document = read_json(folder.config)
        found = {path: item["value"] for path, item in document["settings"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder.path} is not a run folder", hint="name the --out of an exrep run") from error
    if "objective.distiller.form" not in found:
        raise UsageError(f"{folder.path} is a run of another recipe than exrep", hint="name an exrep run")
    return found


def _state(path: Path, folder: RunFolder) -> State:
    state = read_state(path) if path.suffix == ".safetensors" else newest_good(folder.checkpoints, say)
    if state is None:
        raise UsageError(f"{folder.path} has no checkpoint yet", hint="let the exrep run write one")
    return state
