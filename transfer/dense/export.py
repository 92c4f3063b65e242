"""A trained dense network as its framework reads it: a folder that loads without kdzoo, checked as it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from ...base.errors import ModelError, UsageError
from ...base.writing import Content
from ...zoo.exporting import TOLERANCE, Exported
from ...zoo.saving import write_model_folder
from .predict import Predictor
from .trained import TrainedNetwork

Found = TypeVar("Found")

AS_IT_IS = "kdzoo predict uses the run as it is"
"""What is left where a network cannot be exported."""

CHECKED_SIZE = (640, 480)
"""Width and height of the image that a folder is checked on, COCO's most frequent."""


@dataclass(frozen=True, kw_only=True)
class FrameworkFolder:
    """What a framework loads.

    Attributes:
        form: The framework's name, and the format's.
        reader: What reads it for the check, with its version.
        files: Weights and configuration, by name.
        lines: Python that loads the folder and looks at a file ``photo.jpg``.
        compare: From the folder and an image, uint8 (H, W, 3), RGB: the largest difference between what the
            framework gives and what the run's own network gives, and the largest value; infinite where they are not
            of the same boxes or shape.
    """

    form: str
    reader: str
    files: Mapping[str, Content]
    lines: str
    compare: Callable[[Path, np.ndarray], tuple[float, float]]


def write_framework_folder(run: TrainedNetwork, predictor: Predictor, folder: FrameworkFolder, out: Path) -> Exported:
    """Write the folder whole, or nothing where the check fails.

    Raises:
        ModelError: The framework computes something else, or the place holds other files.
        RunError: It cannot be written.
    """
    image, differences = drawn_image(), list[tuple[float, float]]()

    def check(new: Path) -> str:
        worst, largest = folder.compare(new.parent, np.asarray(image))
        if not worst <= TOLERANCE * max(1.0, largest):
            raise ModelError(
                f"{folder.reader} gives something else than {run.folder}: it differs by {worst:.3g}",
                hint=f"nothing was written; {AS_IT_IS}",
            )
        differences.append((worst, largest))
        return _readme(run, folder, worst)

    names = "".join(f"{name}\n" for name in run.class_names)
    write_model_folder(out, {**folder.files, "classes.txt": names, "README.md": check})
    (worst, largest), width_height = differences[0], "x".join(map(str, CHECKED_SIZE))
    return Exported(
        path=str(out),
        format=folder.form,
        bytes=sum(one.stat().st_size for one in out.iterdir()),
        parameters=sum(parameter.numel() for parameter in predictor.network.model.parameters()),
        image_size=None,
        batch="one",
        fused="",
        checked_with=folder.reader,
        checked_on=f"a drawn image of {width_height}",
        max_difference=worst,
        largest=largest,
    )


def refuse_form(run: TrainedNetwork, form: str, forms: Mapping[str, str]) -> None:
    """Refuse a format that the run's network cannot be written in.

    Args:
        run: What was trained.
        form: What is asked for.
        forms: The engine, or ``any``, that each format is for.

    Raises:
        UsageError: It is none of them, or another engine's.
    """
    usable = [name for name, engine in forms.items() if engine in ("any", run.engine)]
    if form not in usable:
        kind = {"detection": "detector", "segmentation": "segmentor"}[run.kind]
        offered = (
            f"--format {' or '.join(usable)}" if usable else f"train it with --engine {' or '.join(forms.values())}"
        )
        raise UsageError(
            f"a {kind} of the {run.engine} engine is not written as {form}",
            hint=f"{offered}; {AS_IT_IS}",
        )


def require_own_network(found: Found | None, architecture: str, framework: str, known: str) -> Found:
    """What a framework needs to build a backbone by itself.

    Raises:
        ModelError: It has no such network.
    """
    if found is None:
        raise ModelError(
            f"{architecture} is timm's: {framework} alone cannot build it (it has {known})",
            hint=AS_IT_IS,
        )
    return found


def drawn_image() -> Image.Image:
    """Smooth random colours, the same each time: no photograph is needed, and there are edges of every size."""
    random = np.random.default_rng(0)
    layers = [random.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (5, 17, 60)]
    whole = [np.asarray(Image.fromarray(one).resize(CHECKED_SIZE, Image.Resampling.BICUBIC), float) for one in layers]
    return Image.fromarray(np.mean(whole, axis=0).round().astype(np.uint8))


def weights_file(model: torch.nn.Module, key: str, **more: object) -> Callable[[Path], None]:
    """The content of a checkpoint that holds a network's tensors under a key."""
    return lambda new: torch.save({key: model.state_dict(), **more}, new)


def _readme(run: TrainedNetwork, folder: FrameworkFolder, worst: float) -> str:
    return f"""# A {run.kind} network of {len(run.class_names)} classes, for {folder.reader}

Exported by kdzoo, which is not needed to use it. On a drawn image its answers differ by {worst:.1e} at most from those
of the run that trained it. `classes.txt` has the names in label order.

```python
{folder.lines}```
"""
