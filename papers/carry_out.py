"""Running a table's rows: what can be run is run or evaluated, the rest says what is missing."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import DataError, Interrupted, ModelError, TeacherError, UsageError
from ..base.run_documents import read_result
from . import record as records
from .jobs import Job, Jobs
from .measured import evaluate_published, teachers_together
from .needs import blocking, command_of, missing_data, transfer_commands, why_not_small
from .resume_check import refuse_other_settings
from .scaled import scaled_down

if TYPE_CHECKING:
    from .tables import Row, Table


_MISSING = (DataError, ModelError, TeacherError, UsageError)


def is_main() -> bool:
    """Whether this process writes, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


class Reproduction:
    """A table being made again.

    Args:
        table: The table.
        jobs: Its runs.
        record: Of its results.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, table: Table, jobs: Jobs, record: records.Record, *, device: str = "auto") -> None:
        self.table, self.jobs, self.record, self.device = table, jobs, record, device
        self.choices, self.out = jobs.choices, record.out
        self._teachers: dict[tuple[str, ...], dict[str, float]] = {}

    def run(self, rows: Sequence[Row]) -> None:
        """Run rows in order; finished ones are left alone. The record is written after each.

        Raises:
            Interrupted: A signal came; everything finished so far is saved.
            RunError, CheckpointError: A folder cannot be written, holds something else, or a run with other settings.
        """
        pending = [row for row in rows if self.record.row(row.label)["status"] != records.DONE]
        for row in pending:
            self._refuse_other_settings(row)
        for row in pending:
            self.record.row(row.label)["status"] = records.PENDING
        self._write()
        for number, row in enumerate(rows, start=1):
            if self.record.row(row.label)["status"] == records.DONE:
                continue
            _say(f"[{number}/{len(rows)}] {row.label}")
            try:
                found = self._row(row)
            except _MISSING as error:
                found = {"status": records.MISSING, "why": _words(error)}
            except Interrupted as error:
                raise Interrupted(
                    f"{row.label}: {error.message}", hint="the same command with --resume goes on from there"
                ) from None
            self.record.row(row.label).update(found)
            self._write()

    def _write(self) -> None:
        if is_main():
            self.record.write()

    def _refuse_other_settings(self, row: Row) -> None:
        """Refuse a row whose runs were begun with other settings, before these stand in the record.

        What is missing is not said here.

        Raises:
            RunError, CheckpointError: As ``refuse_other_settings``.
        """
        with contextlib.suppress(*_MISSING):
            for job in () if self._released(row) else self.jobs.of(row):
                begun = [one for one in (*job.first(), job) if (self.out / one.folder).is_dir()]
                if begun and blocking(row, job, self.choices):
                    return
                for one in begun:
                    refuse_other_settings(one, one.plan(self.out), self.out)

    def _released(self, row: Row) -> str | None:
        """The released weights that are to be evaluated in place of training, or None."""
        from .tables import RecipeRun

        return row.takes.released if self.choices.released and isinstance(row.takes, RecipeRun) else None

    def _row(self, row: Row) -> dict[str, Any]:
        """What becomes of a row."""
        from .tables import Evaluate, NotRun, Transfer

        takes, small = row.takes, self.choices.scale == "small"
        released = self._released(row)
        if released:
            return self._evaluated(row, released, "imagenet")
        jobs = self.jobs.of(row)
        if jobs:
            missing, commands = blocking(row, jobs[0], self.choices), [command_of(job) for job in jobs]
            if missing:
                return {"status": records.MISSING, "why": "; ".join(missing), "commands": commands}
            return self._trained(row, jobs, commands)
        if small:
            return {"status": records.REFERENCE, "why": why_not_small(row)}
        if isinstance(takes, Evaluate):
            return self._evaluated(row, takes.model, takes.dataset)
        if isinstance(takes, Transfer):
            return {"status": records.TRANSFER, "why": takes.protocol, "commands": list(transfer_commands(takes))}
        assert isinstance(takes, NotRun)
        return {"status": records.REFERENCE, "why": takes.why}

    # -- rows that train -------------------------------------------------------------------------------------------

    def _trained(self, row: Row, jobs: Sequence[Job], commands: Sequence[str]) -> dict[str, Any]:
        measured = []
        for job in jobs:
            for one in (*job.first(), job):
                self._ensure(one)
            measured.append(self._numbers(row, job))
        ours = {key: statistics.fmean(values) for key, values in _by_column(measured).items()}
        spread = {key: statistics.stdev(values) for key, values in _by_column(measured).items() if len(values) > 1}
        return {
            "status": records.DONE,
            "why": "",
            "ours": ours,
            "spread": spread,
            "difference": records.difference(row.numbers, ours),
            "num_runs": len(jobs),
            "scaled_down": list(self._scaled_down(row, jobs[0])),
            "runs": [job.folder for job in jobs],
            "commands": list(commands),
        }

    def _scaled_down(self, row: Row, job: Job) -> tuple[str, ...]:
        from .tables import Network, RecipeRun

        takes: object = row.takes
        if self.choices.scale == "small" and row.small is not None:
            takes = row.small
        if isinstance(takes, Network):
            published = RecipeRun(recipe="supervised", student=Network(model=takes.model.partition(".")[0]))
            return ("trained on labels here, for published weights", *scaled_down(published, job, self.choices))
        assert isinstance(takes, RecipeRun)
        if isinstance(row.takes, RecipeRun) and row.takes.recipe == takes.recipe:
            takes = row.takes
        return scaled_down(takes, job, self.choices)

    def _ensure(self, job: Job) -> None:
        """Carry out a run, unless it is finished.

        Raises:
            CheckpointError: It was begun with other settings.
        """
        from ..base.writing import remove_leftovers
        from ..planning.run import run

        folder, plan = self.out / job.folder, job.plan(self.out, self.device)
        remove_leftovers(folder)  # a finished one is not claimed again
        if read_result(folder) is not None and (folder / "model" / "config.json").is_file():
            refuse_other_settings(job, plan, self.out)
            return
        _say(f"{job.folder}: {' + '.join([job.recipe, *job.variants])}")
        run(plan, out=folder, resume=True)

    def _numbers(self, row: Row, job: Job) -> dict[str, float]:
        """Ours by column, of one run."""
        found: dict[str, float] = {}
        results = self._results(job)
        for key, name in _measured(row, self.table).items():
            if name.startswith(("teacher_", "gap_")):
                value = self._beside_teachers(name, job, results)
            elif name.startswith("on:"):
                value = self._on_other_data(name.removeprefix("on:"), job)
            else:
                value = results.get(name, results.get(name.rpartition(".")[2]) if "." not in name else None)
            if value is not None:
                found[key] = value
        return found

    def _on_other_data(self, spec: str, job: Job) -> float | None:
        """Top-1 on evaluation data of the same classes; None where it is not there, or at a small size."""
        if self.choices.scale == "small" or missing_data(spec):
            return None
        return evaluate_published(str(self.out / job.folder), spec, (), self.device)["top1"]

    def _results(self, job: Job) -> dict[str, float]:
        """``{"top1": …, "distil.top1": …}`` of a finished run."""
        plan = job.plan(self.out)
        folders = {"": self.out / job.folder}
        folders.update(
            {f"{one.stage.name}.": self.out / job.folder / one.stage.folder for one in plan.stages if one.stage}
        )
        return {
            f"{prefix}{name}": value
            for prefix, folder in folders.items()
            if (result := read_result(folder)) is not None
            for name, value in result.metrics.values.items()
        }

    def _beside_teachers(self, name: str, job: Job, results: Mapping[str, float]) -> float | None:
        if not job.teachers:
            return None
        references = tuple(one if isinstance(one, str) else str(self.out / one.folder) for one in job.teachers)
        if references not in self._teachers:
            spec = job.plan(self.out).recipe.data.dataset
            self._teachers[references] = teachers_together(references, spec, self.device)
        kind, _, which = name.partition("_")
        together = self._teachers[references][which]
        return together if kind == "teacher" else together - results[which]

    # -- rows that are evaluated -----------------------------------------------------------------------------------

    def _evaluated(self, row: Row, model: str, dataset: str) -> dict[str, Any]:
        spec = self.choices.data or dataset
        wanted = _measured(row, self.table)
        found = evaluate_published(model, spec, sorted(set(wanted.values())), self.device)
        ours = {key: found[name.rpartition(".")[2]] for key, name in wanted.items() if name.rpartition(".")[2] in found}
        scaled = [] if spec.partition(":")[0] == dataset else [f"{spec} for {dataset}"]
        return {
            "status": records.DONE,
            "why": "",
            "ours": ours,
            "difference": records.difference(row.numbers, ours),
            "num_runs": 1,
            "scaled_down": scaled,
            "commands": [f"kdzoo eval {model} --on {spec}"],
        }


def _measured(row: Row, table: Table) -> dict[str, str]:
    """``{column: what of ours stands there}``."""
    found = {column.key: row.measured.get(column.key, column.measured) for column in table.columns}
    return {key: name for key, name in found.items() if name is not None}


def _by_column(measured: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for one in measured:
        for key, value in one.items():
            values.setdefault(key, []).append(value)
    return values


def _words(error: DataError | ModelError | TeacherError | UsageError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _say(text: str) -> None:
    from ..engine.progress import say

    say(text)
