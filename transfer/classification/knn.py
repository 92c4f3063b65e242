"""A quick look: each image takes the classes of its nearest neighbours in feature space. Nothing is trained."""

from __future__ import annotations

import numpy as np
import torch

from .linear import Labels

_CHUNK = 512


def neighbour_scores(
    train: np.ndarray, known: Labels, test: np.ndarray, *, neighbours: int, temperature: float
) -> np.ndarray:
    """Votes of the most similar training images, weighted by exp(cosine / temperature): float32, (N, C), rows sum to 1
    where images have one class.

    As Z. Wu et al., arXiv 1805.01978, §3.4. Of several classes, each neighbour votes for those that it shows.

    Args:
        train: (M, D).
        known: Of the training images.
        test: (N, D).
        neighbours: k; all where there are fewer.
        temperature: Small ones trust the nearest most.
    """
    bank, queries = (torch.nn.functional.normalize(torch.from_numpy(part), dim=1) for part in (train, test))
    if known.targets is None:
        votes = torch.nn.functional.one_hot(torch.from_numpy(known.labels.copy()), known.num_classes).float()
    else:
        votes = torch.from_numpy(known.targets.copy()).nan_to_num()
    rows = []
    for start in range(0, len(queries), _CHUNK):
        similar = queries[start : start + _CHUNK] @ bank.T
        nearest, which = similar.topk(min(neighbours, len(bank)), dim=1)
        weights = ((nearest - nearest[:, :1]) / temperature).exp()
        weights = weights / weights.sum(dim=1, keepdim=True)
        rows.append((weights[:, :, None] * votes[which]).sum(dim=1))
    return torch.cat(rows).numpy()
