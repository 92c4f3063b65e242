"""Teachers of more classes than the data: which outputs are taken, by name, by ImageNet's names or by a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fork_server import ForkServer
from torch import nn

import kdzoo
from kdzoo.base.errors import DataError, KdzooError, TeacherError
from kdzoo.base.settings import Given
from kdzoo.data import ArraySource, LabelStore, open_source
from kdzoo.data.imagenet import wordnet_ids
from kdzoo.engine.class_match import ClassMatch, match_classes
from kdzoo.engine.imagenet_names import imagenet_ids
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.planning.cost import estimate
from kdzoo.planning.label_cost import estimate_labels
from kdzoo.planning.obstacles import fitting
from kdzoo.planning.resolution import resolve
from kdzoo.planning.run import run
from kdzoo.planning.run_teachers import matches_of
from kdzoo.zoo import LoadedModel, load_model
from kdzoo.zoo.saving import save_model

ENGINE = Path(__file__).resolve().parents[1] / "engine"
STORED = Path(__file__).resolve().parents[1] / "references" / "digits_teacher"
WORDS = (
    *("tench", "English_springer", "cassette player", "chain saw", "church"),
    *("French-horn", "Garbage Truck", "gas pump", "golf ball", "parachute"),
)
"""imagenette's classes as people write them; here the folders of the digits 0 to 9."""
IDS = tuple(imagenet_ids(word)[0] for word in WORDS)
PLACES = (11, 3, 0, 7, 9, 1, 4, 8, 10, 5)
"""Which of twelve outputs stands for each digit; two stand for none."""
HOW: dict[str, Any] = {
    "image_size": 16,
    "epochs": 1,
    "batch_size": 10,
    "workers": 0,
    "device": "cpu",
    "settings": {"data.augmentation.crop": "center", "data.augmentation.hflip_prob": 0},
}


def teacher(size: int = 12, places: Sequence[int] = PLACES, names: Sequence[str] = ()) -> LoadedModel:
    """The stored teacher of the digits with a classifier of more rows, its own ten among them; others are random."""
    loaded = load_model(f"local-dir:{STORED}")
    old, new = loaded.model.fc, nn.Linear(64, size)
    with torch.no_grad():
        new.weight.copy_(torch.randn(new.weight.shape, generator=torch.Generator().manual_seed(0)))
        new.bias.zero_()
        new.weight[list(places)], new.bias[list(places)] = old.weight, old.bias
    loaded.model.fc, loaded.model.num_classes = new, size
    loaded.num_classes, loaded.class_names, loaded.promised_top1 = size, tuple(names), None
    return loaded


def names_of(data: Sequence[str]) -> list[str]:
    """The names of twelve outputs where the digits' are these."""
    names = ["n01443537", "n02123045"] * 6
    for place, name in zip(PLACES, data, strict=True):
        names[place] = name
    names[2], names[6] = "n01443537", "n02123045"  # two classes that the data has not
    return names


def save(loaded: LoadedModel, folder: Path) -> str:
    return f"local-dir:{save_model(loaded, folder, provenance={})}"


def write_digits(root: Path, names: Sequence[str]) -> Path:
    """Digits in class folders, 60 to train on and 120 to evaluate on."""
    for split, count in (("train", 60), ("val", 120)):
        digits = open_source("digits", split)
        for index in range(count):
            folder = root / split / names[int(digits.labels[index])]
            folder.mkdir(parents=True, exist_ok=True)
            digits.load(index).save(folder / f"{index:04d}.png")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_digits(tmp_path_factory.mktemp("photos"), WORDS)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., str]:
    def made(name: str, **what: Any) -> str:
        return save(teacher(**what), tmp_path / name)

    return made


def of(*names: str) -> ArraySource:
    count = len(names)
    pixels = np.zeros((count, 8, 8, 3), dtype=np.uint8)
    return ArraySource("few", "val", names, np.arange(count), pixels, list(map(str, range(count))))


def as_given(settings: dict[str, Any]) -> dict[str, Given]:
    return {path: Given(value, "test") for path, value in settings.items()}


def label(teachers: list[str], photos: Path, out: Path, **more: Any) -> LabelStore:
    kdzoo.label("hinton_kd", teachers=teachers, data=str(photos), out=out, **{**HOW, **more})
    return LabelStore(out)


def epoch(store: LabelStore) -> bytes:
    return (store.folder / "epoch-00000.labels").read_bytes()


def test_imagenets_names() -> None:
    assert imagenet_ids("tinca tinca") == imagenet_ids("Tench, Tinca tinca") == imagenet_ids("n01440764-tench")
    assert imagenet_ids("crane") == ("n02012849", "n03126707")
    assert imagenet_ids("digit 3") == imagenet_ids("n014407640") == ()


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (IDS, WORDS),
        (WORDS, IDS),
        (WORDS, tuple(word.replace(" ", "-").lower() for word in WORDS)),
        (IDS, tuple(f"{one}-{word}" for one, word in zip(IDS, WORDS, strict=True))),
        (WORDS, WORDS),
    ],
)
def test_ids_and_words_are_brought_together(model: Sequence[str], data: Sequence[str]) -> None:
    match = match_classes(teacher(names=names_of(model)), of(*data))
    assert (match.kind, match.columns) == ("subset", PLACES)
    assert "few has 10 of the 12 classes" in match.note


@pytest.mark.parametrize("size", [1000, 21843])
def test_a_published_model_that_names_nothing_has_imagenets_order(size: int) -> None:
    match = match_classes(teacher(size, names=()), of("parachute", "n01440764"))
    assert match.columns is not None
    if size == 1000:
        assert match.columns == (wordnet_ids().index("n03888257"), 0)
    assert "which names none and is taken to have ImageNet's order" in match.note
    with pytest.raises(DataError, match="does not say what its classes are"):
        match_classes(teacher(size, names=()), of("a", "b"))
    with pytest.raises(DataError, match="'a', which the model does not know"):
        match_classes(teacher(size, names=()), of("parachute", "a"))


def test_a_name_of_several_classes_is_settled_by_a_file(tmp_path: Path) -> None:
    model, data = teacher(1000, names=wordnet_ids()), of("crane", "tench")
    with pytest.raises(DataError, match=r"several classes that 'crane' of few may be: n02012849 \(crane\), n03126707"):
        match_classes(model, data)
    (tmp_path / "table.txt").write_text("crane\tn03126707\n")
    expected = (wordnet_ids().index("n03126707"), 0)
    assert match_classes(model, data, order=str(tmp_path / "table.txt")).columns == expected
    with pytest.raises(DataError, match="has one class for 'tench' and 'tinca tinca'"):
        match_classes(model, of("tench", "tinca tinca"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a\t3\nc\t4\n", "names 'c', which is no class of few"),
        ("a\t3\na\t4\n", "names 'a' twice"),
        ("a\t3\nb\n", "has the line 'b', which is not a class, a tab and a class"),
        ("a\t3\nb\t\t4\n", "which is not a class, a tab and a class"),
        ("a\t3\nb\t12\n", "among them 'b', which the model does not know"),
        ("a\t3\n", "among them 'b', which the model does not know"),
        ("a\t3\nb\t3\n", "has one class for 'a' and 'b' of few"),
        ("a\nb\n", "has 12 classes, .*table.txt has 2"),
        ("a\na\n", "names 'a' twice"),
    ],
)
def test_a_wrong_file_is_one_clear_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text(content)
    with pytest.raises(DataError, match=says) as found:
        match_classes(teacher(), of("a", "b"), order=str(tmp_path / "table.txt"))
    assert found.value.hint


def test_the_softmax_is_that_of_a_head_whose_other_rows_are_cut_off() -> None:
    images = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    match = match_classes(teacher(names=names_of(IDS)), of(*WORDS))
    mapped = TeacherEnsemble([teacher(names=names_of(IDS))], torch.device("cpu"), matches=[match])
    cut = TeacherEnsemble([load_model(f"local-dir:{STORED}")], torch.device("cpu"))
    answers = [ensemble(images).logits[0].softmax(dim=1) for ensemble in (mapped, cut)]
    torch.testing.assert_close(*answers, rtol=0, atol=1e-6)
    whole = TeacherEnsemble([teacher(names=names_of(IDS))], torch.device("cpu"))(images).logits[0].softmax(dim=1)
    assert (whole[:, list(PLACES)].sum(dim=1) < 0.999).any(), "the other rows must matter before they are left out"


def test_a_student_of_a_mapped_teacher_is_that_of_a_cut_one(
    make: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    refs = {
        "mapped": make("mapped", names=names_of(IDS)),
        "cut": make("cut", size=10, places=range(10), names=WORDS),
        "other": make("other", size=10, places=[*range(1, 10), 0], names=WORDS),
    }
    weights = {}
    for name, reference in refs.items():
        out = tmp_path / f"run-{name}"
        how = {**HOW, "student": "cifar_resnet8", "data": str(photos), "trust_teacher": name == "other"}
        run = kdzoo.distill("hinton_kd", teachers=[reference], out=out, **how)
        model = load_model(str(run.model))
        assert (model.class_names, model.num_classes) == (tuple(sorted(WORDS)), 10)
        weights[name] = torch.cat([tensor.flatten() for tensor in model.model.state_dict().values()])
    torch.testing.assert_close(weights["mapped"], weights["cut"], rtol=0, atol=1e-4)
    assert (weights["mapped"] - weights["other"]).abs().max() > 1e-2
    report = json.loads((tmp_path / "run-mapped" / "config.json").read_text())["teacher_reports"][0]
    by_word = dict(zip(WORDS, PLACES, strict=True))
    assert report["columns"] == [by_word[word] for word in sorted(WORDS)]
    assert "10 of the 12 classes" in report["class_order"]
    assert report["promised_top1"] is None


def test_a_table_says_which_outputs_of_a_nameless_teacher(
    make: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.txt"
    table.write_text("".join(f"{word}\t{place}\n" for word, place in zip(WORDS, PLACES, strict=True)))
    with pytest.raises(TeacherError, match=r"has 12 classes, photos\d+ has 10") as found:
        label([make("unnamed")], photos, tmp_path / "refused")
    assert "--teacher-classes FILE" in str(found.value.hint)
    named = label([make("named", names=names_of(IDS))], photos, tmp_path / "a")
    unnamed = label([str(make("same"))], photos, tmp_path / "b", teacher_classes=[str(table)])
    assert epoch(named) == epoch(unnamed)
    assert named.head.teachers[0].outputs == 10
    # Another table picks other outputs: these are other labels.
    table.write_text("".join(f"{word}\t{place}\n" for word, place in zip(WORDS, PLACES[::-1], strict=True)))
    again = {"teacher_classes": [str(table)], "trust_teacher": True, "resume": True}
    with pytest.raises(KdzooError, match="teachers"):
        label([str(tmp_path / "same")], photos, tmp_path / "b", **again)


def test_teachers_of_different_classes_answer_together(make: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    places = [wordnet_ids().index(one) for one in IDS]
    refs = [
        make("twelve", names=names_of(IDS)),
        make("thousand", size=1000, places=places),
        make("ten", size=10, places=range(10), names=WORDS),
        make("unnamed", size=10, places=np.argsort(np.argsort(WORDS)).tolist()),
    ]
    # An order is one of the data's classes: it is meant for the teacher that has as many and names none.
    store = label(refs, photos, tmp_path / "labels", teacher_classes=["string"])
    assert [one.outputs for one in store.head.teachers] == [10, 10, 10, 10]
    assert min(report["top1"] for report in store.head.reports) > 60  # 10 % is chance


def test_preflight_looks_at_the_mapped_classes(make: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    shifted = make("shifted", places=(*PLACES[1:], PLACES[0]), names=names_of(IDS))
    with pytest.raises(TeacherError, match=r"no better than chance \(10\.0 %\)"):
        label([shifted], photos, tmp_path / "labels")


def test_eval_matches_as_a_run_does(make: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    reference = make("named", names=names_of(IDS))
    result = kdzoo.evaluate(reference, str(photos), workers=0, device="cpu")[0]
    assert result.metrics["top1"] > 60
    assert result.metrics["top1_all_classes"] < result.metrics["top1"]
    table = tmp_path / "table.txt"
    table.write_text("".join(f"{word}\t{place}\n" for word, place in zip(WORDS, PLACES, strict=True)))
    same = kdzoo.evaluate(make("unnamed"), str(photos), classes=table, workers=0, device="cpu")[0]
    assert same.metrics["top1"] == result.metrics["top1"]


def test_the_plan_says_how_many_classes_are_used(make: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    given = {"data.dataset": str(photos), "student.model": "cifar_resnet8", "run.device": "cpu", "run.workers": 0}
    refs = make("twelve", names=names_of(IDS)), make("ten", size=10, places=range(10), names=WORDS), make("unnamed")
    sizes = []
    for reference in refs[:2]:
        plan = resolve("hinton_kd", given=as_given({**given, "teachers.models": [reference]}))
        notes = estimate(plan, measure=False).notes
        labels = estimate_labels(plan, out=tmp_path / "labels", form="float16")
        assert fitting(plan) == []
        for one in (notes, labels.notes):
            assert any("10 of the 12 classes" in note for note in one) == (reference == refs[0])
        sizes.append(labels.bytes_per_label)
    assert sizes[0] == sizes[1], "the answers of the data's ten classes are stored"
    plan = resolve("hinton_kd", given=as_given({**given, "teachers.models": [refs[2]]}))
    assert "has 12 classes" in fitting(plan)[0]
    estimate(plan, measure=False)  # what keeps it from starting is said among the obstacles


def test_a_plan_maps_a_timm_teacher_without_its_weights(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdzoo.planning.run_teachers.cached_weights", lambda reference: tmp_path)
    given = {
        "teachers.models": ["resnet18.a1_in1k"],
        "data.dataset": str(photos),
        "student.model": "cifar_resnet8",
    }
    plan = resolve("hinton_kd", given=as_given(given))
    ((member, match),) = matches_of(plan)
    expected = tuple(wordnet_ids().index(imagenet_ids(word)[0]) for word in sorted(WORDS))
    assert match == ClassMatch("subset", expected, match.note)
    assert "names none" not in match.note, f"the weights of {member.reference} name ImageNet's classes"


@pytest.mark.slow
@pytest.mark.numeric
def test_kills_change_nothing(photos: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("".join(f"{word}\t{place}\n" for word, place in zip(WORDS, PLACES, strict=True)))
    given = {
        "student.model": "cifar_resnet8",
        "teachers.models": [save(teacher(), tmp_path / "teacher")],
        "run.teacher_classes": [str(table)],
        "run.workers": 0,
        "run.device": "cpu",
        "data.dataset": str(photos),
        "data.augmentation.image_size": 16,
        "training.epochs": 2,
        "training.batch_size": 10,
        "training.checkpoint_every_steps": 2,
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"recipe": "hinton_kd", "variants": [], "given": given}))
    places = ("step:2", "checkpoint_half_written:1", "evaluation:1")
    ended = fork_server.run(ENGINE / "kill_program.py", tmp_path / "killed", 0, *places, f"--plan={plan}")
    assert ended.stdout.splitlines() == [*(f"{place} signal 9" for place in places), "end exit 0"]
    fork_server.run(ENGINE / "kill_program.py", tmp_path / "whole", 0, f"--plan={plan}")
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    table.write_text("".join(f"{word}\t{place}\n" for word, place in zip(WORDS, PLACES[::-1], strict=True)))
    with pytest.raises(KdzooError, match="teachers"):
        run(
            resolve("hinton_kd", given=as_given(given)),
            out=tmp_path / "killed",
            resume=True,
            trust_teacher=True,
        )
