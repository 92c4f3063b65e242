"""Features against a reference written with numpy, and maps of any two sizes against their integrals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.feature_matching import coarser, distances, places


def reference(student: np.ndarray, teacher: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    target = (teacher - teacher.mean(-1, keepdims=True)) / np.sqrt(teacher.var(-1, keepdims=True) + 1e-5)
    norms = np.linalg.norm(student, axis=-1) * np.linalg.norm(target, axis=-1)
    cosine = 1 - (student * target).sum(-1) / norms
    off = np.abs(student - target)
    smooth = np.where(off < beta, 0.5 * off**2 / beta, off - 0.5 * beta).mean(-1)
    rows = len(student)
    return cosine.reshape(rows, -1).mean(1), smooth.reshape(rows, -1).mean(1)


@pytest.mark.parametrize("shape", [(5, 12), (4, 3, 2, 12)])
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_distances_equal_their_formulas_image_by_image(shape: tuple[int, ...], beta: float) -> None:
    rng = np.random.default_rng(3)
    student, teacher = rng.normal(size=shape), 5 * rng.normal(size=shape) + 2
    found = distances(torch.tensor(student), torch.tensor(teacher), beta)
    for one, expected in zip(found, reference(student, teacher, beta), strict=True):
        np.testing.assert_allclose(one.numpy(), expected, rtol=1e-10)


def test_the_teachers_scale_and_offset_play_no_part_and_a_perfect_student_has_no_loss() -> None:
    teacher = torch.randn(6, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    student = torch.nn.functional.layer_norm(teacher, (32,))
    for seen in (teacher, 40 * teacher - 7):
        cosine, smooth = distances(student, seen, 2.0)
        assert cosine.abs().max() < 1e-6
        assert smooth.max() < 1e-6


@pytest.mark.parametrize(("have", "want"), [((4, 4), (2, 2)), ((7, 5), (3, 2)), ((16, 16), (7, 7)), ((6, 6), (1, 1))])
def test_a_cell_is_the_mean_of_what_it_covers(have: tuple[int, int], want: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *have, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # Repeated so often that every cell's edge falls between two positions, a cell is a plain mean.
    fine = maps.repeat_interleave(want[0], dim=2).repeat_interleave(want[1], dim=3)
    expected = fine.unflatten(3, (want[1], have[1])).unflatten(2, (want[0], have[0])).mean(dim=(3, 5))
    torch.testing.assert_close(places(maps, want), expected.movedim(1, -1), rtol=1e-6, atol=1e-6)


def test_two_maps_meet_at_the_coarser_of_both_on_each_axis_and_gradients_reach_a_finer_student() -> None:
    student = torch.randn(2, 4, 8, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 5, 6, 6, dtype=torch.float64)
    size = coarser(student, teacher)
    assert size == (6, 3)
    assert torch.equal(places(teacher, (6, 6)), teacher.movedim(1, -1))
    assert torch.autograd.gradcheck(lambda maps: places(maps, size), (student,), atol=1e-5)
