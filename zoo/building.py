"""From a model reference to a built network with its weights, its preprocessing and what it promises."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import ImageNetInfo
from timm.models import get_pretrained_cfg, is_model
from torch import Tensor, nn

from ..errors import ModelError
from .downloads import WEIGHT_FILES, hub_file, timm_weights_file
from .entries import get_entry
from .loaded import LoadedModel
from .model_folder import read_json, read_model_config
from .preprocessing import Preprocessing, preprocessing_from_dict, preprocessing_from_timm
from .promises import PROMISED_ON, PROMISED_TOP1
from .pulled import pulled_commit, whole_folder
from .references import Reference, parse_reference
from .weights import load_weights, read_checkpoint_student, read_weights


def load_model(
    reference: str,
    *,
    pretrained: bool | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> LoadedModel:
    """Build the model that a reference names.

    Args:
        reference: See ``references``.
        pretrained: True for weights (a bare name takes timm's default ones), False for random ones, None for weights
            where the reference names them and random ones where it is a bare architecture.
        num_classes: Outputs. Where the weights have another number, they keep their backbone and get a new head.
        seed: Of random weights. torch's global generators are left as they were.
        image_size: Side of a square, pixels, in place of the model's own size; passed to architectures that are built
            for one size.

    Raises:
        ModelError: The reference names nothing, its weights are missing or do not fit; says where they were looked for.
        CheckpointError: A run's checkpoint is damaged.
    """
    for name, value in (("num_classes", num_classes), ("image_size", image_size)):
        if value is not None and value < 1:
            raise ModelError(f"{name} must be positive, got {value}", hint=f"leave {name} out for the model's own")
    parsed = parse_reference(reference)
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
        loaded = build(parsed, wanted, num_classes, image_size)
        _fit_classes(loaded, num_classes, seed)
    return loaded


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
    """Start torch's CPU generator at ``seed`` inside; afterwards it is what it was. Other devices' are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def create(name: str, source: str, *, architecture: str | None = None, **arguments: Any) -> Any:
    """``timm.create_model`` with clear errors and without its warnings about old names.

    Args:
        name: What timm is asked for: a name, or ``local-dir:PATH``.
        source: Names in messages what asks for it.
        architecture: The architecture, where ``name`` is not one.
        arguments: Passed on.

    Raises:
        ModelError: timm has no such architecture, refuses the arguments, or cannot load the weights.
    """
    architecture = architecture or name
    if not is_model(architecture):
        raise ModelError(
            f"{source} names the architecture {architecture!r}, which neither timm {timm.__version__} nor kdzoo has",
            hint="update timm, or check the name",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timm.create_model(name, **arguments)
    except Exception as error:  # timm checks arguments by assertion and by failing
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source} could not be built: {line}", hint="check its image size and arguments") from error


def _from_zoo(parsed: Reference, wanted: bool, num_classes: int | None, image_size: int | None) -> LoadedModel:
    entry = get_entry(parsed.text)
    if wanted:
        get_it = f"kdzoo pull {entry.name}"
        folder = whole_folder(entry.name, get_it)
        if folder is None:
            raise ModelError(f"{entry.name} is not pulled yet (looked for {parsed.path})", hint=get_it)
        return _from_folder(replace(parsed, path=folder), wanted, num_classes, image_size)
    arguments, preprocessing = _resized(entry.architecture, entry.model_args, entry.preprocessing, image_size)
    model = create(entry.architecture, entry.name, num_classes=num_classes or 1000, **arguments)
    return LoadedModel(
        reference=entry.name,
        architecture=entry.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        num_classes=model.num_classes,
    )


def _from_timm(parsed: Reference, wanted: bool, num_classes: int | None, image_size: int | None) -> LoadedModel:
    record = get_pretrained_cfg(parsed.pinned)
    arguments = _size_arguments(record, image_size)
    notes = list(parsed.notes)
    if wanted:
        path = timm_weights_file(record, parsed.pinned)
        custom = record is not None and record.custom_load and path.suffix == ".npz"
        overlay = {"file": str(path), "custom_load": custom}
        model = create(parsed.pinned, parsed.pinned, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    else:
        model = create(parsed.pinned, parsed.text, num_classes=num_classes, **arguments)
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


def _from_weights_file(parsed: Reference, wanted: bool, num_classes: int | None, image_size: int | None) -> LoadedModel:
    record = get_pretrained_cfg(parsed.timm_name)
    arguments = _size_arguments(record, image_size)
    tensors = read_weights(parsed.path) if wanted else {}
    classes = _classes_in(tensors, record.classifier if record else None) if wanted else num_classes
    model = create(parsed.timm_name, parsed.text, num_classes=classes, **arguments)
    if wanted:
        load_weights(model, tensors, str(parsed.path))
    preprocessing, more = preprocessing_from_timm(model.pretrained_cfg, parsed.timm_name, image_size)
    note = f"{parsed.path.name} says nothing of its preprocessing: taking that of {parsed.timm_name}"
    return LoadedModel(
        reference=parsed.text,
        architecture=parsed.architecture,
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        num_classes=model.num_classes,
        pretrained=wanted,
        notes=(*parsed.notes, note, *more),
    )


def _from_checkpoint(parsed: Reference, wanted: bool, num_classes: int | None, image_size: int | None) -> LoadedModel:
    path = parsed.path.parent.parent / "config.json"
    student = read_json(path)
    student = student.get("student") if isinstance(student, dict) else None
    if not isinstance(student, Mapping) or not isinstance(student.get("architecture"), str):
        raise ModelError(f"{path} names no student", hint=f"for plain weights write ARCHITECTURE={parsed.path}")
    arguments = dict(student.get("model_args") or {})
    preprocessing = preprocessing_from_dict(student.get("preprocessing") or {}, str(path))
    arguments, preprocessing = _resized(student["architecture"], arguments, preprocessing, image_size)
    classes = student.get("num_classes") if wanted or num_classes is None else num_classes
    model = create(student["architecture"], str(path), num_classes=classes, **arguments)
    if wanted:
        load_weights(model, read_checkpoint_student(parsed.path), str(parsed.path))
    return LoadedModel(
        reference=parsed.text,
        architecture=student["architecture"],
        model_args=arguments,
        model=model,
        preprocessing=preprocessing,
        class_names=tuple(student.get("class_names") or ()) if classes == student.get("num_classes") else (),
        num_classes=model.num_classes,
        pretrained=wanted,
        notes=parsed.notes,
    )


def _from_folder(parsed: Reference, wanted: bool, num_classes: int | None, image_size: int | None) -> LoadedModel:
    notes = parsed.notes
    if parsed.kind == "hub":
        commit = pulled_commit(parsed.repository, parsed.revision)
        revision = commit or parsed.revision
        folder = hub_file(parsed.repository, ("config.json",), revision, prefer_cache=commit is not None).parent
        if commit is not None and commit != parsed.revision:
            notes = (f"{parsed.text} is the pulled commit {commit[:12]}; 'kdzoo pull {parsed.text}' looks for a newer",)
    else:
        folder = parsed.path / "model" if parsed.kind == "run" else parsed.path
    config = read_model_config(folder / "config.json")
    arguments, preprocessing = _resized(config.architecture, config.model_args, config.preprocessing, image_size)
    classes = config.num_classes if wanted or num_classes is None else num_classes
    build = functools.partial(
        create,
        f"local-dir:{folder}",
        str(folder),
        architecture=config.architecture,
        num_classes=classes,
        **arguments,
    )
    model = build()
    if wanted:
        if parsed.kind == "hub":
            path = hub_file(parsed.repository, WEIGHT_FILES, revision, prefer_cache=commit is not None)
        else:
            path = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), folder / WEIGHT_FILES[0])
        model = _fill(path, model, build)
    kept = wanted or classes == config.num_classes
    promised = config.promised_top1 if wanted and image_size in (None, config.preprocessing.image_size) else None
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


def _fill(path: Path, model: Any, build: Callable[..., Any]) -> Any:
    """Load a folder's weights: as they are, or through timm's own conversion where they are not in today's names."""
    try:
        load_weights(model, read_weights(path), str(path))
        return model
    except ModelError:
        # An older name of a layer, or position embeddings of another size: timm knows how to convert them, strictly.
        with contextlib.suppress(ModelError):
            return build(pretrained=True, pretrained_cfg_overlay={"file": str(path), "source": ""})
        raise


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


def _classes_in(tensors: Mapping[str, Tensor], classifier: Any) -> int | None:
    """The outputs of the classifier in a file, or None where it is not found."""
    name = classifier if isinstance(classifier, str) else classifier[0] if classifier else ""
    weight = tensors.get(f"{name}.weight")
    return None if weight is None else int(weight.shape[0])


def _fit_classes(loaded: LoadedModel, num_classes: int | None, seed: int) -> None:
    if num_classes is None or num_classes == loaded.num_classes:
        return
    had = loaded.num_classes
    with seeded(seed):
        network: Any = loaded.model
        network.reset_classifier(num_classes)
    note = f"the weights have {had} classes: a new head for {num_classes} was drawn with seed {seed}"
    loaded.num_classes, loaded.class_names = num_classes, ()
    loaded.promised_top1 = loaded.promised_on = None
    loaded.notes = (*loaded.notes, note)
