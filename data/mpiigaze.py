"""`mpiigaze`: grey eye images with the direction of gaze and the pose of the head, of 15 people.

X. Zhang, Y. Sugano, M. Fritz, A. Bulling, "Appearance-Based Gaze Estimation in the Wild", CVPR 2015. What is read is
the evaluation subset, 1,500 left and 1,500 right eyes a person, in the archive's own layout::

    Data/Normalized/p00/day01.mat             every eye image of a day
    Evaluation Subset/sample list for eye image/p00.txt   which of them count: "day01/0001.jpg left"

Angles, the mirrored right eyes and their signs are those of hysts/pytorch_mpiigaze (2a31a6c).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..base.errors import DataError, UsageError
from .mat_files import EYES, EyeTable, read_day
from .randomness import epoch_order
from .sources import ArraySource

NUM_PEOPLE = 15
IMAGES_A_PERSON = 3000
NUM_HELD_OUT = 3
TARGETS = ("pitch", "yaw")
IMAGES = ("Data", "Normalized")
LISTS = ("Evaluation Subset", "sample list for eye image")
_PERSON = re.compile(r"p\d{2}")
_DRAW = re.compile(r"draw(\d{1,4})")
_HINT = (
    "get MPIIGaze from its authors and unpack it: {path}/Data/Normalized/p00/day01.mat, … and "
    "{path}/Evaluation Subset/sample list for eye image/p00.txt, …; another place: mpiigaze:PATH"
)


def held_out_people(who: str | None, people: tuple[str, ...]) -> tuple[str, ...]:
    """The people that are evaluated on; all others are trained on.

    Args:
        who: ``p03`` or ``p01+p07+p12``: these; ``drawN``: three at random, others for each N; None for ``draw0``.
        people: Everyone there is, in order.

    Raises:
        UsageError: It names nobody, someone who is not there, or everyone.
    """
    text = who or "draw0"
    draw = _DRAW.fullmatch(text)
    if draw:
        chosen = epoch_order(len(people), int(draw[1]), 0)[:NUM_HELD_OUT]
        names = tuple(people[index] for index in sorted(chosen.tolist()))
    else:
        names = tuple(sorted(set(text.split("+"))))
    unknown = [name for name in names if name not in people]
    if unknown:
        raise UsageError(
            f"mpiigaze@{text}: there is no person {unknown[0]!r}",
            hint=f"write p00 (leave one person out), p01+p07+p12, or draw0, draw1, … ; there are {', '.join(people)}",
        )
    if len(names) == len(people):
        raise UsageError(f"mpiigaze@{text} holds out all {len(people)} people", hint="hold fewer out")
    return names


def open_mpiigaze(path: Path, split: str, held_out: str | None = None) -> ArraySource:
    """The images of one split, 36×60 pixels; targets are pitch and yaw in radians, conditions the head's.

    Right eyes are mirrored, and the yaw of their gaze and head changes its sign, as in the works on this data.

    Args:
        path: The unpacked archive.
        split: ``train``: everyone but the held-out people; ``val``: these; ``unlabeled``: as train, without targets.
        held_out: Who; see `held_out_people`.

    Raises:
        DataError: Files are missing or damaged, or a listed image is not there.
        UsageError: ``held_out`` makes no sense.
    """
    lists = path.joinpath(*LISTS)
    people = tuple(sorted(file.stem for file in lists.glob("p*.txt") if _PERSON.fullmatch(file.stem)))
    if not people:
        raise DataError(f"mpiigaze not found: no p00.txt, … in {lists}", hint=_HINT.format(path=path))
    held = held_out_people(held_out, people)
    found = _read_all(path, people, _signature(path, people))
    in_val = np.isin(found.people, held)
    chosen = np.flatnonzero(in_val if split == "val" else ~in_val)
    labelled = split != "unlabeled"
    return ArraySource(
        f"mpiigaze@{'+'.join(held)}",
        split,
        (),
        np.full(len(chosen), -1),
        found.images[chosen],
        [found.identities[index] for index in chosen],
        path=path,
        target_names=TARGETS if labelled else (),
        targets=found.gazes[chosen] if labelled else None,
        conditions=found.poses[chosen],
    )


@dataclass(frozen=True)
class _Everyone:
    """All listed images: uint8 (N, 36, 60), float32 (N, 2) angles, who and what each one is."""

    images: np.ndarray
    gazes: np.ndarray
    poses: np.ndarray
    people: np.ndarray
    identities: tuple[str, ...]


def _signature(path: Path, people: tuple[str, ...]) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file that is read: what was read once stays good while these do."""
    files = [path.joinpath(*LISTS, f"{person}.txt") for person in people]
    for person in people:
        files += sorted(path.joinpath(*IMAGES, person).glob("*.mat"))
    stats = [(file, os.stat(file)) for file in files]
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats)


@lru_cache(maxsize=1)
def _read_all(path: Path, people: tuple[str, ...], signature: tuple[tuple[str, int, int], ...]) -> _Everyone:
    images: list[np.ndarray] = []
    gazes: list[tuple[float, float]] = []
    poses: list[tuple[float, float]] = []
    owners: list[str] = []
    identities: list[str] = []
    for person in people:
        days: dict[str, tuple[dict[str, int], dict[str, EyeTable]]] = {}
        for day, name, eye, where in _listed(path, person):
            if day not in days:
                days[day] = _day(path, person, day, where)
            positions, tables = days[day]
            if name not in positions:
                raise DataError(
                    f"{where}: {person}/{day}/{name} has no image and gaze in {person}/{day}.mat",
                    hint="the lists and the .mat files must be of the same release",
                )
            row, table = positions[name], tables[eye]
            mirrored = eye == "right"
            images.append(table.images[row][:, ::-1] if mirrored else table.images[row])
            sign = -1.0 if mirrored else 1.0
            (gaze_pitch, gaze_yaw), (head_pitch, head_yaw) = (
                gaze_angles(table.gazes[row]),
                head_angles(table.poses[row]),
            )
            gazes.append((gaze_pitch, sign * gaze_yaw))
            poses.append((head_pitch, sign * head_yaw))
            owners.append(person)
            identities.append(f"{person}/{day}/{name}/{eye}")
    if not images:
        raise DataError(f"the lists in {path.joinpath(*LISTS)} name no image", hint=_HINT.format(path=path))
    return _Everyone(
        np.stack(images),
        np.array(gazes, dtype=np.float32),
        np.array(poses, dtype=np.float32),
        np.array(owners),
        tuple(identities),
    )


def _listed(path: Path, person: str) -> list[tuple[str, str, str, str]]:
    """(day, file name, eye, place in the list) of a person's images that count."""
    file = path.joinpath(*LISTS, f"{person}.txt")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}", hint="get the file again from MPIIGaze's archive") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        image, _, eye = line.strip().rpartition(" ")
        day, slash, name = image.partition("/")
        if not slash or eye not in EYES or not re.fullmatch(r"\w+", day) or not name:
            raise DataError(
                f"{file}, line {number}: {line.strip()[:80]!r} is not like 'day01/0001.jpg left'",
                hint="get the file again from MPIIGaze's archive",
            )
        found.append((day, name, eye, f"{file}, line {number}"))
    return found


def _day(path: Path, person: str, day: str, where: str) -> tuple[dict[str, int], dict[str, EyeTable]]:
    file = path.joinpath(*IMAGES, person, f"{day}.mat")
    if not file.is_file():
        raise DataError(f"{where}: there is no file {file}", hint=_HINT.format(path=path))
    names, tables = read_day(file)
    return {name: row for row, name in enumerate(names)}, tables


def gaze_angles(direction: np.ndarray) -> tuple[float, float]:
    """(pitch, yaw) in radians of a direction of gaze (x, y, z); (0, 0, −1) looks straight ahead."""
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    return float(np.arcsin(-y)), float(np.arctan2(-x, -z))


def head_angles(rotation: np.ndarray) -> tuple[float, float]:
    """(pitch, yaw) in radians of a head's rotation vector: where the rotation takes the z axis."""
    angle = float(np.linalg.norm(rotation))
    if angle == 0.0:
        return 0.0, 0.0
    ux, uy, uz = (rotation / angle).tolist()
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = (1 - cos) * ux * uz + sin * uy, (1 - cos) * uy * uz - sin * ux, cos + (1 - cos) * uz * uz
    return float(np.arcsin(np.clip(y, -1.0, 1.0))), float(np.arctan2(x, z))
