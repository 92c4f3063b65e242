"""Files and folders are there whole or not at all, whoever is killed or writes at the same time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.base import writing
from kdzoo.base.errors import RunError
from kdzoo.base.writing import link_file, move_into_place, remove_leftovers, write_file, write_folder


def forked(act: Callable[[], object]) -> int:
    """A process of its own that does something."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_fails_half_way_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    def fail(new: Path) -> None:
        new.write_bytes(b"half")
        raise ValueError("half way")

    write_file(tmp_path / "a.txt", "one")
    with pytest.raises(ValueError, match="half way"):
        write_file(tmp_path / "a.txt", fail)
    with pytest.raises(ValueError, match="half way"):
        write_folder(tmp_path / "folder", {"a": "one", "b": fail})
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "one"


@pytest.mark.parametrize("earlier", [False, True])
def test_a_process_killed_while_it_writes_leaves_the_old_and_the_next_one_tidies(tmp_path: Path, earlier: bool) -> None:
    if earlier:
        write_file(tmp_path / "a.txt", "old")
        write_folder(tmp_path / "folder", {"a": "old"})
    for act in (
        lambda: write_file(tmp_path / "a.txt", die),
        lambda: write_folder(tmp_path / "folder", {"a": "new", "b": die}),
    ):
        assert end_of(forked(act)) == -signal.SIGKILL
        whole = ["a.txt", "folder"] if earlier else []
        assert len(names(tmp_path)) == len(whole) + 1
        remove_leftovers(tmp_path)
        assert names(tmp_path) == whole
    assert not earlier or (tmp_path / "folder" / "a").read_text() == "old"


@pytest.mark.parametrize("renaming", [1, 2, 3])
def test_a_folder_is_the_old_or_the_new_whichever_renaming_of_an_exchange_is_the_last(
    tmp_path: Path, renaming: int
) -> None:
    write_folder(tmp_path / "folder", {"a": "old", "gone": "old"})
    real, left = os.rename, [renaming]

    def rename(source: Path, place: Path) -> None:
        real(source, place)
        left[0] -= 1
        if not left[0]:
            die()

    def act() -> None:
        # The first renaming finds a folder that is not empty, the second moves it away, the third replaces it.
        os.rename = rename  # type: ignore[assignment]
        left[0] -= 1
        write_folder(tmp_path / "folder", {"a": "new"})

    ended = end_of(forked(act))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == (["a"] if renaming != 2 else ["a", "gone"])
    assert (ended == 0) == (renaming == 1)


def test_an_exchange_that_fails_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "folder", {"a": "old"})
    real, calls = os.rename, []

    def rename(source: Path, place: Path) -> None:
        calls.append(source)
        if len(calls) == 3:  # it was moved away, and nothing took its place
            raise OSError(5, "Input/output error")
        real(source, place)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(RunError, match="could not be written"):
        write_folder(tmp_path / "folder", {"a": "new"})
    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder" / "a").read_text() == "old"


def test_several_processes_may_write_one_file_at_once(tmp_path: Path) -> None:
    """Each in a place of its own, and none takes another's for a leftover."""

    def act(text: str) -> None:
        writing._tidied.clear()
        for _ in range(20):
            write_file(tmp_path / "a.txt", text * 1000)
            remove_leftovers(tmp_path)

    children = [forked(lambda text=str(number): act(text)) for number in range(4)]  # type: ignore[misc]
    assert [end_of(child) for child in children] == [0] * 4
    assert names(tmp_path) == ["a.txt"]
    assert len(set((tmp_path / "a.txt").read_text())) == 1


def test_leftovers_of_other_forms_go_where_nobody_else_writes(tmp_path: Path) -> None:
    (tmp_path / ".model.tmp").mkdir()
    (tmp_path / ".model.tmp" / "half").touch()
    (tmp_path / ".config.json.tmp").touch()
    (tmp_path / ".kept").touch()
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 3
    remove_leftovers(tmp_path, alone=True)
    assert names(tmp_path) == [".kept"]


def test_leftovers_below_a_folder_go_where_asked(tmp_path: Path) -> None:
    stage = tmp_path / "features" / "deep" / ".kdzoo-0123456789ab.tmp"
    stage.mkdir(parents=True)
    (stage / "half").write_text("half")
    remove_leftovers(tmp_path)
    assert stage.exists()
    remove_leftovers(tmp_path, below=True)
    assert not stage.exists()
    assert stage.parent.is_dir()


def test_what_has_a_name_was_synced_before_it_got_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after a renaming must find the bytes, and the renaming itself."""
    synced: list[int] = []
    missing: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)

    def checked(real: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(source: Path, place: Path) -> None:
            for path in [source, *Path(source).rglob("*")]:
                if path.stat().st_ino not in synced:
                    missing.append(path.name)
            real(source, place)

        return rename

    (tmp_path / "link").mkdir()
    write_file(tmp_path / "link" / "first", "synced already")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", checked(os.replace))
    monkeypatch.setattr(os, "rename", checked(os.rename))
    for act in (
        lambda: write_file(tmp_path / "a.txt", "text"),
        lambda: write_file(tmp_path / "b.bin", lambda new: new.write_bytes(b"bytes")),
        lambda: write_folder(tmp_path / "folder", {"a": "one", "b": tmp_path / "a.txt"}),
        lambda: move_into_place(tmp_path / "a.txt", tmp_path / "c.txt"),
    ):
        synced.clear()
        act()
        assert synced[-1] == tmp_path.stat().st_ino  # the renaming
    assert missing == []


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to("disk")
    write_folder(tmp_path / "model", {"a": "one"})
    write_folder(tmp_path / "model", {"a": "two"})
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "disk" / "a").read_text() == "two"
    assert names(tmp_path) == ["disk", "model"]


def test_a_second_name_is_taken_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "step", "one")
    write_file(tmp_path / "best", "none")
    for _ in range(2):
        link_file(tmp_path / "step", tmp_path / "best")
    write_file(tmp_path / "step", "two")
    assert (tmp_path / "best").read_text() == "one"
    assert names(tmp_path) == ["best", "step"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_names_what_was_being_written(tmp_path: Path) -> None:
    def fill(new: Path) -> None:
        with open("/dev/full", "wb") as file:
            file.write(bytes(10))

    with pytest.raises(RunError, match=r"the disk is full: .*/model/b could not be written") as raised:
        write_folder(tmp_path / "model", {"a": "one", "b": fill})
    assert "--out" in str(raised.value.hint)
    assert names(tmp_path) == []


def test_a_place_below_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "a", tmp_path / "file" / "deep" / "a"):
        with pytest.raises(RunError, match=r"file is not a folder"):
            write_file(place, "text")
    with pytest.raises(RunError, match=r"file is not a folder"):
        write_folder(tmp_path / "file", {"a": "one"})
