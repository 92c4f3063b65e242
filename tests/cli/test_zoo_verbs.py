"""``kdzoo models`` and ``kdzoo pull`` as a user calls them."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
import torchvision
from release_files import paddle_arrays, pdparams
from release_mirror import ReleaseMirror

from kdzoo.zoo import load_model
from kdzoo.zoo.entries import ENTRIES

NAME = "ssld_mobilenetv3_small_035"
FILE = "legendary_models/MobileNetV3_small_x0_35_ssld_pretrained.pdparams"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mirror():
    with ReleaseMirror({FILE: pdparams(paddle_arrays("MobileNetV3_small_x0_35", "legendary"))}) as server:
        yield server


def test_models_list_filters_and_sorts(kdzoo, home):
    got = kdzoo("models", "list", "ssld_", "--sort", "top1", "--max-params", "6", "--json")
    rows = json.loads(got.out)
    assert got.code == 0
    assert rows[0]["name"] == "ssld_mobilenetv3_large_100"
    assert [row["top1"] for row in rows] == sorted((row["top1"] for row in rows), reverse=True)
    assert all(row["params_m"] <= 6 for row in rows)
    table = kdzoo("models", "list", "meal_v2", "--licence", "none").out.splitlines()
    assert table[0].split()[:4] == ["name", "top-1", "top-5", "pixels"]
    assert len(table) == 1 + 7
    assert all(" none " in line for line in table[1:])
    rows = list(csv.DictReader(io.StringIO(kdzoo("models", "list", "--format", "csv").out)))
    assert [row["name"] for row in rows] == list(ENTRIES)


def test_models_list_all_adds_what_can_be_built(kdzoo, home):
    got = kdzoo("models", "list", "resnet18", "--all", "--json")
    names = [row["name"] for row in json.loads(got.out)]
    assert names[:1] == ["resnet18.tv_in1k"]
    assert {"cifar_resnet18", "resnet18", "resnet18d"} <= set(names)
    assert "What can be built" in kdzoo("models", "list", "cifar_resnet18", "--all").out
    nothing = kdzoo("models", "list", "cifar_resnet18")
    assert (nothing.code, nothing.out) == (0, "")
    assert "--all" in nothing.err


def test_models_show_prints_the_whole_record(kdzoo, home):
    got = kdzoo("models", "show", "ssld_resnet50d")
    assert got.code == 0
    for part in (
        "83.0 / 96.4 top-1 / top-5 (224 px, crop_pct 0.875, bilinear; PaddleClas docs",
        "25,576,264",
        "4.33 G multiply-adds",
        "resnext101_32x16d.fb_wsl_ig1b_ft_in1k",
        "arxiv.org/abs/2103.05959",
        "legendary_models/ResNet50_vd_ssld_pretrained.pdparams",
        "apache-2.0",
        "kdzoo pull ssld_resnet50d",
        "timm.create_model('local-dir:",
        "note: evaluated by its publisher with OpenCV's bilinear resize",
    ):
        assert part in " ".join(got.out.split()), part
    record = json.loads(kdzoo("models", "show", "meal_v2_resnet50", "--json").out)
    assert record["licence"] is None
    assert record["results"][0]["source"] == "MEAL V2, Tables 3 and 4"
    assert "none given" in kdzoo("models", "show", "meal_v2_resnet50").out
    assert "nowhere" in kdzoo("models", "show", "fixres_resnet50_384").out
    assert "288 px" in kdzoo("models", "show", "ssld_hgnet_tiny").out


def test_pull_with_no_name_is_the_list(kdzoo, home):
    got = kdzoo("pull")
    assert got.code == 0
    assert "ssld_resnet50d" in got.out
    assert "fixres" not in got.out
    assert len(got.out.splitlines()) == 1 + sum(entry.format != "none" for entry in ENTRIES.values())


def test_pull_then_everything_takes_the_name(kdzoo, home, mirror):
    before = kdzoo("eval", NAME, "--on", "digits")
    assert before.code == 1
    assert f"{NAME} is not pulled yet" in before.err
    assert f"hint: kdzoo pull {NAME}" in before.err
    got = kdzoo("pull", NAME, "--mirror", mirror.address)
    assert got.code == 0
    assert got.out.startswith(f"{NAME} pulled: {home}")
    assert "recorded now" in got.out
    assert "MobileNetV3_small_x0_35_ssld_pretrained.pdparams: 6.7 of 6.7 MB" in got.err
    again = kdzoo("pull", NAME, "--json")
    assert json.loads(again.out)[0]["outcome"] == "there"
    assert load_model(NAME).pretrained
    shown = json.loads(kdzoo("models", "show", NAME, "--json").out)
    assert shown["pulled"] is True
    assert len(shown["sha256"]) == 64
    models = ("--student", NAME, "--teacher", NAME)
    plan = kdzoo("distill", "--recipe", "hinton_kd", *models, "--data", "digits", "--dry-run")
    assert plan.code == 1, "it knows other classes than the digits'"
    assert plan.out.startswith(f"cannot start: teacher {NAME} has 1000 classes")


def test_pull_says_what_is_wrong(kdzoo, home, mirror, tmp_path):
    unknown = kdzoo("pull", "ssld_resnet5od")
    assert (unknown.code, unknown.out) == (1, "")
    assert "ssld_resnet50d" in unknown.err
    missing = kdzoo("pull", "ssld_resnet34d", "--mirror", mirror.address)
    assert missing.code == 1
    assert "the server answered 404" in missing.err
    assert kdzoo("pull", "--convert", "x").code == 2
    assert kdzoo("pull", NAME, "--convert", "x", "--as", NAME).code == 2
    assert kdzoo("pull", NAME, "--mirror", "file:///tmp").code == 2
    assert kdzoo("pull", NAME, "ssld_resnet34d", "--sha256", "0").code == 2
    (tmp_path / "w.pdparams").write_bytes(b"no")
    refused = kdzoo("pull", "--convert", str(tmp_path / "w.pdparams"), "--as", NAME)
    assert refused.code == 1
    assert "refused 'w.pdparams'" in refused.err


def test_pull_makes_a_folder_of_anybodys_weights(kdzoo, tmp_path):
    model = torchvision.models.mobilenet_v3_small(num_classes=3)
    torch.save(model.state_dict(), tmp_path / "best.pth")
    convert = ("pull", "--convert", str(tmp_path / "best.pth"), "--as", "torchvision/mobilenet_v3_small")
    got = kdzoo(*convert, "--out", str(tmp_path / "mine"))
    assert got.code == 0, got
    assert "converted" in got.out
    assert "244 tensors filled" in got.out
    assert kdzoo(*convert, "--map", "x").code == 2  # where to?
    assert kdzoo("pull", NAME, "--out", "mine").code == 2


def test_pull_converts_a_file_on_disk(kdzoo, home, mirror, tmp_path):
    (tmp_path / "w.pdparams").write_bytes(mirror.files[FILE])
    got = kdzoo("pull", "--convert", str(tmp_path / "w.pdparams"), "--as", NAME)
    assert got.code == 0, got.err
    assert load_model(NAME).pretrained
    assert mirror.requests == []
