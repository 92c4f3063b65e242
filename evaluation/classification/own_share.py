"""The images that a run held out, where it is measured on the folder that it was trained on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...base.errors import KdzooError, UsageError
from ...base.run_documents import read_config
from ...data.specs import DataSpec, parse_data_spec


def held_out_spec(text: str, references: Sequence[str]) -> tuple[str, str | None]:
    """A data spec, narrowed to what the runs among some models held out of its folder; and what to say of that.

    Args:
        text: Data spec.
        references: Model references.

    Raises:
        UsageError: Two of the runs held out other images.
    """
    spec = parse_data_spec(text)
    if not spec.is_placed or spec.path is None or spec.val_share is not None or spec.held_out is not None:
        return text, None
    shares = {}
    for reference in references:
        trained_on = _trained_on(reference)
        if trained_on is None or trained_on.path is None or trained_on.val_share is None:
            continue
        if Path(os.path.realpath(trained_on.path)) == Path(os.path.realpath(spec.path)):
            shares[trained_on.val_share] = reference
    if not shares:
        return text, None
    if len(shares) > 1:
        raise UsageError(
            f"{' and '.join(shares.values())} held out other images of {text} ({' and '.join(map(str, shares))})",
            hint="measure each by itself",
        )
    share, reference = next(iter(shares.items()))
    narrowed = str(replace(spec, val_share=share))
    return narrowed, f"{reference} was trained on {text}: measured on the images that it held out ({narrowed})"


def _trained_on(reference: str) -> DataSpec | None:
    """The data of a run; None where it is no run, or its data is not there."""
    with contextlib.suppress(OSError, ValueError, KdzooError):
        found = read_config(Path(reference).expanduser() / "config.json").setting("data.dataset")
        return parse_data_spec(found) if isinstance(found, str) else None
    return None
