"""The grammar of model references: one way to name a model, for every verb.

ssld_resnet50d                 a model of the zoo, see ``entries``; pulled before
resnet50.ram_in1k              timm's architecture and weights
resnet50                       timm's (or kdzoo's) architecture; where weights are wanted, timm's default ones
hf-hub:ORG/NAME[@REVISION]     a repository on the Hugging Face Hub in timm's layout
local-dir:PATH, or PATH        a folder in timm's layout (config.json and model.safetensors)
RUN                            a run folder: its exported model, or its newest checkpoint while it is not finished
RUN/checkpoints/X.safetensors  the student in a run's checkpoint
FILE.py:FUNCTION               a teacher of the user's own, see ``own_teacher``; distilling and labelling take it alone
ARCH=PATH                      plain weights (.safetensors, .pth, .pt, .bin, or the .index.json of weights in several
                               files, or the folder of any) of a timm architecture
torchvision/NAME=PATH          the same, of the network that torchvision calls so
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from timm.models import (
    get_deprecated_models,
    get_pretrained_cfg,
    is_model,
    list_models,
    model_entrypoint,
    split_model_name_tag,
)

from ..base.errors import ModelError
from ..base.regular_files import refuse_special
from ..base.suggestions import nearest_names
from . import networks  # noqa: F401 (registers kdzoo's own names)
from .entries import ENTRIES, Entry
from .pulled import model_folder
from .weight_index import INDEX_SUFFIX, weights_in

Kind = Literal["zoo", "timm", "hub", "folder", "run", "checkpoint", "weights", "code"]

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar", ".ckpt")
_CODE = re.compile(r"(?P<path>.+\.py):(?P<function>\w+)", re.DOTALL | re.IGNORECASE)
_ASSIGNED = re.compile(r"(?P<torchvision>torchvision/)?(?P<name>[A-Za-z0-9][\w.-]*)=(?P<path>.+)", re.DOTALL)
_HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")

# timm resolves these to the 32x8d weights, which are other weights of another size.
_WRONG_ALIASES = {
    "ig_resnext101_32x16d": "resnext101_32x16d.fb_wsl_ig1b_ft_in1k",
    "ig_resnext101_32x32d": "resnext101_32x32d.fb_wsl_ig1b_ft_in1k",
    "ig_resnext101_32x48d": None,
}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a reference names.

    Attributes:
        text: As the user wrote it.
        kind: Which form it has.
        architecture: timm's name, where the reference itself holds it, or the zoo's entry.
        tag: timm's name of the weights: the one written, or the default one; ``""`` where there is none.
        tag_written: Whether the reference names weights that are published (a bare name names none).
        path: Of a folder, run or file.
        function: In a file of Python.
        torchvision: torchvision's name of the network, where the weights are under its names.
        repository: ``ORG/NAME`` on the Hub.
        revision: Branch, tag or commit on the Hub.
        notes: What the user should know about how the reference was read.
    """

    text: str
    kind: Kind
    architecture: str = ""
    tag: str = ""
    tag_written: bool = False
    path: Path = Path()
    function: str = ""
    torchvision: str = ""
    repository: str = ""
    revision: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def timm_name(self) -> str:
        """``architecture.tag`` where the reference holds an architecture; ``""`` elsewhere."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture

    @property
    def pinned(self) -> str:
        """The reference with its weights named, so that it means the same after timm's default changes."""
        return self.timm_name if self.kind == "timm" else self.text

    @property
    def names_weights(self) -> bool:
        """Whether the reference names weights, and not an architecture alone."""
        return self.kind != "timm" or self.tag_written


def parse_reference(text: str) -> Reference:
    """Read a reference. Nothing is built or downloaded.

    Raises:
        ModelError: It has no form of the grammar, names nothing known, or a path that is not there.
    """
    text = text.strip()
    if not text:
        raise ModelError("the model reference is empty", hint="try 'kdzoo models list'")
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower().replace("_", "-") == "hf-hub":
        return _hub(text, rest)
    if colon and scheme.lower().replace("_", "-") == "local-dir":
        return _folder(text, _expanded(rest))
    code = _CODE.fullmatch(text)
    if code and not os.path.lexists(text):
        return Reference(text=text, kind="code", path=_expanded(code["path"]), function=code["function"])
    entry = ENTRIES.get(text)
    if entry is not None and entry.timm_name != text:
        return _zoo(entry)
    assigned = _ASSIGNED.fullmatch(text)
    if assigned and not os.path.exists(text):
        if assigned["torchvision"]:
            from .conversion.renaming import torchvision_network  # most commands read no foreign weights

            found = torchvision_network(assigned["name"])
            return replace(_weights(text, found.timm, _expanded(assigned["path"])), torchvision=assigned["name"])
        return _weights(text, assigned["name"], _expanded(assigned["path"]))
    if text.startswith("torchvision/") and not os.path.lexists(text):
        raise ModelError(
            f"{text} names no weights", hint=f"write {text}=FILE, with a file that torchvision's model saved"
        )
    if _is_name(text):
        return _timm(text)
    path = _expanded(text)
    if os.path.lexists(path) or _looks_like_path(text):
        return _path(text, path)
    return _timm(text)


def _zoo(entry: Entry) -> Reference:
    if entry.format == "none":
        raise ModelError(
            f"{entry.name} is a row of a paper, and no weights are published for it that kdzoo could load",
            hint=f"'kdzoo models show {entry.name}' shows the number and its source",
        )
    if entry.timm_name:
        architecture, tag = split_model_name_tag(entry.timm_name)
        return Reference(
            text=entry.name,
            kind="timm",
            architecture=architecture,
            tag=tag,
            tag_written=True,
            notes=(f"{entry.name} is timm's {entry.timm_name}",),
        )
    return Reference(text=entry.name, kind="zoo", architecture=entry.architecture, path=model_folder(entry.name))


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ModelError(f"{text} names the home of a user that is not here", hint="check the path") from error


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[\w.-]+", text) is not None and is_model(text)


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(("~", ".")) or text.endswith((*WEIGHT_SUFFIXES, INDEX_SUFFIX))


def _hub(text: str, rest: str) -> Reference:
    match = _HUB.fullmatch(rest)
    if not match or not _is_repository(match["repository"]):
        raise ModelError(f"{text!r} is not a Hub reference", hint="write hf-hub:ORG/NAME or hf-hub:ORG/NAME@REVISION")
    return Reference(text=text, kind="hub", repository=match["repository"], revision=match["revision"])


def _is_repository(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _folder(text: str, path: Path) -> Reference:
    refuse_special(path, what="the model folder")
    if not path.is_dir():
        raise ModelError(f"there is no folder {path}", hint="local-dir:PATH takes a folder with config.json in it")
    if not (path / "config.json").is_file():
        raise ModelError(
            f"{path} holds no config.json",
            hint="a model folder has config.json and model.safetensors, as timm writes them",
        )
    return Reference(text=text, kind="folder", path=path)


def _weights(text: str, name: str, path: Path) -> Reference:
    architecture = _timm(name)
    refuse_special(path, what="the weights file")
    path = weights_in(path) if path.is_dir() else path
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint=f"give the path of a weights file: {name}=PATH")
    return Reference(
        text=text,
        kind="weights",
        architecture=architecture.architecture,
        tag=architecture.tag,
        tag_written=architecture.tag_written,
        path=path,
        notes=tuple(note for note in architecture.notes if "deprecated" in note),
    )


def _path(text: str, path: Path) -> Reference:
    refuse_special(path, what="the model")
    if path.is_file():
        if path.suffix == ".safetensors" and (path.parent.parent / "config.json").is_file():
            return Reference(text=text, kind="checkpoint", path=path)
        if path.suffix in WEIGHT_SUFFIXES or path.name.endswith(INDEX_SUFFIX):
            raise ModelError(
                f"{path} holds weights, and does not say of which architecture", hint=f"write ARCHITECTURE={text}"
            )
        if path.suffix == ".onnx":
            raise ModelError(
                f"{path} is an ONNX file, which 'kdzoo eval' and 'kdzoo predict' take, each for classes alone",
                hint="name the model that it was exported from",
            )
        if path.suffix == ".py":
            raise ModelError(f"{path} is Python, and does not say which teacher of it", hint=f"write {text}:FUNCTION")
        raise ModelError(
            f"{path} is not a model",
            hint=f"a weights file ends in one of {', '.join(WEIGHT_SUFFIXES)}; a model is a folder",
        )
    if not path.is_dir():
        hint = (
            f"check the path; a repository on the Hub is hf-hub:{text}"
            if _HUB.fullmatch(text) and path.suffix not in WEIGHT_SUFFIXES
            else "check the path"
        )
        raise ModelError(f"there is no model at {path}", hint=hint)
    if (path / "model" / "config.json").is_file():
        return Reference(text=text, kind="run", path=path)
    if (path / "checkpoints").is_dir():
        newest = newest_checkpoint(path)
        note = f"the run {path} is not finished: taking the student of its checkpoint {newest.name}"
        return Reference(text=text, kind="checkpoint", path=newest, notes=(note,))
    return _folder(text, path)


def newest_checkpoint(run: Path) -> Path:
    """The newest checkpoint of a run.

    Raises:
        ModelError: It has none yet.
    """
    found = sorted((run / "checkpoints").glob("step-*.safetensors"))
    if not found:
        raise ModelError(
            f"the run {run} has neither an exported model nor a checkpoint yet",
            hint="let it reach its first checkpoint, or go on with --resume",
        )
    return found[-1]


def _timm(text: str) -> Reference:
    name, tag = split_model_name_tag(text)
    if name in _WRONG_ALIASES:
        instead = _WRONG_ALIASES[name]
        raise ModelError(
            f"{name} is refused: timm gives the weights of the smaller ig_resnext101_32x8d under this old name",
            hint=f"use {instead}" if instead else "timm has no such weights; use resnext101_32x32d.fb_wsl_ig1b_ft_in1k",
        )
    deprecated = get_deprecated_models()
    if name in deprecated:
        today = deprecated[name]
        if today is None:
            raise ModelError(f"timm has removed {name}", hint="try 'kdzoo models list'")
        # An old name stood for certain weights, so it names them.
        name, todays_tag = split_model_name_tag(today)
        tag = tag or todays_tag
        pinned = f"{name}.{tag}" if tag else name
        return Reference(
            text=text,
            kind="timm",
            architecture=name,
            tag=tag,
            tag_written=bool(tag),
            notes=(f"the deprecated name {text} is today's {pinned}",),
        )
    if not is_model(name):
        raise ModelError(f"there is no model {text!r}", hint=_nearest(name))
    if tag:
        try:
            record = get_pretrained_cfg(text)
        except RuntimeError as error:
            raise ModelError(f"{name} has no weights called {tag!r}", hint=_known_tags(name)) from error
        if record is None:
            raise ModelError(f"{name} has no weights called {tag!r}", hint=_known_tags(name))
        return Reference(text=text, kind="timm", architecture=name, tag=tag, tag_written=bool(record.has_weights))
    default = default_tag(name)
    notes = (f"the bare name {name} is pinned to timm's default weights {name}.{default}",) if default else ()
    return Reference(text=text, kind="timm", architecture=name, tag=default, notes=notes)


def is_kdzoo_network(architecture: str) -> bool:
    """Whether kdzoo itself brings the architecture, so that timm alone does not know it."""
    return is_model(architecture) and model_entrypoint(architecture).__module__.startswith("kdzoo.")


def default_tag(architecture: str) -> str:
    """timm's name of an architecture's default weights; ``""`` where it has none."""
    record = get_pretrained_cfg(architecture)
    return (record.tag or "") if record is not None and record.has_weights else ""


def _known_tags(architecture: str) -> str:
    tags = [split_model_name_tag(name)[1] for name in list_models(architecture, include_tags=True)]
    tags = [tag for tag in tags if tag]
    return f"it has {', '.join(tags)}" if tags else f"write {architecture} alone: timm has no weights for it"


def _nearest(name: str) -> str:
    known = sorted({*list_models(), *get_deprecated_models(), *ENTRIES} - set(_WRONG_ALIASES))
    near = nearest_names(name, known, most=3)
    near += [other for other in known if other.endswith(f"_{name}") and other not in near][:2]
    return f"nearest names: {', '.join(near)}" if near else "try 'kdzoo models list'"
