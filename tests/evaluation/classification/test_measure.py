"""Images that carry their class in their pixels, a model that reads it, and every layout of ImageNet's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kdzoo.base.errors import DataError, ModelError, UsageError
from kdzoo.data import ArraySource, ImageSource, folders, open_source
from kdzoo.data.imagenet import wordnet_ids
from kdzoo.engine.class_match import match_classes
from kdzoo.engine.distributed import Processes
from kdzoo.engine.evaluate import PassSettings
from kdzoo.engine.signals import StopRequest
from kdzoo.evaluation.classification import ClassificationSettings, Overrides, evaluate_classifiers
from kdzoo.evaluation.classification.published import PublishedNumber, find_published
from kdzoo.evaluation.results import Predictions, Result
from kdzoo.zoo import LoadedModel, Preprocessing
from kdzoo.zoo.entries import ENTRIES

CPU = Processes(0, 1, torch.device("cpu"))
SETTINGS = ClassificationSettings(how=PassSettings(batch_size=128, workers=0, processes=CPU))


class Reader(nn.Module):
    """Reads the class out of an image's colour, see `colour`."""

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("classes", torch.tensor(classes, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        digits = (images.mean(dim=(2, 3)) * 255 / 25).round()
        codes = digits @ digits.new_tensor([100.0, 10.0, 1.0])
        return -(codes[:, None] - self.classes).abs()


def colour(number: int) -> tuple[int, int, int]:
    """A class's colour: its decimal digits, 25 steps of brightness apart."""
    return 25 * (number // 100), 25 * (number // 10 % 10), 25 * (number % 10)


def reader(names: Sequence[str] | None = None, classes: Sequence[int] | None = None, **look: object) -> LoadedModel:
    own = {"image_size": 8, "mean": (0.0,) * 3, "std": (1.0,) * 3, "interpolation": "bilinear", "crop_pct": 1.0}
    numbers = range(1000) if classes is None else classes
    return LoadedModel(
        reference="reader",
        architecture="reader",
        model=Reader(list(numbers)),
        preprocessing=Preprocessing(**{**own, **look}),  # type: ignore[arg-type]
        num_classes=len(numbers),
        class_names=wordnet_ids() if names is None else tuple(names),
    )


def write(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        Image.new("RGB", (8, 8), colour(number)).save(file, "png")


def measure(
    models: Sequence[LoadedModel],
    sources: Sequence[ImageSource],
    settings: ClassificationSettings = SETTINGS,
    teacher: LoadedModel | None = None,
    overrides: Overrides | None = None,
) -> dict[tuple[int, int], tuple[Result, Predictions]]:
    found = {}

    def receive(model: int, source: int, result: Result, predictions: Predictions) -> None:
        found[model, source] = (result, predictions)

    with StopRequest() as stop:
        settings = replace(settings, how=replace(settings.how, stop=stop))
        judge = None if teacher is None else Overrides().apply(teacher)
        evaluate_classifiers(
            [(overrides or Overrides()).apply(model) for model in models],
            sources,
            settings,
            teacher=judge,
            receive=receive,
        )
    return found


@pytest.fixture(scope="module")
def imagenetv2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three variants as their archives unpack, an image a class."""
    root = tmp_path_factory.mktemp("v2")
    for variant in ("matched-frequency", "threshold0.7", "top-images"):
        for number in range(1000):
            write(root / f"imagenetv2-{variant}-format-val" / str(number) / "a.png", number)
    return root


V2 = ("imagenetv2-matched-frequency", "imagenetv2-threshold0.7", "imagenetv2-top-images")


def test_all_variants_of_imagenetv2_are_read_in_the_order_of_numbers(imagenetv2: Path) -> None:
    found = measure([reader()], [open_source(f"{name}:{imagenetv2}", "val") for name in V2])
    for index, name in enumerate(V2):
        result, predictions = found[0, index]
        assert (result.dataset, result.num_images) == (name, 1000)
        assert result.metrics["top1"] == 100.0
        assert result.metrics["mean_per_class"] == 100.0
        assert predictions.top5[:, 0].tolist() == predictions.labels.tolist()


def test_sorted_as_strings_it_would_be_chance(imagenetv2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = folders.list_folders
    monkeypatch.setattr(folders, "list_folders", lambda root: sorted(real(root)))
    result, _ = measure([reader()], [open_source(f"{V2[0]}:{imagenetv2}", "val")])[0, 0]
    # Twelve numbers, such as 0, 1 and 999, stand in the same place in both orders.
    in_place = sum(name == str(place) for place, name in enumerate(sorted(map(str, range(1000)))))
    assert result.metrics["top1"] == pytest.approx(in_place / 10) == 1.2


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """val/<wnid>/, written in another order than sorted."""
    root = tmp_path_factory.mktemp("ilsvrc")
    for label in np.random.default_rng(0).permutation(1000).tolist():
        write(root / "val" / wordnet_ids()[label] / f"ILSVRC2012_val_{label + 1:08d}.JPEG", label)
    return root


def test_ilsvrcs_classes_are_the_sorted_wordnet_ids(ilsvrc: Path) -> None:
    source = open_source(f"imagenet:{ilsvrc}", "val")
    found = measure([reader(), reader(names=())], [source])
    assert [found[index, 0][0].metrics["top1"] for index in (0, 1)] == [100.0, 100.0]
    # A model of 1,000 classes that names none is taken at its word on ImageNet, and that is said.
    assert found[0, 0][0].settings["classes"] == "same"
    assert found[1, 0][0].settings["classes"] == "assumed"
    assert "on trust" in found[1, 0][0].protocol


def test_a_flat_val_with_kaggles_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["ImageId,PredictionString"]
    for number, label in enumerate(np.random.default_rng(1).permutation(1000).tolist(), 1):
        if number <= 50:
            write(tmp_path / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", label)
        lines.append(f"ILSVRC2012_val_{number:08d},{wordnet_ids()[label]} 1 2 3 4")
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(lines))
    result, _ = measure([reader()], [open_source(f"imagenet:{tmp_path}", "val")])[0, 0]
    assert (result.metrics["top1"], result.num_images) == (100.0, 50)
    assert "50 images, the official imagenet has 50,000" in result.protocol  # no ImageNet accuracy
    assert "50 images, the official imagenet has 50,000: numbers on it are not comparable" in capsys.readouterr().err


def test_real_counts_any_right_answer_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    shows = [5, 8, 3, 2, 700]
    for number, label in enumerate(shows, 1):
        write(tmp_path / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", label)
    (tmp_path / "real.json").write_text(json.dumps([[5], [7, 8], [], [1], [600, 701]]))
    result, predictions = measure([reader()], [open_source(f"imagenet-real:{tmp_path}", "val")])[0, 0]
    assert result.num_images == 4
    assert result.metrics["top1"] == 50.0  # 5 and 8 are right, 1 and 701 are not
    assert result.metrics["top5"] == 100.0  # their neighbours come next
    assert predictions.counted.tolist() == [True, True, False, True, True]
    assert predictions.correct.tolist() == [True, True, False, False, False]
    assert predictions.labels.tolist() == [5, -1, -1, 1, -1]
    (per_class,) = result.per_class
    counts = {index: count for index, count in enumerate(per_class.counts) if count}
    assert counts == {1: 1, 5: 1, 7: 1, 8: 1, 600: 1, 701: 1}
    assert [per_class.values[index] for index in (5, 7, 8, 1, 3)] == [100.0, 100.0, 100.0, 0.0, None]


def small(names: Sequence[str], numbers: Sequence[int], name: str = "small") -> ArraySource:
    """One image a class, of the given colours."""
    pixels = np.stack([np.full((8, 8, 3), colour(number), dtype=np.uint8) for number in numbers])
    return ArraySource(name, "val", names, np.arange(len(names)), pixels, list(names))


def test_classes_in_another_order_are_mapped_by_name() -> None:
    model = reader(names=["a", "b", "c"], classes=[100, 200, 300])
    result, predictions = measure([model], [small(["c", "a", "b"], [300, 100, 200])])[0, 0]
    assert result.metrics["top1"] == 100.0
    assert predictions.labels.tolist() == [0, 1, 2]
    assert result.settings["classes"] == "reordered"
    assert "another order" in result.details["classes"]


def test_a_part_of_the_classes_is_answered_among_these() -> None:
    model = reader(names=["a", "b", "c", "d"], classes=[100, 200, 300, 400])
    # The second image looks like b, which the data does not have; of a and d, a is nearer.
    result, _ = measure([model], [small(["d", "a"], [400, 200])])[0, 0]
    assert result.metrics["top1"] == 100.0
    assert result.metrics["top1_all_classes"] == 50.0
    assert "answers among the data's 2 classes" in result.protocol


@pytest.mark.parametrize(
    ("names", "classes", "data", "says"),
    [
        (["a", "b"], 2, ["a", "x"], "'x', which the model does not know"),
        (["a", "b"], 2, ["a", "b", "c"], "has 2 classes, small has 3"),
        ((), 3, ["a", "b"], "does not say what its classes are"),
        ((), 2, ["a", "b"], "does not say what its 2 classes are"),
        (["a", "a"], 2, ["a", "b"], "several classes of one name"),
        (["a", "b"], 2, [], "has no labels"),
    ],
)
def test_classes_that_are_not_the_models_are_refused(
    names: Sequence[str], classes: int, data: Sequence[str], says: str
) -> None:
    source = small(data or ["x"], [0] * max(1, len(data)))
    if not data:
        source.class_names = ()
    with pytest.raises(DataError, match=says):
        match_classes(reader(names=names, classes=range(classes)), source)
    if says.endswith("its 2 classes are"):
        assert match_classes(reader(names=names, classes=range(classes)), source, trust=True).kind == "assumed"


def test_models_of_different_preprocessing_share_a_pass() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 12, 10, 3), dtype=np.uint8)
    names = [str(number) for number in range(10)]
    source = ArraySource("noise", "val", names, np.arange(30) % 10, pixels, [str(row) for row in range(30)])
    decoded = []
    real = source.load
    source.load = lambda index: decoded.append(index) or real(index)  # type: ignore[method-assign, func-returns-value]
    own = [
        reader(names, range(0, 1000, 100)),
        reader(names, range(0, 1000, 100), image_size=4, crop_pct=0.5, interpolation="bicubic"),
        reader(names, range(0, 1000, 100), mean=(0.1, 0.2, 0.3), std=(0.9, 1.1, 1.0)),
    ]
    together = measure(own, [source], teacher=own[1])
    assert sorted(decoded) == list(range(30))  # once each, for three models and a teacher
    for index, model in enumerate(own):
        alone, _ = measure([model], [source])[0, 0]
        shared, predictions = together[index, 0]
        assert {name: shared.metrics[name] for name in alone.metrics} == alone.metrics
        first = together[1, 0][1].top5[:, 0]
        assert shared.metrics["agreement"] == 100 * float(np.mean(predictions.top5[:, 0] == first))
    assert together[1, 0][0].metrics["agreement"] == 100.0
    assert together[1, 0][0].metrics["kl_to_teacher"] == 0.0
    assert together[0, 0][0].metrics["kl_to_teacher"] > 0


def test_overrides_replace_every_models_own() -> None:
    overrides = Overrides(crop_pct=0.5, interpolation="opencv-bilinear", crops=5, mean=(0.5,) * 3, std=(0.5,) * 3)
    changed = overrides.apply(reader())
    assert (changed.view.crop_pct, changed.view.interpolation, changed.view.crops) == (0.5, "opencv-bilinear", 5)
    assert changed.loaded.preprocessing.mean == (0.5, 0.5, 0.5)
    result, _ = measure([reader(["a"], [0])], [small(["a"], [0])], overrides=overrides)[0, 0]
    assert result.protocol == "8 px, crop_pct 0.5, opencv-bilinear, mean probability of 5 crops, each image once"
    assert result.settings["std"] == [0.5, 0.5, 0.5]
    with pytest.raises(UsageError, match="nearest"):
        Overrides().apply(reader(interpolation="nearest"))


def test_answers_that_are_no_numbers_are_an_error() -> None:
    model = reader(["a"], [0])
    model.model.classes.fill_(float("nan"))  # type: ignore[operator, union-attr]
    with pytest.raises(ModelError, match="reader gives answers that are no numbers, first for a"):
        measure([model], [small(["a"], [0])])


def test_no_image_and_no_label_are_errors() -> None:
    empty = ArraySource("none", "val", ["a"], np.zeros(0), np.zeros((0, 8, 8, 3), dtype=np.uint8), [])
    with pytest.raises(DataError, match="has no image"):
        measure([reader(["a"], [0])], [empty])
    unlabelled = ArraySource("none", "val", ["a"], [-1], np.zeros((1, 8, 8, 3), dtype=np.uint8), ["x"])
    with pytest.raises(DataError, match="has no labels"):
        measure([reader(["a"], [0])], [unlabelled])


def published(
    name: str, overrides: Overrides, dataset: str = "imagenet", count: int = 50_000
) -> PublishedNumber | str | None:
    entry = ENTRIES[name]
    model = replace(reader(), reference=name, preprocessing=entry.preprocessing)
    pixels = np.broadcast_to(np.zeros(1, dtype=np.uint8), (count, 8, 8, 3))
    labels, names = np.zeros(count, dtype=np.int64), [str(row) for row in range(count)]
    source = ArraySource(dataset, "val", ["a"], labels, pixels, names)
    return find_published(overrides.apply(model), source)


def test_a_published_number_stands_beside_its_own_protocol_only() -> None:
    found = published("ssld_resnet50d", Overrides(interpolation="opencv-bilinear"))
    assert isinstance(found, PublishedNumber)
    assert found.metrics == {"top1": 83.0, "top5": 96.4}
    assert "PaddleClas" in found.source
    assert isinstance(published("ssld_resnet50d", Overrides()), PublishedNumber)  # its entry says bilinear
    for other, takes in (
        ({"crop_pct": 0.9}, "--crop-pct 0.875"),
        ({"crops": 10}, "--crops 1"),
        ({"mean": (0.5,) * 3}, "without --mean and --std"),
        ({"interpolation": "bicubic"}, "--interpolation bilinear"),
    ):
        note = published("ssld_resnet50d", Overrides(**other))  # type: ignore[arg-type]
        assert note == f"published: 83.00 at another protocol ({takes})"
    few = published("ssld_resnet50d", Overrides(), count=50)
    assert few == "published: 83.00 at another protocol (on all 50,000 images, not 50)"
    assert published("ssld_resnet50d", Overrides(), "imagenet-real") is None


def test_a_models_own_promise_counts_as_published() -> None:
    model = replace(reader(["a"], [0]), promised_top1=90.0, promised_on="small")
    result, _ = measure([model], [small(["a"], [0])])[0, 0]
    assert result.published == {"top1": 90.0}
    assert find_published(Overrides(crop_pct=0.5).apply(model), small(["a"], [0])) is None
    assert find_published(Overrides().apply(model), small(["a"], [0], "other")) is None


def test_a_runs_promise_is_for_its_own_images(tmp_path: Path) -> None:
    source = small(["a"], [0])
    model = replace(reader(["a"], [0]), reference=str(tmp_path), promised_top1=90.0, promised_on="small")
    for fingerprint, number in ((source.fingerprint(), 90.0), ("another", None)):
        document = {"fixed": {"data.val_fingerprint": fingerprint}}
        (tmp_path / "config.json").write_text(json.dumps(document))
        found = find_published(Overrides().apply(model), source)
        assert (found.metrics["top1"] if isinstance(found, PublishedNumber) else found) == number


class Wide(nn.Module):
    """Tells the class from the width of what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("nothing", torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full((len(images),), int(images.shape[3] == 16)), 2).float()


def test_a_model_of_wide_inputs_sees_them(tmp_path: Path) -> None:
    look = {"image_size": 8, "image_width": 16, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    preprocessing = Preprocessing(**look, interpolation="bilinear", crop_pct=1.0)  # type: ignore[arg-type]
    model = replace(reader(["narrow", "wide"], [0, 1]), model=Wide(), preprocessing=preprocessing)
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    source = ArraySource("small", "val", ["narrow", "wide"], [1, 1], pixels, ["a", "b"])
    result, _ = measure([model], [source])[0, 0]
    assert result.metrics["top1"] == 100.0
    assert result.protocol.startswith("8x16 px")
    for overrides in (Overrides(crops=5), Overrides(interpolation="opencv-bilinear")):
        with pytest.raises(UsageError, match="8x16 pixels are cut from the centre"):
            overrides.apply(model)
