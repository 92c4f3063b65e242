"""Which columns hold the images and their classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...base.errors import DataError, UsageError

_IMAGE_NAMES = ("image", "img")
_LABEL_NAMES = ("label", "labels")


@dataclass(frozen=True)
class Columns:
    """The columns of a copy.

    Attributes:
        image: Holds encoded images.
        in_struct: Whether these are structs with the field ``bytes``.
        label: Holds a class each.
        names: The classes' names in label order; None where the labels are their own names.
        by_number: Whether the labels are integers.
    """

    image: str
    in_struct: bool
    label: str
    names: tuple[str, ...] | None
    by_number: bool

    @property
    def to_read(self) -> list[str]:
        """What a reader is asked for: of an image its bytes alone."""
        return [f"{self.image}.bytes" if self.in_struct else self.image, self.label]


def own_features(schema: Any) -> dict[str, Any]:
    """The features in a file's own metadata, where `datasets` writes them: key ``huggingface``, ``info.features``."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def choose_columns(
    schema: Any, features: dict[str, Any], file: str, image: str | None = None, label: str | None = None
) -> Columns:
    """The columns to read.

    Args:
        schema: A file's Arrow schema.
        features: By column, as `own_features` gives them.
        file: Its name, for errors.
        image, label: Asked for by name; otherwise the only ones that could be meant.

    Raises:
        UsageError: None, or more than one, could be meant; or there is no such column.
        DataError: The column does not hold images, or one class an image.
    """
    image = _choose(schema, file, "image", image, _like_images(schema, features), _IMAGE_NAMES)
    label = _choose(schema, file, "label", label, _like_labels(schema, features, image), _LABEL_NAMES)
    if not _is_image(schema.field(image).type):
        raise DataError(
            f"the column {image} of {file} is {schema.field(image).type}, not encoded images", hint=_list(schema)
        )
    kind = schema.field(label).type
    by_number = _is_integer(kind)
    if _is_list(kind):
        raise DataError(
            f"the column {label} of {file} is {kind}: several labels an image, and a class folder says one",
            hint="choose another column with --label-column, or take the data set in its own layout",
        )
    if not by_number and not _is_text(kind):
        raise DataError(
            f"the column {label} of {file} is {kind}; labels are integers or texts",
            hint=f"choose with --label-column; {_list(schema)}",
        )
    return Columns(
        image=image,
        in_struct=_is_struct(schema.field(image).type),
        label=label,
        names=_names(features, label, file) if by_number else None,
        by_number=by_number,
    )


def _choose(
    schema: Any, file: str, what: str, wanted: str | None, candidates: Sequence[str], usual: Sequence[str]
) -> str:
    option = f"--{what}-column"
    if wanted is not None:
        if wanted not in schema.names:
            raise UsageError(f"{file} has no column {wanted!r}", hint=_list(schema))
        return wanted
    if len(candidates) == 1:
        return candidates[0]
    named = [name for name in usual if name in candidates]
    if len(named) == 1:
        return named[0]
    if candidates:
        raise UsageError(
            f"{file} has {len(candidates)} columns that may hold the {what}: {', '.join(candidates)}",
            hint=f"choose one with {option}",
        )
    raise UsageError(f"{file} has no column that looks like the {what}", hint=f"choose with {option}; {_list(schema)}")


def _like_images(schema: Any, features: dict[str, Any]) -> list[str]:
    declared = [name for name in schema.names if _type(features, name) == "Image"]
    return declared or [name for name in schema.names if _is_image(schema.field(name).type)]


def _like_labels(schema: Any, features: dict[str, Any], image: str) -> list[str]:
    others = [name for name in schema.names if name != image]
    declared = [name for name in others if _type(features, name) == "ClassLabel"]
    usual = ("label", "labels", "fine_label", "coarse_label", "class", "target", "category")
    return declared or [name for name in others if name.lower() in usual]


def _type(features: dict[str, Any], name: str) -> str | None:
    feature = features.get(name)
    return feature.get("_type") if isinstance(feature, dict) else None


def _names(features: dict[str, Any], label: str, file: str) -> tuple[str, ...] | None:
    if _type(features, label) != "ClassLabel":
        return None
    names = features[label].get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"the column {label} of {file} says that its labels have names, and not which",
            hint="the copy's metadata is damaged: download it again, or tell its owner",
        )
    return tuple(names)


def _is_image(kind: Any) -> bool:
    return _is_struct(kind) or _is_bytes(kind)


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    index = kind.get_field_index("bytes") if pa.types.is_struct(kind) else -1
    return index >= 0 and _is_bytes(kind.field(index).type)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_integer(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(_values(kind)))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = _values(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _values(kind: Any) -> Any:
    """What a dictionary-encoded column holds."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _list(schema: Any) -> str:
    shown = [f"{name} ({str(schema.field(name).type)[:40]})" for name in schema.names[:12]]
    return f"its columns: {', '.join(shown)}{' and others' if len(schema.names) > 12 else ''}"
