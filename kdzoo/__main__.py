"""``kdzoo`` and ``python -m kdzoo``."""

from __future__ import annotations

import sys

from kdzoo.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
