"""Runs a command, kills a real process at each moment at which it writes, and runs the command again after each.

    python walk.py PLAN.json

PLAN has ``verb``, ``command`` (arguments of kdzoo), ``start`` (a folder: how the working folder is before it), ``work``
(the working folder), ``resumes`` (whether the verb has --resume), ``constants`` (module attributes to set: how often is
committed) and ``every`` (each of so many points; 1 is all). Prints how many points of how many ended in the bytes of
an undisturbed run; exits with 1 where one did not.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import points as moments
import torch

from kdzoo.base.writing import is_leftover

_TIMES = ("images_per_s", "seconds", "data_wait")
"""What ends in these differs each time."""

_NO_CONTENT = ("environment.json", "speed.jsonl", ".html")
"""Files of times: that they are there is compared."""


class _Uncounted(contextlib.nullcontext["_Uncounted"]):
    """In place of torch's counter."""

    def __init__(self, **_: Any) -> None:
        super().__init__(self)

    def get_total_flops(self) -> int:
        return 2


class Walk:
    """One command's walk through all its points."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.work = Path(plan["work"])
        self.said = self.work.with_name("said.txt")
        self.note = self.work.with_name("seen.json")

    def begin(self) -> None:
        """The working folder as it is before the command."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.plan["start"], self.work, symlinks=True)

    def live(self, command: list[str], last: moments.Point | None = None) -> int:
        """One process's life: its exit code, negative for a signal."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = self._child(command, last)
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _child(self, command: list[str], last: moments.Point | None) -> int:
        said = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(self.work)
        torch.set_num_threads(1)
        import kdzoo.engine.run_folder as run_folder
        import kdzoo.evaluation.results.describe as describe
        from kdzoo.cli.main import main

        # Two that take long and write nothing: asking git, and counting MACs.
        run_folder._git_revision = lambda: None
        describe.FlopCounterMode = _Uncounted  # type: ignore[misc,assignment]
        for name, value in self.plan["constants"].items():
            module, _, attribute = name.rpartition(".")
            setattr(importlib.import_module(module), attribute, value)
        seen = moments.Points(self.work, last)
        seen.watch()
        code = main(command)
        sys.stdout.flush()
        sys.stderr.flush()
        seen.end()
        if last is None:
            document = {
                "points": [vars(one) for one in seen.all()],
                "seen": [words for words, _ in seen.seen],
                "modules": sorted(sys.modules),
            }
            self.note.write_text(json.dumps(document))
        return code

    def again(self, number: int) -> str | None:
        """The same command again, as the hint says; returns what went wrong."""
        resumed = [*self.plan["command"], "--resume"]
        if not self.plan["resumes"]:
            tries = [self.plan["command"]]
        elif number % 2:
            tries = [resumed]
        else:
            tries = [self.plan["command"], resumed]
        for command in tries:
            code = self.live(command)
            said = self.said.read_text(errors="replace")
            if code == 0:
                return None
            if "--resume" not in said:
                break
        return f"exit {code}: {said.strip()[-600:]}"

    def tree(self) -> dict[str, bytes | None]:
        """Every file with what is compared of it, and every folder."""
        found: dict[str, bytes | None] = {}
        for path in sorted(self.work.rglob("*")):
            name = str(path.relative_to(self.work))
            if path.is_dir() or name.endswith(_NO_CONTENT):
                found[name] = None
            elif path.suffix == ".json":
                found[name] = json.dumps(_without_times(json.loads(path.read_bytes()))).encode()
            else:
                found[name] = path.read_bytes()
        return found

    def run(self) -> bool:
        """Walk; says how it went."""
        whole = {}
        for _ in range(2):  # the second time with all modules there
            self.begin()
            code = self.live(self.plan["command"])
            assert code == 0, self.said.read_text()
            assert not whole or self.tree() == whole, f"not the same each time: {_difference(whole, self.tree())}"
            whole = self.tree()
            assert not [name for name in whole if is_leftover(Path(name).name)], sorted(whole)
            document = json.loads(self.note.read_text())
            _import(document["modules"])
        points = [moments.Point(**one) for one in document["points"]]
        chosen = points[:: self.plan["every"]]
        began, wrong = resource.getrusage(resource.RUSAGE_CHILDREN), []
        for point in chosen:
            what = [*document["seen"], "the end"][point.number - 1]
            self.begin()
            code = self.live(self.plan["command"], point)
            fault = None if code == -9 else f"was not killed, but ended with {code}"
            fault = fault or self.again(point.number) or _difference(whole, self.tree())
            if fault:
                wrong.append(f"{point.how} {point.number} ({what}): {fault}")
        how = ", ".join(f"{sum(one.how == way for one in chosen)} {way}" for way in ("before", "half-written", "after"))
        good = len(chosen) - len(wrong)
        share = "" if self.plan["every"] == 1 else f", each {self.plan['every']}th of {len(points)}"
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        spent = f"{how}{share}; {took:.0f} s of a core"
        print(f"{self.plan['verb']}: {good} points of {len(chosen)} to the same bytes ({spent})")
        print("\n".join(wrong))
        return not wrong


def _without_times(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _without_times(value) for key, value in document.items() if not key.endswith(_TIMES)}
    return [_without_times(value) for value in document] if isinstance(document, list) else document


def _difference(whole: dict[str, bytes | None], now: dict[str, bytes | None]) -> str:
    names = [
        name for name in sorted({*whole, *now}) if (name in whole, whole.get(name)) != (name in now, now.get(name))
    ]
    return ", ".join(
        f"{name} is {'not there' if name not in now else 'left over' if name not in whole else 'other'}"
        for name in names[:6]
    )


def _import(modules: list[str]) -> None:
    """What the command needs, so that each of its processes finds it loaded."""
    for name in modules:
        if name not in sys.modules and name != "__mp_main__":
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()  # what a forked process does not touch is not copied
    gc.disable()


if __name__ == "__main__":
    sys.exit(0 if Walk(json.loads(Path(sys.argv[1]).read_text())).run() else 1)
