"""Measuring transfer: every backbone with every seed on the same views, the results kept, the difference said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import Interrupted, KdzooError
from ...base.writing import make_folder, remove_leftovers, write_json
from ...data import ImageSource
from ...engine.distributed import start_processes
from ...engine.metrics.intervals import CONFIDENCE, mean_interval
from ...engine.signals import StopRequest
from ...evaluation.results import Interval, PerClass, Result, describe_model, results_folder, write_result
from ...zoo import LoadedModel
from ..sides import RANDOM
from ..statistics import Difference, paired_difference
from .answers import WORDS, Measured, measure_scores, shown_metrics
from .choose import choose_settings
from .features import stored_features
from .finetune import TransferRun, fine_tuned_scores, load_backbone
from .knn import neighbour_scores
from .linear import Labels, apply_layer, train_lbfgs, train_sgd
from .plan import TransferPlan


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What came out.

    Attributes:
        plan: What was measured, after a search with what it chose.
        results: The backbone's, then the baseline's.
        difference: Between them, of the metric that decides; None without a baseline.
        shown: The task's metrics, the one that decides first.
        files: Where the results are.
    """

    plan: TransferPlan
    results: tuple[Result, ...]
    difference: Difference | None
    shown: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.difference is not None:
            return self.difference.sentence
        name = self.plan.backbone
        metric = self.shown[0]
        found = self.results[0].intervals.get(metric)
        text = f"{name}: {self.results[0].metrics[metric]:.1f} % {WORDS[metric]} on {self.plan.task}"
        if found is None or found.low is None or found.high is None:
            return text
        return f"{text} (95 % interval {found.low:.1f} to {found.high:.1f}, {len(found.seeds)} seeds)"

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            **self.plan.to_dict(),
            "results": [result.to_json() for result in self.results],
            "difference": None if self.difference is None else self.difference.to_dict(),
            "sentence": self.sentence,
            "files": [str(file) for file in self.files],
        }


def run_transfer(
    plan: TransferPlan, *, out: Path | str, features: Path | str | None = None, resume: bool = False
) -> TransferReport:
    """Carry out a plan, in this process or (under torchrun) in all of them.

    Args:
        plan: From `make_plan`.
        out: Holds the runs, the features and the results.
        features: Where features are kept; ``OUT/features`` by default.
        resume: Go on with what is in ``out``.

    Raises:
        DataError, ModelError: Something is missing: the first of the plan's problems.
        RunError, CheckpointError: A run cannot start or go on, or ``out`` cannot be written.
        Interrupted: A signal came; what is finished is kept.
    """
    if plan.problems:
        raise plan.problems[0]
    folder = Path(out).expanduser()
    store = folder / "features" if features is None else Path(features).expanduser()
    with StopRequest() as stop, start_processes(plan.device) as processes:
        try:
            make_folder(folder)
            for place in (folder, store):  # kept features and finished runs are not written again
                remove_leftovers(place, below=True)
            run = TransferRun(plan=plan, out=folder, resume=resume, processes=processes, stop=stop)
            return _Measurement(run, store).carry_out()
        except Interrupted as error:
            hint = error.hint or f"run the same command again with --resume --out {folder}"
            raise Interrupted(error.message, hint=hint) from None


class _Measurement:
    """One plan being carried out in this process."""

    def __init__(self, run: TransferRun, store: Path) -> None:
        plan = run.plan
        assert plan.train is not None
        assert plan.test is not None
        self.run, self.plan, self.store, self.say = run, plan, store, run.say
        self.train, self.test = plan.train, plan.test
        self.known = labels_of(self.train)
        self.expected = labels_of(self.test)
        self.shown = shown_metrics(plan.spec.name, self.expected)
        self.details: dict[str, dict[str, Any]] = {}

    def carry_out(self) -> TransferReport:
        """Everything, in order."""
        for note in self.plan.notes:
            self.say(note)
        if self.plan.search is not None:
            self.plan = choose_settings(self.run, self._score)
            self.run = replace(self.run, plan=self.plan)
        found = {reference: self._scores(reference) for reference in dict.fromkeys(self.plan.references)}
        measured = {name: [self._measured(scores) for scores in by_seed] for name, by_seed in found.items()}
        difference = None if self.plan.baseline is None else self._difference(measured)
        results: list[Result] = []
        files = []
        for reference in self.plan.references:
            by_seed = measured[reference]
            result = self._result(reference, by_seed, None if results else difference)
            if self.run.processes.is_main and result.name not in [one.name for one in results]:
                files.append(self._write(reference, result, by_seed[0]))
            results.append(result)
        self.run.processes.barrier()
        report = TransferReport(
            plan=self.plan, results=tuple(results), difference=difference, shown=self.shown, files=tuple(files)
        )
        if self.run.processes.is_main:
            write_json(self.run.out / "transfer.json", report.to_dict())
        return report

    # -- scores ------------------------------------------------------------------------------------------------------

    def _scores(self, reference: str) -> list[np.ndarray]:
        """The scores of the test images, one array a seed."""
        return self._network_scores(reference) if self.plan.trains_network else self._feature_scores(reference)

    def _network_scores(self, reference: str) -> list[np.ndarray]:
        found = []
        for number, seed in enumerate(self.plan.seeds, start=1):
            self.say(f"{self.plan.task}: training {reference}, seed {seed} ({number} of {len(self.plan.seeds)})")
            found.append(fine_tuned_scores(self.run, reference, seed, (self.train, self.test), self.plan.protocol))
        return found

    def _feature_scores(self, reference: str) -> list[np.ndarray]:
        found, strengths = [], []
        features: tuple[np.ndarray, np.ndarray] | None = None
        for seed in self.plan.seeds_of(reference):
            if features is None or reference == RANDOM:
                features = self._features(load_backbone(self.plan, reference, seed), reference)
            train, test = features
            look = self.plan.protocol
            if self.plan.mode == "knn":
                found.append(
                    neighbour_scores(train, self.known, test, neighbours=look.neighbours, temperature=look.temperature)
                )
            elif self.plan.solver == "lbfgs":
                layer, strength = train_lbfgs(train, self.known, seed, self._score, stop=self.run.stop)
                strengths.append(strength)
                found.append(apply_layer(layer, test))
            else:
                layer = train_sgd(train, self.known, look, seed, self.run.processes.device, stop=self.run.stop)
                found.append(apply_layer(layer, test))
        if strengths:
            self.details.setdefault(reference, {})["l2"] = strengths
        return found

    def _features(self, loaded: LoadedModel, reference: str) -> tuple[np.ndarray, np.ndarray]:
        both = []
        for source in (self.train, self.test):
            values, reused = stored_features(loaded, source, self.run.view(self.plan.protocol), self.store, reference)
            if reused:
                self.say(f"features of {reference} ({source.split}): {len(values):,} taken from {self.store}")
            both.append(values)
        return both[0], both[1]

    def _score(self, scores: np.ndarray, known: Labels) -> float:
        return self._measured(scores, known).metrics[self.shown[0]]

    def _measured(self, scores: np.ndarray, known: Labels | None = None) -> Measured:
        return measure_scores(scores, known or self.expected, probabilities=self.plan.mode == "knn")

    # -- results -----------------------------------------------------------------------------------------------------

    def _difference(self, measured: Mapping[str, Sequence[Measured]]) -> Difference:
        assert self.plan.baseline is not None
        ours, theirs = measured[self.plan.backbone], measured[self.plan.baseline]
        if len(ours) < len(theirs):  # what no seed changes stands beside each
            ours = list(ours) * len(theirs)
        metric = self.shown[0]
        accuracy = metric == "top1"
        return paired_difference(
            metric,
            WORDS[metric],
            (self.plan.backbone, self._name(self.plan.baseline)),
            [one.metrics[metric] for one in ours],
            [one.metrics[metric] for one in theirs],
            right=(ours[0].right, theirs[0].right) if accuracy and len(ours) == 1 else None,
        )

    def _name(self, reference: str) -> str:
        return "random weights" if reference == RANDOM else reference

    def _result(self, reference: str, by_seed: Sequence[Measured], difference: Difference | None) -> Result:
        seeds = self.plan.seeds_of(reference)
        columns = {name: tuple(one.metrics[name] for one in by_seed) for name in by_seed[0].metrics}
        intervals = {}
        for name, values in columns.items():
            found = mean_interval(values)
            if found is not None:
                intervals[name] = Interval(
                    seeds=seeds, values=values, low=found[1], high=found[2], confidence=CONFIDENCE
                )
        classes = np.mean([one.class_values for one in by_seed], axis=0)
        per_class = PerClass(
            metric=by_seed[0].class_metric,
            names=self.test.class_names,
            values=tuple(None if np.isnan(value) else float(value) for value in classes),
            counts=tuple(int(count) for count in by_seed[0].class_counts),
        )
        loaded = load_backbone(self.plan, reference, seeds[0])
        run = reference if (Path(reference).expanduser() / "result.json").is_file() else None
        details: dict[str, Any] = {
            "predictions_of_seed": seeds[0],
            "num_training_images": len(self.train),
            "unseen_classes": [name for name, value in zip(self.test.class_names, classes) if np.isnan(value)],
            **self.details.get(reference, {}),
        }
        if difference is not None:
            details["difference"] = {"baseline": self.plan.baseline, **difference.to_dict()}
        return Result(
            task="classification" if self.expected.targets is None else "multilabel",
            dataset=self.plan.dataset,
            split="test",
            num_images=len(self.test),
            model=describe_model(loaded, run=run),
            protocol=self.plan.line(),
            metrics={name: float(np.mean(values)) for name, values in columns.items()},
            settings={
                **self.plan.settings(),
                "seeds": list(seeds),
                "train_fingerprint": self.train.fingerprint(),
            },
            data_fingerprint=self.test.fingerprint(),
            intervals=intervals,
            per_class=(per_class,),
            details=details,
        )

    def _write(self, reference: str, result: Result, first: Measured) -> Path:
        """Into ``OUT/results``, and into the model's own store."""
        path = write_result(self.run.out / "results", result, first.predictions)
        own = results_folder(reference)
        if reference != RANDOM and own.resolve() != (self.run.out / "results").resolve():
            try:
                write_result(own, result, first.predictions)
            except KdzooError as error:
                self.say(f"warning: not kept in {own}: {error.message}")
        return path


def labels_of(source: ImageSource) -> Labels:
    """What a source's images show."""
    return Labels(source.labels, source.targets, len(source.class_names))
