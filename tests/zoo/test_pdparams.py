"""Reading .pdparams: every dialect that Paddle writes, and the limits of the process that reads."""

from __future__ import annotations

import base64
import collections
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kdzoo.base.errors import ModelError
from kdzoo.zoo.pdparams import read_pdparams

# paddle.save({'fc.weight': [[1, 2, 3], [4, 5, 6]], 'fc.bias': [0.5]}) of paddlepaddle 3.3.1, with protocols 2 and 4
PADDLE_WROTE = {
    2: (
        "gAJ9cQAoWAkAAABmYy53ZWlnaHRxAWNudW1weS5fY29yZS5tdWx0aWFycmF5Cl9yZWNvbnN0cnVjdApxAmNudW1weQpuZGFycmF5CnEDSwCFcQRj"
        "X2NvZGVjcwplbmNvZGUKcQVYAQAAAGJxBlgGAAAAbGF0aW4xcQeGcQhScQmHcQpScQsoSwFLAksDhnEMY251bXB5CmR0eXBlCnENWAIAAABmNHEO"
        "iYiHcQ9ScRAoSwNYAQAAADxxEU5OTkr/////Sv////9LAHRxEmKJaAVYHAAAAAAAwoA/AAAAQAAAQEAAAMKAQAAAwqBAAADDgEBxE2gHhnEUUnEV"
        "dHEWYlgHAAAAZmMuYmlhc3EXaAJoA0sAhXEYaAmHcRlScRooSwFLAYVxG2gQiWgFWAQAAAAAAAA/cRxoB4ZxHVJxHnRxH2JYGwAAAFN0cnVjdHVy"
        "ZWRUb1BhcmFtZXRlck5hbWVAQHEgfXEhKGgBWAwAAABsaW5lYXJfMC53XzBxImgXWAwAAABsaW5lYXJfMC5iXzBxI3V1Lg=="
    ),
    4: (
        "gASVIwEAAAAAAAB9lCiMCWZjLndlaWdodJSMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJh"
        "eZSTlEsAhZRDAWKUh5RSlChLAUsCSwOGlGgFjAVkdHlwZZSTlIwCZjSUiYiHlFKUKEsDjAE8lE5OTkr/////Sv////9LAHSUYolDGAAAgD8AAABA"
        "AABAQAAAgEAAAKBAAADAQJR0lGKMB2ZjLmJpYXOUaARoB0sAhZRoCYeUUpQoSwFLAYWUaBGJQwQAAAA/lHSUYowbU3RydWN0dXJlZFRvUGFyYW1l"
        "dGVyTmFtZUBAlH2UKGgBjAxsaW5lYXJfMC53XzCUaBaMDGxpbmVhcl8wLmJfMJR1dS4="
    ),
}


class NamedTensor:
    """Pickles as Paddle's own tensors do: a call of `tuple` on (internal name, array)."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.state = (name, array)

    def __reduce__(self) -> tuple[type, tuple[tuple[str, np.ndarray]]]:
        return tuple, (self.state,)


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", sorted(PADDLE_WROTE))
def test_reads_what_paddle_wrote(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "paddle.pdparams").write_bytes(base64.b64decode(PADDLE_WROTE[protocol]))
    tensors = read_pdparams(tmp_path / "paddle.pdparams")
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "fc.weight": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        "fc.bias": [0.5],
    }


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("pairs", [False, True], ids=["arrays", "pairs"])
@pytest.mark.parametrize("old_numpy", [False, True], ids=["numpy2", "numpy1"])
def test_both_value_dialects_of_every_protocol(tmp_path: Path, protocol: int, pairs: bool, old_numpy: bool) -> None:
    generator = np.random.default_rng(0)
    arrays = {
        "conv.weight": generator.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "bn._mean": generator.standard_normal(4).astype(np.float32),
        "half": generator.standard_normal((2, 2)).astype(np.float16),
        "steps": np.array([2**40], dtype=np.int64),
        "flag": np.array([True, False]),
        "scalar": np.array(0.25, dtype=np.float32),
        "empty": np.zeros((0, 3), dtype=np.float32),
    }
    values = {key: NamedTensor(f"param_{i}", array) for i, (key, array) in enumerate(arrays.items())}
    content: dict[str, object] = {
        **(values if pairs else arrays),
        "StructuredToParameterName@@": {"conv.weight": "conv2d_0.w_0"},
    }
    raw = pickle.dumps(content, protocol=protocol)
    if old_numpy:
        raw = raw.replace(b"cnumpy._core.", b"cnumpy.core.").replace(b"\x8c\x16numpy._core.", b"\x8c\x15numpy.core.")
        raw = _reframed(raw)
    (tmp_path / "weights.pdparams").write_bytes(raw)
    tensors = read_pdparams(tmp_path / "weights.pdparams")
    assert tensors.keys() == arrays.keys()
    for key, array in arrays.items():
        assert tensors[key].numpy().dtype == array.dtype
        np.testing.assert_array_equal(tensors[key].numpy(), array)


def _reframed(raw: bytes) -> bytes:
    """Put the length of a protocol-4 pickle's only frame right again."""
    if raw[2:3] != b"\x95":
        return raw
    return raw[:3] + (len(raw) - 11).to_bytes(8, "little") + raw[11:]


def test_python2_strings_are_latin1(tmp_path: Path) -> None:
    array = np.array([-1.5, 2.5], dtype=np.float32)
    raw = bytearray(pickle.dumps({"w": array}, protocol=3))
    payload = array.tobytes()
    at = raw.index(b"C" + bytes([len(payload)]) + payload)
    raw[at : at + 1] = b"U"  # SHORT_BINSTRING, as Python 2 wrote bytes
    (tmp_path / "old.pdparams").write_bytes(raw)
    np.testing.assert_array_equal(read_pdparams(tmp_path / "old.pdparams")["w"].numpy(), array)


def test_split_parameters_are_joined(tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    flat = whole.flatten()
    content = {
        "small": np.ones(2, dtype=np.float32),
        "big@@.0": flat[:10],
        "big@@.1": flat[10:20],
        "big@@.2": flat[20:],
        "UnpackBigParamInfor@@": {"big": {"OriginShape": (2, 3, 4), "slices": ["big@@.0", "big@@.1", "big@@.2"]}},
    }
    tensors = read_pdparams(write(tmp_path / "split.pdparams", content, 2))
    assert tensors.keys() == {"small", "big"}
    np.testing.assert_array_equal(tensors["big"].numpy(), whole)


def test_fortran_order_and_ordered_dicts(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    content = collections.OrderedDict(w=np.asfortranarray(array), v=np.asfortranarray(array[0]).T)
    tensors = read_pdparams(write(tmp_path / "fortran.pdparams", content))
    np.testing.assert_array_equal(tensors["w"].numpy(), array)
    np.testing.assert_array_equal(tensors["v"].numpy(), array[0].T)
    assert tensors["w"].is_contiguous()


def test_a_large_file_is_exact(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    arrays = {f"block.{i}.weight": generator.standard_normal((256, 1024)).astype(np.float32) for i in range(20)}
    for protocol in (2, 4):
        tensors = read_pdparams(write(tmp_path / "large.pdparams", arrays, protocol))
        assert all(torch.equal(tensors[key], torch.from_numpy(array)) for key, array in arrays.items())


def test_missing_and_oversized_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file .*absent\.pdparams") as missing:
        read_pdparams(tmp_path / "absent.pdparams")
    assert missing.value.hint
    path = write(tmp_path / "big.pdparams", {"w": np.zeros(100, dtype=np.float32)})
    with pytest.raises(ModelError, match="more than the 100 that are read"):
        read_pdparams(path, max_bytes=100)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the interpreter is a shell script")
def test_the_child_sees_no_environment_and_its_failure_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen.txt"
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\n/usr/bin/env > {seen}\necho "arguments $1 $2" >> {seen}\nexit 9\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(sys, "executable", str(stand_in))
    with pytest.raises(ModelError, match="ended with code 9"):
        read_pdparams(write(tmp_path / "w.pdparams", {"w": np.zeros(1, dtype=np.float32)}))
    assert "hf_secret" not in seen.read_text()
    assert "arguments -I -S" in seen.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows a process's limits on Linux only")
def test_the_child_is_limited(tmp_path: Path) -> None:
    import subprocess

    from kdzoo.zoo import pickled_arrays

    program = (
        "import sys; sys.path.append(sys.argv[1]); from pickled_arrays.child import limit_this_process\n"
        "limit_this_process(1000, 7); print(open('/proc/self/limits').read())\n"
        "try: bytearray(2**30)\n"
        "except MemoryError: print('no gigabyte')\n"
    )
    library = str(Path(pickled_arrays.__file__).parents[1])
    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, library], capture_output=True, text=True, check=True
    )
    limits = {line[:25].strip(): line[26:].split()[0] for line in child.stdout.splitlines() if line.startswith("Max ")}
    assert limits["Max cpu time"] == "7"
    assert limits["Max address space"] == str(4 * 1000 + 256 * 2**20)
    assert limits["Max processes"] == "0"
    assert limits["Max file size"] == str(1000 + 64 * 2**20)
    assert "no gigabyte" in child.stdout
