"""From a table's row to training runs: the row's own, and those of the networks that it begins with or learns from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import small

if TYPE_CHECKING:
    from ..planning import Plan
    from .choices import Choices
    from .tables import Network, OnLabels, RecipeRun, Row, Table

SUPERVISED = "supervised"
_TEACHER_SEED = 1000


@dataclass(frozen=True)
class Job:
    """One training run. Two rows whose runs are equal share one.

    Attributes:
        recipe: Its name.
        variants: Of the recipe.
        settings: (dotted setting, value), sorted.
        student: A model reference, or the run whose student this one goes on with.
        teachers: Likewise.
        seed: Of every random choice.
        folder: Below the reproduction's.
    """

    recipe: str
    variants: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]
    student: str | Job
    teachers: tuple[str | Job, ...]
    seed: int
    folder: str = field(compare=False)

    def first(self) -> tuple[Job, ...]:
        """The runs that must be finished before it, in order."""
        found: dict[Job, None] = {}
        for one in (*self.teachers, self.student):
            if isinstance(one, Job):
                found.update(dict.fromkeys((*one.first(), one)))
        return tuple(found)

    def plan(self, out: Path | None, device: str = "auto") -> Plan:
        """Its plan.

        Args:
            out: The reproduction's folder, where the runs before it are finished; None to plan without them, with
                networks of the same architecture in their place.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; two runs that differ in it alone are one.

        Raises:
            UsageError, ModelError: As ``recipes.resolve``.
        """
        from ..base.settings import Given
        from ..planning.resolution import resolve

        settings: dict[str, Any] = {**dict(self.settings), "student.model": _reference(self.student, out)}
        if self.teachers:
            settings["teachers.models"] = tuple(_reference(one, out) for one in self.teachers)
        if out is None and isinstance(self.student, Job):
            settings["student.init"] = "random"
        settings.update({"run.seed": self.seed, "run.device": device, "run.exact": True})
        given = {path: Given(value, "kdzoo reproduce") for path, value in settings.items()}
        return resolve(self.recipe, given=given, variants=self.variants)


def _reference(one: str | Job, out: Path | None) -> str:
    if isinstance(one, str):
        return one
    return _reference(one.student, None) if out is None else str(out / one.folder)


def architecture(job: Job) -> str:
    """What a run trains."""
    return job.student if isinstance(job.student, str) else architecture(job.student)


def slug(text: str) -> str:
    """A label as the name of a folder."""
    text = text.replace("+", " with ").replace("(*)", "v2").replace("ε", "epsilon").replace("=", "")
    return re.sub(r"[^\w.]+", "-", text.lower()).strip("-.")


class Jobs:
    """The runs of a table.

    Args:
        table: The table.
        choices: What was asked for.
    """

    def __init__(self, table: Table, choices: Choices) -> None:
        self.table, self.choices = table, choices
        self._known: dict[Job, Job] = {}
        self._views: Mapping[str, Any] | None = None

    def of(self, row: Row) -> tuple[Job, ...]:
        """The runs of a row, one a seed; empty where it has none at this size."""
        from .tables import Network, RecipeRun

        takes: object = row.takes
        if self.choices.scale == "small" and row.small is not None:
            takes = row.small
        if isinstance(takes, RecipeRun):
            return tuple(self._of_run(takes, f"{slug(row.label)}/seed-{seed}", seed) for seed in self.choices.run_seeds)
        if not isinstance(takes, Network):
            return ()
        if any(takes in run.teachers for run in self._runs()):  # a teacher of other rows
            return self._teachers((takes,))
        return tuple(self._on_labels(takes, seed) for seed in self.choices.run_seeds)

    def _runs(self) -> list[RecipeRun]:
        from .tables import RecipeRun

        return [run for row in self.table.rows for run in (row.takes, row.small) if isinstance(run, RecipeRun)]

    def _put(self, job: Job) -> Job:
        return self._known.setdefault(job, job)

    def _of_run(self, run: RecipeRun, folder: str, seed: int) -> Job:
        teachers: tuple[str | Job, ...]
        is_small = self.choices.scale == "small"
        needs_start = run.student.trained is not None or (is_small and run.starts_trained)
        if is_small:
            teachers = self._teachers(run.teachers)
        else:
            teachers = tuple(
                one
                for network in run.teachers
                for one in (self._teachers((network,)) if network.trained else (network.model,))
            )
        student: str | Job = self._model(run.student)
        if needs_start and (is_small or self.choices.student is None):
            student = self._on_labels(run.student, seed)
        settings = dict(run.settings)
        if is_small:
            settings = {**self._small(run, trained=isinstance(student, Job)), **settings}
        settings.update(self._data_settings(run.unlabeled != ""))
        settings = self._lengths(settings)
        return self._put(
            Job(run.recipe, run.variants, tuple(sorted(settings.items())), student, teachers, seed, folder)
        )

    def _small(self, run: RecipeRun, *, trained: bool) -> dict[str, Any]:
        if self._views is None:
            assert self.choices.data is not None
            self._views = small.views(self.choices.data)
        return small.settings(run, self._views, trained=trained)

    def _model(self, network: Network) -> str:
        if self.choices.student is not None:
            return self.choices.student
        return network.small if self.choices.scale == "small" else network.model

    def _data_settings(self, takes_unlabeled: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.choices.data is not None:
            found["data.dataset"] = self.choices.data
        if self.choices.unlabeled is not None and takes_unlabeled:
            found["data.unlabeled"] = self.choices.unlabeled
        return found

    def _lengths(self, settings: dict[str, Any]) -> dict[str, Any]:
        """``--epochs`` in place of the table's usual length, other lengths in proportion."""
        wanted = self.choices.epochs
        if wanted is None:
            return settings
        usual = self.table.epochs or wanted
        scaled = {
            path: max(1, round(value * wanted / usual)) if path.endswith("training.epochs") else value * wanted / usual
            for path, value in settings.items()
            if path.endswith(("training.epochs", "schedule.warmup_epochs"))
        }
        return {**settings, "training.epochs": wanted, **scaled}

    def _trained(self, model: str, how: OnLabels | None, seed: int, folder: str) -> Job:
        """The run that trains a network on labels."""
        from .tables import Network, RecipeRun

        variants, settings = ((), {}) if how is None else (how.variants, how.settings)
        run = RecipeRun(recipe=SUPERVISED, student=Network(model=model), variants=tuple(variants), settings=settings)
        values = dict(settings)
        if self.choices.scale == "small":
            values = {**self._small(run, trained=False), **values}
        values = self._lengths({**values, **self._data_settings(False)})
        return self._put(Job(SUPERVISED, tuple(variants), tuple(sorted(values.items())), model, (), seed, folder))

    def _on_labels(self, network: Network, seed: int) -> Job:
        """A row's network, trained on labels: where a student begins, or the row without distillation."""
        model = self._model(network)
        name = "-".join([slug(model), *(network.trained.variants if network.trained else ())])
        return self._trained(model, network.trained, seed, f"students/{name}/seed-{seed}")

    def _teachers(self, networks: tuple[Network, ...]) -> tuple[Job, ...]:
        """Teachers trained here, the same ones for every row; those alike have seeds of their own."""
        seen: Counter[str] = Counter()
        jobs = []
        for network in networks:
            is_small = self.choices.scale == "small"
            model = network.small if is_small else network.model
            name = "-".join([slug(model), *(network.trained.variants if network.trained else ())])
            for _ in range(small.copies(network.copies) if is_small else network.copies):
                seen[name] += 1
                seed = _TEACHER_SEED * seen[name]
                jobs.append(self._trained(model, network.trained, seed, f"teachers/{name}-{seen[name]}"))
        return tuple(jobs)
