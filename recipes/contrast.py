"""CRD as recipes use it: which images are compared, from the run's own random numbers, and banks that stay alike.

The terms and the banks are in ``objectives/contrastive.py``; here are the draws of positives and negatives, one pair of
banks a teacher, and what several processes must tell one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..base.errors import UsageError
from ..base.setting_values import Decay, Range, Temperature, Width
from ..engine.objective import StepView
from .objectives.contrastive import ContrastiveDistillation, OtherClasses, memory_bytes
from .recipe import ObjectiveMemory, Shapes


@dataclass(frozen=True, kw_only=True)
class ContrastSettings:
    """Contrastive representation distillation.

    Attributes:
        embedding_dim: Width of the space in which student and teacher are compared.
        num_negatives: K, images of other classes that each image is compared with.
        temperature: Divides the inner products.
        momentum: Weight of a stored embedding when it is refreshed.
        positive: ``exact``: the image's own stored embedding; ``relaxed``: that of a random image of its class.
        replacement: Whether a negative may be drawn twice: ``always``, or ``when_needed`` (where K is more than there
            are images of other classes).
    """

    embedding_dim: Width
    num_negatives: Annotated[int, Range(1, 10**7)]
    temperature: Temperature
    momentum: Decay
    positive: Literal["exact", "relaxed"]
    replacement: Literal["always", "when_needed"]

    def memory(self, num_images: int, batch_size: int, num_teachers: int) -> ObjectiveMemory:
        """What banks and gathered candidates take."""
        taken = memory_bytes(num_images, batch_size, self.num_negatives, embedding_dim=self.embedding_dim)
        banks = 2 * max(1, num_teachers)
        return ObjectiveMemory(
            held=taken["banks"] * max(1, num_teachers),
            step=taken["step"] * max(1, num_teachers),
            what=f"CRD, {banks} banks of {num_images} × {self.embedding_dim}, {self.num_negatives} negatives an image",
        )


class Candidates:
    """The stored embeddings that each image is compared with: a positive, then K images of other classes.

    Args:
        settings: What is drawn.
        labels: int64, (N,), of the training source.

    Raises:
        UsageError: An image has no label, or all have the same.
    """

    def __init__(self, settings: ContrastSettings, labels: np.ndarray | None) -> None:
        if labels is None or not len(labels) or int(labels.min()) < 0:
            raise UsageError(
                "contrastive distillation compares with images of other classes: it needs every image's label",
                hint="leave the unlabeled images out",
            )
        self.settings = settings
        self.labels = labels
        self.others = OtherClasses(torch.from_numpy(labels.copy()))
        self.own = np.argsort(labels, kind="stable")
        self.starts = np.searchsorted(labels[self.own], np.arange(int(labels.max()) + 2))
        if self.others.pool_size(int(labels[0])) == 0:
            raise UsageError(
                "contrastive distillation needs images of at least two classes", hint="use data with more classes"
            )

    def draw(self, step: StepView) -> Tensor:
        """(B, 1+K) int64 rows of the banks for the step's images, on their device: the positive first."""
        settings, rows, positives, ranks = self.settings, step.sample_ids.tolist(), [], []
        for row in rows:
            label, rng = int(self.labels[row]), step.generator("contrast", step.epoch, row)
            pool = self.others.pool_size(label)
            again = settings.replacement == "always" or settings.num_negatives > pool
            if again:
                ranks.append(rng.integers(pool, size=settings.num_negatives))
            else:
                ranks.append(rng.choice(pool, settings.num_negatives, replace=False, shuffle=False))
            positives.append(row if settings.positive == "exact" else self._of_class(label, rng))
        labels = torch.from_numpy(self.labels[rows])
        negatives = self.others.images(labels, torch.from_numpy(np.stack(ranks)))
        candidates = torch.cat([torch.tensor(positives)[:, None], negatives], dim=1)
        return candidates.to(step.sample_ids.device, non_blocking=True)

    def _of_class(self, label: int, rng: np.random.Generator) -> int:
        first, last = int(self.starts[label]), int(self.starts[label + 1])
        return int(self.own[rng.integers(first, last)])


class Contrast(nn.Module):
    """CRD's loss against each teacher, and its banks. The banks are buffers and travel with every checkpoint.

    Args:
        settings: What is compared.
        shapes: Of student, teachers and images.

    Raises:
        UsageError: The labels do not allow it.
    """

    def __init__(self, settings: ContrastSettings, shapes: Shapes) -> None:
        super().__init__()
        self.candidates = Candidates(settings, shapes.labels)
        self.pairs = nn.ModuleList(
            ContrastiveDistillation(
                shapes.student_features,
                width,
                shapes.num_training_images,
                embedding_dim=settings.embedding_dim,
                temperature=settings.temperature,
                momentum=settings.momentum,
            )
            for width in shapes.teacher_features
        )
        self._normalised = False
        self._pending: list[list[Tensor]] = []

    def embeddings(self) -> list[tuple[str, nn.Parameter]]:
        """The embeddings' parameters, by name."""
        return list(self.named_parameters())

    def loss(self, step: StepView, student_features: Tensor, teacher_features: Sequence[Tensor]) -> Tensor:
        """The mean over the teachers of both directions' losses; remembers what ``update`` is to store.

        The first call of a run fixes the normalisers, to the mean over all processes.

        Args:
            step: Whose images these are.
            student_features: (B, D).
            teacher_features: One (B, D_k) a teacher.
        """
        candidates = self.candidates.draw(step)
        losses, remembered = [], [step.sample_ids]
        for pair, features in zip(self.pairs, teacher_features, strict=True):
            assert isinstance(pair, ContrastiveDistillation)
            if not self._normalised and bool((pair.normalizers < 0).any()):
                first = pair.first_normalizers(student_features, features, candidates)
                pair.normalizers.copy_(step.gather(first[None]).mean(dim=0))
            answer = pair(student_features, features, candidates)
            losses.append(answer.loss)
            remembered += [answer.student_embedding, answer.teacher_embedding]
        self._normalised = True
        self._pending.append(remembered)
        return torch.stack(losses).mean()

    def update(self, step: StepView) -> None:
        """Refresh the rows of the step's images, of all its parts and processes, in every process alike."""
        rows, *embeddings = (step.gather(torch.cat(parts)) for parts in zip(*self._pending, strict=True))
        self._pending.clear()
        for index, pair in enumerate(self.pairs):
            assert isinstance(pair, ContrastiveDistillation)
            pair.update(rows, embeddings[2 * index], embeddings[2 * index + 1])
