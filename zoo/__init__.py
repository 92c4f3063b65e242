"""Models: references, building, weights, saving, listing. Importing this registers kdzoo's networks with timm."""

from __future__ import annotations

from . import networks
from .building import load_model, seeded
from .features import forward_with_features, forward_with_maps, stage_names
from .listing import list_models, model_record
from .loaded import LoadedModel
from .preprocessing import Preprocessing, preprocessing_from_dict
from .references import Reference, parse_reference
from .saving import save_model
from .weights import load_weights, read_weights

__all__ = [
    "LoadedModel",
    "Preprocessing",
    "Reference",
    "forward_with_features",
    "forward_with_maps",
    "list_models",
    "load_model",
    "load_weights",
    "model_record",
    "networks",
    "parse_reference",
    "preprocessing_from_dict",
    "read_weights",
    "save_model",
    "seeded",
    "stage_names",
]
