"""Reading a JSON file that others wrote: config.json, an index of weights, a run's documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..base.errors import ModelError
from ..base.regular_files import refuse_special

_MAX_BYTES = 20 * 2**20


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        ModelError: It is missing, unreadable, larger than any such file, or not JSON.
        UsageError: It is not an ordinary file.
    """
    refuse_special(path, what="the file")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path} is larger than any {path.name} of a model", hint="get the folder again")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}", hint="check the path") from error
    except RecursionError as error:
        raise ModelError(f"{path} is not readable JSON (nested too deep)", hint="get the folder again") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON ({error})", hint="get the folder again") from error
