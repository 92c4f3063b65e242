"""What training, evaluating and predicting import: nothing that they do not use, because all of it is waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fork_server import ForkServer

UNUSED = (
    *("pandas", "pyarrow", "matplotlib", "sklearn", "scipy", "IPython", "onnx", "onnxruntime", "cv2", "tensorboard"),
    *("kdzoo.papers", "kdzoo.transfer", "kdzoo.recipes.paddleclas", "kdzoo.zoo.conversion", "kdzoo.zoo.publishing"),
    *("kdzoo.data.curation", "kdzoo.data.detection", "kdzoo.data.segmentation", "kdzoo.evaluation.analysis"),
)

_PROGRAM = f"""
import json
import sys

from kdzoo.cli.main import main

before = [name for name in {UNUSED!r} if name in sys.modules]
for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    print(code, [name for name in {UNUSED!r} if name in sys.modules and name not in before], file=sys.__stderr__)
import pandas
print([name for name in ("pandas",) if name in sys.modules and name not in before], file=sys.__stderr__)
"""


def test_nothing_unused_is_imported(torch_server: ForkServer, few_digits: Path, tmp_path: Path) -> None:
    run, out, images = str(tmp_path / "run"), str(tmp_path / "answers.csv"), str(few_digits / "more")
    options = ["--data", str(few_digits), "--epochs", "1", "--batch-size", "32", "--workers", "0", "--device", "cpu"]
    calls = [
        ["train", "--model", "cifar_resnet8", *options, "--out", run],
        ["eval", run, "--on", str(few_digits), "--workers", "0", "--device", "cpu"],
        ["predict", run, images, "--out", out, "--workers", "0", "--device", "cpu"],
    ]
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    lines = torch_server.run(program, json.dumps(calls)).stderr.splitlines()
    found = [line for line in lines if line.endswith("]") and line[0] in "012["]
    assert found == ["0 []", "0 []", "0 []", "['pandas']"], lines
