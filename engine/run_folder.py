"""The folder of one run: what it was asked to do, on what, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ..base.errors import CheckpointError, RunError
from ..base.holding import LOCK, hold_folder
from ..base.redact import redact_arguments
from ..base.run_documents import Session, TrainResult, append_session, read_fixed, write_config
from ..base.writing import clear_errors, is_leftover, make_folder, remove_leftovers
from ..data.contents import is_image_digest, other_images
from .checkpoint import finished, require_good, tidy
from .machine import processor_name
from .progress import say

_PACKAGES = ("kdzoo", "torch", "torchvision", "timm", "numpy", "pillow", "huggingface-hub", "safetensors")


class RunFolder:
    """Paths and documents of a run.

    Args:
        path: The folder; made by ``claim``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.environment = path / "environment.json"
        self.result = path / "result.json"
        self.metrics = path / "metrics.jsonl"
        self.speed = path / "speed.jsonl"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"

    @contextlib.contextmanager
    def claim(self, config: Mapping[str, Any], fixed: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
        """Take the folder for this process; refuse what would mix two runs.

        Args:
            config: The resolved settings, written to config.json.
            fixed: What must be the same when the run goes on, as flat ``{setting: value}``.
            resume: Whether an existing run may go on.

        Raises:
            RunError: The folder holds a run and ``resume`` is false, belongs to something else, is in use by another
                process, or cannot be written.
            CheckpointError: The settings differ from the run's own.
        """
        with hold_folder(self.path):
            self.refuse_if_taken(fixed, resume=resume)
            if self.has_progress() and (unknown := self._unrecorded_images(fixed)):
                names = ", ".join(unknown)
                say(f"the run in {self.path} did not record {names}: their change would go unnoticed")
            with clear_errors(self.path):
                remove_leftovers(self.path, alone=True)
                tidy(make_folder(self.checkpoints))
            if not self.has_progress():
                write_config(self.config, config, fixed)
            append_session(self.environment, describe_session())
            yield

    def has_progress(self) -> bool:
        """Whether the folder holds anything that a new run would lose: a finished checkpoint or a result."""
        return self.result.exists() or bool(finished(self.checkpoints))

    def refuse_if_taken(self, fixed: Mapping[str, Any], *, resume: bool) -> None:
        """Refuse a folder that holds something else, or a run that must not go on as asked.

        Raises:
            RunError: The folder holds a run and ``resume`` is false, or files that no run wrote.
            CheckpointError: The run's settings were others, or it cannot go on because all its checkpoints are damaged.
        """
        if not self.path.is_dir():
            return
        if self.has_progress():
            if not resume:
                if not self.result.exists():
                    require_good(self.checkpoints)
                hint = "--resume goes on with it; --out starts another"
                raise RunError(f"{self.path} already holds a run", hint=hint)
            self._refuse_changes(fixed)
            if self.read_result() is None and not finished(self.checkpoints):
                raise CheckpointError(f"{self.result} is damaged", hint="start again in another --out")
        elif not self.config.exists():
            names = [entry.name for entry in self.path.iterdir() if not is_leftover(entry.name)]
            if strangers := sorted({*names} - {LOCK, "checkpoints"}):
                raise RunError(
                    f"{self.path} is not empty and holds no run (it has {strangers[0]})", hint="use another --out"
                )

    def _unrecorded_images(self, fixed: Mapping[str, Any]) -> list[str]:
        """The digests of images that a run should be compared by before it goes on, and did not record."""
        with contextlib.suppress(OSError, ValueError):
            before = read_fixed(self.config)
            return [key for key in fixed if is_image_digest(key) and key not in before]
        return []

    def fixed(self) -> dict[str, Any]:
        """What the run was fixed to when it began.

        Raises:
            CheckpointError: config.json cannot be read.
        """
        try:
            return read_fixed(self.config)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{self.config} cannot be read ({error})", hint="start again in another --out"
            ) from error

    def read_result(self) -> dict[str, Any] | None:
        """The finished run's result, or None."""
        try:
            document = json.loads(self.result.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def train_result(self, document: Mapping[str, Any] | None = None) -> TrainResult | None:
        """The finished training's result, or None.

        Args:
            document: What `read_result` gives, where it is known already.

        Raises:
            CheckpointError: It has no accuracy.
        """
        found = self.read_result() if document is None else document
        if found is None:
            return None
        result = TrainResult.from_json(found, self.path)  # it may have moved
        if not result.metrics.is_measured:
            raise CheckpointError(f"{self.result} is damaged", hint="start again in another --out")
        return result

    def _refuse_changes(self, fixed: Mapping[str, Any]) -> None:
        before = self.fixed()
        now = json.loads(json.dumps(fixed))
        keys = [key for key in sorted({*before, *now}) if not is_image_digest(key)]
        changed = [key for key in keys if before.get(key) != now.get(key)]
        if changed:
            shown = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in changed[:5])
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise CheckpointError(
                f"the run in {self.path} had other settings: {shown}{more}",
                hint="resume with the settings it was started with, or use another --out",
            )
        unlike = other_images(before, now)
        if unlike:
            raise CheckpointError(
                f"the run in {self.path} was begun with other images: {unlike}",
                hint="bring the images back, or start again in another --out",
            )


def describe_session() -> Session:
    """What this process runs on: versions, device, revision of the code and the command, secrets taken out."""
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return Session(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(redact_arguments(sys.argv)),
        python=platform.python_version(),
        platform=platform.platform(),
        versions=versions,
        processor=processor_name(),
        cpu_cores=os.cpu_count(),
        torch_threads=torch.get_num_threads(),
        devices=tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        git_revision=_git_revision(),
    )


def _git_revision() -> str | None:
    """The revision of the checkout that kdzoo runs from, or None where it was installed."""
    folder = Path(__file__).resolve().parent
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
        return answer.stdout.strip()
    return None
