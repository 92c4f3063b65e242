"""MEAL's block-wise similarity and discriminators against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.similarity import (
    BlockDiscriminator,
    BlockDiscriminators,
    block_similarity,
    pool_block,
    similarity_terms,
)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(5, 12)) * 2, rng.normal(size=(5, 12)) * 2


def test_every_similarity_equals_the_reference() -> None:
    s, t = pair()
    expected = {
        "cross_entropy": -(softmax(t) * np.log(softmax(s))).sum(axis=1).mean(),
        "l1": np.abs(s - t).mean(),
        "l2": ((s - t) ** 2).mean(),
        "l1_softmax": np.abs(softmax(s) - softmax(t)).mean(),
        "l2_softmax": ((softmax(s) - softmax(t)) ** 2).mean(),
    }
    for kind, value in expected.items():
        assert block_similarity(torch.tensor(s), torch.tensor(t), kind).item() == pytest.approx(value, abs=1e-10)
        z = torch.tensor(s[:2, :4], requires_grad=True)
        assert torch.autograd.gradcheck(lambda v, kind=kind: block_similarity(v, torch.tensor(t[:2, :4]), kind), z)


def test_terms_are_weighted_and_named_and_lengths_must_agree() -> None:
    s, t = (torch.tensor(z) for z in pair())
    terms = similarity_terms([s, s], [t, t], [1.0, 0.25], "l2")
    assert list(terms) == ["similarity_0", "similarity_1"]
    torch.testing.assert_close(terms["similarity_1"], 0.25 * terms["similarity_0"])
    with pytest.raises(ValueError, match="shorter"):
        similarity_terms([s, s], [t, t], [1.0])


@pytest.mark.parametrize(("pooling", "numpy_pool"), [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("length", [3, 6, 24])
def test_pooling_brings_any_block_to_a_length(pooling: str, numpy_pool, length: int) -> None:
    block = np.random.default_rng(0).normal(size=(2, 5, 3, 4))
    flat = block.reshape(2, 5, 12)
    bounds = [(int(np.floor(i * 12 / length)), int(np.ceil((i + 1) * 12 / length))) for i in range(length)]
    pooled = np.stack([numpy_pool(flat[:, :, a:b], axis=2) for a, b in bounds], axis=2)
    expected = numpy_pool(pooled, axis=1)
    np.testing.assert_allclose(pool_block(torch.tensor(block), length, pooling=pooling), expected, atol=1e-12)


def test_the_discriminators_loss_equals_the_reference_and_reaches_the_student() -> None:
    torch.manual_seed(0)
    discriminators = BlockDiscriminators([12, 8]).double()
    s, t = pair()
    student = [torch.tensor(s, requires_grad=True), torch.tensor(s[:, :8], requires_grad=True)]
    teacher = [torch.tensor(t), torch.tensor(t[:, :8])]
    terms = discriminators.terms(student, teacher, [1.0, 0.5])
    for k, weight in enumerate((1.0, 0.5)):
        z = discriminators.discriminators[k](torch.cat([student[k], teacher[k]])).detach().numpy()
        labels = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)
        p = 1 / (1 + np.exp(-z))
        expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        assert terms[f"discriminator_{k}"].item() == pytest.approx(weight * expected, abs=1e-10)
    sum(terms.values()).backward()
    assert student[0].grad.abs().sum() > 0
    assert all(p.grad is not None for p in discriminators.parameters())


def test_a_discriminators_layers_and_its_smallest_length() -> None:
    network = BlockDiscriminator(1000, reduction=8)
    assert [m.out_features for m in network.layers if hasattr(m, "out_features")] == [125, 15, 2]
    assert (network(torch.randn(4, 1000)) >= 0).all()
    BlockDiscriminator(4)
    with pytest.raises(ValueError, match="needs length 4"):
        BlockDiscriminator(3)
