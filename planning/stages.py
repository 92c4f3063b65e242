"""Running the stages of a recipe: one after the other, each in its own run folder below the run's.

    OUT/1-distil/        the first stage's run folder
    OUT/2-finetune/      the second one's, which starts from OUT/1-distil/model
    OUT/stages.json      the finished stages with the SHA-256 of their students
    OUT/config.json      the plan of them all
    OUT/result.json      the last stage's result, when that is finished
    OUT/model/           the last stage's student

Each stage resumes as an ordinary run does. A finished one is left alone. None starts from a student that is missing, or
that is another than the one its stage wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..base.digests import sha256_of
from ..base.errors import CheckpointError, Interrupted, RunError
from ..base.regular_files import read_json
from ..base.run_documents import TrainResult, write_config
from ..base.suggestions import unknown
from ..base.writing import clear_errors, make_folder, remove_leftovers, write_folder, write_json
from ..engine.distributed import Processes
from ..engine.progress import say
from ..engine.run_folder import RunFolder
from .batch_parts import with_recorded_parts
from .labels import stored_labels
from .plan import Plan, StageStep

START_DIGEST = "student.start_digest"
RunOne = Callable[[Plan, Path], TrainResult]


def model_digest(model: Path) -> str:
    """The SHA-256 of an exported student's weights."""
    return sha256_of(model / "model.safetensors")


def run_stages(
    plan: Plan, out: Path, run_one: RunOne, processes: Processes, *, resume: bool, only: str | None = None
) -> TrainResult:
    """Run the stages of a plan that are not finished.

    Args:
        plan: Of a recipe with stages.
        out: The run's folder.
        run_one: Runs one plan in one folder.
        processes: This process among the run's.
        resume: Go on with the run in ``out``, or start it where there is none.
        only: The one stage to run.

    Returns:
        Of all stages, the last one's accuracy with the epochs, steps and seconds of them all; of one stage, its own.

    Raises:
        UsageError: There is no stage of that name.
        DataError: A stage that is to run has no stored labels where the others have.
        RunError: Stages are out of order: a student that a stage starts from is missing, or is another than the one
            that was written. Or ``out`` holds something else.
        CheckpointError: The run in ``out`` had other settings.
        Interrupted: A signal came; everything finished so far is saved.
    """
    stages = [_Stage(one, out) for one in plan.stages]
    names = [stage.step.name for stage in stages]
    if only is not None and only not in names:
        added = {stage.name: stage.only_with for stage in plan.recipe.stages if stage.only_with}
        more = "".join(
            f"; --variant {variants[0]} adds {name}" for name, variants in added.items() if name not in names
        )
        raise unknown(only, names, what=f"stage of {plan.recipe.name}", where=f"there are {', '.join(names)}{more}")
    for stage in stages:
        if only in (None, stage.step.name) and stage.result() is None:
            stored_labels(stage.plan)  # before anything is trained
    record = _Record(out)
    if processes.is_main:
        record.open(plan, stages, resume=resume, only=only)
    processes.barrier()
    for stage in stages:
        record.refuse_disorder(stage, stages)
    chosen = [stage for stage in stages if only in (None, stage.step.name)]
    for stage in chosen:
        record.require_start(stage, stages)
        finished = stage.result()
        processes.barrier()
        if finished is None:
            _run_stage(stage, stages, out, run_one, processes)
        elif processes.is_main:
            say(f"stage {stage.step.name} is finished; nothing to do")
        if processes.is_main:
            record.count(stage)
        processes.barrier()
    if chosen[-1] is not stages[-1]:
        return _finished_result(chosen[-1])
    return _finish(out, stages, processes)


class _Stage:
    """A stage's plan and run folder."""

    def __init__(self, plan: Plan, out: Path) -> None:
        assert plan.stage is not None
        self.plan, self.step = plan, plan.stage
        self.path = out / self.step.folder
        self.folder = RunFolder(self.path)

    def result(self) -> TrainResult | None:
        """What it gave, or None while it is not finished."""
        return self.folder.train_result()


def _run_stage(stage: _Stage, stages: Sequence[_Stage], out: Path, run_one: RunOne, processes: Processes) -> None:
    step: StageStep = stage.step
    before = _start_of(stage, stages)
    plan = stage.plan if before is None else replace(
        stage.plan, stage=replace(step, start_model=str(before.folder.model))
    )  # fmt: skip
    if processes.is_main:
        say(f"stage {step.number} of {len(stages)}, {step.name}: {step.why}")
        for line in plan.remarks:
            say(line)
    try:
        run_one(plan, stage.path)
    except Interrupted as error:
        raise Interrupted(
            f"stage {step.name}: {error.message}", hint=f"run the same command again with --resume --out {out}"
        ) from None


def _start_of(stage: _Stage, stages: Sequence[_Stage]) -> _Stage | None:
    return next((other for other in stages if other.step.name == stage.step.start), None)


class _Record:
    """stages.json: the finished stages and their students' digests."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / "stages.json"

    def open(self, plan: Plan, stages: Sequence[_Stage], *, resume: bool, only: str | None) -> None:
        """Take the folder, or refuse it.

        Raises:
            RunError: It holds a run and ``resume`` is false, or something else.
            CheckpointError: A finished stage had other settings.
        """
        with clear_errors(make_folder(self.out)):
            found = sorted(entry.name for entry in self.out.iterdir() if not entry.name.startswith("."))
        if found and not self.path.exists():
            what = "a run without stages" if (self.out / "config.json").exists() else f"no run (it has {found[0]})"
            raise RunError(f"{self.out} is not empty and holds {what}", hint="use another --out")
        for stage in stages:  # a finished one is not claimed again
            remove_leftovers(stage.path)
        begun = [stage for stage in stages if stage.folder.has_progress()]
        if begun and not resume:
            hint = "--resume goes on with it; --out starts another"
            raise RunError(f"{self.out} already holds a run (stage {begun[-1].step.name})", hint=hint)
        for stage in begun:
            fixed = with_recorded_parts(stage.plan, stage.path).fixed()
            known = {key: value for key, value in stage.folder.fixed().items() if key not in fixed}
            try:
                stage.folder.refuse_if_taken({**known, **fixed}, resume=True)
            except CheckpointError as error:
                if only in (None, stage.step.name):
                    raise
                hint = f"an option is every stage's; --set stages.{only}.training.epochs=N, say, is that stage's alone"
                raise CheckpointError(error.message, hint=hint) from error
        if not self.path.exists():
            self._write({})
        write_config(self.out / "config.json", plan.to_dict())
        for stage in stages:  # one that ended just before its line was written
            if stage.result() is not None:
                self.count(stage)

    def digests(self) -> dict[str, str]:
        """``{stage: SHA-256 of its student}`` of the finished ones."""
        try:
            rows = read_json(self.path)["stages"]
            return {str(row["name"]): str(row["model_sha256"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.path} cannot be read ({error})", hint="start again in another --out") from error

    def _write(self, digests: dict[str, str]) -> None:
        write_json(self.path, {"stages": [{"name": name, "model_sha256": one} for name, one in digests.items()]})

    def count(self, stage: _Stage) -> None:
        """The stage is finished; its first digest stays."""
        digests = self.digests()
        model = stage.folder.model
        if stage.step.name not in digests and (model / "model.safetensors").is_file():
            self._write({**digests, stage.step.name: model_digest(model)})

    def refuse_disorder(self, stage: _Stage, stages: Sequence[_Stage]) -> None:
        """Check that a stage which began did so from the student that is there now.

        Raises:
            RunError: It began from another one.
        """
        before = _start_of(stage, stages)
        if before is None or not stage.folder.has_progress():
            return
        self.require_start(stage, stages)
        if stage.folder.fixed().get(START_DIGEST) != model_digest(before.folder.model):
            raise RunError(
                f"stages out of order: {stage.step.name} began from another student than {before.folder.model} holds",
                hint=f"remove {stage.path} to run it anew, or use another --out",
            )

    def require_start(self, stage: _Stage, stages: Sequence[_Stage]) -> None:
        """Check that the student which a stage starts from is there, as its own stage wrote it.

        Raises:
            RunError: It is missing, or another one.
        """
        before = _start_of(stage, stages)
        if before is None:
            return
        name, start, model = stage.step.name, before.step.name, before.folder.model
        recorded = self.digests().get(start)
        if recorded is None or not (model / "model.safetensors").is_file() or before.result() is None:
            raise RunError(
                f"stages out of order: {name} starts from the student of {start}, and {model} holds none",
                hint=f"run {start} first: leave --stage out, or use --stage {start}",
            )
        if model_digest(model) != recorded:
            raise RunError(
                f"stages out of order: {name} starts from the student of {start}, and {model} is not the one that it "
                "wrote",
                hint=f"put the student of {start} back, or start again in another --out",
            )


def _finished_result(stage: _Stage) -> TrainResult:
    found = stage.result()
    if found is None:
        raise RunError(f"{stage.folder.result} cannot be read", hint="start again in another --out")
    return found


def _finish(out: Path, stages: Sequence[_Stage], processes: Processes) -> TrainResult:
    """Put the last stage's student and result where those of a run without stages are."""
    results = [result for stage in stages if (result := stage.result()) is not None]
    whole = replace(
        results[-1],
        run=str(out),
        model=str(out / "model"),
        epochs=sum(result.epochs for result in results),
        steps=sum(result.steps for result in results),
        seconds=sum(result.seconds for result in results),
    )
    if processes.is_main:
        source, model = stages[-1].folder.model, out / "model"
        write_folder(model, {name: source / name for name in ("README.md", "model.safetensors", "config.json")})
        write_json(out / "result.json", whole.to_dict())
    processes.barrier()
    return whole
