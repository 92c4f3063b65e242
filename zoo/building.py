"""From a model reference to a built network with its weights, its preprocessing and what it promises."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.data import ImageNetInfo
from timm.models import get_pretrained_cfg, is_model
from torch import nn

from ..base.errors import ModelError
from .architecture_arguments import checked_arguments
from .downloads import hub_file, timm_weights_file
from .entries import PROMISED_ON, PROMISED_TOP1, get_entry
from .fitting import find_fit
from .json_file import read_json
from .loaded import LoadedModel
from .model_folder import checked_classes, known_architecture, read_model_config, refuse_oversized
from .preprocessing import Preprocessing, preprocessing_from_dict, preprocessing_from_timm
from .pulled import pulled_commit, whole_folder
from .references import Reference, parse_reference
from .weight_files import read_states
from .weight_index import hub_weights, weights_in
from .weights import load_weights, read_checkpoint_student, refuse_not_finite, strip_wrappers
from .weights_digest import check_digest

if TYPE_CHECKING:
    from .conversion.renaming import Renaming


def load_model(
    reference: str,
    *,
    pretrained: bool | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
    new_head: bool = False,
) -> LoadedModel:
    """Build the model that a reference names.

    Args:
        reference: See ``references``.
        pretrained: True for weights (a bare name takes timm's default ones), False for random ones, None for weights
            where the reference names them and random ones where it is a bare architecture.
        num_classes: Outputs. Where the weights have another number, they keep their backbone and get a new head; 0
            leaves the classifier off.
        seed: Of random weights. torch's global generators are left as they were.
        image_size: Side of a square, pixels, in place of the model's own size; passed to architectures that are built
            for one size.
        new_head: Whether the caller draws a classifier of its own, so that weights without one will do.

    Raises:
        ModelError: The reference names nothing, its weights are missing, do not fit, are not finite or not those that
            were written; says where they were looked for.
        CheckpointError: A run's checkpoint is damaged.
    """
    for name, value, least in (("num_classes", num_classes, 0), ("image_size", image_size, 1)):
        if value is not None and value < least:
            must = "positive" if least else "0 or more"
            raise ModelError(f"{name} must be {must}, got {value}", hint=f"leave {name} out for the model's own")
    parsed = parse_reference(reference)
    if parsed.kind == "code":
        raise ModelError(
            f"{parsed.text} is Python of your own, which is run as a teacher alone",
            hint="'kdzoo distill' and 'kdzoo label' take it: --teacher",
        )
    wanted = parsed.names_weights if pretrained is None else pretrained
    build = {
        "zoo": _from_zoo,
        "timm": _from_timm,
        "weights": _from_weights_file,
        "checkpoint": _from_checkpoint,
        "folder": _from_folder,
        "run": _from_folder,
        "hub": _from_folder,
    }[parsed.kind]
    with seeded(seed):
        loaded = build(_Asked(parsed, wanted, num_classes, image_size, seed, new_head))
        if loaded.pretrained:
            refuse_not_finite(loaded.model, parsed.text)
        _fit_classes(loaded, num_classes, seed)
    return loaded


def load_renamed(reference: str, renaming: Renaming) -> LoadedModel:
    """The model of ``ARCHITECTURE=FILE``, whose weights have other names than the network's.

    Args:
        reference: An architecture and its weights, or ``torchvision/NAME=FILE``.
        renaming: From the file's names.

    Raises:
        ModelError: As ``load_model``; the weights do not fit under their new names either.
    """
    asked = _Asked(parse_reference(reference), True, None, None, 0, False)
    with seeded(0):
        loaded = _from_weights_file(asked, renaming)
        refuse_not_finite(loaded.model, reference)
    return loaded


@dataclass(frozen=True)
class _Asked:
    """What ``load_model`` was asked for, with its reference read.

    Attributes:
        reference: The model.
        wanted: Whether with its weights.
        num_classes: Outputs, or None for its own.
        image_size: Pixels, or None for its own.
        seed: Of what is random.
        new_head: Whether the caller draws a classifier of its own.
    """

    reference: Reference
    wanted: bool
    num_classes: int | None
    image_size: int | None
    seed: int
    new_head: bool


def create_model(
    reference: str, *, pretrained: bool = True, num_classes: int | None = None, seed: int = 0
) -> nn.Module:
    """The network that a reference names, with its weights, in evaluation mode; ``load_model`` says all else of it.

    Args:
        reference: See ``references``.
        pretrained: False for random weights.
        num_classes: Outputs; another number than the weights' gets a new head.
        seed: Of what is random.

    Raises:
        ModelError: As ``load_model``.
    """
    return load_model(reference, pretrained=pretrained, num_classes=num_classes, seed=seed).model.eval()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator inside, and restore it afterwards; those of other devices are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def create(name: str, source: str, **arguments: Any) -> Any:
    """``timm.create_model`` with clear errors and without its warnings about old names.

    Args:
        name: What timm is asked for.
        source: Names in messages what asks for it.
        arguments: Passed on.

    Raises:
        ModelError: timm has no such architecture, refuses the arguments, or cannot load the weights.
    """
    if not is_model(name):
        raise ModelError(
            f"{source} names the architecture {name!r}, which neither timm {timm.__version__} nor kdzoo has",
            hint="update timm, or check the name",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timm.create_model(name, **arguments)
    except Exception as error:  # timm checks arguments by assertion and by failing
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source} could not be built: {line}", hint="check its image size and arguments") from error


def _from_zoo(asked: _Asked) -> LoadedModel:
    parsed, entry = asked.reference, get_entry(asked.reference.text)
    if asked.wanted:
        get_it = f"kdzoo pull {entry.name}"
        folder = whole_folder(entry.name, get_it)
        if folder is None:
            raise ModelError(f"{entry.name} is not pulled yet (looked for {parsed.path})", hint=get_it)
        return _from_folder(replace(asked, reference=replace(parsed, path=folder)), digest_held=True)
    arguments, preprocessing = _resized(entry.architecture, entry.model_args, entry.preprocessing, asked.image_size)
    classes = 1000 if asked.num_classes is None else asked.num_classes
    model = create(entry.architecture, entry.name, num_classes=classes, **arguments)
    return LoadedModel(
        reference=entry.name,
        architecture=entry.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        num_classes=model.num_classes,
    )


def _from_timm(asked: _Asked) -> LoadedModel:
    parsed, wanted, image_size = asked.reference, asked.wanted, asked.image_size
    record = get_pretrained_cfg(parsed.pinned)
    arguments = _size_arguments(record, image_size)
    notes = list(parsed.notes)
    if wanted:
        path = timm_weights_file(record, parsed.pinned)
        custom = record is not None and record.custom_load and path.suffix == ".npz"
        overlay = {"file": str(path), "custom_load": custom}
        model = create(parsed.pinned, parsed.pinned, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    else:
        model = create(parsed.pinned, parsed.text, num_classes=asked.num_classes, **arguments)
        if not parsed.tag_written:
            default = f" (timm's default ones are {parsed.pinned})" if parsed.tag else ""
            notes = [f"the weights of {parsed.text} are random: the name names none{default}"]
    preprocessing, more = preprocessing_from_timm(model.pretrained_cfg, parsed.pinned, image_size)
    names = tuple(ImageNetInfo().label_names()) if wanted and model.num_classes == 1000 else ()
    promised = PROMISED_TOP1.get(parsed.pinned) if wanted and image_size is None else None
    return LoadedModel(
        reference=parsed.pinned if wanted or parsed.tag_written else parsed.text,
        architecture=parsed.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        class_names=names,
        num_classes=model.num_classes,
        promised_top1=promised,
        promised_on=PROMISED_ON if promised is not None else None,
        licence=record.license if wanted and record else None,
        pretrained=wanted,
        notes=(*notes, *more),
    )


def _from_weights_file(asked: _Asked, renaming: Renaming | None = None) -> LoadedModel:
    parsed = asked.reference
    record = get_pretrained_cfg(parsed.timm_name)
    arguments = _size_arguments(record, asked.image_size)
    if parsed.torchvision:
        from .conversion.renaming import torchvision_network

        found = torchvision_network(parsed.torchvision)
        arguments |= found.arguments
        renaming = renaming or found.renaming
    build = functools.partial(create, parsed.timm_name, parsed.text, **arguments)
    notes: tuple[str, ...] = ()
    if asked.wanted:
        model, notes = _filled(build, parsed.path, asked, any_classes=True, renaming=renaming)
    else:
        model = build(num_classes=asked.num_classes)
    preprocessing, more = preprocessing_from_timm(model.pretrained_cfg, parsed.timm_name, asked.image_size)
    note = f"{parsed.path.name} says nothing of its preprocessing: taking that of {parsed.timm_name}"
    return LoadedModel(
        reference=parsed.text,
        architecture=parsed.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        num_classes=model.num_classes,
        pretrained=asked.wanted,
        notes=(*parsed.notes, note, *more, *notes),
    )


def _from_checkpoint(asked: _Asked) -> LoadedModel:
    parsed = asked.reference
    path = parsed.path.parent.parent / "config.json"
    student = read_json(path)
    student = student.get("student") if isinstance(student, dict) else None
    if not isinstance(student, Mapping) or not isinstance(student.get("architecture"), str):
        raise ModelError(f"{path} names no student", hint=f"for plain weights write ARCHITECTURE={parsed.path}")
    architecture = known_architecture(student["architecture"], path)
    arguments = checked_arguments(student.get("model_args") or {}, path)
    own_classes = checked_classes(student.get("num_classes"), path)
    preprocessing = preprocessing_from_dict(_object(student.get("preprocessing"), path), str(path))
    arguments, preprocessing = _resized(architecture, arguments, preprocessing, asked.image_size)
    classes = own_classes if asked.wanted or asked.num_classes is None else asked.num_classes
    grey = {"in_chans": 1} if preprocessing.input_size[0] == 1 else {}
    model = create(architecture, str(path), num_classes=classes, **grey, **arguments)
    if asked.wanted:
        load_weights(model, read_checkpoint_student(parsed.path), str(parsed.path))
    listed = student.get("class_names")
    names = listed if isinstance(listed, list) and all(isinstance(name, str) for name in listed) else []
    return LoadedModel(
        reference=parsed.text,
        architecture=architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        class_names=tuple(names) if classes == own_classes else (),
        num_classes=model.num_classes,
        pretrained=asked.wanted,
        notes=parsed.notes,
    )


def _from_folder(asked: _Asked, *, digest_held: bool = False) -> LoadedModel:
    """A folder in timm's layout.

    Args:
        asked: What for.
        digest_held: Whether the files were compared with their recorded digests just before.
    """
    parsed, notes, wanted = asked.reference, asked.reference.notes, asked.wanted
    revision, commit = parsed.revision, None
    if parsed.kind == "hub":
        commit = pulled_commit(parsed.repository, parsed.revision)
        revision = commit or parsed.revision
        folder = hub_file(parsed.repository, ("config.json",), revision, prefer_cache=commit is not None).parent
        if commit is not None and commit != parsed.revision:
            notes = (f"{parsed.text} is the pulled commit {commit[:12]}; 'kdzoo pull {parsed.text}' looks for a newer",)
    else:
        folder = parsed.path / "model" if parsed.kind == "run" else parsed.path
    config = read_model_config(folder / "config.json")
    arguments, preprocessing = _resized(config.architecture, config.model_args, config.preprocessing, asked.image_size)
    build = functools.partial(
        create, config.architecture, str(folder), pretrained_cfg=config.pretrained_cfg, **arguments
    )
    classes = config.num_classes
    if wanted:
        if parsed.kind == "hub":
            path = hub_weights(parsed.repository, revision, prefer_cache=commit is not None)
        else:
            path = weights_in(folder)
        check_digest(path, None if digest_held else config.digest)
        if config.model_args and config.digest is None and path.is_file():
            refuse_oversized(folder / "config.json", path, only_counted=True)
        model, more = _filled(functools.partial(build, num_classes=classes), path, asked)
        notes = (*notes, *more)
    else:
        classes = classes if asked.num_classes is None else asked.num_classes
        model = build(num_classes=classes)
    kept = classes == config.num_classes
    promised = config.promised_top1 if wanted and asked.image_size in (None, config.preprocessing.image_size) else None
    return LoadedModel(
        reference=parsed.text,
        architecture=config.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        class_names=config.class_names if kept else (),
        num_classes=model.num_classes,
        promised_top1=promised,
        promised_on=config.promised_on if promised is not None else None,
        licence=config.licence if wanted else None,
        pretrained=wanted,
        notes=(*notes, *config.notes),
        provenance=config.provenance if wanted else {},
    )


def _filled(
    build: Callable[..., Any],
    path: Path,
    asked: _Asked,
    *,
    any_classes: bool = False,
    renaming: Renaming | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """A built network with a file's weights, and what to say of where they were found in it.

    Args:
        build: Makes the network.
        path: The weights.
        asked: Whether another classifier is drawn anyway.
        any_classes: Whether the file says how many classes there are.
        renaming: Of the file's tensors, for those under other names than the network's.
    """
    model, states = build(), read_states(path)
    if renaming is not None:
        states = [replace(state, tensors=renaming(model, strip_wrappers(state.tensors))) for state in states]
    headless = asked.new_head or asked.num_classes is not None
    fit = find_fit(model, states, str(path), any_classes=any_classes, headless=headless)
    if fit.headless and asked.num_classes not in (None, model.num_classes):
        model = build(num_classes=asked.num_classes)
    elif fit.classes not in (None, model.num_classes):
        model = build(num_classes=fit.classes)
    tensors, notes = fit.tensors, []
    if fit.headless:
        with seeded(asked.seed):
            model.reset_classifier(model.num_classes)
        tensors = model.state_dict() | tensors
        drawn = f": one for {model.num_classes} classes was drawn with seed {asked.seed}" if model.num_classes else ""
        notes.append(f"{path.name} has no classifier{drawn}")
    load_weights(model, tensors, str(path))
    if not fit.is_plain:
        notes.append(f"the weights are those under {fit.place} of {path.name}")
    return model, tuple(notes)


def _object(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping | None):
        raise ModelError(f"{path} has preprocessing that is not an object", hint="get the folder again")
    return value or {}


def _size_arguments(record: Any, image_size: int | None) -> dict[str, Any]:
    fixed = image_size is not None and record is not None and record.fixed_input_size
    return {"img_size": image_size} if fixed else {}


def _resized(
    architecture: str, arguments: Mapping[str, Any], preprocessing: Preprocessing, image_size: int | None
) -> tuple[dict[str, Any], Preprocessing]:
    arguments = dict(arguments)
    if image_size is None or preprocessing.input_size[1:] == (image_size, image_size):
        return arguments, preprocessing
    record = get_pretrained_cfg(architecture) if is_model(architecture) else None
    if "img_size" in arguments or (record is not None and record.fixed_input_size):
        arguments["img_size"] = image_size
    return arguments, replace(preprocessing, image_size=image_size, image_width=None)


def _fit_classes(loaded: LoadedModel, num_classes: int | None, seed: int) -> None:
    if num_classes is None or num_classes == loaded.num_classes:
        return
    had = loaded.num_classes
    with seeded(seed):
        network: Any = loaded.model
        network.reset_classifier(num_classes)
    whose = f"the weights have {had} classes: a new head" if had else "the weights have no classifier: one"
    note = f"{whose} for {num_classes} was drawn with seed {seed}"
    if num_classes == 0:
        note = f"the classifier of the weights, for {had} classes, is left off"
    loaded.num_classes, loaded.class_names = num_classes, ()
    loaded.promised_top1 = loaded.promised_on = None
    loaded.notes = (*loaded.notes, note)
