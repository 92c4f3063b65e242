"""The numbers behind the charts: fronts, confusions, similar classes, weights, against independent computations."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import confusion_matrix as sklearn_confusion

from kdzoo.base.errors import DataError, UsageError
from kdzoo.base.run_record import read_run
from kdzoo.evaluation.analysis.calibration import calibration_section
from kdzoo.evaluation.analysis.classes import class_sections
from kdzoo.evaluation.analysis.confusion import confusion_matrix, contrasting_classes, similar_pairs
from kdzoo.evaluation.analysis.inputs import read_inputs, short_names
from kdzoo.evaluation.analysis.trade_off import pareto_front, trade_off_sections
from kdzoo.evaluation.analysis.training import training_section
from kdzoo.evaluation.analysis.transfer import transfer_section
from kdzoo.evaluation.analysis.weights import weight_section
from kdzoo.evaluation.page import count
from kdzoo.evaluation.results import Interval, MeasuredModel


@pytest.mark.parametrize("less_is_better", [True, False])
def test_the_front_is_what_no_other_point_beats(less_is_better):
    rng = np.random.default_rng(5)
    found = [tuple(map(float, point)) for point in rng.integers(0, 12, size=(60, 2))]
    sign = 1 if less_is_better else -1

    def beaten(i):
        x, y = sign * found[i][0], found[i][1]
        return any(sign * a <= x and b >= y and (sign * a, b) != (x, y) for j, (a, b) in enumerate(found) if j != i)

    front = pareto_front(found, less_is_better=less_is_better)
    assert sorted(front) == [i for i in range(60) if not beaten(i)]
    costs = [sign * found[i][0] for i in front]
    assert costs == sorted(costs)


def test_confusions_are_scikit_learn_s():
    rng = np.random.default_rng(2)
    labels, answers = rng.integers(-1, 6, 500), rng.integers(-1, 6, 500)
    kept = (labels >= 0) & (answers >= 0)
    expected = sklearn_confusion(labels[kept], answers[kept], labels=range(6))
    np.testing.assert_array_equal(confusion_matrix(labels, answers, 6), expected)


def test_similar_classes_are_those_confused_in_both_directions_by_all_models():
    matrices = [np.array([[8, 2, 0], [4, 6, 0], [0, 0, 5]]), np.array([[10, 0, 0], [0, 9, 1], [0, 0, 0]])]
    first, second = similar_pairs(matrices, 5)
    assert (first.first, first.second, first.confusion) == (0, 1, pytest.approx(100 * (0.2 + 0.4) / 2 / 2))
    assert (second.first, second.second, second.confusion) == (1, 2, pytest.approx(100 * 0.1 / 2 / 2))
    assert similar_pairs([np.eye(3, dtype=int)], 5) == []


def test_contrasting_classes_are_a_similar_pair_and_two_others():
    matrix = 10 * np.eye(6, dtype=int)
    matrix[4, 1] = 5
    matrix[0, 2], matrix[3, 0] = 2, 1
    matrix[5] = 0  # no images
    assert contrasting_classes([matrix]) == [1, 4, 3, 0]


def stored(folder):
    return read_inputs([folder]).stored


def test_models_of_two_costs_make_a_trade_off(tmp_path, write_answers):
    for name, skill, size in (("small", 0.5, 10), ("middle", 0.45, 20), ("large", 0.9, 1000)):
        write_answers(tmp_path, name, skill, model=MeasuredModel(reference=name, parameters=size, macs=7))
    (section,) = trade_off_sections(stored(tmp_path))
    by_name = {chart.name: chart for chart in section.charts}
    assert set(by_name) == {"trade-off-photos-parameters", "trade-off-photos-images-per-s"}  # MACs are all the same
    groups = {group.name: group for group in by_name["trade-off-photos-parameters"].groups}
    assert [len(groups[name].points) for name in ("on the front", "beaten by another")] == [2, 1]
    beaten = int(groups["beaten by another"].labels[0]) - 1
    assert section.tables[0].rows[beaten][0].endswith("middle")


def test_throughputs_of_two_machines_are_not_drawn_together(tmp_path, write_answers):
    for name, device in (("a", "cpu"), ("bb", "gpu")):
        write_answers(
            tmp_path,
            name,
            0.5 + len(name) / 10,
            details={"throughput": {"network_images_per_s": 10.0 * len(name), "device": device}},
        )
    (section,) = trade_off_sections(stored(tmp_path))
    assert all("images-per-s" not in chart.name for chart in section.charts)
    assert any("several machines" in note for note in section.notes)


HERE = {"device": "cpu", "threads": 8, "batch_size": 64, "machine": "laptop"}


@pytest.mark.parametrize("change", [{"machine": "server"}, {"machine": None}, {"batch_size": 1}, {"threads": 2}, {}])
def test_throughputs_are_drawn_where_machine_and_batch_size_are_the_same(tmp_path, write_answers, change):
    for name, speed, where in (("a", 10.0, HERE), ("b", 20.0, {**HERE, **change})):
        speeds = {"network_images_per_s": speed, **{key: value for key, value in where.items() if value is not None}}
        write_answers(tmp_path, name, speed / 40, details={"throughput": speeds})
    (section,) = trade_off_sections(stored(tmp_path))
    assert any("images-per-s" in chart.name for chart in section.charts) == (not change)
    note = "Throughput of the network alone, on laptop, 8 threads, batches of 64."
    assert (note in section.notes) == (not change)


def test_multiply_accumulates_are_of_all_crops(tmp_path, write_answers):
    for name, macs, crops in (("a", 10**9, 1), ("b", 10**9, 10)):
        model = MeasuredModel(reference=name, parameters=7, macs=macs)
        write_answers(tmp_path, name, crops / 20, model=model, settings={"crops": crops}, details={})
    (section,) = trade_off_sections(stored(tmp_path))
    (chart,) = section.charts
    assert [x for group in chart.groups for x, _ in group.points] == [1.0, 10.0]
    assert [row[4] for row in section.tables[0].rows] == [count(10**9), count(10**10)]


def test_measurements_of_one_model_are_told_apart_by_what_differs(tmp_path, write_answers):
    for digest, look in (("1" * 64, {"crops": 1}), ("1" * 64, {"crops": 10}), ("2" * 64, {"crops": 1})):
        model = MeasuredModel(reference="a", weights_sha256=digest, macs=9)
        write_answers(tmp_path, "a", 0.5, model=model, settings={"image_size": 32, **look})
    for size in (32, 48):
        model = MeasuredModel(reference="b", macs=9)
        write_answers(tmp_path, "b", 0.5, model=model, settings={"image_size": size, "crops": 1})
    write_answers(tmp_path, "c", 0.5)
    (section,) = trade_off_sections(stored(tmp_path))
    assert [row[0].partition(". ")[2] for row in section.tables[0].rows] == [
        "a, crops 1, weights 11111111", "a, crops 1, weights 22222222", "a, crops 10, weights 11111111",
        "b, 32 px", "b, 48 px", "c",
    ]  # fmt: skip


def test_one_model_or_other_data_make_no_trade_off(tmp_path, write_answers):
    write_answers(tmp_path, "a", 0.5)
    write_answers(tmp_path, "b", 0.9, data_fingerprint="other")
    assert trade_off_sections(stored(tmp_path)) == []


def test_classes_before_and_after_with_the_similar_ones(tmp_path, write_answers):
    paths = [write_answers(tmp_path, name, skill) for name, skill in (("before", 0.5), ("after", 0.8))]
    inputs = read_inputs(paths)
    missing = []
    (section,) = class_sections(inputs.stored, missing)
    assert missing == []
    assert section.title.endswith("before and after")
    similar, every = section.tables
    assert [row[0] for row in similar.rows[:2]] == ["cat", "dog"]
    labels = np.arange(400) % 4
    for row in every.rows:
        label = ("cat", "dog", "wolf", "tench").index(row[0])
        shares = [100 * one.predictions().correct[labels == label].mean() for one in inputs.stored]
        assert row[1:4] == (f"{shares[0]:.2f}", f"{shares[1]:.2f}", f"{shares[1] - shares[0]:+.2f}".replace("-", "−"))


def test_the_pair_that_is_compared_can_be_named(tmp_path, write_answers):
    names = ("one", "two", "three")
    inputs = read_inputs([write_answers(tmp_path, name, 0.5) for name in names])
    (section,) = class_sections(inputs.stored, [])
    assert section.title.endswith("one and three")
    (section,) = class_sections(inputs.stored, [], ("three", "two"))
    assert section.title.endswith("three and two")
    with pytest.raises(UsageError, match="no model 'four'") as error:
        class_sections(inputs.stored, [], ("one", "four"))
    assert error.value.hint == "there are one, two, three"
    for pair in (("one",), ("one", "one"), names):
        with pytest.raises(UsageError, match="not two models"):
            class_sections(inputs.stored, [], pair)


SIZES = (224, 256, 288, 320)


@pytest.mark.parametrize("pair", [(), ("b", "a")])
def test_classes_are_compared_as_both_models_were_measured_alike(tmp_path, write_answers, pair):
    for name, sizes in (("a", SIZES[:3]), ("b", SIZES[1:])):
        for size in sizes:
            look = {"image_size": size, "crop_pct": 1.0}
            write_answers(tmp_path, name, size / 400, settings=look, protocol=f"{size} px, crop_pct 1")
    (section,) = class_sections(stored(tmp_path), [], pair)
    assert section.lede[1] == "Both were measured alike: 256 px, crop_pct 1."
    assert "0 of 4 classes gain, 0 lose and 4 stay" in section.lede[0]


def test_where_no_measurements_are_alike_the_settings_are_named(tmp_path, write_answers):
    for size in SIZES[1:]:
        write_answers(tmp_path, "a", 0.5, settings={"image_size": size, "crops": 10, "crop_pct": 1.0})
        write_answers(tmp_path, "b", 0.5, settings={"image_size": size, "crops": 1, "crop_pct": 0.875})
    write_answers(tmp_path, "b", 0.6, settings={"image_size": 224, "crops": 10, "crop_pct": 1.0})
    (section,) = class_sections(stored(tmp_path), [])
    assert section.lede[1] == "a and b were not measured alike: image_size 256 and 224."


def test_two_sets_of_weights_under_one_name_are_not_mixed(tmp_path, write_answers):
    write_answers(tmp_path, "b", 0.5)
    for digest in ("1234", "5678"):
        write_answers(tmp_path, "a", 0.5, model=MeasuredModel(reference="a", weights_sha256=digest))
    missing = []
    assert class_sections(stored(tmp_path), missing) == []
    ((what, how),) = missing
    assert what.endswith("a was measured with several sets of weights")
    assert sorted(how.removeprefix("delete what is out of date of ").split(", ")) == sorted(
        path.name for path in tmp_path.glob("*-a-*.json")
    )
    write_answers(tmp_path, "c", 0.5)
    (section,) = class_sections(stored(tmp_path), [], ("b", "c"))
    assert section.title.endswith("b and c")


def test_the_order_of_results_is_not_that_of_their_digests(tmp_path, write_answers):
    for size in (1024, *SIZES):
        for reference in ("x/model", "w/model"):
            write_answers(tmp_path, reference, 0.5, settings={"image_size": size})
    found = [(one.result.model.reference[0], one.result.settings["image_size"]) for one in stored(tmp_path)]
    assert found == [(letter, size) for letter in "wx" for size in (*SIZES, 1024)]


def test_without_answers_the_similar_classes_are_named_as_missing(tmp_path, write_answers):
    paths = [write_answers(tmp_path, name, 0.5, keep=name == "a") for name in ("a", "b")]
    missing = []
    (section,) = class_sections(read_inputs(paths).stored, missing)
    assert len(section.tables) == 1
    assert missing[0][1] == "kdzoo eval a b --on photos"


def test_the_reliability_diagram_leaves_small_bins_out(tmp_path, write_answers):
    bins = [{"count": 9, "confidence": 10.0, "accuracy": 1.0}, {"count": 10, "confidence": 70.0, "accuracy": 60.0}]
    bins += [{"count": 0, "confidence": None, "accuracy": None}, "damaged"]
    write_answers(tmp_path, "a", 0.5, details={"reliability": bins})
    (chart,) = calibration_section(stored(tmp_path)).charts
    assert chart.series[0].points == ((70.0, 60.0),)
    assert calibration_section(()) is None


def test_transfer_tables_have_intervals_and_the_sentence(tmp_path, write_answers):
    interval = Interval(seeds=(0, 1), values=(60.0, 62.0), low=48.29, high=73.71)
    difference = {"sentence": "a is better than b by 3 points", "baseline": "b"}
    write_answers(
        tmp_path,
        "a",
        0.5,
        settings={"mode": "linear"},
        metrics={"top1": 61.0},
        intervals={"top1": interval},
        details={"difference": difference},
    )
    section = transfer_section(stored(tmp_path))
    assert section.lede == ("photos, linear probe: a is better than b by 3 points.",)
    assert section.tables[0].rows == (("a", "top1", "61.00", "48.29 to 73.71", "2"),)


def test_curves_of_runs_lie_over_each_other_in_epochs(make_run):
    runs = {"a": read_run(make_run("a")), "b": read_run(make_run("b", epochs=4))}
    section = training_section(runs)
    top1 = section.charts[0]
    assert [line.name for line in top1.series] == ["a", "b"]
    assert [line.points[-1][0] for line in top1.series] == [30.0, 4.0]
    assert {chart.title for chart in section.charts} >= {"Loss term soft_label", "Loss term discriminator"}
    assert training_section({}) is None


def test_weights_are_counted_in_common_bins_and_percentiles_follow_the_checkpoints(make_run):
    folder = make_run("a")
    weights = torch.linspace(-1, 1, 1600).reshape(4, 4, 10, 10)
    save_file({"conv1.weight": weights, "fc.weight": weights[:, 0, 0].clone()}, folder / "model" / "model.safetensors")
    missing = []
    section = weight_section({"a": read_run(folder)}, (), missing)
    (chart,) = section.charts
    assert chart.title == "Weights of conv1"
    shares = [y for _, y in chart.series[0].points]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert max(shares) < 2 * min(shares)
    assert "fewer than two checkpoints" in missing[0][0]

    from kdzoo.engine.checkpoint import save_checkpoint

    (folder / "checkpoints").mkdir()
    for step in (5, 10):
        save_checkpoint(folder / "checkpoints", step, {"student": {"conv1.weight": step * weights}})
    missing = []
    _, chart = weight_section({"a": read_run(folder)}, ("conv1.weight",), missing).charts
    assert missing == []
    for line, percent in zip(chart.series, (10, 25, 50, 75, 90), strict=True):
        expected = [step * (2 * percent / 100 - 1) for step in (5, 10)]
        assert [y for _, y in line.points] == pytest.approx(expected, abs=1e-5)
    newest = folder / "checkpoints" / "step-000000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x07")  # a damaged one is not drawn
    assert len(weight_section({"a": read_run(folder)}, (), []).charts) == 1
    with pytest.raises(UsageError, match="'conv9'"):
        weight_section({"a": read_run(folder)}, ("conv9",), [])


@pytest.mark.parametrize("names", [("r" * 40 + "-one", "r" * 40 + "-two"), ("один", "два")])
def test_runs_of_like_names_are_told_apart_where_checkpoints_are_missing(make_run, names):
    from kdzoo.engine.checkpoint import save_checkpoint

    weights = torch.linspace(-1, 1, 16).reshape(4, 4)
    runs = {}
    for name in names:
        folder = make_run(name)
        save_file({"fc.weight": weights}, folder / "model" / "model.safetensors")
        runs[name] = read_run(folder)
    (runs[names[0]].path / "checkpoints").mkdir()
    for step in (5, 10):
        save_checkpoint(runs[names[0]].path / "checkpoints", step, {"student": {"fc.weight": weights}})
    missing = []
    section = weight_section(runs, (), missing)
    assert [chart.title for chart in section.charts] == ["Weights of fc", f"Percentiles of fc, {names[0]}"]
    assert [what.partition(":")[0] for what, _ in missing] == [f"percentiles of weights over training of {names[1]}"]


def test_a_model_of_vectors_alone_has_no_histograms_unless_they_are_named(make_run):
    flat, deep = make_run("flat"), make_run("deep")
    save_file({"scale": torch.linspace(-1, 1, 16)}, flat / "model" / "model.safetensors")
    missing = []
    assert weight_section({"flat": read_run(flat)}, (), missing) is None
    assert "--layers" in missing[0][1]
    assert weight_section({"flat": read_run(flat)}, ("scale",), []) is not None
    save_file({"fc.weight": torch.eye(4)}, deep / "model" / "model.safetensors")
    (chart,) = weight_section({"flat": read_run(flat), "deep": read_run(deep)}, (), []).charts
    assert [line.name for line in chart.series] == ["deep"]


def test_names_are_as_short_as_they_can_be():
    references = ["runs/a/seed-0", "runs/b/seed-0", "resnet50.a1_in1k", "hf-hub:org/model", "x/teacher"]
    assert list(short_names(references).values()) == ["a/seed-0", "b/seed-0", references[2], references[3], "teacher"]


def test_a_path_that_holds_nothing_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing at"):
        read_inputs([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="no results in"):
        read_inputs([tmp_path])


def test_a_result_named_twice_counts_once(tmp_path, write_answers):
    path = write_answers(tmp_path, "a", 0.5)
    assert len(read_inputs([tmp_path, path]).stored) == 1
