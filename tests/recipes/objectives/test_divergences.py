"""Each divergence against a float64 reference written with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.divergences import forward_kl, half_symmetric_kl, jensen_shannon, reverse_kl

ALL = [forward_kl, reverse_kl, half_symmetric_kl, jensen_shannon]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float((p * np.log(p / q)).sum(axis=1).mean())


def pair(spread: float = 3.0, shape: tuple[int, int] = (16, 23)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=shape) * spread, rng.normal(size=shape) * spread


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("scaled", [True, False])
def test_kl_in_both_directions_equals_the_reference(temperature: float, scaled: bool) -> None:
    z_s, z_t = pair()
    p_s, p_t = softmax(z_s / temperature), softmax(z_t / temperature)
    factor = temperature**2 if scaled else 1.0
    student, teacher = torch.tensor(z_s), torch.tensor(z_t)
    forward = forward_kl(student, teacher, temperature, scale_by_squared_temperature=scaled)
    reverse = reverse_kl(student, teacher, temperature, scale_by_squared_temperature=scaled)
    assert forward.item() == pytest.approx(factor * kl(p_t, p_s), abs=1e-10)
    assert reverse.item() == pytest.approx(factor * kl(p_s, p_t), abs=1e-10)
    assert abs(forward.item() - reverse.item()) > 1e-3


def test_half_symmetric_kl_is_half_the_sum_of_both_directions() -> None:
    z_s, z_t = pair()
    p_s, p_t = softmax(z_s), softmax(z_t)
    value = half_symmetric_kl(torch.tensor(z_s), torch.tensor(z_t))
    assert value.item() == pytest.approx(0.5 * (kl(p_t, p_s) + kl(p_s, p_t)), abs=1e-10)
    both = forward_kl(torch.tensor(z_s), torch.tensor(z_t)) + reverse_kl(torch.tensor(z_s), torch.tensor(z_t))
    assert value.item() == pytest.approx(0.5 * both.item(), abs=1e-12)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
def test_epsilon_sits_inside_the_logarithms_as_in_paddleclas(epsilon: float) -> None:
    z_s, z_t = pair(8.0)
    p_s, p_t = softmax(z_s), softmax(z_t)
    ratio = np.log((p_t + epsilon) / (p_s + epsilon))
    # PaddleClas averages C·p·log over all B·C entries.
    reference = 0.5 * (p_t * ratio * p_t.shape[1] - p_s * ratio * p_s.shape[1]).mean()
    value = half_symmetric_kl(torch.tensor(z_s), torch.tensor(z_t), epsilon=epsilon)
    assert value.item() == pytest.approx(reference, abs=1e-10)


def test_jensen_shannon_equals_the_reference_and_is_not_the_half_sum() -> None:
    z_s, z_t = pair()
    p_s, p_t = softmax(z_s), softmax(z_t)
    middle = 0.5 * (p_s + p_t)
    value = jensen_shannon(torch.tensor(z_s), torch.tensor(z_t))
    assert value.item() == pytest.approx(0.5 * kl(p_t, middle) + 0.5 * kl(p_s, middle), abs=1e-10)
    assert half_symmetric_kl(torch.tensor(z_s), torch.tensor(z_t)).item() > 3 * value.item()


def test_jensen_shannon_is_bounded_by_ln_2_and_symmetric() -> None:
    apart = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 200.0, 0.0]])
    assert jensen_shannon(*apart).item() == pytest.approx(math.log(2), abs=1e-6)
    z_s, z_t = (torch.tensor(z) for z in pair())
    assert 0 < jensen_shannon(z_s, z_t).item() < math.log(2)
    torch.testing.assert_close(jensen_shannon(z_s, z_t), jensen_shannon(z_t, z_s), rtol=0, atol=1e-12)


@pytest.mark.parametrize("divergence", ALL)
def test_zero_at_equality_and_blind_to_a_shift_of_the_logits(divergence: Callable[..., torch.Tensor]) -> None:
    z_s, z_t = (torch.tensor(z) for z in pair())
    assert abs(divergence(z_s, z_s.clone()).item()) < 1e-12
    torch.testing.assert_close(divergence(z_s + 7.0, z_t - 3.0), divergence(z_s, z_t), rtol=0, atol=1e-10)
    assert divergence(z_s, z_t).item() > 0.1


@pytest.mark.parametrize("divergence", ALL)
def test_gradients_are_right(divergence: Callable[..., torch.Tensor]) -> None:
    rng = torch.Generator().manual_seed(3)
    student = torch.randn(3, 5, dtype=torch.float64, generator=rng, requires_grad=True)
    teacher = torch.randn(3, 5, dtype=torch.float64, generator=rng)
    assert torch.autograd.gradcheck(lambda z: divergence(z, teacher), student)


@pytest.mark.parametrize("divergence", ALL)
def test_one_class_huge_logits_and_half_precision(divergence: Callable[..., torch.Tensor]) -> None:
    assert divergence(torch.randn(4, 1), torch.randn(4, 1)).item() == 0.0
    huge = torch.tensor([[3e4, -3e4, 0.0]], requires_grad=True)
    value = divergence(huge, torch.tensor([[-3e4, 3e4, 0.0]]))
    value.backward()
    assert torch.isfinite(value)
    assert huge.grad is not None
    assert torch.isfinite(huge.grad).all()
    z_s, z_t = (torch.tensor(z).half() for z in pair())
    half = divergence(z_s, z_t)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, divergence(z_s.double(), z_t.double()).float(), rtol=1e-5, atol=1e-6)


def test_an_averaged_teacher_enters_as_the_logarithm_of_its_probabilities() -> None:
    teacher = torch.tensor([[0.25, 0.75, 0.0]], dtype=torch.float64)
    student = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    value = forward_kl(student, teacher.log())
    value.backward()
    p_s = softmax(student.detach().numpy())[0]
    assert value.item() == pytest.approx(0.25 * math.log(0.25 / p_s[0]) + 0.75 * math.log(0.75 / p_s[1]), abs=1e-12)
    np.testing.assert_allclose(student.grad.numpy()[0], p_s - teacher.numpy()[0], atol=1e-12)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        forward_kl(torch.randn(2, 3), torch.randn(2, 3), 0.0)
