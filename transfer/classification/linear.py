"""A linear classifier on fixed features: by SGD as MEAL V2 trains it, or by L-BFGS to the optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...base.errors import RunError
from ...data import BatchOrder, torch_seed
from ...data.subset import held_out_indices
from ...engine.optim import set_lr
from ...engine.schedule import lr_factor
from ...engine.settings import ScheduleSettings
from ...engine.signals import StopRequest
from ...zoo import seeded
from .protocols import Protocol

STRENGTHS = tuple(10.0**power for power in range(-6, 3))
"""L2 strengths that L-BFGS tries, on features of unit variance; chosen on held-out images as in arXiv 1805.08974."""

HELD_OUT = 0.2
"""Share of the training images on which the strength is chosen."""

_MAX_ITERATIONS = 200


@dataclass(frozen=True)
class Labels:
    """What the images show.

    Attributes:
        labels: int64, (N,); -1 for images of several classes.
        targets: float32, (N, C) with NaN for what is not counted, for images of several classes; else None.
        num_classes: C.
    """

    labels: np.ndarray
    targets: np.ndarray | None
    num_classes: int

    def part(self, indices: np.ndarray) -> Labels:
        """Of some of the images."""
        return Labels(self.labels[indices], None if self.targets is None else self.targets[indices], self.num_classes)

    def groups(self) -> np.ndarray:
        """One number an image to share images out by: its class, or its first one."""
        return self.labels if self.targets is None else (self.targets == 1).argmax(axis=1)


def classification_loss(logits: Tensor, labels: Tensor, targets: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy, or sigmoid cross-entropy where images have several classes (MEAL V2 App. A); a mean.

    Args:
        logits: (B, C).
        labels: int64, (B,).
        targets: (B, C) with NaN for what is not counted, or None for one class an image.
        label_smoothing: ε, ε/C to every class.
    """
    if targets is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    counted = ~targets.isnan()
    losses = functional.binary_cross_entropy_with_logits(
        logits, targets.nan_to_num().to(logits.dtype), reduction="none"
    )
    return (losses * counted).sum() / counted.sum().clamp_min(1)


def new_classifier(width: int, num_classes: int, seed: int) -> nn.Linear:
    """A linear layer with torch's own initial weights, drawn from the run's seed alone."""
    with seeded(torch_seed(seed, "transfer/classifier")):
        return nn.Linear(width, num_classes)


def train_sgd(
    features: np.ndarray,
    known: Labels,
    protocol: Protocol,
    seed: int,
    device: torch.device,
    *,
    stop: StopRequest | None = None,
) -> nn.Linear:
    """The last layer alone, on features that never change.

    Args:
        features: float32, (N, D).
        known: Of the same images.
        protocol: Length, batch, SGD.
        seed: Of the first weights and the order.
        device: Where to compute.
        stop: Asked between epochs.

    Raises:
        RunError: The loss is not finite.
        Interrupted: A signal came.
    """
    inputs = torch.from_numpy(features).to(device)
    labels = torch.from_numpy(known.labels.copy()).to(device)
    targets = None if known.targets is None else torch.from_numpy(known.targets.copy()).to(device)
    layer = new_classifier(features.shape[1], known.num_classes, seed).to(device)
    optimizer = torch.optim.SGD(
        layer.parameters(),
        lr=protocol.lr,
        momentum=protocol.momentum,
        nesterov=protocol.nesterov,
        weight_decay=protocol.weight_decay,
    )
    for group in optimizer.param_groups:
        group["lr_scale"] = 1.0
    schedule = ScheduleSettings(name=protocol.schedule)
    order = BatchOrder(num_samples=len(features), batch_size=protocol.batch_size, epochs=protocol.epochs, seed=seed)
    for epoch in range(protocol.epochs):
        if stop is not None:
            stop.raise_if_requested("linear training")
        for step in range(order.steps_per_epoch):
            chosen = torch.from_numpy(order.ids(epoch, step)).to(device)
            factor = lr_factor(schedule, epoch * order.steps_per_epoch + step, order.steps_per_epoch, protocol.epochs)
            set_lr(optimizer, protocol.lr * factor)
            optimizer.zero_grad(set_to_none=True)
            wanted = None if targets is None else targets[chosen]
            loss = classification_loss(layer(inputs[chosen]), labels[chosen], wanted, protocol.label_smoothing)
            loss.backward()
            optimizer.step()
        if not bool(torch.isfinite(loss)):
            raise RunError(f"the loss became {float(loss)} in epoch {epoch + 1}", hint="lower --lr, or --solver lbfgs")
    return layer


def train_lbfgs(
    features: np.ndarray,
    known: Labels,
    seed: int,
    score: Callable[[np.ndarray, Labels], float],
    *,
    stop: StopRequest | None = None,
) -> tuple[nn.Linear, float]:
    """The regularised optimum, its strength chosen on held-out training images.

    Minimises mean loss + strength/2 · ||W||² over features of zero mean and unit variance, in float64 on the CPU; the
    bias is not regularised.

    Args:
        features: float32, (N, D).
        known: Of the same images.
        seed: Which training images are held out.
        score: Scores (N, C) and what is known to the metric that the strength is chosen by, higher is better.
        stop: Asked between strengths.

    Returns:
        The layer, for features as they are, and the chosen strength.
    """
    stay, held = held_out_indices(known.groups(), HELD_OUT, seed)
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    std = np.where(std < 1e-8, 1.0, std)
    inputs = (features - mean) / std
    best, chosen = -np.inf, STRENGTHS[0]
    weights: Tensor | None = None
    for strength in reversed(STRENGTHS):  # from strong to weak, each from the optimum before it
        if stop is not None:
            stop.raise_if_requested("linear training")
        weights = _optimum(inputs[stay], known.part(stay), strength, weights)
        scores = _scores(weights, inputs[held])
        found = score(scores, known.part(held)) if len(held) else 0.0
        if found > best:
            best, chosen = found, strength
    weights = _optimum(inputs, known, chosen, None)
    layer = nn.Linear(features.shape[1], known.num_classes)
    scale = torch.from_numpy(1 / std)
    with torch.no_grad():
        layer.weight.copy_(weights[:, :-1] * scale)
        layer.bias.copy_(weights[:, -1] - (weights[:, :-1] * scale) @ torch.from_numpy(mean))
    return layer, chosen


def _optimum(inputs: np.ndarray, known: Labels, strength: float, start: Tensor | None) -> Tensor:
    """Weights and bias (C, D + 1) at the minimum."""
    images = torch.from_numpy(np.ascontiguousarray(inputs))
    labels = torch.from_numpy(known.labels.copy())
    targets = None if known.targets is None else torch.from_numpy(known.targets.copy()).double()
    weights = (
        torch.zeros(known.num_classes, images.shape[1] + 1, dtype=torch.float64) if start is None else start.clone()
    )
    weights.requires_grad_(True)
    solver = torch.optim.LBFGS(
        [weights], max_iter=_MAX_ITERATIONS, tolerance_grad=1e-7, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        logits = images @ weights[:, :-1].T + weights[:, -1]
        loss = classification_loss(logits, labels, targets) + 0.5 * strength * weights[:, :-1].square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weights.detach()


def _scores(weights: Tensor, inputs: np.ndarray) -> np.ndarray:
    return (torch.from_numpy(inputs) @ weights[:, :-1].T + weights[:, -1]).numpy()


@torch.no_grad()
def apply_layer(layer: nn.Linear, features: np.ndarray) -> np.ndarray:
    """The layer's scores of some features, float32 (N, C)."""
    device = layer.weight.device
    return layer(torch.from_numpy(features).to(device)).cpu().numpy()
