"""detectron2, imported without its warnings, its loggers quiet until a run gives them a file. Imported lazily only."""

from __future__ import annotations

import logging
import warnings

LOGGERS = ("detectron2", "fvcore", "iopath")

for _name in LOGGERS:
    _logger = logging.getLogger(_name)
    _logger.addHandler(logging.NullHandler())
    _logger.propagate = False

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it scripts functions, which torch is giving up
    import detectron2
    import detectron2.modeling
    import detectron2.utils.events

__all__ = ["LOGGERS", "detectron2"]
