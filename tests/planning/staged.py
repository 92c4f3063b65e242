"""A staged run small enough for a test: SSLD on 48 digits at 16 pixels, two stages of an epoch of three steps."""

from dataclasses import replace
from pathlib import Path

from kdzoo.base.settings import Given
from kdzoo.data import open_source
from kdzoo.planning.plan import Plan
from kdzoo.planning.resolution import resolve
from kdzoo.zoo import load_model, save_model

SETTINGS = {
    "student.model": "cifar_resnet8",
    "data.augmentation.image_size": 16,
    "data.augmentation.hflip_prob": 0,
    "training.epochs": 1,
    "training.batch_size": 16,
    "training.log_every_steps": 1,
    "training.checkpoint_every_steps": 1,
    "optimizer.lr": 0.05,
    "run.workers": 0,
    "run.device": "cpu",
    "run.exact": True,
}


def write_data(folder: Path) -> Path:
    """A folder of class folders: 48 training digits, 20 held-out ones; the other 24 unlabeled."""
    for split, source, first, last in (("train", "train", 0, 48), ("val", "val", 0, 40), ("more", "train", 48, 72)):
        digits = open_source("digits", source)
        for index in range(first, last):
            name = "." if split == "more" else str(int(digits.labels[index]))
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(place / f"{index:04d}.png")
    (folder / "more").rename(folder.with_name(f"{folder.name}-unlabeled"))
    assert {path.name for path in (folder / "train").iterdir()} == {path.name for path in (folder / "val").iterdir()}
    return folder


def write_teacher(folder: Path, image_size: int = 32) -> str:
    """A network with seeded weights whose answers are far from uniform."""
    loaded = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    loaded.preprocessing = replace(loaded.preprocessing, image_size=image_size)
    loaded.model.fc.weight.data *= 20
    save_model(loaded, folder, provenance={})
    return str(folder)


def staged_plan(data: Path, teacher: str, *variants: str, **given: object) -> Plan:
    """Settings as keywords, ``__`` for the dot; ``stages__NAME__…`` for one stage's."""
    own = {key.replace("__", "."): value for key, value in given.items()}
    settings = {**SETTINGS, "data.dataset": str(data), "teachers.models": (teacher,), **own}
    entries = {path: Given(value, "test") for path, value in settings.items()}
    return resolve("ssld", given=entries, variants=("small_images", *variants))


def bytes_of(out: Path) -> dict[str, bytes]:
    """The files that must not depend on kills."""
    found = [
        *sorted(out.glob("*/checkpoints/*.safetensors")),
        *sorted(out.glob("*/metrics.jsonl")),
        *sorted(out.glob("*/model/model.safetensors")),
        out / "model" / "model.safetensors",
        out / "stages.json",
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in found}
