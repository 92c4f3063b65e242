"""Exact conversion of released weights to timm's key names, one declarative table a network."""

from .convert import CONVERSIONS, ConvertedWeights, convert, network_of
from .table import Conversion

__all__ = ["CONVERSIONS", "Conversion", "ConvertedWeights", "convert", "network_of"]
