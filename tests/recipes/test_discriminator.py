"""MEAL V2's discriminator, forward and loss, against a float64 reference written with numpy alone."""

import math

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.discriminator import (
    Discriminator,
    deception_loss,
    discrimination_loss,
    few_class_widths,
    published_widths,
    reverse_gradient,
)

LN2 = math.log(2)


def forward(discriminator: Discriminator, logits: np.ndarray) -> np.ndarray:
    hidden = logits
    for index, layer in enumerate(discriminator.layers):
        weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
        hidden = hidden @ weight.T + bias
        if index < 2 or discriminator.last_relu:
            hidden = np.maximum(hidden, 0)
    return hidden


def bce(scores: np.ndarray, targets: np.ndarray) -> float:
    probabilities = 1 / (1 + np.exp(-scores))
    return float(-(targets * np.log(probabilities) + (1 - targets) * np.log(1 - probabilities)).mean())


def build(num_classes: int, form: str, last_relu: bool) -> Discriminator:
    torch.manual_seed(11)
    widths = published_widths(num_classes) if form == "published" else few_class_widths(num_classes, 8)
    network = Discriminator(num_classes, widths, last_relu=last_relu)
    with torch.no_grad():  # no output is dead, so that the last ReLU matters for some rows only
        network.layers[-1].weight.mul_(8)
    return network


@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize(("num_classes", "form"), [(1000, "published"), (10, "few_classes")])
def test_forward_and_losses_equal_reference(num_classes, form, last_relu):
    network = build(num_classes, form, last_relu)
    rng = np.random.default_rng(1)
    student, teacher = rng.normal(0, 2, (6, num_classes)), rng.normal(0, 3, (6, num_classes))
    z_s, z_t = torch.from_numpy(student).float(), torch.from_numpy(teacher).float()
    rows = np.concatenate([student, teacher])
    scores = forward(network, rows)
    np.testing.assert_allclose(network(torch.cat([z_s, z_t])).detach().numpy(), scores, atol=1e-5)
    targets = np.array([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 6)
    found = discrimination_loss(network.double(), z_s.double(), z_t.double())
    assert found.item() == pytest.approx(bce(forward(network, np.float64(np.float32(rows))), targets), abs=1e-6)
    single = discrimination_loss(network.float(), z_s, z_t)
    assert single.item() == pytest.approx(found.item(), abs=1e-6)
    expected = bce(forward(network, np.float64(np.float32(student))), np.array([[0.0, 1.0]] * 6))
    assert deception_loss(network, z_s).item() == pytest.approx(expected, abs=1e-6)
    assert (scores.min() >= 0) == last_relu


def test_widths():
    assert published_widths(1000) == (125, 15)
    assert published_widths(100) == (12, 1)
    assert few_class_widths(1000, 8) == (125, 15)
    assert few_class_widths(10, 8) == (8, 8)
    with pytest.raises(ValueError, match="no unit"):
        Discriminator(10, published_widths(10))


def test_published_loss_is_bounded_below_by_half_ln_2_and_reaches_it():
    network = Discriminator(2, (2, 2))
    with torch.no_grad():  # the identity on non-negative logits
        for layer in network.layers:
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
    student, teacher = torch.tensor([[60.0, -60.0]] * 3), torch.tensor([[-60.0, 60.0]] * 3)
    assert discrimination_loss(network, student, teacher).item() == pytest.approx(LN2 / 2, abs=1e-7)
    torch.manual_seed(0)
    for seed in range(20):
        torch.manual_seed(seed)
        loss = discrimination_loss(build(1000, "published", True), 9 * torch.randn(4, 1000), torch.randn(4, 1000))
        assert loss.item() >= LN2 / 2
    without = Discriminator(2, (2, 2), last_relu=False)
    without.load_state_dict(network.state_dict())
    with torch.no_grad():
        without.layers[-1].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    assert discrimination_loss(without, student, teacher).item() < 1e-6


def test_dead_discriminator_gives_ln_2_and_no_gradient():
    network = build(1000, "published", True)
    with torch.no_grad():
        network.layers[-1].bias.fill_(-1e6)
    student = torch.randn(4, 1000, requires_grad=True)
    loss = discrimination_loss(network, student, torch.randn(4, 1000))
    assert loss.item() == pytest.approx(LN2, abs=1e-7)
    loss.backward()
    assert student.grad.abs().max() == 0
    assert all(parameter.grad.abs().max() == 0 for parameter in network.parameters())


def test_reversal_negates_the_gradient_exactly_and_nothing_else():
    x = torch.randn(3, 4, requires_grad=True)
    assert torch.equal(reverse_gradient(x), x)
    weights = torch.randn(3, 4)
    (reverse_gradient(x) * weights).sum().backward()
    assert torch.equal(x.grad, -weights)
