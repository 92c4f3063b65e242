"""The recipe ``deit``: its loss in plain torch, and a small transformer with a distillation token on real digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from kdzoo.base.errors import ModelError, UsageError
from kdzoo.planning.cost import estimate
from kdzoo.planning.plan import Plan
from kdzoo.planning.run import run
from kdzoo.recipes.overrides import override
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.registry import get_recipe
from kdzoo.zoo import load_model
from kdzoo.zoo.features import forward_keeping

from .conftest import small_plan, write_token_student
from .golden_losses import check_golden, terms

OTHERS = ("levit_128s", "repvit_m0_9", "efficientformer_l1", "pit_ti_distilled_224")


@pytest.fixture(scope="module")
def token_student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A transformer with a distillation token, of random weights, for images of 16 px."""
    return write_token_student(tmp_path_factory.mktemp("token") / "student")


@pytest.fixture
def deit_plan(stored_teacher: str, token_student: str) -> Callable[..., Plan]:
    def plan(*variants: str, **given: object) -> Plan:
        own = {"student__model": token_student, "student__init": "pretrained", "teachers__models": (stored_teacher,)}
        return small_plan("deit", "small_images", *variants, **{**own, "optimizer__lr": 1e-3, **given})

    return plan


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_is_the_papers_in_plain_torch(mixed: bool):
    torch.manual_seed(0)
    of_class, of_token, *teachers = torch.randn(4, 6, 5).double()
    labels, others, share = torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([3, 3, 1, 0, 2, 2]), 0.7 if mixed else 1.0
    step = SimpleNamespace(
        labels=labels, mixed_labels=others if mixed else None, mix_weight=share,
        student=lambda: SimpleNamespace(maps=(of_class, of_token)),
        teachers=lambda: SimpleNamespace(logits=tuple(teachers)),
    )  # fmt: skip
    hard = share * functional.cross_entropy(of_class, labels, label_smoothing=0.1)
    hard += (1 - share) * functional.cross_entropy(of_class, others, label_smoothing=0.1)
    shapes = Shapes(5, 2, 8, (8, 8), 6)
    decision = (teachers[0].softmax(1) + teachers[1].softmax(1)).argmax(1)
    found = get_recipe("deit").objective.build(shapes).terms("student", step)
    torch.testing.assert_close(found["hard_label"], 0.5 * hard)
    torch.testing.assert_close(found["token"], 0.5 * functional.cross_entropy(of_token, decision))
    values = {"objective.decision": "soft", "objective.weight": 0.1}
    found = override(get_recipe("deit"), values).objective.build(shapes).terms("student", step)
    target = ((teachers[0] / 3).softmax(1) + (teachers[1] / 3).softmax(1)) / 2
    soft = 9 * functional.kl_div((of_token / 3).log_softmax(1), target, reduction="batchmean")
    torch.testing.assert_close(found["hard_label"], 0.9 * hard)
    torch.testing.assert_close(found["token"], 0.1 * soft)


@pytest.mark.parametrize("name", ["", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_training_sees_both_heads_and_evaluation_their_mean(name: str, token_student: str):
    loaded = load_model(name or token_student, pretrained=not name, num_classes=7, seed=0)
    model, generator = loaded.model, torch.Generator().manual_seed(0)
    images = torch.randn(2, *loaded.preprocessing.input_size, generator=generator)
    model.set_distilled_training(True)
    with torch.no_grad():
        logits, _, (of_class, of_token) = forward_keeping("heads", model.train(), images)
        stages = () if "pit" in name else forward_keeping("stages+heads", model, images)[2]  # PiT's are no maps
        expected = model.eval()(images)
        evaluated, _, none = forward_keeping("heads", model, images)
    assert not torch.equal(of_class, of_token)
    torch.testing.assert_close(logits, (of_class + of_token) / 2)
    assert [one.ndim for one in stages[-3:]] == ([] if "pit" in name else [4, 2, 2])
    torch.testing.assert_close(evaluated, expected)
    assert none == ()


@pytest.mark.numeric
def test_the_recipe_takes_real_steps_and_lands_on_its_golden_losses(deit_plan: Callable[..., Plan], tmp_path: Path):
    result = run(deit_plan(), out=tmp_path / "run")
    assert len(terms(tmp_path / "run")) == result.steps == 1437 // 256
    check_golden("deit", tmp_path / "run")
    model, images = load_model(result.model).model.eval(), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        tokens = model.forward_features(images)
        both = (model.head(tokens[:, 0]) + model.head_dist(tokens[:, 1])) / 2
        torch.testing.assert_close(model(images), both)


@pytest.mark.slow
def test_soft_decisions_with_hints_learn_too(deit_plan: Callable[..., Plan], tmp_path: Path):
    run(deit_plan("soft", objective__features__weight=0.1), out=tmp_path / "run")
    assert {"hard_label", "token", "hint_1"} <= set(terms(tmp_path / "run")[0])  # 4×4 tokens beside layer3's 4×4 map


def test_a_student_without_a_distillation_head_is_refused(deit_plan: Callable[..., Plan], tmp_path: Path):
    plan = deit_plan(student__model="cifar_resnet8", student__init="random")
    for act in (lambda: run(plan, out=tmp_path / "run"), lambda: estimate(plan, measure=False)):
        with pytest.raises(ModelError, match="cifar_resnet8 has no distillation head, which deit teaches"):
            act()
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="reads labels"):
        deit_plan(data__unlabeled="digits")
