"""AE-KD's weights: the optimum against a search, the conditions it must meet, and the edges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.adaptive_ensemble import ensemble_weights, logit_gradients
from kdzoo.recipes.objectives.divergences import forward_kl


def gradients(m: int, seed: int, d: int = 12) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(m, d)) * rng.uniform(0.2, 2, size=(m, 1)) + rng.normal(size=d))


def exact(rows: np.ndarray, cap: float) -> np.ndarray:
    """The optimum by trying every choice of weights at 0, at the cap and free."""
    m, gram, best, value = len(rows), rows @ rows.T, None, np.inf
    for state in itertools.product("0cf", repeat=m):
        free = [i for i in range(m) if state[i] == "f"]
        w = np.array([cap if s == "c" else 0.0 for s in state])
        if free:
            k = len(free)
            system = np.block([[gram[np.ix_(free, free)], np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
            right = np.concatenate([-gram[free] @ w, [1 - w.sum()]])
            w[free] = np.linalg.lstsq(system, right, rcond=None)[0][:k]
        if abs(w.sum() - 1) < 1e-9 and w.min() > -1e-9 and w.max() < cap + 1e-9 and w @ gram @ w < value - 1e-13:
            best, value = w, w @ gram @ w
    assert best is not None
    return best


@pytest.mark.parametrize("tolerance", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_weights_are_the_optimum(m: int, tolerance: float) -> None:
    for seed in range(6):
        rows = gradients(m, seed)
        weights = ensemble_weights(rows, tolerance)
        np.testing.assert_allclose(weights, exact(rows.numpy(), max(tolerance, 1 / m)), atol=1e-6)
        assert weights.sum().item() == pytest.approx(1.0, abs=1e-12)


def test_weights_do_not_depend_on_the_gradients_length_nor_on_the_teachers_order() -> None:
    rows = gradients(5, 1)
    weights = ensemble_weights(rows, 0.6)
    np.testing.assert_allclose(ensemble_weights(rows * 1e-7, 0.6), weights, atol=1e-9)
    np.testing.assert_allclose(ensemble_weights(rows.flip(0), 0.6).flip(0), weights, atol=1e-9)


def test_the_smallest_tolerance_averages_and_the_largest_may_follow_one_teacher() -> None:
    rows = gradients(4, 2)
    np.testing.assert_allclose(ensemble_weights(rows, 0.25), [0.25] * 4, atol=1e-12)
    np.testing.assert_allclose(ensemble_weights(rows, 0.01), [0.25] * 4, atol=1e-12)
    short = torch.tensor([[1.0, 0.0], [5.0, 0.0], [5.0, 1.0]], dtype=torch.float64)
    np.testing.assert_allclose(ensemble_weights(short, 1.0), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(ensemble_weights(short, 0.7), [0.7, 0.3, 0], atol=1e-12)


def test_equal_zero_and_lone_gradients() -> None:
    np.testing.assert_allclose(ensemble_weights(torch.ones(3, 4), 1.0), [1 / 3] * 3, atol=1e-7)
    np.testing.assert_allclose(ensemble_weights(torch.zeros(3, 4), 0.6), [1 / 3] * 3, atol=1e-7)
    np.testing.assert_allclose(ensemble_weights(torch.randn(1, 4), 0.6), [1.0], atol=1e-7)
    assert torch.isfinite(ensemble_weights(torch.zeros(3, 4), 0.6, unit_length=True)).all()


def test_unit_length_compares_directions() -> None:
    rows = gradients(3, 4)
    lengths = rows.norm(dim=1)
    solved = exact((rows / lengths[:, None]).numpy(), 0.6) / lengths.numpy()
    np.testing.assert_allclose(ensemble_weights(rows, 0.6, unit_length=True), solved / solved.sum(), atol=1e-6)


def test_the_closed_form_is_the_gradient_of_the_loss() -> None:
    rng = torch.Generator().manual_seed(0)
    student = torch.randn(6, 9, dtype=torch.float64, generator=rng, requires_grad=True)
    teachers = [torch.randn(6, 9, dtype=torch.float64, generator=rng) for _ in range(3)]
    expected = [torch.autograd.grad(forward_kl(student, t, 4.0), student)[0].sum(dim=0) for t in teachers]
    closed = logit_gradients(student, teachers, 4.0)
    torch.testing.assert_close(closed, torch.stack(expected), rtol=0, atol=1e-12)
    assert not closed.requires_grad
    halves = [logit_gradients(student[h], [t[h] for t in teachers], 4.0) for h in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close((halves[0] + halves[1]) / 2, closed, rtol=0, atol=1e-12)
