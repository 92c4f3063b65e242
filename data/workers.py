"""Running a task's items in worker processes, in order: torch's DataLoader with its rough edges taken off.

The workers are quiet on Ctrl-C and on a terminated process group (the main process decides when to stop), a
`KdzooError` raised in one arrives as itself, none outlives the main process, and the global generators of torch are
left as they are.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from ..base.errors import DataError, KdzooError

T = TypeVar("T", covariant=True)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Task(Protocol[T]):
    """Makes item number ``index``; is sent to the workers, so it can be pickled."""

    def __call__(self, index: int) -> T: ...


class TaskIterator(Generic[T]):
    """Iterates over ``task(index)`` for the indices, in their order.

    Args:
        task: What to run.
        indices: The items, such as ``range(start, stop)``; nothing before the first one is run.
        workers: Processes; 0 to run in this one.
        pin_memory: Whether results that can be pinned come in page-locked memory.
    """

    def __init__(self, task: Task[T], indices: Sequence[int], *, workers: int, pin_memory: bool = False) -> None:
        workers = min(workers, len(indices))
        loader: DataLoader[Any] = DataLoader(
            _TaskDataset(task),
            sampler=indices,
            batch_size=None,
            num_workers=workers,
            collate_fn=_as_is,
            pin_memory=pin_memory and torch.cuda.is_available(),
            worker_init_fn=_init_worker if workers else None,
            generator=torch.Generator(),
        )
        self._iterator: Any = None
        self._owner = os.getpid()
        with _signals_blocked() if workers else contextlib.nullcontext():
            self._iterator = iter(loader)
        if workers:
            # torch's handler would raise for a dead worker wherever the main process happens to be. Without it the
            # death is found here, in `__next__`.
            torch._C._remove_worker_pids(id(self._iterator))
            self._iterator._worker_pids_set = False
            _open_iterators.add(self)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._iterator is None:
            raise StopIteration
        try:
            item = next(self._iterator)
        except StopIteration:
            self.close()
            raise
        except (RuntimeError, OSError, EOFError):
            # Depending on when a worker died, its silence is noticed, or what it had sent cannot be received.
            sentinels = [process.sentinel for process in getattr(self._iterator, "_workers", ())]
            if not multiprocessing.connection.wait(sentinels, timeout=5):
                raise
            self.close()
            raise DataError(
                "a loader worker was killed, most likely for want of memory",
                hint="use fewer --workers, or give the process more memory (in a container: more shared memory)",
            ) from None
        if isinstance(item, _Failure):
            self.close()
            raise item.error
        return item

    def close(self) -> None:
        """End the workers, also those in the middle of an item; safe to call twice."""
        iterator, self._iterator = self._iterator, None
        processes = getattr(iterator, "_workers", ())
        # A process that was forked off holds a copy of this object, but these workers are not its own.
        if not processes or iterator._shutdown or os.getpid() != self._owner:
            return
        # The thread that pins memory reads what the workers send: it ends before they do.
        if (pinning := getattr(iterator, "_pin_memory_thread", None)) is not None:
            iterator._pin_memory_thread_done_event.set()
            iterator._worker_result_queue.put((None, None))
            pinning.join()
        # Told to stop, workers would first finish what they do: whole batches.
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        iterator._shutdown_workers()

    def __enter__(self) -> TaskIterator[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_iterator", None) is not None:
            with contextlib.suppress(Exception):
                self.close()


# multiprocessing's own exit asks workers to terminate, which these ignore, and waits for them.
_open_iterators: weakref.WeakSet[TaskIterator[Any]] = weakref.WeakSet()


@atexit.register
def _close_open_iterators() -> None:
    for iterator in list(_open_iterators):
        iterator.close()


class _Failure:
    def __init__(self, error: KdzooError) -> None:
        self.error = error


class _TaskDataset(Dataset[Any]):
    def __init__(self, task: Task[Any]) -> None:
        self.task = task

    def __getitem__(self, index: int) -> Any:
        try:
            return self.task(index)
        except KdzooError as error:
            return _Failure(error)


def _as_is(item: Any) -> Any:
    return item


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that ask to stop, so that a process born here has them blocked from its first instruction."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _init_worker(_: int) -> None:
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    torch.set_num_threads(1)
    _end_with_parent()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent() -> None:
    """Have Linux end this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
