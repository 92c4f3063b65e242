"""mmsegmentation, imported without its warnings, its words kept off the terminal. Imported lazily only."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mmcv without compiled operations says so; none of these heads needs one
    import mmengine
    import mmengine.optim
    import mmseg
    import mmseg.evaluation
    import mmseg.models
    from mmengine.logging import MMLogger
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

__all__ = ["MODELS", "MMLogger", "PixelData", "SegDataSample", "mmengine", "mmseg"]
