"""What the settings of every dense run share: types, checks of what goes together, and how a paper's rate is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from ...base.errors import UsageError
from ...base.setting_values import Range, Words
from ...base.settings import Given, ResolvedSettings, SettingsBuilder, Values

Settings = TypeVar("Settings", bound=Any)
ImageSide = Annotated[int, Range(1, 16_384)]
FrozenStages = Annotated[int, Range(0, 5), Words((("none", 0), ("stem", 1), ("first", 2), ("all", 5)))]
"""How many of the backbone's stages do not learn: 0 none, 5 the whole backbone."""
Multipliers = Annotated[tuple[float, ...], Range(0, 1000)]
"""One learning rate over the base rate each."""

NATIVE_KERNELS = "ours: as the frameworks; on a GPU true gives the same bytes after --resume, slower, in more memory"
"""Where the default of ``deterministic`` is from, with its price."""


def resolve(
    builder: SettingsBuilder, kind: type[Settings], own_batch: int, cited_by: str
) -> ResolvedSettings[Settings]:
    """The settings as they stand, with notes: ``batch_size`` changed and ``lr`` did not; what exactness costs.

    Args:
        builder: Holds a value of every setting.
        kind: The dataclass of the settings.
        own_batch: The batch size that the cited rate is for.
        cited_by: How the source of a rate that was not given begins.

    Raises:
        UsageError: Values make no sense.
    """
    lr, batch_size = builder.values["lr"], builder.values["batch_size"]
    notes = []
    if batch_size != own_batch and builder.sources["lr"].startswith(cited_by):
        notes.append(
            f"lr {lr:g} is for batches of {own_batch}, not {batch_size}: it is left as it is; "
            f"the linear rule would give --lr {lr * batch_size / own_batch:g}"
        )
    if builder.values["deterministic"]:
        notes.append(
            "deterministic: on a GPU upsampling and RoI pooling run in slower forms that take more memory; a plan made "
            "there measures both, on a CPU they are the same as without"
        )
    return builder.resolve(kind, notes)


def resolve_length(
    resolve_given: Callable[[Values], ResolvedSettings[Settings]], given: Values, num_images: int | None
) -> ResolvedSettings[Settings]:
    """The settings, of a length in iterations where ``epochs`` gives it in passes over the images.

    Args:
        resolve_given: The settings with what was given in its place.
        given: Value and source of settings by name, and of ``epochs``.
        num_images: Training images; None where nothing is known of them.

    Raises:
        UsageError: Values make no sense.
    """
    kept = {name: entry for name, entry in given.items() if name != "epochs"}
    resolved = resolve_given(kept)
    if "epochs" not in given or num_images is None:
        return resolved
    passes, source = given["epochs"]
    iterations = max(1, round(passes * num_images / resolved.settings.batch_size))
    length = Given(iterations, f"{source}: {passes:.4g} passes over {num_images:,} images")
    return resolve_given({**kept, "iterations": length})


def common_faults(settings: Any) -> list[str]:
    """What does not go together in any dense run's settings, a text each."""
    if len(settings.lr_multipliers) in (0, 5):
        return []
    return ["lr_multipliers are five numbers: the stem's and the four stages'"]


def refuse(wrong: Sequence[str]) -> None:
    """One error for all that makes no sense.

    Raises:
        UsageError: There is something.
    """
    if wrong:
        raise UsageError(f"the settings make no sense: {'; '.join(wrong)}", hint="--dry-run shows them all")


def frozen_line(stages: int) -> str:
    """How many of the backbone's stages do not learn, for a reader."""
    return {0: "nothing frozen", 5: "backbone frozen"}.get(stages, f"{stages} stages frozen")
