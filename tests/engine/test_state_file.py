"""A state comes back as it was, and equal states give equal bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from kdzoo.base.errors import CheckpointError
from kdzoo.engine.state_file import read_state, write_state


def _state() -> dict:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return {
        "student": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "position": {"step": 3, "sum": 0.1 + 0.2, "reasons": {7: "truncated"}, "pair": (1, [2.5, None, True])},
        "half": torch.randn(3).bfloat16(),
    }


def _assert_equal(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert list(a) == list(b)
        for key in a:
            _assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            _assert_equal(x, y)
    else:
        assert a == b
        assert type(a) is type(b)


def test_a_state_comes_back(tmp_path: Path) -> None:
    state = _state()
    write_state(tmp_path / "a", state)
    _assert_equal(state | {"student": dict(state["student"])}, read_state(tmp_path / "a"))


def test_a_state_that_was_read_gives_the_same_bytes(tmp_path: Path) -> None:
    write_state(tmp_path / "a", _state())
    write_state(tmp_path / "b", read_state(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shared_memory_is_saved_twice(tmp_path: Path) -> None:
    weight = torch.randn(4, 4)
    write_state(tmp_path / "a", {"x": weight, "y": weight, "row": weight[0]})
    state = read_state(tmp_path / "a")
    assert torch.equal(state["x"], weight)
    assert torch.equal(state["y"], weight)
    assert torch.equal(state["row"], weight[0])


def test_what_is_not_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'a/b' holds a object"):
        write_state(tmp_path / "a", {"a": {"b": object()}})


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_another_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read_state(tmp_path / "a")
