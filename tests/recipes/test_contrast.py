"""What CRD compares with what: draws that depend on their position alone, and banks that stay alike over processes."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from kdzoo.base.errors import UsageError
from kdzoo.engine.step import MixedBatch, Step, StepContext
from kdzoo.planning.memory import describe_memory, require_memory
from kdzoo.recipes.contrast import Candidates, Contrast
from kdzoo.recipes.crd import RECIPE
from kdzoo.recipes.recipe import Shapes

LABELS = np.repeat(np.arange(5), 8)[np.random.default_rng(0).permutation(40)]
SETTINGS = dataclasses.replace(RECIPE.objective.contrast, num_negatives=12, embedding_dim=6)
SHAPES = Shapes(
    num_classes=5, num_teachers=1, student_features=4, teacher_features=(7,), num_training_images=40, labels=LABELS
)


def make_step(ids: list[int], *, epoch: int = 0, seed: int = 3) -> Step:
    images = torch.zeros(len(ids), 3, 2, 2)
    batch = MixedBatch(images=images, labels=torch.from_numpy(LABELS[ids]), sample_ids=torch.tensor(ids))
    run = StepContext(student=lambda x: (x, x), teachers=None, num_training_images=40, seed=seed)
    return Step(batch, run, epoch=epoch, step=epoch)


def test_the_image_itself_comes_first_and_then_images_of_other_classes_none_twice():
    drawn = Candidates(SETTINGS, LABELS).draw(make_step([5, 0, 17]))
    assert drawn.shape == (3, 13)
    assert drawn[:, 0].tolist() == [5, 0, 17]
    for row in drawn.tolist():
        assert len(set(row[1:])) == 12
        assert LABELS[row[0]] not in LABELS[row[1:]]


def test_draws_depend_on_seed_epoch_and_image_alone():
    candidates = Candidates(SETTINGS, LABELS)
    whole = candidates.draw(make_step([5, 0, 17, 2]))
    parts = torch.cat([candidates.draw(make_step([5, 0])), Candidates(SETTINGS, LABELS).draw(make_step([17, 2]))])
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, candidates.draw(make_step([5, 0, 17, 2], epoch=1)))
    assert not torch.equal(whole, candidates.draw(make_step([5, 0, 17, 2], seed=4)))


def test_more_negatives_than_images_repeat_and_always_means_always():
    many = dataclasses.replace(SETTINGS, num_negatives=100)
    row = Candidates(many, LABELS).draw(make_step([5]))[0, 1:].tolist()
    assert len(row) == 100
    assert LABELS[5] not in LABELS[row]
    always = dataclasses.replace(SETTINGS, num_negatives=30, replacement="always")
    assert len(set(Candidates(always, LABELS).draw(make_step([5]))[0, 1:].tolist())) < 30


def test_a_relaxed_positive_is_of_the_same_class_and_every_image_of_it_comes_up():
    candidates = Candidates(dataclasses.replace(SETTINGS, positive="relaxed"), LABELS)
    found = {int(candidates.draw(make_step([5], epoch=epoch))[0, 0]) for epoch in range(100)}
    assert found == {row for row in range(40) if LABELS[row] == LABELS[5]}


@pytest.mark.parametrize("labels", [None, np.array([0, 1, -1]), np.zeros(3, np.int64)])
def test_images_without_labels_or_with_one_class_are_refused(labels):
    with pytest.raises(UsageError, match=r"label|two classes"):
        Candidates(SETTINGS, labels)


def features(ids: list[int]) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(40, 4, generator=rng)[ids], torch.randn(40, 7, generator=rng)[ids]


def contrast() -> Contrast:
    torch.manual_seed(0)
    return Contrast(SETTINGS, SHAPES)


def test_accumulated_parts_refresh_the_banks_as_the_whole_batch_does():
    ids = [5, 0, 17, 2]
    whole, split = contrast(), contrast()
    student, teacher = features(ids)
    whole.loss(make_step(ids), student, [teacher])
    whole.update(make_step(ids))
    split.pairs[0].normalizers.copy_(whole.pairs[0].normalizers)
    losses = []
    for part in (ids[:2], ids[2:]):
        student, teacher = features(part)
        losses.append(split.loss(make_step(part), student, [teacher]))
    split.update(make_step(part))
    for bank in ("student_bank", "teacher_bank"):
        torch.testing.assert_close(getattr(whole.pairs[0], bank), getattr(split.pairs[0], bank))
        assert not torch.equal(getattr(whole.pairs[0], bank)[ids], getattr(contrast().pairs[0], bank)[ids])
    student, teacher = features(ids)
    fresh = contrast()
    fresh.pairs[0].normalizers.copy_(whole.pairs[0].normalizers)
    expected = fresh.loss(make_step(ids), student, [teacher])
    torch.testing.assert_close(torch.stack(losses).mean(), expected)


def test_every_processs_rows_and_the_mean_normaliser_reach_each_process():
    """Two processes in one: each step's ``gather`` answers with what both hold."""
    halves = ([5, 0], [17, 2])
    alone = contrast()
    student, teacher = features([*halves[0], *halves[1]])
    expected = alone.loss(make_step([*halves[0], *halves[1]]), student, [teacher])
    alone.update(make_step([*halves[0], *halves[1]]))
    asked: list[list[Tensor]] = [[], []]
    for mine in (0, 1):  # once to learn what each would send
        step, term = make_step(list(halves[mine])), contrast()
        step.gather = lambda tensor, mine=mine: (asked[mine].append(tensor.detach()), tensor.detach())[1]
        student, teacher = features(list(halves[mine]))
        term.loss(step, student, [teacher])
        term.update(step)
    both = [torch.cat(pair) for pair in zip(*asked, strict=True)]
    losses = []
    for mine in (0, 1):
        step, term, answers = make_step(list(halves[mine])), contrast(), iter(both)
        step.gather = lambda tensor, answers=answers: next(answers)
        student, teacher = features(list(halves[mine]))
        losses.append(term.loss(step, student, [teacher]))
        term.update(step)
        for name, tensor in alone.state_dict().items():
            torch.testing.assert_close(term.state_dict()[name], tensor)
    torch.testing.assert_close(torch.stack(losses).mean(), expected)


def test_imagenets_banks_are_stated_before_they_are_taken():
    variant = next(item for item in RECIPE.variants if item.name == "imagenet")
    negatives = variant.overrides["objective.contrast.num_negatives"]
    settings = dataclasses.replace(RECIPE.objective.contrast, num_negatives=negatives)
    memory = settings.memory(1_281_167, 256, 1)
    assert memory.held == 2 * 1_281_167 * 128 * 4
    assert "1.31 GB held all through the run and in every checkpoint" in describe_memory(memory)
    with pytest.raises(UsageError, match=r"5\.12 PB held.* do not fit .* free \(cpu\)"):
        require_memory(settings.memory(5 * 10**12, 1, 1), torch.device("cpu"))
