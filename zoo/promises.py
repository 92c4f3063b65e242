"""What published weights promise: top-1 accuracy in percent on ImageNet's 50,000 validation images.

Taken from the zoo's entries: a number counts as a promise where it was measured at the preprocessing that the model is
loaded with. A teacher's promise is checked before a run.
"""

from __future__ import annotations

from .entries import ENTRIES

PROMISED_ON = "imagenet"

PROMISED_TOP1: dict[str, float] = {
    entry.timm_name: entry.promised_top1
    for entry in ENTRIES.values()
    if entry.timm_name and entry.promised_top1 is not None
}
"""By timm's name of the weights."""
