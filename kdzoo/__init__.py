"""kdzoo: a better vision backbone of the same size, by distillation."""

from __future__ import annotations

__version__ = "0.1.0"
