"""Weights that are there are fine-tuned on your labels: our default for own images.

Paper:   none; the closest reference is Do Better ImageNet Models Transfer Better?, S. Kornblith, J. Shlens, Q. V. Le,
         2019, arXiv 1805.08974, which fine-tunes ImageNet networks on twelve smaller sets
Table:   none; docs/defaults.md says how a value is chosen
Command: kdzoo train --model resnet18 --data photos

Deviations:
    1. Nothing here is the reference's own: it searches rate, decay and length for each data set, which costs many runs;
       here they follow from the number of images.
    2. The reference trains at a batch of 256 for 20,000 steps; here batch and length follow the number of images.
    3. The reference leaves BatchNorm's momentum to the data set's size; here it is the network's own.
    4. The order of the images and the views' random numbers are kdzoo's own, and an incomplete last batch of an epoch
       is dropped.

Conflicts:
    1. None: there is no second source.
"""

from __future__ import annotations

from .blocks import LABELS_ALONE, OWN_DATA, UNMIXED
from .recipe import Paper
from .rows import at, from_rows
from .supervised import HardLabelSettings

FOLLOWS = "ours: follows the number of images, docs/defaults.md"

RECIPE = from_rows(
    name="finetune",
    summary="Ours: weights that are there are fine-tuned on labels; settings follow the images and the network.",
    paper=Paper(
        title="Do Better ImageNet Models Transfer Better?",
        authors="Simon Kornblith, Jonathon Shlens, Quoc V. Le",
        year=2019,
        url="https://arxiv.org/abs/1805.08974",
    ),
    reproduces=("no table: our own defaults",),
    ours=True,
    objective=HardLabelSettings,
    settings=(
        *OWN_DATA,
        *LABELS_ALONE,
        ("student.model", "resnet18", "ours: by --model"),
        ("student.init", "pretrained", "ours: what the recipe is for"),
        ("data.augmentation.scale", (0.35, 1.0), "ours: milder than ImageNet's, docs/defaults.md"),
        *at("ours: no mixing in a short run", UNMIXED),
        ("data.mixing.mixup_alpha", 1.0, "ours: of use with --set data.mixing.mixup_prob only"),
        ("training.epochs", 10, FOLLOWS),
        ("optimizer.lr", 0.04, "ours: follows the batch, docs/defaults.md"),
        ("optimizer.weight_decay", 1e-4, "ours: docs/defaults.md"),
        ("objective.label_smoothing", 0.0, "ours: with it a teacher teaches less (arXiv 1906.02629, §4)"),
        ("objective.smoothing_definition", "all_classes", "ours: torch's"),
        ("objective.class_weights", None, "ours: balanced counts each class alike, docs/runs.md"),
        ("objective.probabilities", "softmax", "ours: sigmoid where an image may show several classes"),
    ),
)
