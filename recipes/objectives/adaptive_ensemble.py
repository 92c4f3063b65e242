"""AE-KD: weights for the teachers of an ensemble, found in the space of their gradients.

Du, You, Li, Wu, Wang, Qian, Zhang, "Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space",
NeurIPS 2020. Each step weighs the teachers' losses so that the combined gradient is as short as it can be: the
direction that serves all teachers alike. A tolerance C caps what one teacher may weigh; 1/M gives the plain average.

The authors' code hands the Gram matrix of raw gradients to a one-class SVM whose stopping tolerance is absolute
(1e-6). Gradients of a batch mean can be so short that it stops where it starts: with 5 teachers and C = 0.6 the first
two teachers then get 0.6 and 0.4, the others nothing. Here the problem is solved, whatever the gradients' length.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def logit_gradients(student_logits: Tensor, teacher_logits: Sequence[Tensor], temperature: float = 4.0) -> Tensor:
    """Each teacher's gradient of T²·KL(teacher‖student) at the student's logits, averaged over the batch.

    In closed form T (softmax(z_s/T) − softmax(z_t/T)). A run of several processes averages the result over them.

    Args:
        student_logits: (B, C).
        teacher_logits: One (B, C) tensor a teacher.
        temperature: T.

    Returns:
        (M, C), without a gradient of its own.
    """
    with torch.no_grad():
        student = F.softmax(student_logits.double() / temperature, dim=1)
        rows = [
            temperature * (student - F.softmax(z.double() / temperature, dim=1)).mean(dim=0) for z in teacher_logits
        ]
        return torch.stack(rows)


def ensemble_weights(gradients: Tensor, tolerance: float = 0.6, *, unit_length: bool = False) -> Tensor:
    """The weights w of: minimise ½ ‖Σ_m w_m g_m‖², with Σ_m w_m = 1 and 0 ≤ w_m ≤ C.

    Args:
        gradients: (M, D), one row a teacher.
        tolerance: C, from 1/M (all weigh the same) to 1 (no cap). Below 1/M it counts as 1/M.
        unit_length: Compare directions only: solve for rows scaled to unit length, then undo the scaling and
            normalise (the authors' ``--svm_norm``; off by default there too).

    Returns:
        (M,) weights in the gradients' type, on their device, summing to 1.
    """
    count = gradients.shape[0]
    cap = min(max(tolerance, 1.0 / count), 1.0)
    rows = gradients.detach().double().flatten(1)
    norms = rows.norm(dim=1)
    if unit_length:
        norms = norms.clamp_min(torch.finfo(torch.float64).tiny)
        rows = rows / norms.unsqueeze(1)
    gram = rows @ rows.T
    weights = torch.tensor(_solve(gram.tolist(), cap), dtype=torch.float64, device=gradients.device)
    if unit_length:
        weights = weights / norms
        weights = weights / weights.sum()
    return weights.to(gradients.dtype)


def _solve(gram: list[list[float]], cap: float, *, relative_gap: float = 1e-12, max_steps: int = 20_000) -> list[float]:
    """Minimises ½ wᵀGw over the capped simplex: moves weight between the most violating pair until none is left."""
    count = len(gram)
    weights = [1.0 / count] * count
    slopes = [sum(row) / count for row in gram]
    scale = max(gram[i][i] for i in range(count))
    for _ in range(max_steps):
        up = min((i for i in range(count) if weights[i] < cap), key=slopes.__getitem__, default=None)
        down = max((i for i in range(count) if weights[i] > 0.0), key=slopes.__getitem__)
        if up is None or slopes[down] - slopes[up] <= relative_gap * scale:
            break
        curvature = gram[up][up] + gram[down][down] - 2.0 * gram[up][down]
        room = min(cap - weights[up], weights[down])
        step = min((slopes[down] - slopes[up]) / curvature, room) if curvature > 0.0 else room
        weights[up] = cap if step == cap - weights[up] else weights[up] + step
        weights[down] = 0.0 if step == weights[down] else weights[down] - step
        slopes = [slope + step * (row[up] - row[down]) for slope, row in zip(slopes, gram)]
    return weights
