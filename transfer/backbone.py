"""A classifier as the backbone of a dense task: its feature maps at strides 4 to 32, with its own weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn

from ..base.errors import ModelError
from ..zoo import LoadedModel, Preprocessing
from .dilation import dilated

BatchNormMode = Literal["frozen", "train"]

STAGES = (1, 2, 3, 4)
"""Residual stages as the field counts them: 0 is the stem (stride 2), stage k ends at stride 2 ** (k + 1)."""

_PROBE = (128, 192)  # pixels, height and width: not square, so that a network for one size is found out

# A network of parallel branches mixes all strides in every map: its stages are told by its modules' names.
_STAGES_BY_NAME = {
    "HighResolutionNet": {
        0: ("conv1", "bn1", "conv2", "bn2"),
        1: ("layer1",),
        2: ("transition1", "stage2"),
        3: ("transition2", "stage3"),
        4: ("transition3", "stage4", "incre_modules"),
    }
}


@dataclass(frozen=True, kw_only=True)
class Level:
    """One feature map of a backbone.

    Attributes:
        stage: 0 to 4; see `STAGES`.
        module: timm's name of where it comes from.
        channels: Of the map.
        stride: Pixels of the image a step of the map.
    """

    stage: int
    module: str
    channels: int
    stride: int


class Backbone(nn.Module):
    """The network itself, without what a dense task has no use for; gives one map a level.

    Args:
        network: Already pruned and frozen.
        indices: Of timm's feature maps, one a level; None to listen at the levels' modules.
        levels: What it gives.
        stage_of: The stage of each parameter, by its name in ``network``.
        unused: Names of the weights that no level depends on.
        preprocessing: How images become inputs: RGB, its mean and its standard deviation.
    """

    def __init__(
        self,
        network: nn.Module,
        indices: Sequence[int] | None,
        levels: Sequence[Level],
        stage_of: dict[str, int],
        unused: Sequence[str],
        preprocessing: Preprocessing,
    ) -> None:
        super().__init__()
        self.network = network
        self.levels = tuple(levels)
        self.stage_of = dict(stage_of)
        self.unused = tuple(unused)
        self.preprocessing = preprocessing
        self._indices = None if indices is None else list(indices)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images (B, 3, H, W) to one (B, C, H / stride, W / stride) a level, finest first."""
        return _maps(self.network, images, self._indices, [level.module for level in self.levels])


def build_backbone(
    loaded: LoadedModel,
    *,
    stages: Sequence[int] = STAGES,
    output_stride: int = 32,
    batchnorm: BatchNormMode = "frozen",
    frozen_stages: int = 0,
) -> Backbone:
    """Take a loaded classifier as a backbone.

    Args:
        loaded: From ``zoo.load_model``; its network is taken over and changed.
        stages: Which maps to give, finest first.
        output_stride: 32, or 16 or 8 with the last stages dilated instead of strided.
        batchnorm: ``"frozen"``: BatchNorm is a fixed scale and shift; ``"train"``: it learns and keeps statistics.
        frozen_stages: The first so many stages, the stem included, do not learn: 0 none, 1 the stem, 2 the stem and
            the first residual stage, 5 everything.

    Raises:
        ModelError: The network has no maps at these strides, takes images of one size only, or cannot be dilated.
    """
    name = loaded.architecture
    found = _feature_info(loaded)
    missing = [2 ** (stage + 1) for stage in stages if stage not in found]
    if missing:
        own: Any = loaded.model.feature_info
        strides = sorted({int(entry["reduction"]) for entry in own})
        raise ModelError(
            f"{name} has no feature maps at stride {', '.join(map(str, missing))} "
            f"(it has {', '.join(map(str, strides))})",
            hint="choose a convolutional network for images of 224 pixels or so, such as resnet50d",
        )
    by_index = hasattr(loaded.model, "forward_intermediates")
    used, stage_of = _probe(loaded.model, name, found, stages, by_index)
    network = loaded.model if output_stride == 32 else dilated(loaded, output_stride, stage_of)
    info: Any = loaded.model.feature_info
    indices = [found[stage] for stage in stages]
    levels = [
        Level(
            stage=stage,
            module=info[index]["module"],
            channels=info[index]["num_chs"],
            stride=min(2 ** (stage + 1), output_stride) if stage else 2,
        )
        for stage, index in zip(stages, indices, strict=True)
    ]
    before = list(network.state_dict())
    kept = _prune(network, indices if by_index else None, used)
    after = dict(network.named_parameters())
    unused = [key for key in before if not _is_used(key, used)]
    for key, parameter in after.items():
        parameter.requires_grad_(key in used and stage_of[key] >= frozen_stages)
    stage_of = {key: stage_of[key] for key in after if key in used}
    _freeze_norms(network, stage_of, None if batchnorm == "frozen" else frozen_stages)
    left = {key for key, _ in network.named_parameters()}
    stage_of = {key: stage for key, stage in stage_of.items() if key in left}
    return Backbone(network, kept, levels, stage_of, unused, loaded.preprocessing)


def _feature_info(loaded: LoadedModel) -> dict[int, int]:
    """The index of the last map of each stage in timm's ``feature_info``.

    Raises:
        ModelError: The architecture does not say.
    """
    info: Any = getattr(loaded.model, "feature_info", None)
    if not info:
        raise ModelError(
            f"{loaded.architecture} does not name its feature maps (timm's feature_info)",
            hint="choose an architecture that timm builds with features_only=True, such as resnet50d",
        )
    stage_at_stride = {2 ** (stage + 1): stage for stage in range(5)}
    found = {}
    for index, entry in enumerate(info):
        stage = stage_at_stride.get(int(entry["reduction"]))
        if stage is not None and entry.get("module"):
            found[stage] = index
    return found


def _maps(network: Any, images: Tensor, indices: list[int] | None, modules: Sequence[str]) -> list[Tensor]:
    if indices is not None:
        return list(network.forward_intermediates(images, indices=indices, intermediates_only=True, stop_early=True))
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    try:
        network.forward_features(images)
    finally:
        for handle in handles:
            handle.remove()
    return [found[name] for name in modules]


@torch.enable_grad()
def _probe(
    network: nn.Module, name: str, found: dict[int, int], stages: Sequence[int], by_index: bool
) -> tuple[set[str], dict[str, int]]:
    """Which parameters the wanted maps depend on, and from which stage on each has an effect.

    Told by differentiation, on torch's meta device: no numbers are computed.
    """
    info: Any = network.feature_info
    shadow = copy.deepcopy(network).to("meta").eval().requires_grad_(True)
    order = sorted(found)
    indices = [found[stage] for stage in order]
    modules = [info[index]["module"] for index in indices]
    try:
        maps = _maps(shadow, torch.empty(1, 3, *_PROBE, device="meta"), indices if by_index else None, modules)
    except (RuntimeError, AssertionError, ValueError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{name} cannot take images of {_PROBE[0]}x{_PROBE[1]} pixels ({line})",
            hint="a dense task sees images of many sizes: choose a convolutional network",
        ) from None
    names, parameters = zip(*shadow.named_parameters(), strict=True)
    used: set[str] = set()
    stage_of: dict[str, int] = {}
    for stage, feature in zip(order, maps, strict=True):
        if feature.shape[1] != info[found[stage]]["num_chs"]:
            raise ModelError(f"{name} gives its feature maps in another layout", hint="choose a convolutional network")
        if not feature.requires_grad:  # a map before the first weight
            continue
        gradients = torch.autograd.grad(feature.sum(), parameters, allow_unused=True, retain_graph=True)
        reached = [key for key, gradient in zip(names, gradients, strict=True) if gradient is not None]
        for key in reached:
            stage_of.setdefault(key, stage)
        if stage in stages:
            used.update(reached)
    table = _STAGES_BY_NAME.get(type(network).__name__)
    if table is not None:
        by_module = {module: stage for stage, module_names in table.items() for module in module_names}
        stage_of = {key: by_module[key.partition(".")[0]] for key in stage_of}
    return used, stage_of


def _prune(network: nn.Module, by_index: list[int] | None, used: set[str]) -> list[int] | None:
    """Drop what no level needs: by timm's own means, and what is left of it by replacing whole children."""
    prune: Any = getattr(network, "prune_intermediate_layers", None)
    if by_index is not None and prune is not None:
        by_index = list(prune(by_index, prune_head=True))
    for name, child in list(network.named_children()):
        keys = [key for key, _ in child.named_parameters(prefix=name)]
        if keys and used.isdisjoint(keys):
            setattr(network, name, nn.Identity())
    return by_index


def _is_used(key: str, used: set[str]) -> bool:
    """Whether a tensor of the state is a used parameter, or a buffer beside one."""
    owner = key.rpartition(".")[0]
    return key in used or any(f"{owner}.{name}" in used for name in ("weight", "bias") if owner)


def _freeze_norms(network: nn.Module, stage_of: dict[str, int], frozen_stages: int | None) -> None:
    """Make BatchNorm a fixed scale and shift: everywhere, or in the first so many stages."""
    kinds = (nn.BatchNorm2d, nn.SyncBatchNorm)
    for name, module in list(network.named_modules()):
        if not isinstance(module, kinds) or (frozen_stages is not None and _stage(name, stage_of) >= frozen_stages):
            continue
        parent = network.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], freeze_batch_norm_2d(module))


def _stage(module: str, stage_of: dict[str, int]) -> int:
    return stage_of.get(f"{module}.weight", len(STAGES) + 1)
