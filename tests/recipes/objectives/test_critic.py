"""ExRep's critic terms against numpy, and where their gradients go."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.critic import Critic, critic_terms, generator_term


def logits() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=11) * 2, rng.normal(size=11) * 2


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_critic_and_generator_terms_equal_the_reference() -> None:
    real, fake = logits()
    expected_real, expected_fake = -np.log(sigmoid(real)).mean(), -np.log(1 - sigmoid(fake)).mean()
    terms = critic_terms(torch.tensor(real), torch.tensor(fake))
    assert terms["critic_real"].item() == pytest.approx(expected_real, abs=1e-10)
    assert terms["critic_fake"].item() == pytest.approx(expected_fake, abs=1e-10)
    generator = generator_term(torch.tensor(fake), 0.1)
    assert generator.item() == pytest.approx(-0.1 * np.log(sigmoid(fake)).mean(), abs=1e-10)
    saturating = generator_term(torch.tensor(fake), 0.1, saturating=True)
    assert saturating.item() == pytest.approx(0.1 * np.log(1 - sigmoid(fake)).mean(), abs=1e-10)


def test_the_weight_scales_the_real_half_as_published_or_both() -> None:
    real, fake = (torch.tensor(z) for z in logits())
    plain, published = critic_terms(real, fake), critic_terms(real, fake, 0.1)
    both = critic_terms(real, fake, 0.1, weighted="both")
    torch.testing.assert_close(published["critic_real"], 0.1 * plain["critic_real"])
    assert torch.equal(published["critic_fake"], plain["critic_fake"])
    torch.testing.assert_close(both["critic_fake"], 0.1 * plain["critic_fake"])
    torch.testing.assert_close(both["critic_real"], published["critic_real"])


def test_an_undecided_critic_costs_ln_2() -> None:
    terms = critic_terms(torch.zeros(4), torch.zeros(4))
    assert terms["critic_real"].item() == pytest.approx(math.log(2), abs=1e-7)
    assert terms["critic_fake"].item() == pytest.approx(math.log(2), abs=1e-7)


def test_both_generator_terms_push_the_same_way_with_unlike_force() -> None:
    for saturating, expected in ((False, lambda p: p - 1), (True, lambda p: -p)):
        z = torch.tensor([-6.0], dtype=torch.float64, requires_grad=True)
        generator_term(z, saturating=saturating).backward()
        assert z.grad.item() == pytest.approx(expected(float(sigmoid(np.array(-6.0)))), abs=1e-10)
        assert z.grad.item() < 0


def test_gradcheck_and_extremes() -> None:
    z = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(generator_term, z)
    assert torch.autograd.gradcheck(lambda v: sum(critic_terms(v, v, 0.3).values()), z)
    far = torch.tensor([-1e4, 1e4], requires_grad=True)
    value = generator_term(far)
    value.backward()
    assert value.item() == pytest.approx(5e3)
    assert torch.isfinite(far.grad).all()
    assert generator_term(torch.zeros(3).half()).dtype == torch.float32


def test_the_critic_is_the_mlp_and_behaves_alike_in_both_modes() -> None:
    torch.manual_seed(0)
    critic = Critic()
    expected = 1280 * 512 + 512 + 512 * 256 + 256 + 256 + 1
    assert sum(p.numel() for p in critic.parameters()) == expected
    features = torch.randn(3, 1280)
    assert critic(features).shape == (3,)
    assert torch.equal(critic.train()(features), critic.eval()(features))


def test_detached_student_features_keep_the_critics_gradient_from_the_student() -> None:
    torch.manual_seed(0)
    critic = Critic(8, (4,))
    student = torch.randn(3, 8, requires_grad=True)
    sum(critic_terms(critic(torch.randn(3, 8)), critic(student.detach())).values()).backward()
    assert student.grad is None
    generator_term(critic(student)).backward()
    assert student.grad.abs().sum() > 0
