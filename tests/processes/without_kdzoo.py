"""An exported folder's own lines, run by a process that cannot import kdzoo."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "kdzoo":
            raise ModuleNotFoundError("kdzoo is not here")

sys.meta_path.insert(0, Blocked())
"""


def run_its_lines(folder: Path, photo: Path, answer: str) -> Any:
    """What the Python lines of a folder's README give for an image.

    Args:
        folder: Exported; the image is put into it, as the lines name it.
        photo: The image.
        answer: An expression of ``found``, JSON, that is printed behind the lines.
    """
    shutil.copy(photo, folder / "photo.jpg")
    lines = re.search(r"```python\n(.*)```", (folder / "README.md").read_text(), re.DOTALL)
    assert lines is not None
    program = f"{_BLOCKED}\n{lines[1]}\nimport json\nprint('ANSWER', json.dumps({answer}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=280, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("ANSWER ")[2])
