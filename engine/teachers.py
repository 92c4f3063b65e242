"""Teachers: frozen in one place, and kept so.

The ensemble is not an ``nn.Module`` and nothing that trains holds it, so ``.train()``, an optimiser or a checkpoint
never reach a teacher. Each teacher sees the images in its own normalisation and resolution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..base.errors import TeacherError
from ..zoo import LoadedModel
from ..zoo.features import Maps, forward_keeping
from .class_match import ClassMatch
from .precision import autocast


@dataclass(frozen=True)
class Answers:
    """The teachers' answers to a batch: one (B, C) and one (B, D_k) float32 tensor a teacher."""

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...]


def _stay_in_eval(self: nn.Module, mode: bool = True) -> nn.Module:
    return self


def freeze(model: nn.Module) -> nn.Module:
    """The one place that freezes a teacher: eval mode that ``train()`` cannot undo, no gradient to any parameter."""
    model.eval().requires_grad_(False)
    for module in model.modules():
        module.train = MethodType(_stay_in_eval, module)  # type: ignore[method-assign]
    return model


@lru_cache(maxsize=64)
def _statistics(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A mean or standard deviation on the images' device, (1, channels, 1, 1); copied to an accelerator once."""
    with torch.inference_mode(False):  # kept for training too, whoever asks first
        return torch.tensor(values, device=device)[None, :, None, None]


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images in [0, 1] with a model's own mean and standard deviation taken out, (B, 3, H, W).

    A model whose mean has one value sees grey images, the mean of the channels: (B, 1, H, W).
    """
    if len(mean) == 1:
        images = images.mean(dim=1, keepdim=True)
    return (images - _statistics(tuple(mean), images.device)) / _statistics(tuple(std), images.device)


def resize(images: Tensor, size: int | tuple[int, int], interpolation: str) -> Tensor:
    """Images at ``size`` (height and width), antialiased; unchanged where they have that size."""
    size = (size, size) if isinstance(size, int) else size
    if images.shape[-2:] == size:
        return images
    mode = interpolation if interpolation in ("bilinear", "bicubic") else "bilinear"
    return functional.interpolate(images, size, mode=mode, antialias=True, align_corners=False)


class TeacherEnsemble:
    """Frozen teachers, in the order in which they were given.

    Args:
        members: The loaded teachers; moved to the device and frozen here.
        device: Where they compute.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: Whether they are laid out NHWC.
        matches: Which of each teacher's outputs stand for the data's classes: whoever asks gets these, in the data's
            order. By default all of them, in their own order.
        image_size: Side of the images that all of them are run at, pixels; each one's own input size by default.
    """

    def __init__(
        self,
        members: Sequence[LoadedModel],
        device: torch.device,
        *,
        precision: str = "fp32",
        channels_last: bool = True,
        matches: Sequence[ClassMatch] | None = None,
        image_size: int | None = None,
    ) -> None:
        if not members:
            raise TeacherError("no teacher given", hint="name one with --teacher REF")
        self.members = tuple(members)
        self.matches = tuple(matches) if matches is not None else (ClassMatch("assumed"),) * len(self.members)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        for member in self.members:
            member.model = freeze(member.model.to(device).to(memory_format=layout))
        self._device, self._precision = device, precision
        self.sizes: tuple[tuple[int, int], ...] = tuple(
            member.preprocessing.input_size[1:] if image_size is None else (image_size, image_size)
            for member in self.members
        )
        self._before = self.digest()

    def __len__(self) -> int:
        return len(self.members)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the teachers compute in their precision."""
        return autocast(self._device, self._precision)

    @torch.no_grad()
    def __call__(
        self, images: Tensor, conditions: Tensor | None = None, *, renderings: Sequence[Tensor] = ()
    ) -> Answers:
        """Every teacher's answer.

        Args:
            images: float32 in [0, 1], (B, 3, H, W).
            conditions: float32, (B, P), for teachers that take them.
            renderings: The same views at other sizes, for the teachers that are run at these.

        Raises:
            TeacherError: A teacher was put in training mode.
        """
        answers = [
            self.one(index, images, conditions=conditions, renderings=renderings) for index in range(len(self.members))
        ]
        return Answers(tuple(answer[0] for answer in answers), tuple(answer[1] for answer in answers))

    @torch.no_grad()
    def one(
        self,
        index: int,
        images: Tensor,
        *,
        maps: Maps = "",
        conditions: Tensor | None = None,
        renderings: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """One teacher's logits (B, C), pooled features (B, D_k) and the maps that are asked for; float32.

        Args:
            index: Which, in the order in which they were given.
            images: float32 in [0, 1], (B, 3, H, W).
            maps: What to keep beside logits and pooled features.
            conditions: float32, (B, P), for a teacher that takes them.
            renderings: The same views at other sizes: that of the teacher's size is looked at where it is there, the
                images scaled to its size where it is not.

        Raises:
            TeacherError: It was put in training mode.
        """
        member = self.members[index]
        if member.model.training:
            raise TeacherError(f"teacher {member.reference} was put in training mode", hint="this is a bug; report it")
        look, size = member.preprocessing, self.sizes[index]
        seen = next((one for one in (images, *renderings) if one.shape[-2:] == size), images)
        with self.autocast():
            own = normalise(resize(seen, size, look.interpolation), look.mean, look.std)
            logits, features, kept = forward_keeping(maps, member.model, own, conditions)
        answer = self.matches[index].apply(logits.float())
        return answer, features.float(), tuple(item.float() for item in kept)

    def num_outputs(self, index: int) -> int:
        """How many numbers one teacher answers with."""
        columns = self.matches[index].columns
        return self.members[index].num_classes if columns is None else len(columns)

    def digest(self) -> tuple[str, ...]:
        """A SHA-256 over each teacher's parameters and buffers."""
        return tuple(weights_sha256(member.model) for member in self.members)

    def answer_digests(self) -> tuple[str, ...]:
        """A SHA-256 over what decides each teacher's answers: its weights' and, where it picks outputs, which ones."""
        return tuple(
            weights if match.columns is None else hashlib.sha256(f"{weights} {match.columns}".encode()).hexdigest()
            for weights, match in zip(self._before, self.matches, strict=True)
        )

    def verify_unchanged(self) -> None:
        """Raise TeacherError if a teacher is not what it was when it was frozen."""
        for member, before, now in zip(self.members, self._before, self.digest(), strict=True):
            if before != now:
                raise TeacherError(
                    f"teacher {member.reference} changed during the run", hint="this is a bug; report it"
                )


def weights_sha256(model: nn.Module) -> str:
    """A SHA-256 over a network's parameters and buffers, by name: the same for the same weights in any file."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()
