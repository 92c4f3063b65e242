"""CRD against a float64 numpy reference over several steps: stale banks, the first batch's normaliser, its buffers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kdzoo.recipes.objectives.contrastive import ContrastiveDistillation, OtherClasses, memory_bytes

N, B, K, DIM, S_DIM, T_DIM, TAU = 40, 4, 7, 6, 5, 9, 0.07


def make(seed: int = 0) -> ContrastiveDistillation:
    torch.manual_seed(seed)
    return ContrastiveDistillation(S_DIM, T_DIM, N, embedding_dim=DIM).double()


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(100 + step)
    rows = torch.randperm(N, generator=rng)[:B]
    candidates = torch.cat([rows[:, None], torch.randint(0, N, (B, K), generator=rng)], dim=1)
    student = torch.randn(B, S_DIM, generator=rng, dtype=torch.float64)
    teacher = torch.randn(B, T_DIM, generator=rng, dtype=torch.float64)
    return student, teacher, candidates


class Reference:
    """The published algorithm, one image and one negative at a time."""

    def __init__(self, crd: ContrastiveDistillation) -> None:
        self.weights = [
            (e.linear.weight.detach().numpy().copy(), e.linear.bias.detach().numpy().copy())
            for e in (crd.student_embed, crd.teacher_embed)
        ]
        self.banks = [crd.student_bank.numpy().copy(), crd.teacher_bank.numpy().copy()]
        self.z: list[float | None] = [None, None]

    def step(self, features: list[np.ndarray], candidates: np.ndarray) -> float:
        embedded = []
        for (weight, bias), f in zip(self.weights, features):
            e = f @ weight.T + bias
            embedded.append(e / np.sqrt((e**2).sum(axis=1, keepdims=True)))
        total = 0.0
        for side in (0, 1):
            other = self.banks[1 - side]
            raw = np.array(
                [[np.exp(embedded[side][i] @ other[j] / TAU) for j in row] for i, row in enumerate(candidates)]
            )
            if self.z[side] is None:
                self.z[side] = raw.mean() * N
            g, c = raw / self.z[side], K / N
            for i in range(B):
                total -= np.log(g[i, 0] / (g[i, 0] + c + 1e-7)) / B
                for k in range(1, K + 1):
                    total -= np.log(c / (g[i, k] + c + 1e-7)) / B
        for side in (0, 1):
            for i, row in enumerate(candidates[:, 0]):
                mixed = 0.5 * self.banks[side][row] + 0.5 * embedded[side][i]
                self.banks[side][row] = mixed / np.sqrt((mixed**2).sum())
        return total


def test_five_steps_equal_the_reference() -> None:
    crd = make()
    reference = Reference(crd)
    for step in range(5):
        student, teacher, candidates = batch(step)
        out = crd(student, teacher, candidates)
        crd.update(candidates[:, 0], out.student_embedding, out.teacher_embedding)
        expected = reference.step([student.numpy(), teacher.numpy()], candidates.numpy())
        assert out.loss.item() == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(crd.student_bank, reference.banks[0], atol=1e-10)
        np.testing.assert_allclose(crd.teacher_bank, reference.banks[1], atol=1e-10)
    np.testing.assert_allclose(crd.normalizers, reference.z, rtol=1e-10)


def test_the_normaliser_is_the_first_batchs_and_stays() -> None:
    crd = make()
    assert crd.normalizers.tolist() == [-1.0, -1.0]
    expected = crd.first_normalizers(*batch(0))
    assert crd.normalizers.tolist() == [-1.0, -1.0]
    crd(*batch(0))
    torch.testing.assert_close(crd.normalizers, expected, rtol=1e-12, atol=0)
    crd(*batch(1))
    torch.testing.assert_close(crd.normalizers, expected, rtol=1e-12, atol=0)
    assert not torch.allclose(crd.first_normalizers(*batch(1)), expected)


def test_averaged_first_normalizers_of_two_halves_are_the_whole_batchs() -> None:
    student, teacher, candidates = batch(0)
    crd = make()
    halves = [crd.first_normalizers(student[h], teacher[h], candidates[h]) for h in (slice(0, 2), slice(2, 4))]
    whole = crd.first_normalizers(student, teacher, candidates)
    torch.testing.assert_close((halves[0] + halves[1]) / 2, whole, rtol=1e-12, atol=0)


def test_scoring_leaves_the_banks_and_updating_moves_only_its_rows() -> None:
    crd = make()
    before = crd.student_bank.clone(), crd.teacher_bank.clone()
    out = crd(*batch(0))
    assert torch.equal(crd.student_bank, before[0])
    assert torch.equal(crd.teacher_bank, before[1])
    rows = batch(0)[2][:, 0]
    crd.update(rows, out.student_embedding, out.teacher_embedding)
    others = torch.ones(N, dtype=torch.bool)
    others[rows] = False
    for bank, old in zip((crd.student_bank, crd.teacher_bank), before):
        assert torch.equal(bank[others], old[others])
        assert not torch.isclose(bank[rows], old[rows]).any()
        torch.testing.assert_close(bank[rows].norm(dim=1), torch.ones(B, dtype=torch.float64))


def test_a_restored_state_goes_on_as_the_original() -> None:
    crd = make()
    for step in range(2):
        out = crd(*batch(step))
        crd.update(batch(step)[2][:, 0], out.student_embedding, out.teacher_embedding)
    restored = make(seed=1)
    restored.load_state_dict(copy.deepcopy(crd.state_dict()))
    assert torch.equal(restored(*batch(2)).loss, crd(*batch(2)).loss)
    assert {"student_bank", "teacher_bank", "normalizers"} <= set(crd.state_dict())


def test_gradients_reach_the_features_and_both_embeddings_and_nothing_else() -> None:
    crd = make()
    student, teacher, candidates = batch(0)
    student.requires_grad_()
    teacher.requires_grad_()
    first = crd(student, teacher, candidates)
    second = crd(student, teacher, candidates)  # accumulation: two forwards before one backward
    (first.loss + second.loss).backward()
    for part in (student, teacher, *crd.parameters()):
        assert part.grad is not None
        assert part.grad.abs().sum() > 0
    assert {name for name, _ in crd.named_parameters()} == {
        f"{side}_embed.linear.{part}" for side in ("student", "teacher") for part in ("weight", "bias")
    }
    assert not first.student_embedding.requires_grad
    assert not first.teacher_embedding.requires_grad


def test_gradcheck_on_the_features() -> None:
    crd = make()
    student, teacher, candidates = batch(0)
    crd(student, teacher, candidates)
    assert torch.autograd.gradcheck(lambda f: crd(f, teacher, candidates).loss, student.requires_grad_())


def test_the_order_of_negatives_and_the_scale_of_features_without_bias_do_not_matter() -> None:
    crd = make()
    student, teacher, candidates = batch(0)
    with torch.no_grad():
        crd.student_embed.linear.bias.zero_()
    value = crd(student, teacher, candidates).loss
    shuffled = torch.cat([candidates[:, :1], candidates[:, 1:].flip(1)], dim=1)
    torch.testing.assert_close(crd(student, teacher, shuffled).loss, value, rtol=1e-12, atol=0)
    torch.testing.assert_close(crd(student * 9.0, teacher, candidates).loss, value, rtol=1e-12, atol=0)


def test_half_precision_features_keep_the_loss_in_float32() -> None:
    torch.manual_seed(0)
    crd = ContrastiveDistillation(S_DIM, T_DIM, N, embedding_dim=DIM)
    student, teacher, candidates = batch(0)
    exact = crd(student.float(), teacher.float(), candidates).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = crd(student.float(), teacher.float(), candidates)
    assert out.loss.dtype == torch.float32
    assert out.student_embedding.dtype == torch.float32
    assert out.loss.item() == pytest.approx(exact.item(), rel=0.05)


def test_negatives_are_of_another_class_and_every_one_of_them_can_be_drawn() -> None:
    labels = torch.tensor([2, 0, 1, 0, 2, 2, 0])
    others = OtherClasses(labels)
    for label in (0, 1, 2):
        size = others.pool_size(label)
        drawn = others.images(torch.tensor([label]), torch.arange(size)[None])
        assert sorted(drawn[0].tolist()) == [i for i in range(7) if labels[i] != label]
    both = others.images(torch.tensor([0, 2]), torch.tensor([[0, 1, 3], [0, 1, 3]]))
    assert (labels[both] != torch.tensor([[0], [2]])).all()


def test_one_class_unlabelled_images_and_wild_ranks_are_refused() -> None:
    alone = OtherClasses(torch.zeros(5, dtype=torch.int64))
    assert alone.pool_size(0) == 0
    with pytest.raises(ValueError, match="rank"):
        alone.images(torch.tensor([0]), torch.tensor([[0]]))
    with pytest.raises(ValueError, match="label"):
        OtherClasses(torch.tensor([0, -1]))
    with pytest.raises(ValueError, match="rank"):
        OtherClasses(torch.tensor([0, 1])).images(torch.tensor([0]), torch.tensor([[1]]))


def test_memory_is_what_the_banks_take_and_imagenets_is_1_3_gigabytes() -> None:
    crd = ContrastiveDistillation(S_DIM, T_DIM, N, embedding_dim=DIM)
    taken = sum(bank.numel() * bank.element_size() for bank in (crd.student_bank, crd.teacher_bank))
    assert memory_bytes(N, B, K, embedding_dim=DIM)["banks"] == taken
    imagenet = memory_bytes(1_281_167, 256, 4096)
    assert imagenet["banks"] == pytest.approx(1.31e9, rel=0.01)
    assert imagenet["step"] == 2 * 256 * 4097 * 128 * 4
