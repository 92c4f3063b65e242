"""Gaussian outputs against densities and integrals computed another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.gaussian import Gaussian, gaussian_kl, gaussian_nll, read_gaussian


def pair(rows: int = 6, d: int = 2) -> tuple[Gaussian, Gaussian, torch.Tensor]:
    rng = np.random.default_rng(7)
    make = lambda *s: torch.tensor(rng.normal(size=s))  # noqa: E731
    student = Gaussian(make(rows, d), make(rows, 1).exp())
    teacher = Gaussian(make(rows, d), make(rows, 1).exp())
    return student, teacher, make(rows, d)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_nll_and_kl_equal_torchs_full_covariance_normal(d: int) -> None:
    student, teacher, target = pair(d=d)
    normal = [
        torch.distributions.MultivariateNormal(g.mean, g.std.square()[..., None] * torch.eye(d, dtype=torch.float64))
        for g in (student, teacher)
    ]
    torch.testing.assert_close(gaussian_nll(student, target), -normal[0].log_prob(target).mean(), rtol=0, atol=1e-10)
    expected = torch.distributions.kl_divergence(normal[1], normal[0]).mean()
    torch.testing.assert_close(gaussian_kl(student, teacher), expected, rtol=0, atol=1e-10)


def test_kl_equals_its_integral_in_one_dimension() -> None:
    student, teacher, _ = pair(rows=1, d=1)
    m_s, s_s, m_t, s_t = (v.item() for v in (student.mean, student.std, teacher.mean, teacher.std))
    y = np.linspace(m_t - 12 * s_t, m_t + 12 * s_t, 200_001)
    log_t = -0.5 * ((y - m_t) / s_t) ** 2 - math.log(s_t)
    log_s = -0.5 * ((y - m_s) / s_s) ** 2 - math.log(s_s)
    integrand = np.exp(log_t) / math.sqrt(2 * math.pi) * (log_t - log_s)
    assert gaussian_kl(student, teacher).item() == pytest.approx(np.trapezoid(integrand, y), abs=1e-6)


def test_kl_is_zero_at_equality_positive_elsewhere_and_blind_to_units() -> None:
    student, teacher, _ = pair()
    assert abs(gaussian_kl(teacher, teacher).item()) < 1e-12
    assert gaussian_kl(student, teacher).item() > 0.1
    scaled = [Gaussian(5 * g.mean + 1, 5 * g.std) for g in (student, teacher)]
    torch.testing.assert_close(gaussian_kl(*scaled), gaussian_kl(student, teacher), rtol=0, atol=1e-10)


def test_nll_is_smallest_at_the_true_scale() -> None:
    target = torch.tensor([[0.3, -0.4]], dtype=torch.float64)
    std = torch.tensor([[0.1]], dtype=torch.float64, requires_grad=True)
    optimum = math.sqrt(0.25 / 2)  # σ² = ‖y − μ‖² / d
    values = [gaussian_nll(Gaussian(torch.zeros(1, 2, dtype=torch.float64), std * f), target).item() for f in (1, 2)]
    assert values[0] != values[1]
    at = Gaussian(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[optimum]], dtype=torch.float64))
    at.std.requires_grad_()
    gaussian_nll(at, target).backward()
    assert abs(at.std.grad.item()) < 1e-10


@pytest.mark.parametrize("positivity", ["softplus", "exp"])
def test_both_readings_of_the_scale(positivity: str) -> None:
    outputs = torch.tensor([[0.1, -0.2, 0.7], [1.0, 2.0, -30.0]], dtype=torch.float64)
    raw = outputs[:, 2:].numpy()
    value = (np.log1p(np.exp(raw)) if positivity == "softplus" else np.exp(raw)) + 1e-4
    as_std = read_gaussian(outputs, scale="std", positivity=positivity)
    as_variance = read_gaussian(outputs, scale="variance", positivity=positivity)
    np.testing.assert_allclose(as_std.std, value, rtol=1e-12)
    np.testing.assert_allclose(as_variance.std.square(), value, rtol=1e-12)
    assert torch.equal(as_std.mean, outputs[:, :2])
    assert (as_std.std > 0).all()


@pytest.mark.parametrize("scale", ["std", "variance"])
def test_gradcheck_through_the_reading(scale: str) -> None:
    rng = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 3, dtype=torch.float64, generator=rng, requires_grad=True)
    _, teacher, target = pair(rows=3)
    assert torch.autograd.gradcheck(lambda o: gaussian_kl(read_gaussian(o, scale=scale), teacher), outputs)
    assert torch.autograd.gradcheck(lambda o: gaussian_nll(read_gaussian(o, scale=scale), target), outputs)


def test_half_precision_is_read_in_float32_and_a_bare_mean_is_refused() -> None:
    read = read_gaussian(torch.tensor([[1.0, 2.0, -20.0]]).half())
    assert read.std.dtype == torch.float32
    assert read.std.item() == pytest.approx(1e-4, rel=1e-3)
    with pytest.raises(ValueError, match="scale"):
        read_gaussian(torch.zeros(3, 1))
