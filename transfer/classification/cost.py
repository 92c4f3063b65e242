"""What a measurement would take: trainings, steps, passes over the images, and a time from a short measurement here."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ...base.errors import KdzooError
from ...engine.distributed import choose_device
from ...zoo import LoadedModel, load_model
from ..sides import RANDOM
from .linear import classification_loss
from .plan import TransferPlan

_BATCH = 8
_STEPS = 2


@dataclass(frozen=True)
class TransferCost:
    """The cost of a plan.

    Attributes:
        trainings: Runs that train the network, a search's included.
        steps: Of each of them.
        images: That go forward and back through a network, all runs together.
        test_images: That go forward only, for features and answers.
        seconds: On this machine, about, computing alone; None where it cannot be told.
        device: Where that was measured.
    """

    trainings: int
    steps: int
    images: int
    test_images: int
    seconds: float | None
    device: str

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def estimate_transfer(plan: TransferPlan, *, measure: bool = True) -> TransferCost:
    """What a plan would cost.

    Args:
        plan: From `make_plan`.
        measure: Whether to time a few steps on noise.
    """
    num_train, num_test = len(plan.train or ()), len(plan.test or ())
    models, seeds = len(set(plan.references)), len(plan.seeds)
    networks = sum(seeds if reference == RANDOM else 1 for reference in set(plan.references))  # whose features differ
    look = plan.protocol
    searched = 0 if plan.search is None else len(list(plan.search.combinations(look)))
    trainings = (models * seeds if plan.trains_network else 0) + searched
    steps = look.epochs * (num_train // look.batch_size) if trainings else 0
    images = trainings * steps * look.batch_size
    # The run's own closing evaluation, then the answers that are kept.
    looks = 2 * trainings * num_test if plan.trains_network else networks * (num_train + num_test)
    device = choose_device(plan.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    seconds = None
    if measure and not plan.problems:
        try:
            loaded = load_model(plan.backbone, pretrained=False, image_size=look.image_size)
            forward, both = _time_an_image(loaded, look.image_size, device)
            seconds = images * both + looks * forward
        except (KdzooError, RuntimeError):  # no memory, say: the plan stands without a time
            seconds = None
    return TransferCost(trainings, steps, images, looks, seconds, name)


def _time_an_image(loaded: LoadedModel, size: int, device: torch.device) -> tuple[float, float]:
    """Seconds of an image forward, and forward and back."""
    network = loaded.model.to(device)
    images = torch.zeros(_BATCH, 3, size, size, device=device)
    labels = torch.zeros(_BATCH, dtype=torch.int64, device=device)

    def once(train: bool) -> float:
        network.train(train)
        began = time.perf_counter()
        for _ in range(_STEPS):
            with torch.set_grad_enabled(train):
                loss = classification_loss(network(images), labels, None)
                if train:
                    loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - began) / (_STEPS * _BATCH)

    once(True)
    return once(False), once(True)
