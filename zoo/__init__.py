"""Models: references, building, weights, saving, listing. Importing this registers kdzoo's networks with timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy import lazy_names
from . import networks

if TYPE_CHECKING:
    from .building import create_model, load_model, seeded
    from .entry_listing import describe_model, entry_record, list_models
    from .features import (
        forward_with_dense,
        forward_with_features,
        forward_with_maps,
        network_output,
        stage_names,
        takes_conditions,
    )
    from .listing import list_architectures
    from .loaded import LoadedModel
    from .preprocessing import Preprocessing, preprocessing_from_dict
    from .pulling import Pulled, pull
    from .references import Reference, parse_reference
    from .saving import save_model
    from .weights import load_weights, read_weights

__getattr__ = lazy_names(
    __name__,
    {
        ".building": "create_model load_model seeded",
        ".entry_listing": "describe_model entry_record list_models",
        ".features": "forward_with_dense forward_with_features forward_with_maps network_output stage_names "
        "takes_conditions",
        ".listing": "list_architectures",
        ".loaded": "LoadedModel",
        ".preprocessing": "Preprocessing preprocessing_from_dict",
        ".pulling": "Pulled pull",
        ".references": "Reference parse_reference",
        ".saving": "save_model",
        ".weights": "load_weights read_weights",
    },
)
