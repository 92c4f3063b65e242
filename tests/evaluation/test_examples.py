from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdzoo.data import open_source
from kdzoo.engine.teachers import TeacherEnsemble
from kdzoo.evaluation.examples import find_examples, picture
from kdzoo.zoo import load_model

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")


def test_examples_are_an_even_spread_and_then_the_surest_mistakes() -> None:
    source = open_source("digits", "val")
    student = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    student.model.train()
    before = {name: tensor.clone() for name, tensor in student.model.state_dict().items()}
    found = find_examples(student, source, CPU, num_even=3, num_mistakes=5)

    assert student.model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.model.state_dict().items())
    mistakes = [example for example in found if example.chosen == "mistake"]
    assert len(mistakes) == 5  # an untrained network has more than five
    assert all(example.student[0].name != example.truth for example in mistakes)
    sure = [example.student[0].percent for example in mistakes]
    assert sure == sorted(sure, reverse=True)
    assert len({example.identity for example in found}) == len(found)
    for example in found:
        assert [b.percent for b in example.student] == sorted((b.percent for b in example.student), reverse=True)
        assert 10 - 1e-3 <= example.student[0].percent <= 100
        assert example.teachers == ()


def test_the_surest_mistake_of_all_images_is_found() -> None:
    source = open_source("digits", "val")
    student = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    network, look = student.model.eval(), student.preprocessing
    pixels = torch.stack([torch.frombuffer(bytearray(source.load(i).tobytes()), dtype=torch.uint8) for i in range(360)])
    images = pixels.reshape(360, 32, 32, 3).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value)[None, :, None, None] for value in (look.mean, look.std))
    with torch.no_grad():
        beliefs = network((images - mean) / std).softmax(dim=1)
    surest, guess = beliefs.max(dim=1)
    wrong = torch.where(guess != torch.as_tensor(source.labels.copy()), surest, 0.0)
    example = find_examples(student, source, CPU, num_even=0, num_mistakes=1)[0]
    assert example.identity == source.identity(int(wrong.argmax()))
    assert abs(example.student[0].percent - 100 * float(wrong.max())) < 1e-2


def test_teachers_are_averaged_as_probabilities() -> None:
    source = open_source("digits", "val")
    student = load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1)
    same = [load_model("cifar_resnet8", pretrained=False, num_classes=10, seed=1) for _ in range(2)]
    found = find_examples(student, source, CPU, teachers=TeacherEnsemble(same, CPU), num_even=2, num_mistakes=2)
    for example in found:  # two copies of the student believe what the student believes
        assert [b.name for b in example.teachers] == [b.name for b in example.student]
        shown = picture(example)
        assert [role for role, _ in shown["beliefs"]] == ["student", "teacher"]
        assert shown["small"]


def test_a_teacher_is_asked_about_the_image_at_its_own_size(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(drawn.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / f"val/{name}/{number}.png")
    source = open_source(str(tmp_path), "val")
    student, teacher = (load_model("cifar_resnet8", pretrained=False, num_classes=2, seed=seed) for seed in (1, 2))
    student.preprocessing = replace(student.preprocessing, crop_pct=1.0)
    teacher.preprocessing = replace(teacher.preprocessing, image_size=64, crop_pct=1.0)
    teachers = TeacherEnsemble([teacher], CPU)
    found = find_examples(student, source, CPU, teachers=teachers, num_even=4, num_mistakes=0)
    for example in found:
        pixels = torch.from_numpy(np.array(example.image)).permute(2, 0, 1)[None] / 255
        (logits,) = teachers(pixels).logits
        assert [b.percent for b in example.teachers] == pytest.approx(
            sorted((100 * logits.softmax(dim=1))[0].tolist(), reverse=True), abs=1e-2
        )
