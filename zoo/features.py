"""Logits and penultimate features of any timm model, from one forward pass."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def forward_with_features(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the pooled penultimate features behind them.

    The features are what the classifier is given: before any dropout where the model's dropout rate is zero, as
    ``load_model`` builds it. The backbone runs once. Works in training mode and under ``torch.compile``.

    Args:
        model: A model with timm's interface (``forward_features``, ``forward_head``, ``get_classifier``).
        images: (B, 3, H, W), already normalised.

    Returns:
        Logits (B, C), equal to ``model(images)``, and features (B, D).
    """
    network: Any = model  # timm's interface is a convention, no type
    maps = network.forward_features(images)
    features = network.forward_head(maps, pre_logits=True)
    classifier = network.get_classifier()
    if isinstance(classifier, nn.Linear) and features.ndim == 2 and not _adds_to(model, classifier):
        return classifier(features), features
    # The head does more than one linear layer to its features: two distilled heads, a 1x1 convolution, a BatchNorm
    # before the linear layer. None of these has a BatchNorm before its features, whose statistics would move twice.
    logits = network.forward_head(maps)
    return logits, features if features.ndim == 2 else features.flatten(2).mean(dim=2)


def _adds_to(model: nn.Module, classifier: nn.Linear) -> bool:
    """Whether the logits are more than the classifier of the features: a BatchNorm between, or an auxiliary head."""
    normed = getattr(getattr(model, "head", None), "linear", None) is classifier
    return normed or getattr(model, "aux_head", None) is not None
