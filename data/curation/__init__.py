"""Choosing unlabeled images: near-duplicates of the evaluation set out, the best of each class in."""

from __future__ import annotations

from .choice import BestPerClass
from .confirmation import Confirmation, Thresholds, confirm
from .embedding import DIMENSIONS, embed_crops, embed_whole
from .listed import ListedImages, list_to_file
from .shortlist import PAIR, Candidate, EvaluationIndex, read_pairs
from .tasks import ConfirmTask, Described, DescribeTask, EvaluationTask
