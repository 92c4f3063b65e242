"""``kdzoo publish`` and ``kdzoo export`` as a user calls them; what they do is tested with the zoo."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kdzoo.zoo import load_model, save_model


def test_a_dry_run_shows_and_writes_what_would_be_sent(kdzoo, make_run, tmp_path):
    run = str(make_run(tmp_path / "run"))
    shown = kdzoo("publish", run, "--repo", "org/a", "--dry-run", "--out", "card", "--json")
    assert shown.code == 0, shown.err
    document = json.loads(shown.out)
    assert document["license"] == "apache-2.0"
    assert {row["path"]: row["bytes"] for row in document["files"]} == {
        path.name: path.stat().st_size for path in (tmp_path / "card").iterdir()
    }
    assert (
        "would be sent to org/a, under mit:"
        in kdzoo("publish", run, "--repo", "org/a", "--dry-run", "--license", "mit").out
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--out", "x"), 2, "--out says where --dry-run writes"),
        (("--create-pr", "--revision", "v1"), 2, "a pull request goes to the default branch"),
        (("--dry-run", "--license", "nonsense"), 2, "the Hub knows no licence 'nonsense'"),
        (("--dry-run",), 1, "there is no run none"),
    ],
)
def test_wrong_usage_is_one_line(kdzoo, make_run, tmp_path, arguments, code, said):
    run = "none" if code == 1 else str(make_run(tmp_path / "run"))
    called = kdzoo("publish", run, "--repo", "org/a", *arguments)
    assert (called.code, called.out) == (code, "")
    assert called.err.startswith(f"error: {said}")
    assert "\nhint: " in called.err


def test_a_token_in_the_environment_appears_nowhere(kdzoo, make_run, tmp_path, monkeypatch):
    token = "planted-0123456789-of-no-known-shape"
    monkeypatch.setenv("HF_TOKEN", token)
    run = str(make_run(tmp_path / "run"))
    called = kdzoo("publish", run, "--repo", "org/a", "--dry-run", "--out", str(tmp_path / "card"))
    assert called.code == 0, called.err
    assert token not in called.out + called.err
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_export_prints_the_size_and_the_checks_figure(kdzoo, make_run, tmp_path):
    run = str(make_run(tmp_path / "run"))
    called = kdzoo("export", run, "--format", "safetensors", "--out", "m.safetensors")
    assert called.code == 0, called.err
    size = (tmp_path / "m.safetensors").stat().st_size
    assert f"{size:,} bytes, 77,587 parameters" in called.out
    assert "largest difference  0.00e+00" in called.out
    wrong = kdzoo("export", run, "--format", "onnx", "--out", "m.pt2")
    assert (wrong.code, wrong.err.splitlines()[-1]) == (2, "hint: --out m.onnx")
    asked = kdzoo("export", run, "--format", "safetensors", "--out", "m.safetensors", "--int8")
    assert (asked.code, asked.err.splitlines()[-1]) == (2, "hint: --format onnx --int8 --data SPEC")


@pytest.mark.slow
def test_an_int8_export_and_its_evaluation_print_tables(kdzoo, few_digits, tmp_path):
    pytest.importorskip("onnxruntime")
    loaded = replace(load_model("cifar_resnet8", num_classes=10, seed=1), class_names=tuple("0123456789"))
    model, data = str(save_model(loaded, tmp_path / "model", provenance={})), str(few_digits)
    called = kdzoo("export", model, "--format", "onnx", "--out", "m.onnx", "--data", data, "--int8")
    assert called.code == 0, called.err
    assert "int8 file           m-int8.onnx" in called.out
    assert f"calibrated on       160 of 160 training images of {few_digits.name}, seed 0" in called.out
    assert "On 40 held-out images:" in called.out
    lines = called.out.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.startswith("model ") and "top1" in line)
    assert [line.split()[0] for line in lines[heading:] if line.startswith(("m.", "m-"))] == ["m.onnx", "m-int8.onnx"]
    measured = kdzoo("eval", model, "m.onnx", "m-int8.onnx", "--on", data, "--format", "csv", "--no-save")
    assert measured.code == 0, measured.err
    names, ours, whole, small = (line.split(",") for line in measured.out.splitlines())
    assert names[-1] == "latency_ms"
    assert (ours[-1], ours[2]) == ("", whole[2])
    assert min(float(whole[-1]), float(small[-1])) > 0
