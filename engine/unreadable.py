"""Training images that cannot be decoded: each is said once, and too many of them end the work."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import RunError
from ..data import Batch, ImageSource
from .progress import Progress


class UnreadableImages:
    """The images of a source that could not be decoded and were replaced by others.

    Args:
        source: Where they are.
        max_fraction: Of the source's images; more end the work.
        found: Reason by position; gets what is found.
    """

    def __init__(self, source: ImageSource, max_fraction: float, found: dict[int, str]) -> None:
        self.source, self.max_fraction, self.found = source, max_fraction, found

    def new(self, batch: Batch | None) -> list[tuple[int, str]]:
        """Position and reason of a batch's images that were not known to be unreadable."""
        return [] if batch is None else [item for item in batch.unreadable if item[0] not in self.found]

    def count(self, parts: Sequence[Sequence[tuple[int, str]]], progress: Progress) -> list[tuple[str, str]]:
        """Take what each process found and say it.

        Returns:
            Name and reason of each image.
        """
        named = []
        for sample, reason in (item for part in parts for item in part):
            self.found[sample] = reason
            name = self.source.identity(sample)
            named.append((name, reason))
            progress.say(f"warning: {name} cannot be decoded ({reason}); another image takes its place")
        return named

    def refuse_too_many(self) -> None:
        """End the work where too many were found.

        Raises:
            RunError: More than the largest fraction.
        """
        count, limit = len(self.found), self.max_fraction
        if count > limit * len(self.source):
            raise RunError(
                f"{count} of the {len(self.source)} training images cannot be decoded, more than {100 * limit:g} %",
                hint="'kdzoo data check' lists them; repair or remove them, or raise training.max_unreadable_fraction",
            )
