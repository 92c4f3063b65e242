"""Data: sources and their checks, views, mixing, batches. Everything here is a pure function of the run's seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy import lazy_names

if TYPE_CHECKING:
    from .batch import Batch
    from .check import CheckReport, SplitReport, check_source
    from .images import UnreadableImage, read_rgb
    from .label_store import LabelHead, LabelStore, TeacherRecord
    from .loader import eval_batches, train_batches
    from .mixing import Mix, Mixing, apply_mix, draw_mix
    from .order import BatchOrder, WholeEpochs
    from .randomness import epoch_order, generator, seed_torch, torch_seed
    from .sources import ArraySource, ConcatSource, FileSource, ImageSource
    from .specs import DataSpec, open_source, parse_data_spec
    from .view_sizes import mix_at, render_view
    from .views import Augmentation, EvalTransform, View, apply_view, draw_view
    from .workers import TaskIterator

__getattr__ = lazy_names(
    __name__,
    {
        ".batch": "Batch",
        ".check": "CheckReport SplitReport check_source",
        ".images": "UnreadableImage read_rgb",
        ".label_store": "LabelHead LabelStore TeacherRecord",
        ".loader": "eval_batches train_batches",
        ".mixing": "Mix Mixing apply_mix draw_mix",
        ".order": "BatchOrder WholeEpochs",
        ".randomness": "epoch_order generator seed_torch torch_seed",
        ".sources": "ArraySource ConcatSource FileSource ImageSource",
        ".specs": "DataSpec open_source parse_data_spec",
        ".view_sizes": "mix_at render_view",
        ".views": "Augmentation EvalTransform View apply_view draw_view",
        ".workers": "TaskIterator",
    },
)
