"""Logits, penultimate features and stage outputs of any timm model, from one forward pass."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..base.errors import ModelError

Maps = Literal["", "stages", "dense", "heads", "stages+dense", "stages+heads"]
"""What is kept of a forward pass beside logits and pooled features: nothing, the outputs of the network's stages, the
map that its head pools, the logits of its class head and of its distillation head (in training), or two of them."""

_AFTER_STAGES: dict[str, Maps] = {"stages": "", "stages+dense": "dense", "stages+heads": "heads"}


def takes_conditions(model: nn.Module) -> bool:
    """Whether a network takes numbers beside the image (the gaze networks' head pose)."""
    return bool(getattr(model, "head_pose_dim", 0))


def network_output(model: nn.Module, images: Tensor, conditions: Tensor | None) -> Tensor:
    """The network's output; the conditions reach those networks only that take them.

    Args:
        model: The network.
        images: Already normalised.
        conditions: (B, P), or None where the data has none.

    Raises:
        ModelError: The network takes conditions, and there are none.
    """
    output: Tensor = model(images, _needed(conditions)) if takes_conditions(model) else model(images)
    return output


def blank_conditions(model: nn.Module, count: int) -> Tensor | None:
    """Conditions of the right shape for ``count`` images, all zero; None for a network that takes none."""
    return torch.zeros(count, int(getattr(model, "head_pose_dim", 0))) if takes_conditions(model) else None


def _needed(conditions: Tensor | None) -> Tensor:
    if conditions is None:
        raise ModelError(
            "this network takes the head's pose beside the image, and the data has none",
            hint="use the network without it (gaze_lenet, gaze_preact_resnet8)",
        )
    return conditions


def forward_with_features(model: nn.Module, images: Tensor, conditions: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits and the pooled penultimate features behind them.

    The features are what the classifier is given: before any dropout where the model's dropout rate is zero, as
    ``load_model`` builds it. The backbone runs once. Works in training mode and under ``torch.compile``.

    Args:
        model: A model with timm's interface (``forward_features``, ``forward_head``, ``get_classifier``).
        images: (B, 3, H, W), already normalised.
        conditions: (B, P), for a network that takes them.

    Returns:
        Logits (B, C), equal to ``model(images)``, and features (B, D); of a network without a classifier both are the
        features.

    Raises:
        ModelError: The network takes conditions, and there are none.
    """
    network: Any = model  # timm's interface is a convention, no type
    return _head_output(model, network.forward_features(images), conditions)


def _head_output(model: nn.Module, maps: Tensor, conditions: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits and pooled features of what ``forward_features`` gave."""
    network: Any = model
    features = network.forward_head(maps, pre_logits=True)
    classifier = network.get_classifier()
    if takes_conditions(model):
        return classifier(torch.cat([features, _needed(conditions).to(features)], dim=1)), features
    plain = isinstance(classifier, nn.Linear) or (isinstance(classifier, nn.Identity) and network.num_classes == 0)
    if plain and features.ndim == 2 and not _adds_to(model, classifier):
        return classifier(features), features
    # The head does more than one linear layer to its features: two distilled heads, a 1x1 convolution, a BatchNorm
    # before the linear layer. None of these has a BatchNorm before its features, whose statistics would move twice.
    logits = network.forward_head(maps)
    return logits, features if features.ndim == 2 else features.flatten(2).mean(dim=2)


def stage_names(model: nn.Module) -> tuple[str, ...]:
    """The modules whose outputs timm calls the network's feature maps (its ``feature_info``), the earliest first.

    Raises:
        ModelError: The architecture does not say.
    """
    info: Any = getattr(model, "feature_info", None)
    names = tuple(str(stage["module"]) for stage in info or () if stage.get("module"))
    if not names or not {*names} <= {name for name, _ in model.named_modules()}:
        raise ModelError(
            f"{type(model).__name__} does not name its stages (timm's feature_info)",
            hint="use an architecture that timm can build with features_only=True",
        )
    return names


def forward_with_maps(
    model: nn.Module, images: Tensor, conditions: Tensor | None = None, *, own: Maps = ""
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """As ``forward_with_features``, with the outputs of the network's stages. Not for ``torch.compile``.

    Args:
        model: A model with timm's interface and ``feature_info``.
        images: (B, 3, H, W), already normalised.
        conditions: (B, P), for a network that takes them.
        own: What to keep after the stages.

    Returns:
        Logits (B, C), features (B, D), and one map a stage, (B, C_k, H_k, W_k); transformers' tokens as
        ``forward_with_dense`` has them.

    Raises:
        ModelError: The architecture does not name its stages, or one gives no map.
    """
    names = stage_names(model)
    found: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            found[name] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        logits, features, further = forward_keeping(own, model, images, conditions)
    finally:
        for handle in handles:
            handle.remove()
    hint = "use another network, or leave out what compares stages"
    stages = (_as_map(model, found[name], images.shape[-2:], f"in its stage {name} ", hint) for name in names)
    return logits, features, (*stages, *further)


def forward_with_dense(
    model: nn.Module, images: Tensor, conditions: Tensor | None = None
) -> tuple[Tensor, Tensor, tuple[Tensor]]:
    """As ``forward_with_features``, with the dense features behind the pooled ones.

    Args:
        model: A model with timm's interface.
        images: (B, 3, H, W), already normalised.
        conditions: (B, P), for a network that takes them.

    Returns:
        Logits (B, C), features (B, D), and what the head pools as a map, (B, C', h, w): a transformer's tokens on the
        grid of its patches, without those that stand for no place (class, distillation, registers).

    Raises:
        ModelError: What the network gives is no map.
    """
    network: Any = model
    found = network.forward_features(images)
    logits, features = _head_output(model, found, conditions)
    hint = "--set objective.dense_weight=0 compares the pooled features alone"
    return logits, features, (_as_map(model, found, images.shape[-2:], "", hint),)


def forward_with_heads(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """As ``forward_with_features``, with the logits of class head and distillation head, whose mean the logits are.

    Args:
        model: A model with timm's ``set_distilled_training``, which is on, in training mode.
        images: (B, 3, H, W), already normalised.
    """
    network: Any = model
    found = network.forward_features(images)
    heads = network.forward_head(found)
    features = network.forward_head(found, pre_logits=True)
    if isinstance(features, tuple):  # PiT's are two here, too
        features = (features[0] + features[1]) / 2
    return sum(heads) / 2, features if features.ndim == 2 else features.flatten(2).mean(dim=2), tuple(heads)


def forward_keeping(
    maps: Maps, model: nn.Module, images: Tensor, conditions: Tensor | None = None
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Logits, pooled features and the maps that are asked for; see the functions above.

    Raises:
        ModelError: The network has no such maps, or takes conditions that are not there.
    """
    if maps in _AFTER_STAGES:
        return forward_with_maps(model, images, conditions, own=_AFTER_STAGES[maps])
    if maps == "dense":
        return forward_with_dense(model, images, conditions)
    if maps == "heads" and model.training:
        return forward_with_heads(model, images)
    return *forward_with_features(model, images, conditions), ()


def _as_map(model: nn.Module, found: Any, size: tuple[int, ...], where: str, hint: str) -> Tensor:
    """The output of ``forward_features``, or of a stage, for images of a size as (B, C, h, w)."""
    if isinstance(found, Tensor) and found.ndim == 4:
        return found.permute(0, 3, 1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else found
    if isinstance(found, Tensor) and found.ndim == 3:
        tokens = found[:, int(getattr(model, "num_prefix_tokens", 0)) :]
        rows = round(math.sqrt(tokens.shape[1] * size[0] / size[1]))
        if rows and rows * round(rows * size[1] / size[0]) == tokens.shape[1]:
            return tokens.transpose(1, 2).unflatten(2, (rows, -1))
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    raise ModelError(
        f"{type(model).__name__} has no dense features: it gives {shape} {where}for images of {size[0]}×{size[1]} px, "
        "which is no map and no grid of tokens",
        hint=hint,
    )


def _adds_to(model: nn.Module, classifier: nn.Module) -> bool:
    """Whether the logits are more than the classifier of the features: a BatchNorm between, or an auxiliary head."""
    normed = getattr(getattr(model, "head", None), "linear", None) is classifier
    return normed or getattr(model, "aux_head", None) is not None
