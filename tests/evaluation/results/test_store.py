"""Results come back as they were written, damaged ones are refused by name, and publish reads them."""

import dataclasses
import json
import resource

import numpy as np
import pytest

from kdzoo.base.errors import DataError, RunError
from kdzoo.evaluation.results import (
    Interval,
    MeasuredModel,
    PerClass,
    Predictions,
    Result,
    describe_model,
    read_predictions,
    read_results,
    results_folder,
    results_frame,
    write_result,
)
from kdzoo.zoo import load_model


def result(**changes):
    values = {
        "task": "classification",
        "dataset": "digits",
        "split": "val",
        "num_images": 4,
        "model": MeasuredModel(reference="runs/a", architecture="cifar_resnet8", parameters=78042, macs=12),
        "protocol": "32 px, crop_pct 1, bilinear, each image once",
        "metrics": {"top1": 75.0, "top5": 100.0},
        "settings": {"image_size": 32, "mean": [0.5, 0.5, 0.5]},
        "published": {"top1": 76.0},
        "intervals": {"top1": Interval(seeds=(1, 2), values=(74.0, 76.0), low=70.0, high=80.0)},
        "per_class": (PerClass(metric="top1", names=("a", "b"), values=(75.0, None), counts=(4, 0)),),
        "details": {"ece": 1.5},
    }
    return Result(**{**values, **changes})


def answers():
    return Predictions(
        labels=np.array([0, 1, 2, -1]),
        top5=np.arange(20).reshape(4, 5),
        confidence=np.array([0.9, 0.8, 0.7, 0.6]),
        correct=np.array([True, True, False, False]),
        counted=np.array([True, True, True, False]),
    )


def test_a_result_comes_back_equal_with_its_predictions(tmp_path):
    path = write_result(tmp_path / "store", result(), answers())
    (back,) = read_results([tmp_path / "store"])
    assert back == result()
    assert read_results([path]) == [back]
    kept = read_predictions(tmp_path / "store", back)
    for name, array in answers().arrays().items():
        np.testing.assert_array_equal(getattr(kept, name), array)


def test_the_same_measurement_replaces_itself_and_another_protocol_does_not(tmp_path):
    write_result(tmp_path, result())
    first = write_result(tmp_path, result(metrics={"top1": 50.0}))
    assert [one.metrics["top1"] for one in read_results([tmp_path])] == [50.0]
    other = write_result(tmp_path, result(settings={"image_size": 48}, protocol="48 px"))
    weights = write_result(tmp_path, result(model=dataclasses.replace(result().model, weights_sha256="ab")))
    assert len({first, other, weights}) == 3


def test_a_run_keeps_its_own_results(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setenv("KDZOO_RESULTS", str(tmp_path / "elsewhere"))
    assert results_folder(str(run)) == tmp_path / "elsewhere"
    (run / "result.json").write_text("{}")
    assert results_folder(str(run)) == run / "results"
    write_result(results_folder(str(run)), result(), answers())
    (back,) = read_results([run])
    assert read_predictions(run, back) is not None


def test_the_frame_has_a_row_a_number():
    frame = results_frame([result(), result(task="segmentation", metrics={"mIoU": 60.0}, intervals={})])
    assert list(frame["metric"]) == ["top1", "top5", "mIoU"]
    assert frame.loc[0, ["value", "published", "low", "high"]].tolist() == [75.0, 76.0, 70.0, 80.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "no result"),
        ('{"task": "x"}', "no result"),
        ('{"kdzoo_result": 99}', "another version"),
        ('{"kdzoo_result": 1}', "damaged"),
    ],
)
def test_what_is_no_result_is_refused_by_name(tmp_path, text, says):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DataError, match=rf"bad\.json.*{says}"):
        read_results([tmp_path])


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {"top1": "high"}},
        {"metrics": [1]},
        {"num_images": 0},
        {"task": "chess"},
        {"model": {"name": "x"}},
        {"per_class": [{"metric": "top1", "names": ["a"], "values": [], "counts": [1]}]},
        {"intervals": {"top1": {"seeds": 3}}},
        {"intervals": {"top1": {"seeds": [0], "values": []}}},
        {"intervals": {"top1": {"seeds": [0], "values": ["1"]}}},
        {"settings": None},
        {"details": None},
        {"details": []},
        {"data_fingerprint": 7},
        {"model": {"reference": "x", "parameters": "12"}},
        {"model": {"reference": "x", "macs": 1.5}},
        {"model": {"reference": "x", "macs": -1}},
        {"model": {"reference": "x", "run": 3}},
        {"metrics": {"top1": float("nan")}},
        {"metrics": {"top1": float("inf")}},
        {"metrics": {"top1": 10**400}},
        {"published": {"top1": float("nan")}},
        {"per_class": [{"metric": "top1", "names": [["a"]], "values": [1.0], "counts": [1]}]},
        {"per_class": [{"metric": "top1", "names": ["a"], "values": ["1"], "counts": [1]}]},
    ],
)
def test_a_damaged_result_is_refused(tmp_path, change):
    path = write_result(tmp_path, result())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match="damaged"):
        read_results([tmp_path])


def test_damaged_predictions_are_refused(tmp_path):
    path = write_result(tmp_path, result(), answers())
    (back,) = read_results([tmp_path])
    stored = path.with_suffix(".predictions")
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged"):
        read_predictions(tmp_path, back)


def test_predictions_that_cannot_be_written_are_one_error(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(RunError, match="could not be written") as error:
            write_result(tmp_path, result(), answers())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "--results" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_no_token_is_kept_and_nothing_that_is_no_number(tmp_path):
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    model = MeasuredModel(reference=f"hf-hub:a/b?token={secret}")
    path = write_result(tmp_path, result(model=model, details={"ratio": float("nan")}), answers())
    assert secret not in path.read_text()
    (back,) = read_results([tmp_path])
    assert back.details["ratio"] is None
    assert read_predictions(tmp_path, back) is not None
    with pytest.raises(ValueError, match="top1"):
        write_result(tmp_path, result(metrics={"top1": float("nan")}))


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="not a folder"):
        write_result(tmp_path / "file" / "store", result())


def test_a_model_is_described_by_what_it_is():
    loaded = load_model("cifar_resnet8")
    described = describe_model(loaded)
    assert described.parameters == 78042
    stem, first = 3 * 16 * 9 * 32**2, 2 * 16 * 16 * 9 * 32**2
    second = (16 * 32 * 9 + 32 * 32 * 9 + 16 * 32) * 16**2
    third = (32 * 64 * 9 + 64 * 64 * 9 + 32 * 64) * 8**2
    assert described.macs == stem + first + second + third + 64 * 10
    assert len(described.weights_sha256) == 64
    larger = dataclasses.replace(loaded, preprocessing=dataclasses.replace(loaded.preprocessing, image_size=64))
    assert describe_model(larger).macs == pytest.approx(4 * described.macs, rel=0.01)
    wider = dataclasses.replace(loaded, preprocessing=dataclasses.replace(loaded.preprocessing, image_width=64))
    assert describe_model(wider).macs == pytest.approx(2 * described.macs, rel=0.01)
    assert not any(parameter.is_meta for parameter in loaded.model.parameters())
