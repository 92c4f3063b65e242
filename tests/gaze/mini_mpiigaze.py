"""A small data set in MPIIGaze's own layout, whose eyes show where they look: the iris moves with the gaze."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

HEIGHT, WIDTH = 36, 60
PEOPLE = ("p00", "p01", "p02", "p03", "p04")


def draw_eyes(gazes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey eyes of left-eye angles (pitch, yaw), radians: uint8, (N, 36, 60)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    centre_y = HEIGHT / 2 - 40 * gazes[:, 0, None, None]
    centre_x = WIDTH / 2 - 50 * gazes[:, 1, None, None]
    distance = np.hypot(rows - centre_y, columns - centre_x)
    noise = rng.normal(0, 4, (len(gazes), HEIGHT, WIDTH))
    return np.clip(np.where(distance < 7, 40.0, 190.0) + noise, 0, 255).astype(np.uint8)


def vector(angles: np.ndarray) -> np.ndarray:
    """Unit vectors of gazes (pitch, yaw), (N, 3)."""
    pitch, yaw = angles[:, 0], angles[:, 1]
    return np.stack([-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw)], axis=1)


def write_mpiigaze(
    path: Path, *, people: tuple[str, ...] = PEOPLE, days: int = 2, images_a_day: int = 10, listed: int | None = None
) -> dict[str, np.ndarray]:
    """Write the data set; both eyes of each picture are listed, or the first ``listed`` eyes of each person.

    Returns:
        For each person the (pitch, yaw) of its listed eyes, in order, as if all were left ones: float64, (N, 2).
    """
    truth = {}
    lists = path / "Evaluation Subset" / "sample list for eye image"
    lists.mkdir(parents=True)
    for number, person in enumerate(people):
        rng = np.random.default_rng(number)
        folder = path / "Data" / "Normalized" / person
        folder.mkdir(parents=True)
        lines, angles = [], []
        for day in range(1, days + 1):
            eyes = {}
            left, right = (rng.uniform(-0.3, 0.3, (images_a_day, 2)) for _ in range(2))
            names = [f"{index:04d}.jpg" for index in range(1, images_a_day + 1)]
            poses = rng.normal(0, 0.1, (images_a_day, 3))
            mirror = np.array([1.0, -1.0])
            eyes["left"] = {"gaze": vector(left), "image": draw_eyes(left, rng), "pose": poses}
            eyes["right"] = {"gaze": vector(right * mirror), "image": draw_eyes(right, rng)[:, :, ::-1], "pose": poses}
            cells = np.empty((images_a_day, 1), dtype=object)
            cells[:, 0] = names
            savemat(folder / f"day{day:02d}.mat", {"data": eyes, "filenames": cells}, do_compression=True)
            for index, name in enumerate(names):
                lines += [f"day{day:02d}/{name} left", f"day{day:02d}/{name} right"]
                angles += [left[index], right[index]]
        (lists / f"{person}.txt").write_text("\n".join(lines[:listed]) + "\n")
        truth[person] = np.array(angles[:listed])
    return truth
