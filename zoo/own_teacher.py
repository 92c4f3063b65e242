"""Teachers of the user's own: any callable from images to logits or features, made by a function of a Python file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..base.errors import KdzooError, ModelError
from ..base.own_code import failure_of, load_code
from ..base.suggestions import suggestion
from .building import seeded
from .loaded import LoadedModel
from .preprocessing import preprocessing_from_dict
from .references import parse_reference

_HINT = "let the function return kdzoo.OwnTeacher(NETWORK, image_size=PIXELS), see docs/extending.md"
_PROBE = 2  # images


@dataclass(frozen=True)
class OwnTeacher:
    """A network of your own as a teacher, or anything else that can be called with images.

    Attributes:
        answer: Takes images, float32, (B, C, H, W), normalised by ``mean`` and ``std``, on the run's device; gives
            logits (B, classes), or the pair of logits and pooled features (B, D). Called without gradients; a module is
            put in eval mode, frozen and moved to the device, and the digest that resuming compares holds its weights.
        image_size: Side of the images that it takes, pixels.
        gives: ``logits``, or ``features`` of a network without classes: then ``answer`` gives pooled features (B, D),
            or the map (B, D, h, w) whose mean they are.
        mean: Of a channel, of images in [0, 1]; of one value for a network that sees grey images.
        std: As ``mean``.
        class_names: In the order of its outputs, by which they are brought into the data's; empty where its order is
            the data's.
        interpolation: Of the resize to its size.
        licence: Of its weights, for a model card.
    """

    answer: Callable[[Tensor], Tensor | tuple[Tensor, Tensor]]
    image_size: int
    gives: Literal["logits", "features"] = "logits"
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    class_names: Sequence[str] = ()
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    licence: str | None = None


class OwnNetwork(nn.Module):
    """An `OwnTeacher` under timm's model interface. Its state holds the digest of the Python that made it.

    Args:
        teacher: What answers.
        sha256: Of its file.
    """

    code_sha256: Tensor

    def __init__(self, teacher: OwnTeacher, sha256: str) -> None:
        super().__init__()
        self.answer, self._bare = teacher.answer, teacher.gives == "features"
        self.nothing = nn.Parameter(torch.empty(0), requires_grad=False)  # says on which device it is
        self.register_buffer("code_sha256", torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8))
        self.num_classes = self.num_features = 0
        self.gives_features = False

    def learn_shapes(self, images: Tensor) -> None:
        """Look at what it answers to blank images.

        Raises:
            ValueError: That is neither logits nor features.
        """
        found = self.answer(images)
        parts = found if isinstance(found, tuple) else (found,)
        if len(parts) not in ((1,) if self._bare else (1, 2)):
            raise ValueError(f"it gives {len(parts)} values")
        for part in parts:
            if not isinstance(part, Tensor):
                raise ValueError(f"it gives {type(part).__name__}, and no tensor")
            if part.ndim not in ((2, 4) if self._bare else (2,)) or len(part) != len(images):
                raise ValueError(f"it gives a tensor of shape {tuple(part.shape)} for {len(images)} images")
            if not part.is_floating_point() or not torch.isfinite(part).all():
                raise ValueError("it gives what is no finite number")
        self.gives_features = self._bare or len(parts) == 2
        self.num_features = parts[-1].shape[1]
        self.num_classes = 0 if self._bare else parts[0].shape[1]

    def reset_classifier(self, num_classes: int) -> None:
        """Answer with another number of logits, as a measurement wants it; 0 for features alone."""
        self.num_classes = num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Logits, or features where there are no classes."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Any:
        """What it answers; without classes the features alone."""
        found = self.answer(images)
        return found[-1] if self.num_classes == 0 and isinstance(found, tuple) else found

    def forward_head(self, found: Any, pre_logits: bool = False) -> Tensor:
        """Logits, or the pooled features, of what it answered."""
        logits, features = found if isinstance(found, tuple) else (found, found)
        if pre_logits or self.num_classes == 0:
            return features.mean(dim=(2, 3)) if features.ndim == 4 else features
        same = logits.shape[1] == self.num_classes
        return logits if same else logits[:, :1].expand(-1, self.num_classes)

    def get_classifier(self) -> nn.Module | None:
        """Nothing stands between features and output where there are no classes; no module of its own elsewhere."""
        return nn.Identity() if self.num_classes == 0 else None


def load_own_teacher(reference: str, *, num_classes: int | None = None, image_size: int | None = None) -> LoadedModel:
    """The teacher that a function of the user's own makes; the Python is run, and the teacher asked about blank images.

    Args:
        reference: ``FILE.py:FUNCTION``.
        num_classes: 0 to leave logits off; another number to measure what that many take.
        image_size: In place of its own, pixels.

    Raises:
        KdzooError: The file cannot be read, or raises.
        ModelError: There is no such function, or what it gives cannot be a teacher.
    """
    parsed = parse_reference(reference)
    code = load_code(parsed.path)
    make = getattr(code.module, parsed.function, None)
    if not callable(make):
        known = [name for name, value in vars(code.module).items() if callable(value) and not name.startswith("_")]
        raise ModelError(
            f"{code.name} has no function {parsed.function}", hint=suggestion(parsed.function, known, _HINT)
        )
    try:
        with seeded(0):
            teacher = make()
        if not isinstance(teacher, OwnTeacher) or not callable(teacher.answer):
            raise ModelError(f"{reference} gives {type(teacher).__name__}, and no teacher", hint=_HINT)
        preprocessing = preprocessing_from_dict(
            {**vars(teacher), "image_size": image_size or teacher.image_size, "crop_pct": 1.0}, reference
        )
        network = OwnNetwork(teacher, code.sha256).eval()
        with torch.no_grad():
            network.learn_shapes(torch.zeros(_PROBE, *preprocessing.input_size))
    except KdzooError:
        raise
    except Exception as error:  # the user's own code
        said = failure_of(error)
        what = said.message if said else f"{reference}: {' '.join(str(error).split())}"
        size = f"{_PROBE} blank images"
        raise ModelError(what, hint=f"it is asked about {size} first and must give logits {_PROBE}×classes") from error
    names = tuple(teacher.class_names)
    if names and len(names) != network.num_classes:
        raise ModelError(
            f"{reference} names {len(names)} classes and has {network.num_classes} logits", hint="name each"
        )
    if num_classes is not None and num_classes != network.num_classes:
        network.reset_classifier(num_classes)
        names = ()
    return LoadedModel(
        reference=parsed.text,
        architecture=type(teacher.answer).__name__,
        model=network.train(),
        preprocessing=preprocessing,
        num_classes=network.num_classes,
        class_names=names,
        licence=teacher.licence,
        pretrained=True,
    )
