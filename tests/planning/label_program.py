"""Stores a plan's labels in a process that is killed at one place after another, each time in a new process.

    python label_program.py PLAN OUT [PLACE ...]

PLAN is a JSON file as for ``tests/engine/kill_program.py``. A place is ``NAME:N``: SIGKILL comes at the N-th such
moment of that process (``term:N``: SIGTERM, before that step). The last process is not killed; with ``--leave`` there
is none. Every step is committed. Prints one line a process: the place and how it ended. Alone, or as one of torchrun's.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

import kdzoo.base.record_file as record_file
import kdzoo.engine.label_folder as label_folder
import kdzoo.engine.labelling as labelling
from kdzoo.base.errors import KdzooError
from kdzoo.base.settings import Given
from kdzoo.planning.label_run import label
from kdzoo.planning.resolution import resolve


def die(number: int = signal.SIGKILL) -> None:
    """Send a signal to this very process."""
    os.kill(os.getpid(), number)


def counted(number: int, act: Callable[[], None]) -> Callable[[], None]:
    """Acts at the N-th call."""
    left = [number]

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return tick


def arm(place: str, out: Path) -> None:
    """Arrange that this process dies at ``place``; what it does until then is the real thing."""
    name, _, count = place.partition(":")
    append, commit = record_file.RecordFile.append, record_file.RecordFile.commit
    write, ask = label_folder.LabelFolder._write, labelling._Labelling._ask
    act: Callable[[], None] = die
    if name == "half_a_label":  # a part of a step's labels is in the file

        def halved(self: record_file.RecordFile, data: bytes) -> None:
            state["data"] = (self, data)
            tick()
            append(self, data)

        def act() -> None:
            file, data = state["data"]
            append(file, data[: len(data) // 2])
            file._file.flush()
            die()

        state: dict[str, tuple[record_file.RecordFile, bytes]] = {}
        record_file.RecordFile.append = halved  # type: ignore[method-assign]
    elif name == "before_manifest":  # the labels are durable, the manifest does not know of them

        def announced(self: label_folder.LabelFolder) -> None:
            tick()
            write(self)

        label_folder.LabelFolder._write = announced  # type: ignore[method-assign]
    elif name == "half_a_manifest":

        def torn(self: label_folder.LabelFolder) -> None:
            tick()
            write(self)

        def act() -> None:
            (out / ".labels.json.tmp").write_text('{"format"')
            die()

        label_folder.LabelFolder._write = torn  # type: ignore[method-assign]
    elif name == "before_sync":

        def unsynced(self: record_file.RecordFile) -> dict[str, object]:
            tick()
            return commit(self)

        record_file.RecordFile.commit = unsynced  # type: ignore[method-assign]
    elif name in ("step", "term"):

        def asked(self: labelling._Labelling, *rest: object) -> torch.Tensor:
            tick()
            return ask(self, *rest)  # type: ignore[arg-type]

        if name == "term":

            def act() -> None:
                die(signal.SIGTERM)

        labelling._Labelling._ask = asked  # type: ignore[method-assign,assignment]
    else:
        raise SystemExit(f"unknown place {place}")
    tick = counted(int(count), act)


def store(plan_file: Path, out: Path, place: str | None) -> None:
    """What one process does."""
    labelling._COMMIT_EVERY_S = 0
    if place is not None:
        arm(place, out)
    document = json.loads(plan_file.read_text())
    given = {path: Given(value, "test") for path, value in document["given"].items()}
    plan = resolve(document["recipe"], given=given, variants=tuple(document["variants"]))
    label(plan, out=out, form=document.get("form", "float32"), resume=True, trust_teacher=True)


def main() -> None:
    """Kill at each place in turn, then run to the end."""
    plan_file, out, *places = [argument for argument in sys.argv[1:] if argument != "--leave"]
    if "RANK" in os.environ:
        store(Path(plan_file), Path(out), None)
        return
    for place in places if "--leave" in sys.argv else [*places, None]:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store(Path(plan_file), Path(out), place)
                code = 0
            except KdzooError as error:
                print(error.message, file=sys.stderr)
                code = error.exit_code
            finally:
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        print(f"{place or 'end'} {how}", flush=True)


if __name__ == "__main__":
    main()
