"""The papers' values, where they are from, and the stages that they are for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kdzoo.transfer.classification.protocols as protocols
from kdzoo.base.errors import UsageError
from kdzoo.recipes.citations import _FORM
from kdzoo.transfer.classification.search import SearchSpace, parse_search
from kdzoo.transfer.classification.stages import classifier_parameters, stage_groups, stage_multipliers
from kdzoo.zoo import load_model


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_every_value_is_cited(name: str) -> None:
    wrong = {field: text for field, text in protocols.PROTOCOLS[name].sources.items() if not _FORM.match(text)}
    assert wrong == {}


def test_every_constant_is_cited() -> None:
    lines = Path(protocols.__file__).read_text(encoding="utf-8").splitlines()
    constants = [line for line in lines if line[:1].isupper() and " = " in line and "cited_settings(" not in line]
    named = [line for line in constants if line.split()[0] not in ("Mode", "MODES:", "SOLVERS", "MODES", "PROTOCOLS:")]
    assert len(named) >= 9
    assert [line for line in named if not _FORM.match(line.partition("  # ")[2])] == []


def test_meal_v2_is_appendix_a() -> None:
    look = protocols.MEAL_V2.settings
    assert (look.epochs, look.batch_size, look.lr, look.momentum, look.weight_decay) == (200, 128, 0.01, 0.9, 1e-4)
    assert (look.image_size, round(look.image_size / look.crop_pct), protocols.LINEAR_LR) == (224, 256, 0.1)


def test_ssld_searches_196_combinations() -> None:
    space = parse_search("full")
    found = list(space.combinations(protocols.SSLD.settings))
    assert len(found) == len(set(found)) == 196
    assert {item.lr for item in found} == {0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4}
    assert {replace(item, lr=0, weight_decay=0, label_smoothing=0, mixup_alpha=0) for item in found} == {
        replace(protocols.SSLD.settings, lr=0, weight_decay=0, label_smoothing=0, mixup_alpha=0)
    }
    assert len(list(parse_search("full", multilabel=True).combinations(protocols.SSLD.settings))) == 98


def test_a_search_of_ones_own() -> None:
    assert parse_search("lr=0.1,0.01 mixup=0,0.2") == SearchSpace(lr=(0.1, 0.01), mixup_alpha=(0, 0.2))
    for wrong in ("", "half", "lr", "lr=", "lr=a", "rate=0.1", "lr=-1"):
        with pytest.raises(UsageError):
            parse_search(wrong)
    with pytest.raises(UsageError, match="label smoothing needs one class"):
        parse_search("label-smoothing=0,0.1", multilabel=True)


@pytest.mark.parametrize(
    ("architecture", "samples"),
    [
        (
            "resnet18d",
            {"conv1.0.weight": 0.1, "bn1.bias": 0.1, "layer1.0.conv1.weight": 0.1, "layer2.0.conv1.weight": 0.2,
             "layer3.1.bn2.weight": 0.2, "layer4.1.conv2.weight": 0.3, "fc.weight": 1.0},
        ),
        (
            "mobilenetv3_large_100",
            {"conv_stem.weight": 0.25, "blocks.0.0.conv_dw.weight": 0.25, "blocks.1.1.conv_pw.weight": 0.25,
             "blocks.2.0.conv_pw.weight": 0.25, "blocks.3.0.conv_pw.weight": 0.5, "blocks.4.1.conv_pw.weight": 0.5,
             "blocks.5.2.conv_pw.weight": 0.75, "conv_head.weight": 0.75, "classifier.weight": 1.0},
        ),
        (
            "tf_mobilenetv3_large_100",
            {"conv_stem.weight": 0.25, "blocks.2.0.conv_pw.weight": 0.25, "blocks.3.0.conv_pw.weight": 0.5,
             "blocks.5.2.conv_pw.weight": 0.75, "classifier.weight": 1.0},
        ),
        ("cifar_resnet8", {"conv1.weight": 0.1, "layer3.0.conv1.weight": 0.3, "fc.bias": 1.0}),
    ],
)  # fmt: skip
def test_stages_have_their_rates(architecture: str, samples: dict[str, float]) -> None:
    model = load_model(architecture, pretrained=False, num_classes=4).model
    multipliers = stage_multipliers("auto", architecture)
    assert multipliers is not None
    groups = stage_groups(model, multipliers, architecture)
    scale = {name: group.lr_scale for group in groups for name, _ in group.parameters}
    assert scale.keys() == dict(model.named_parameters()).keys()
    assert sum(len(group.parameters) for group in groups) == len(scale)
    assert {name: scale[name] for name in samples} == samples
    assert {name for name, parameter in model.named_parameters() if parameter in classifier_parameters(model)} == {
        name for name in scale if scale[name] == 1.0
    }


def test_multipliers_are_read() -> None:
    assert stage_multipliers("none", "resnet50") is None
    assert stage_multipliers("0,0.1,0.2,0.3,1", "resnet50") == (0, 0.1, 0.2, 0.3, 1)
    for wrong in ("", "0.1", "1,2,3,4,5,6", "a,b,c,d,e", "-1,1,1,1,1"):
        with pytest.raises(UsageError, match="five"):
            stage_multipliers(wrong, "resnet50")
