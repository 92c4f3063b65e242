"""Describing, shortlisting, confirming and choosing: the parts of a curation that need no model."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from kdzoo.base.errors import KdzooError
from kdzoo.data.curation import (
    BestPerClass,
    EvaluationIndex,
    ListedImages,
    Thresholds,
    confirm,
    embed_crops,
    embed_whole,
    list_to_file,
    listed,
    shortlist,
)
from kdzoo.data.curation.embedding import crop_boxes
from kdzoo.data.listing import list_images

Picture = Callable[..., Image.Image]


def reencode(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded": reencode,
    "resized": lambda image: image.resize((64, 48)),
    "cropped": lambda image: image.crop((7, 2, 45, 34)).resize(image.size),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_an_altered_copy_is_found_and_confirmed(make_picture: Picture, kind: str) -> None:
    evaluation = [make_picture(seed) for seed in range(12)]
    index = EvaluationIndex(np.concatenate([embed_crops(image) for image in evaluation]))
    copy = ALTERATIONS[kind](evaluation[7])
    best = index.search(embed_whole(copy)[None], 0.7)[0]
    assert best.evaluation == 7
    assert best.mirrored == (kind == "mirrored")
    assert confirm(copy, evaluation[7], mirrored=best.mirrored, thresholds=Thresholds()).method is not None


def test_other_images_are_not_confirmed(make_picture: Picture) -> None:
    first = make_picture(0)
    others = [make_picture(seed) for seed in range(1, 6)]
    assert [confirm(first, one, mirrored=False, thresholds=Thresholds()).method for one in others] == [None] * 5


def test_flat_images_are_compared_without_an_error(make_picture: Picture) -> None:
    flat = Image.new("RGB", (32, 32), (200, 10, 10))
    vectors = np.concatenate([embed_crops(flat), embed_crops(make_picture(1))])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert confirm(flat, make_picture(1), mirrored=False, thresholds=Thresholds()).method is None


def test_a_search_gives_each_evaluation_image_once_and_none_below_the_threshold(make_picture: Picture) -> None:
    evaluation = [make_picture(seed) for seed in range(6)]
    index = EvaluationIndex(np.concatenate([embed_crops(image) for image in evaluation]))
    found = index.search(np.stack([embed_whole(image) for image in evaluation]), -1.0)
    assert [len({one.evaluation for one in found if one.row == row}) for row in range(6)] == [3] * 6
    assert len(found) == 18
    assert index.search(embed_whole(make_picture(99))[None], 0.99) == []


@pytest.mark.parametrize("top", [1, 7, 1000])
def test_the_best_of_each_class_are_those_of_a_full_sort(top: int) -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 1000)
    scores = (rng.integers(0, 50, 1000) / 50).astype(np.float32)  # many ties
    best = BestPerClass(5, top)
    for start in range(0, 1000, 60):
        ids = np.arange(start, min(start + 60, 1000))
        best.add(ids, classes[ids], scores[ids])
    for label in range(5):
        wanted = sorted(np.flatnonzero(classes == label).tolist(), key=lambda i: (-scores[i], i))[:top]
        ids, values = best.ranked(label)
        assert ids.tolist() == wanted
        assert values.tolist() == scores[wanted].tolist()


def test_a_listing_on_disk_equals_one_in_memory(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "_RUN", 5)  # several runs to merge
    (class_folders / "note.txt").write_text("no image")
    listing = tmp_path / "images.list"
    assert list_to_file(class_folders, listing) == 24
    images = ListedImages(class_folders, listing)
    assert [images.identity(index) for index in range(len(images))] == list_images(class_folders).paths
    assert images.load(3).size == (48, 40)
    with pytest.raises(IndexError):
        images.identity(24)
    assert sorted(path.name for path in tmp_path.glob("images.*")) == ["images.list", "images.offsets"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(KdzooError, match="cannot read the folder"):
        list_to_file(tmp_path / "nowhere", tmp_path / "images.list")


def test_a_search_in_blocks_gives_what_a_full_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    crops = len(crop_boxes())
    vectors = rng.standard_normal((20 * crops, 8)).astype(np.float32)
    queries = rng.standard_normal((7, 2, 8)).astype(np.float32)
    for part in (vectors, queries):
        part /= np.linalg.norm(part, axis=-1, keepdims=True)
    similarities = np.einsum("qmd,ecd->qmec", queries, vectors.reshape(20, crops, 8)).max(axis=3)
    expected = []
    for row, (upright, mirrored) in enumerate(similarities):
        best = np.maximum(upright, mirrored)
        order = [image for image in np.argsort(-best, kind="stable") if best[image] >= 0.78][:3]
        expected += [(row, int(image), bool(mirrored[image] > upright[image]), best[image]) for image in order]
    assert 3 < len(expected) < 21
    monkeypatch.setattr(shortlist, "_BLOCK", 6)  # four blocks, the last one smaller
    found = EvaluationIndex(vectors).search(queries, 0.78)
    assert [one[:3] for one in found] == [one[:3] for one in expected]
    assert [one.similarity for one in found] == pytest.approx([one[3] for one in expected], abs=1e-6)
