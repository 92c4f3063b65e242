"""The one exception tree. Every error says what happened and what to do about it.

This module imports nothing, so that every room may raise these errors.
"""

from __future__ import annotations


class KdzooError(Exception):
    """An error the user can act on.

    Args:
        message: One line: what happened, to which thing, where.
        hint: One line: the way out.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def sentence(self) -> str:
        """Message and hint together, for a list of what is wrong."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(KdzooError):
    """The command or a setting was written wrongly (an unknown key, a value of the wrong type)."""

    exit_code = 2


class DataError(KdzooError):
    """Data is missing, in another layout than expected, or unreadable."""


class ModelError(KdzooError):
    """A model reference cannot be resolved, built or loaded."""


class TeacherError(KdzooError):
    """A teacher does not fit the data or does not reach the accuracy that it promises."""


class CheckpointError(KdzooError):
    """A checkpoint is damaged or belongs to another run."""


class RunError(KdzooError):
    """A run cannot start or continue (folder in use, disk full, loss not finite)."""


class DivergedError(RunError):
    """A training's loss, or what its network answers, is not finite: other settings may do better."""


class Interrupted(KdzooError):
    """The user or the system asked the process to stop; everything finished so far is saved."""

    exit_code = 130
