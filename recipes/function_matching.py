"""The student learns the teachers' function on your images, cropped alike: our default distillation.

Paper:   Knowledge distillation: A good teacher is patient and consistent, L. Beyer, X. Zhai, A. Royer, L. Markeeva,
         R. Anil, A. Kolesnikov, 2021, arXiv 2106.05237; its code, google-research/big_vision
Table:   none; docs/defaults.md says how a value is chosen
Command: kdzoo distill --student resnet18 --teacher runs/teacher --data photos

Deviations:
    1. SGD in place of the paper's Adam with clipped gradients, as in our recipes on labels.
    2. Batch, rate, decay and length follow the data; the paper searches rate, decay and temperature for each data set,
       and trains up to a million epochs.
    3. One temperature where the paper searches among 1, 2, 5 and 10; the loss has Hinton's factor T².
    4. Several teachers: the target is the mean of their tempered probabilities.
    5. The crops' scale is milder than the paper's where the run is short.
    6. The order of the images and the views' random numbers are kdzoo's own, and an incomplete last batch of an epoch
       is dropped.
    7. No MixUp, which the paper has in all its runs, of up to thousands of epochs: in runs as short as ours a student
       gains from images as they are, see docs/defaults.md. ``--set data.mixing.mixup_prob=1`` is the paper's.

Conflicts:
    1. Temperature: the paper's Listing 1 has T = 1 on ImageNet, its code 1 to 10 on Flowers102 and Pets, by the length
       of the run. Here it is one value for any data, by the student's start: 1 from weights, 2 from none.
"""

from __future__ import annotations

from .blocks import OWN_TAUGHT
from .hinton_kd import HintonSettings
from .recipe import Paper
from .rows import at, from_rows

RECIPE = from_rows(
    name="function_matching",
    summary="Ours: soft labels of any teachers on the student's very views, long enough; labels if asked.",
    paper=Paper(
        title="Knowledge distillation: A good teacher is patient and consistent",
        authors="Lucas Beyer, Xiaohua Zhai, Amélie Royer, Larisa Markeeva, Rohan Anil, Alexander Kolesnikov",
        year=2021,
        url="https://arxiv.org/abs/2106.05237",
        code="google-research/big_vision",
    ),
    reproduces=("no table: our own defaults, after the paper's §2 and §3.1",),
    ours=True,
    objective=HintonSettings,
    settings=(
        *OWN_TAUGHT,
        ("data.mixing.mixup_prob", 0.0, "ours: docs/defaults.md, against the paper's §2"),
        ("data.mixing.mixup_alpha", 1.0, "§2"),
        ("schedule.name", "cosine", "§2"),
        ("training.epochs", 10, "ours: follows the number of images, docs/defaults.md"),
        ("schedule.warmup_epochs", 0.5, "ours: follows the number of epochs, docs/defaults.md"),
        ("optimizer.lr", 0.04, "ours: follows the batch, docs/defaults.md"),
        ("optimizer.weight_decay", 1e-4, "ours: docs/defaults.md"),
        ("objective.temperature", 1.0, "ours: docs/defaults.md"),
        *at("§2", {"objective.kd_weight": 1.0, "objective.label_weight": 0.0}),
        ("objective.probabilities", "softmax", "ours: sigmoid where an image may show several classes"),
    ),
)
