"""Runs small enough for a test: the embedded digits at 16 pixels, batches of 256, networks of 78,000 parameters."""

from dataclasses import replace
from pathlib import Path

import timm
import torch

from kdzoo.base.settings import Given
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.zoo import load_model, save_model

STORED_TEACHER = Path(__file__).resolve().parents[1] / "references" / "digits_teacher"

SMALL = {
    "student.model": "cifar_resnet8",
    "data.dataset": "digits",
    "data.augmentation.image_size": 16,
    "data.augmentation.hflip_prob": 0,
    "training.epochs": 1,
    "training.batch_size": 256,
    "training.log_every_steps": 1,
    "optimizer.lr": 0.05,
    "run.workers": 0,
    "run.device": "cpu",
    "run.exact": True,
}


def small_plan(recipe: str, *variants: str, **given: object) -> Plan:
    """A plan of a small run; settings as keywords, ``__`` for the dot."""
    settings = {**SMALL, **{key.replace("__", "."): value for key, value in given.items()}}
    return resolve(recipe, given={path: Given(value, "test") for path, value in settings.items()}, variants=variants)


def write_token_student(folder: Path) -> str:
    """A transformer with a distillation token, of seeded random weights, for images of 16 px."""
    tiny = {"patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 16}
    loaded = load_model("deit_tiny_distilled_patch16_224", pretrained=False, num_classes=10)
    torch.manual_seed(4)
    loaded.model = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=10, **tiny)
    loaded.model_args, loaded.preprocessing = tiny, replace(loaded.preprocessing, image_size=16)
    save_model(loaded, folder, provenance={})
    return str(folder)
