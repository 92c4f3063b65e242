"""Soft-label terms against float64 references written with numpy alone."""

import math

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.soft_labels import (
    mean_logits,
    mean_probabilities,
    mean_sigmoids,
    soft_cross_entropy,
    tempered_kl,
    tempered_sigmoid_kl,
)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture
def logits() -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(3)
    return rng.normal(0, 3, (7, 11)), [rng.normal(0, 4, (7, 11)) for _ in range(3)]


def as_tensors(arrays: list[np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(array).float() for array in arrays]


def test_target_is_mean_of_probabilities_not_of_logits(logits):
    _, teachers = logits
    reference = np.mean([softmax(z) for z in teachers], axis=0)
    found = mean_probabilities(as_tensors(teachers)).numpy()
    np.testing.assert_allclose(found, reference, atol=1e-6)
    of_mean_logits = softmax(np.mean(teachers, axis=0))
    assert np.abs(reference - of_mean_logits).max() > 0.01
    np.testing.assert_allclose(mean_logits(as_tensors(teachers)).numpy(), np.mean(teachers, axis=0), atol=1e-6)


def test_soft_cross_entropy_equals_reference_and_has_its_minimum_at_the_entropy(logits):
    student, teachers = logits
    target = np.mean([softmax(z) for z in teachers], axis=0)
    reference = -(target * np.log(softmax(student))).sum(axis=1).mean()
    found = soft_cross_entropy(torch.from_numpy(student).float(), torch.from_numpy(target).float())
    assert found.item() == pytest.approx(reference, abs=1e-6)
    entropy = -(target * np.log(target)).sum(axis=1).mean()
    at_best = soft_cross_entropy(torch.from_numpy(np.log(target) + 5.0), torch.from_numpy(target))
    assert at_best.item() == pytest.approx(entropy, abs=1e-9)
    assert found.item() > entropy


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_tempered_kl_equals_reference(logits, temperature):
    student, teachers = logits
    target = np.mean([softmax(z / temperature) for z in teachers], axis=0)
    reference = temperature**2 * (target * np.log(target / softmax(student / temperature))).sum(axis=1).mean()
    found = tempered_kl(
        torch.from_numpy(student), mean_probabilities([torch.from_numpy(z) for z in teachers], temperature), temperature
    )
    assert found.item() == pytest.approx(reference, abs=1e-9)


def test_tempered_kl_is_zero_at_the_teacher_and_finite_for_certain_teachers():
    z = torch.randn(5, 4, dtype=torch.float64)
    shifted = tempered_kl(z + 3.0, (z / 2).softmax(dim=1), 2.0)
    assert shifted.item() == pytest.approx(0, abs=1e-12)
    certain = torch.eye(4, dtype=torch.float64)
    found = tempered_kl(torch.zeros(4, 4, dtype=torch.float64), certain, 1.0)
    assert found.item() == pytest.approx(math.log(4), abs=1e-12)


def test_gradients_pass_gradcheck():
    z = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    p = torch.randn(3, 5, dtype=torch.float64).softmax(dim=1)
    assert torch.autograd.gradcheck(lambda x: soft_cross_entropy(x, p), z)
    assert torch.autograd.gradcheck(lambda x: tempered_kl(x, p, 3.0), z)


def test_temperature_squared_keeps_the_gradients_scale():
    torch.manual_seed(0)
    z, t = torch.randn(64, 10, dtype=torch.float64) * 0.01, torch.randn(64, 10, dtype=torch.float64) * 0.01

    def size(temperature: float) -> float:
        x = z.clone().requires_grad_()
        tempered_kl(x, mean_probabilities([t], temperature), temperature).backward()
        return x.grad.norm().item()

    assert size(8.0) == pytest.approx(size(1.0), rel=0.02)


def test_classes_by_themselves_equal_reference_and_are_zero_where_both_agree(logits):
    student, teachers = logits
    target = np.mean([1 / (1 + np.exp(-z / 2)) for z in teachers], axis=0)
    np.testing.assert_allclose(mean_sigmoids(as_tensors(teachers), 2.0).numpy(), target, atol=1e-6)
    q = 1 / (1 + np.exp(-student / 2))
    divergence = target * np.log(target / q) + (1 - target) * np.log((1 - target) / (1 - q))
    z, p = torch.from_numpy(student).requires_grad_(), torch.from_numpy(target)
    assert tempered_sigmoid_kl(z, p, 2.0).item() == pytest.approx(4 * divergence.sum(axis=1).mean(), rel=1e-10)
    assert tempered_sigmoid_kl(torch.logit(p) * 2, p, 2.0).item() == pytest.approx(0, abs=1e-10)
    assert tempered_sigmoid_kl(z[:1] * 0, torch.tensor([[0.0, 1.0] + [0.5] * 9]), 1.0).item() == pytest.approx(
        2 * math.log(2), rel=1e-6
    )
    assert torch.autograd.gradcheck(lambda x: tempered_sigmoid_kl(x, p, 2.0), z)
