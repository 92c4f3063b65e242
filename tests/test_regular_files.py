"""What is no ordinary file is named before it is opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kdzoo.base.errors import UsageError
from kdzoo.base.regular_files import is_regular, refuse_special


def test_files_folders_and_nothing_pass(tmp_path: Path) -> None:
    file, link = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text("a: 1\n")
    link.symlink_to(file)
    assert is_regular(file)
    assert is_regular(link)
    assert not is_regular(tmp_path)
    assert not is_regular(tmp_path / "missing")
    for path in (file, link, tmp_path, tmp_path / "missing"):
        refuse_special(path, what="the recipe file")


def test_what_would_hang_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 bytes
    os.mkfifo("fifo")
    Path("zero").symlink_to("/dev/zero")
    Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        words = {"fifo": "FIFO", "zero": "device", "loop": "leads back", "socket": "socket", "x" * 300: "longer"}
        for name, word in {**words, "a\0b": "null byte"}.items():
            assert not is_regular(name)
            with pytest.raises(UsageError, match=f"the list {name[:2]}.*{word}") as caught:
                refuse_special(Path(name), what="the list")
            assert "\n" not in caught.value.message
            assert caught.value.hint
