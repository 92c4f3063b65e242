"""A teacher's soft labels beside its student's: of single images, and on average over a class (Z. Shen et al., MEAL V2,
Fig. 2, part 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...data import ImageSource
from ...engine.teachers import TeacherEnsemble
from ...zoo import LoadedModel
from ..examples import find_examples, mean_probabilities, picture, pictures_note, shown_batches
from .features import class_positions
from .section import ReportTable, Section, columns, points

_SHOWN = 4


def soft_label_section(
    name: str,
    student: LoadedModel,
    teachers: TeacherEnsemble,
    source: ImageSource,
    classes: Sequence[str],
    device: torch.device,
) -> Section:
    """Pictures with what the student and its teachers say, and the mean soft label of each chosen class.

    Args:
        name: What the reader calls the student.
        student: Of the data's classes.
        teachers: Of the same classes.
        source: Labelled images.
        classes: Names of the classes to average over.
        device: Where all of them compute.
    """
    examples = find_examples(student, source, device, teachers=teachers, num_even=4, num_mistakes=4)
    tables = []
    for of in classes:
        positions = class_positions(source, [of])
        ours, theirs = _mean_answers(student, teachers, source, positions, device)
        order = np.argsort(-theirs, kind="stable")[:_SHOWN]
        shown = [(source.class_names[c], float(100 * theirs[c]), float(100 * ours[c])) for c in order]
        rows = tuple((label, points(one, unit=" %"), points(other, unit=" %")) for label, one, other in shown)
        title = f"Mean answer to {len(positions)} images of {of}"
        tables.append(ReportTable(columns("Class", "teachers", name), rows, title))
    who = "its teachers' mean" if len(teachers) > 1 else "its teacher"
    return Section(
        f"Soft labels of {name} and {who}",
        pictures=tuple(picture(example) for example in examples),
        tables=tuple(tables),
        notes=(f"Of {source.name} ({source.split}): {pictures_note(examples)}",),
    )


@torch.no_grad()
def _mean_answers(
    student: LoadedModel, teachers: TeacherEnsemble, source: ImageSource, positions: Sequence[int], device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """The student's and the teachers' mean probabilities over some images, (C,) each."""
    network = student.model.to(device).eval()
    ours, theirs = [], []
    for images, further, inputs in shown_batches(source, student.preprocessing, positions, device, teachers):
        ours.append(network(inputs).softmax(dim=1).cpu().numpy())
        theirs.append(mean_probabilities(teachers, images, further).cpu().numpy())
    return np.concatenate(ours).mean(axis=0), np.concatenate(theirs).mean(axis=0)
