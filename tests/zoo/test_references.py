import warnings
from pathlib import Path

import pytest

from kdzoo.base.errors import ModelError
from kdzoo.zoo import parse_reference


def test_a_bare_name_is_pinned_and_that_is_said():
    reference = parse_reference("resnet50")
    assert reference.pinned == "resnet50.a1_in1k"
    assert not reference.names_weights
    assert "resnet50.a1_in1k" in reference.notes[0]


def test_a_tag_names_weights():
    reference = parse_reference("resnet50.ram_in1k")
    assert (reference.kind, reference.architecture, reference.tag) == ("timm", "resnet50", "ram_in1k")
    assert reference.names_weights
    assert reference.notes == ()


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("gluon_senet154", "senet154.gluon_in1k"),
        ("gluon_resnet152_v1s", "resnet152s.gluon_in1k"),
        ("tf_efficientnet_b4_ns", "tf_efficientnet_b4.ns_jft_in1k"),
        ("ig_resnext101_32x8d", "resnext101_32x8d.fb_wsl_ig1b_ft_in1k"),
    ],
)
def test_deprecated_names_are_todays_weights_without_a_warning(old, today):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reference = parse_reference(old)
    assert reference.pinned == today
    assert reference.names_weights
    assert old in reference.notes[0]
    assert today in reference.notes[0]


@pytest.mark.parametrize("name", ["ig_resnext101_32x16d", "ig_resnext101_32x32d", "ig_resnext101_32x48d"])
def test_aliases_that_lead_to_other_weights_are_refused(name):
    with pytest.raises(ModelError, match="refused") as caught:
        parse_reference(name)
    assert parse_reference(caught.value.hint.split()[-1]).names_weights


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match="resnett50") as caught:
        parse_reference("resnett50")
    assert "resnet50" in caught.value.hint
    with pytest.raises(ModelError) as caught:
        parse_reference("resnet20")
    assert "cifar_resnet20" in caught.value.hint


def test_an_unknown_tag_is_answered_with_the_tags():
    with pytest.raises(ModelError, match="a9_in1k") as caught:
        parse_reference("resnet50.a9_in1k")
    assert "ram_in1k" in caught.value.hint


def test_hub_references():
    reference = parse_reference("hf-hub:org/name.tag@abc123")
    assert (reference.kind, reference.repository, reference.revision) == ("hub", "org/name.tag", "abc123")
    assert parse_reference("hf_hub:org/name").revision is None
    for wrong in ("hf-hub:name", "hf-hub:", "hf-hub:a/b/c", "hf-hub:a/../b@x y"):
        with pytest.raises(ModelError):
            parse_reference(wrong)
    with pytest.raises(ModelError) as caught:
        parse_reference("org/name")
    assert "hf-hub:org/name" in caught.value.hint


def test_folders_and_runs(tmp_path: Path):
    folder = tmp_path / "saved"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"config\.json"):
        parse_reference(str(folder))
    (folder / "config.json").write_text("{}")
    assert parse_reference(str(folder)).kind == "folder"
    assert parse_reference(f"local-dir:{folder}").path == folder
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "model" / "config.json").write_text("{}")
    assert parse_reference(str(run)).kind == "run"
    with pytest.raises(ModelError, match="no folder"):
        parse_reference(f"local-dir:{tmp_path / 'nothing'}")


def test_an_unfinished_run_is_its_newest_checkpoint(tmp_path: Path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="nor a checkpoint"):
        parse_reference(str(run))
    for step in (5, 10):
        (run / "checkpoints" / f"step-{step:09d}.safetensors").touch()
    reference = parse_reference(str(run))
    assert (reference.kind, reference.path.name) == ("checkpoint", "step-000000010.safetensors")
    assert "not finished" in reference.notes[0]
    assert parse_reference(str(run / "checkpoints" / "step-000000005.safetensors")).kind == "checkpoint"


def test_plain_weights_need_their_architecture(tmp_path: Path):
    path = tmp_path / "a=b.pth"
    path.touch()
    with pytest.raises(ModelError) as caught:
        parse_reference(str(path))
    assert caught.value.hint == f"write ARCHITECTURE={path}"
    reference = parse_reference(f"resnet50.ram_in1k={path}")
    assert (reference.kind, reference.pinned, reference.path) == ("weights", f"resnet50.ram_in1k={path}", path)
    with pytest.raises(ModelError, match="no file"):
        parse_reference("resnet50=nothing.pth")
    with pytest.raises(ModelError, match="no model"):
        parse_reference(f"resnett50={path}")


def test_a_folder_does_not_hide_a_model_of_its_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("resnet18").mkdir()
    assert parse_reference("resnet18").kind == "timm"
    Path("resnet18/config.json").write_text("{}")
    assert parse_reference("./resnet18").kind == "folder"
