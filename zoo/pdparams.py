"""Paddle's `.pdparams` files, read without running anything that they contain.

A `.pdparams` file is a pickle, and a pickle is a program. `kdzoo.zoo.pickled_arrays` interprets the few opcodes that a
dict of arrays needs and refuses all others; it runs in a process of its own that has no environment, little memory and
little time, and hands the arrays back as safetensors, so that not even a fault in it would reach this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from ..base.errors import ModelError
from . import pickled_arrays

DEFAULT_MAX_BYTES = 4 * 2**30
_REFUSED = 3
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from pickled_arrays.child import main; "
    "sys.exit(main(sys.argv[2], sys.argv[3], int(sys.argv[4])))"
)


def read_pdparams(path: str | Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> dict[str, Tensor]:
    """Return the tensors of a `.pdparams` file under the names that the file gives them.

    Reads both dialects of values (arrays, and pairs of an internal name and an array), pickle protocols 2 to 4 and
    parameters that were split into slices; drops Paddle's table of internal names. Linear weights stay as Paddle has
    them, [in, out].

    Args:
        path: The file.
        max_bytes: The largest file to read.

    Raises:
        ModelError: The file is missing, too large, or is not a plain dict of arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path, or pull the model again")
    size = path.stat().st_size
    if size > max_bytes:
        raise ModelError(
            f"{path} has {size} bytes, more than the {max_bytes} that are read",
            hint="raise max_bytes if you trust its size",
        )
    with tempfile.TemporaryDirectory(prefix="kdzoo-") as folder:
        target = Path(folder) / "arrays.safetensors"
        _convert_in_child(path.resolve(), target, size)
        try:
            content = target.read_bytes()
            with safetensors.safe_open(target, framework="pt") as file:
                reversed_names = set(json.loads((file.metadata() or {}).get("reversed", "[]")))
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise _refusal(path, f"its arrays could not be handed over ({type(error).__name__})") from error
    tensors = safetensors.torch.load(content)
    return {
        name: tensor.permute(*reversed(range(tensor.ndim))).contiguous() if name in reversed_names else tensor
        for name, tensor in tensors.items()
    }


def _convert_in_child(source: Path, target: Path, size: int) -> None:
    cpu_seconds = 30 + size // (10 * 2**20)
    library = Path(pickled_arrays.__file__).parents[1]
    arguments = [str(library), str(source), str(target), str(cpu_seconds)]
    # Windows cannot start a process without SYSTEMROOT; elsewhere the child's environment is empty.
    environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, *arguments],
            env=environment,
            cwd=target.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=4 * cpu_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refusal(source, "reading it takes longer than a file of its size may") from None
    if child.returncode == 0:
        return
    if child.returncode == _REFUSED:
        reason = child.stdout[:400].decode("ascii", "replace").strip()
        raise _refusal(source, " ".join(reason.split()) or "no reason was given")
    raise _refusal(source, f"the process that reads it ended with code {child.returncode}")


def _refusal(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"refused {path.name!r}: {reason}",
        hint="download it again from its official address; what is still refused is no plain file of weights",
    )
