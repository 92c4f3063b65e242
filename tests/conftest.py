"""What tests of several rooms share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# A shell starts background jobs with SIGINT ignored, and children inherit that: the tests that interrupt need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several processes run side by side, and threads that wait for one another cost more than they bring. Set before torch
# is imported, for this process and all that it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Importing and collecting leave next to no garbage, and looking for it was a quarter of their time.
gc.disable()

# pyarrow, which pandas imports where it is there, starts a thread of its own; a process with threads is not forked.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

for folder in ("gaze", "hub", "miniatures", "processes", "runs"):
    sys.path.append(str(Path(__file__).parent / folder))

if TYPE_CHECKING:
    from fork_server import ForkServer
    from hub_server import HubServer

    from kdzoo.base.run_documents import TrainResult


def pytest_collection_finish() -> None:
    """Look through what was imported and collected for garbage no more: that would cost a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """A Hub on this machine; see ``tests/hub/hub_server.py``."""
    from hub_server import HubServer

    with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A teacher that has seen the digits four times."""
    from kdzoo.planning.run import run

    from .recipes.conftest import small_plan

    out: Path = tmp_path_factory.mktemp("teacher") / "run"
    plan = small_plan("supervised", "small_images", training__epochs=4, training__batch_size=64, run__seed=7)
    return run(plan, out=out)


@pytest.fixture(scope="session")
def stored_teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`teacher` as it came out once, in half precision: golden losses need the same weights on every processor.

    Training amplifies a processor's rounding: two of them end four epochs with teachers of visibly other losses.
    """
    from .recipes.conftest import STORED_TEACHER

    return str(shutil.copytree(STORED_TEACHER, tmp_path_factory.mktemp("stored") / "teacher"))


@pytest.fixture
def make_run() -> Callable[..., Path]:
    """Writes a finished run's folder without training; see ``tests/runs/finished_run.py``."""
    from finished_run import make_run

    return make_run


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Runs programs in forked processes; see ``tests/processes/fork_server.py``."""
    from fork_server import ForkServer

    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def torch_server() -> Iterator[ForkServer]:
    """The same for programs that import timm, kdzoo and the Hub's client in an environment of their own."""
    from fork_server import ForkServer

    server = ForkServer(preload="torch")
    yield server
    server.close()


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 training and 40 held-out digits in class folders, 40 more without labels in ``more``."""
    from kdzoo.data import open_source

    root = tmp_path_factory.mktemp("few_digits")
    for split, first, count in (("train", 0, 160), ("val", 0, 40), ("more", 160, 40)):
        digits = open_source("digits", "val" if split == "val" else "train")
        for index in range(first, first + count):
            folder = root / split / ("" if split == "more" else str(int(digits.labels[index])))
            folder.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(folder / f"{index:04d}.png")
    return root
