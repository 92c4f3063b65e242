"""A network without weights is trained on your labels: our default where there is nothing to start from.

Paper:   none; the closest reference is Deep Residual Learning for Image Recognition, K. He, X. Zhang, S. Ren, J. Sun,
         2016, arXiv 1512.03385, whose rate and batch on CIFAR-10 it begins from
Table:   none; docs/defaults.md says how a value is chosen
Command: kdzoo train --model cifar_resnet20 --data photos

Deviations:
    1. Nothing here is the reference's own but the rate of 0.1 at a batch of 128; the rate follows the batch.
    2. The reference divides the rate by 10 twice; here a cosine takes it to 0, which fits any length.
    3. The reference trains for 64,000 steps; here the length follows the number of images.
    4. The order of the images and the views' random numbers are kdzoo's own, and an incomplete last batch of an epoch
       is dropped.

Conflicts:
    1. None: there is no second source.
"""

from __future__ import annotations

from .blocks import LABELS_ALONE, OWN_DATA
from .recipe import Paper
from .rows import from_rows
from .supervised import HardLabelSettings

RECIPE = from_rows(
    name="from_scratch",
    summary="Ours: a network without weights is trained on labels; settings follow the images and the network.",
    paper=Paper(
        title="Deep Residual Learning for Image Recognition",
        authors="Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
        year=2016,
        url="https://arxiv.org/abs/1512.03385",
    ),
    reproduces=("no table: our own defaults",),
    ours=True,
    objective=HardLabelSettings,
    settings=(
        *OWN_DATA,
        *LABELS_ALONE,
        ("student.model", "resnet18", "ours: by --model"),
        ("student.init", "random", "ours: what the recipe is for"),
        ("data.augmentation.scale", (0.25, 1.0), "ours: docs/defaults.md"),
        ("data.mixing.mixup_prob", 1.0, "ours: for photographs; off for small images, docs/defaults.md"),
        ("data.mixing.mixup_alpha", 0.2, "ours: docs/defaults.md"),
        ("training.epochs", 60, "ours: follows the number of images, docs/defaults.md"),
        ("schedule.warmup_epochs", 3.0, "ours: follows the number of epochs, docs/defaults.md"),
        ("training.evaluate_every_epochs", 3, "ours: follows the number of epochs, docs/defaults.md"),
        ("optimizer.lr", 0.05, "ours: follows the batch, docs/defaults.md"),
        ("optimizer.weight_decay", 5e-4, "ours: docs/defaults.md"),
        ("objective.label_smoothing", 0.1, "ours: docs/defaults.md"),
        ("objective.smoothing_definition", "all_classes", "ours: torch's"),
        ("objective.class_weights", None, "ours: balanced counts each class alike, docs/runs.md"),
        ("objective.probabilities", "softmax", "ours: sigmoid where an image may show several classes"),
    ),
)
