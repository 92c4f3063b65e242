"""The hinge losses against numpy in float64."""

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.hinge import hinge_discrimination, hinge_generation


def test_hinge_losses_equal_reference():
    rng = np.random.default_rng(0)
    real, fake = 2 * rng.standard_normal(64), 2 * rng.standard_normal(64)
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    found = hinge_discrimination(torch.from_numpy(real), torch.from_numpy(fake))
    assert found.item() == pytest.approx(expected, abs=1e-12)
    assert hinge_generation(torch.from_numpy(fake)).item() == pytest.approx(-fake.mean(), abs=1e-12)
    assert hinge_discrimination(torch.tensor([1.5]), torch.tensor([-1.0])).item() == 0
    assert hinge_discrimination(torch.zeros(3), torch.zeros(3)).item() == 2
