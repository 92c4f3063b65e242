"""Two sides are found, brought together where they were measured alike, and refused with the reason where not."""

import json

import pytest

from kdzoo.base.errors import DataError
from kdzoo.evaluation.comparison import compare_results
from kdzoo.evaluation.results import Interval, MeasuredModel

LOOK = {"image_size": 32, "mean": [0.5], "std": [0.2], "interpolation": "bilinear", "crop_pct": 1.0, "crops": 1}


@pytest.fixture
def store(tmp_path, write_answers):
    write_answers(tmp_path / "store", "weak", 0.6)
    write_answers(tmp_path / "store", "strong", 0.8)
    return tmp_path / "store"


def test_two_models_of_one_store_are_compared_with_a_paired_test(store):
    found = compare_results("weak", "strong", results=store)
    (one,) = found.results
    top1 = one.numbers[0]
    assert (top1.metric, top1.over) == ("top1", "images")
    assert top1.difference == pytest.approx(top1.second - top1.first) == pytest.approx(one.paired.difference)
    assert top1.low < top1.difference < top1.high
    assert one.paired.p_value < 1e-6
    assert one.finding.startswith("strong is right more often than weak, by ")
    assert one.settings == ()
    assert [number.metric for number in found.cost] == ["parameters", "macs"]
    assert found.run_settings is None
    assert json.loads(json.dumps(found.to_dict()))["results"][0]["numbers"][0]["metric"] == "top1"


def test_the_same_store_twice_says_which_models_there_are(store):
    with pytest.raises(DataError, match="2 models: strong, weak") as caught:
        compare_results(store, store)
    assert "--results" in caught.value.hint


def test_documents_and_folders_are_sides_too(store, tmp_path, write_answers):
    other = write_answers(tmp_path / "b", "strong", 0.8)
    weak = next(store.glob("*weak*.json"))
    found = [compare_results(weak, side).results[0] for side in (other, other.parent)]
    assert found[0].paired == found[1].paired is not None
    assert found[0].numbers == found[1].numbers


def test_a_reference_is_looked_for_in_the_usual_store(store, monkeypatch):
    monkeypatch.setenv("KDZOO_RESULTS", str(store))
    assert compare_results("weak", "strong/").second == "strong/"
    with pytest.raises(DataError, match="no result of stronk") as caught:
        compare_results("weak", "stronk")
    assert str(caught.value.hint).startswith("did you mean 'strong'? there are: ")
    with pytest.raises(DataError, match="no result of x"):
        compare_results("weak", "x", results=store)
    with pytest.raises(DataError, match="there are no results at"):
        compare_results("weak", "strong", results=store / "nowhere")


def test_one_model_against_itself(store):
    (one,) = compare_results("weak", "weak", results=store).results
    assert one.finding == "weak (A) and weak (B) give the same first answer to all 400 images"


def test_other_data_is_refused_with_the_reason(store, tmp_path, write_answers):
    write_answers(tmp_path / "b", "strong", 0.8, data_fingerprint="other")
    with pytest.raises(DataError, match=r"photos \(val\): .*fingerprints differ"):
        compare_results(next(store.glob("*weak*.json")), tmp_path / "b")
    write_answers(tmp_path / "c", "strong", 0.8, data_fingerprint=None, num_images=7)
    with pytest.raises(DataError, match="on 400 and on 7 images"):
        compare_results(next(store.glob("*weak*.json")), tmp_path / "c")


def test_what_is_refused_does_not_stop_the_rest(store, write_answers):
    write_answers(store, "weak", 0.6, dataset="more", data_fingerprint="one")
    write_answers(store, "strong", 0.8, dataset="more", data_fingerprint="two")
    write_answers(store, "strong", 0.8, dataset="alone")
    found = compare_results("weak", "strong", results=store)
    assert [one.first.dataset for one in found.results] == ["photos"]
    assert len(found.refused) == 2
    assert "fingerprints differ" in found.refused[0]
    assert "only strong was measured" in found.refused[1]


def test_missing_answers_are_said_with_the_way_to_get_them(store, write_answers):
    write_answers(store, "bare", 0.7, keep=False)
    (one,) = compare_results("weak", "bare", results=store).results
    assert one.paired is None
    assert one.numbers[0].low is None
    assert one.finding == "no paired test: the answers of bare are not kept ('kdzoo eval bare --on photos' keeps them)"


def test_another_look_is_named_and_another_protocol_is_refused(store, write_answers):
    write_answers(store, "wide", 0.7, settings={**LOOK, "image_size": 48, "mean": [0.1]})
    (one,) = compare_results("weak", "wide", results=store).results
    assert one.settings == (("image_size", "32", "48"), ("mean", "0.5", "0.1"))
    write_answers(store, "tuned", 0.7, settings={**LOOK, "mode": "finetune"})
    with pytest.raises(DataError, match="they differ in mode"):
        compare_results("weak", "tuned", results=store)


def test_equal_settings_are_preferred_to_near_ones(store, write_answers):
    write_answers(store, "weak", 0.6, settings={**LOOK, "image_size": 48})
    write_answers(store, "strong", 0.8, settings={**LOOK, "image_size": 48})
    found = compare_results("weak", "strong", results=store)
    assert [one.settings for one in found.results] == [(), ()]


def test_seeds_are_paired_and_the_answers_of_one_do_not_speak_for_all(store, write_answers):
    def many(values):
        mean = sum(values) / len(values)
        return {
            "metrics": {"top1": mean},
            "intervals": {"top1": Interval(seeds=(0, 1, 2), values=values)},
            "details": {"predictions_of_seed": 0},
            "dataset": "seeds",
        }

    write_answers(store, "weak", 0.6, **many((60.0, 62.0, 61.0)))
    write_answers(store, "strong", 0.8, **many((70.0, 71.0, 75.0)))
    one = next(r for r in compare_results("weak", "strong", results=store).results if r.first.dataset == "seeds")
    top1 = one.numbers[0]
    # differences 10, 9, 14: mean 11, s = sqrt(7), t(0.975; 2) = 4.302653
    half = 4.302653 * (7 / 3) ** 0.5
    assert (top1.over, top1.low, top1.high) == ("seeds", pytest.approx(11 - half), pytest.approx(11 + half))
    assert one.finding.endswith("of the models of seed 0 alone")


def test_other_seeds_are_compared_and_named(store, write_answers):
    for name, seeds in (("weak", [0, 1]), ("strong", [0])):
        write_answers(store, name, 0.6, settings={**LOOK, "seeds": seeds}, dataset="seeds")
    found = compare_results("weak", "strong", results=store)
    assert [one.settings for one in found.results] == [(), (("seeds", "0, 1", "0"),)]


def test_two_sets_of_weights_under_one_name_are_not_mixed(store, write_answers):
    model = MeasuredModel(reference="weak", weights_sha256="ab")
    write_answers(store, "weak", 0.6, model=model)
    with pytest.raises(DataError, match="two sets of weights"):
        compare_results("weak", "strong", results=store)


def test_two_runs_give_their_own_numbers_and_the_settings_that_differ(make_run):
    settings = {"optimizer.lr": {"value": 0.02, "source": "--lr"}}
    first, second = make_run("a"), make_run("b", settings=settings)
    result = json.loads((second / "result.json").read_text())
    (second / "result.json").write_text(json.dumps({**result, "top1": result["top1"] + 2.5}))
    found = compare_results(first, second)
    (one,) = found.results
    assert [n.metric for n in one.numbers] == ["top1", "top5", "loss"]
    assert [n.difference for n in one.numbers] == pytest.approx([2.5, 0, 0])
    assert ("optimizer.lr", "0.01", "0.02") in found.run_settings
    assert "not kept" in one.finding


def test_kept_results_of_runs_replace_their_own_numbers(make_run, write_answers):
    runs = [make_run("a"), make_run("b")]
    for run, skill in zip(runs, (0.6, 0.8)):
        write_answers(run / "results", str(run), skill, dataset="digits")
    found = compare_results(*runs)
    assert [one.paired is not None for one in found.results] == [True]
    assert found.run_settings == ()


def test_an_unfinished_run_has_no_numbers_yet(make_run):
    with pytest.raises(DataError, match="holds no results"):
        compare_results(make_run("a", epochs=3), make_run("b"))


def test_two_runs_that_predict_a_gaze_are_compared_by_their_angular_errors(make_run):
    runs = []
    for name, error, spread in (("a", 6.5, 3.0), ("b", 5.25, 2.5)):
        runs.append(make_run(name))
        result = json.loads((runs[-1] / "result.json").read_text())
        result = {key: value for key, value in result.items() if "top" not in key}
        (runs[-1] / "result.json").write_text(
            json.dumps({**result, "angular_error": error, "angular_spread": spread, "best_angular_error": 5.0})
        )
    (one,) = compare_results(*runs).results
    assert one.first.task == "regression"
    assert [(n.metric, n.difference) for n in one.numbers[:2]] == [("angular_error", -1.25), ("angular_spread", -0.5)]
    assert one.finding == "no paired test: the answers of a run that predicts a gaze are not kept"


@pytest.mark.parametrize("sizes", [(32, 32), (32, 48)])
def test_of_several_copies_of_the_data_the_same_ones_are_compared(tmp_path, write_answers, sizes):
    copies = ["copy 1", "copy 2", "copy 3", "copy 4"]
    for name, size in zip(("weak", "strong"), sizes, strict=True):
        for fingerprint in copies:
            settings = {**LOOK, "image_size": size}
            write_answers(tmp_path, name, 0.7, data_fingerprint=fingerprint, settings=settings)
    found = compare_results("weak", "strong", results=tmp_path)
    assert [one.first.data_fingerprint for one in found.results] == copies
    assert [one.second.data_fingerprint for one in found.results] == copies
    assert found.refused == ()


def test_the_same_images_by_another_look_go_before_other_images_by_the_same(store, write_answers):
    write_answers(store, "two", 0.7, data_fingerprint="other")
    write_answers(store, "two", 0.7, settings={**LOOK, "image_size": 48})
    found = compare_results("weak", "two", results=store)
    assert [one.settings for one in found.results] == [(("image_size", "32", "48"),)]
    (reason,) = found.refused
    assert reason.startswith("photos (val): measured on other images or labels")


def test_a_copy_that_only_one_of_them_saw_is_named_as_other_images(store, write_answers):
    for names in (("weak", "strong"), ("strong", "weak")):
        write_answers(store, "weak", 0.7, data_fingerprint="another")
        found = compare_results(*names, results=store)
        assert [one.first.data_fingerprint for one in found.results] == ["f" * 8]
        assert len(found.refused) == 1
        assert "fingerprints differ" in found.refused[0]


def test_a_run_that_was_measured_under_two_spellings_counts_once(make_run, write_answers):
    runs = [make_run("a"), make_run("b")]
    for run in runs:
        for spelling in (str(run), f"{run.parent}/./{run.name}", f"{run}/."):
            write_answers(run / "results", spelling, 0.6, model=MeasuredModel(reference=spelling, weights_sha256="1"))
    found = compare_results(*runs)
    assert [one.first.dataset for one in found.results] == ["photos", "digits"]
    assert found.refused == ()
