"""Which numbers a card lists: each measurement once, and none of a part of an official data set unasked."""

from __future__ import annotations

import json

import pytest
import yaml

from kdzoo.sharing import official_counts
from kdzoo.zoo.preprocessing import CENTRE_CROP, describe_view
from kdzoo.zoo.publishing import prepare
from kdzoo.zoo.run_evidence import ResultsChoice

PROTOCOL = describe_view(32, 1.0, "bilinear", *CENTRE_CROP)


def with_results(run, *documents):
    (run / "results").mkdir(exist_ok=True)
    for number, document in enumerate(documents):
        (run / "results" / f"{number}.json").write_text(json.dumps(document))
    return run


def listed(run, which="official"):
    choice = ResultsChoice(which=which, official=official_counts())
    made = prepare(run, "org/a", licence="mit", results=choice)
    (index,) = yaml.safe_load(made.card.decode().split("---\n")[1])["model-index"]
    return index["results"], made


def result(dataset, count, protocol, **metrics):
    head = {"kdzoo_result": 1, "task": "classification", "dataset": dataset, "split": "val"}
    return {**head, "num_images": count, "protocol": protocol, "metrics": metrics}


def test_one_measurement_stands_once(make_run, tmp_path):
    again = result("digits", 360, PROTOCOL, top1=87.5, top5=100.0, loss=0.4)
    other = result("digits", 360, describe_view(64, 1.0, "bilinear", *CENTRE_CROP), top1=80.0)
    results, made = listed(with_results(make_run(tmp_path / "run"), other, again))
    assert [one["dataset"]["args"]["protocol"] for one in results] == [PROTOCOL, other["protocol"]]
    assert [one["value"] for one in results[0]["metrics"]] == [87.5, 100.0, 0.4]
    assert made.card.decode().count("87.50\u00a0±") == 1


@pytest.mark.parametrize(("dataset", "count"), [("voc2007", 9), ("imagenet", 1000), ("cityscapes", 4), ("coco", 9)])
def test_a_part_of_an_official_data_set_is_left_out_unless_asked_for(make_run, tmp_path, dataset, count):
    few = result(dataset, count, "some protocol", top1=50.0)
    run = with_results(make_run(tmp_path / "run"), few)
    results, made = listed(run)
    assert [one["dataset"]["name"] for one in results] == ["digits"]
    assert made.left_out == 1
    results, made = listed(run, "all")
    assert made.left_out == 0
    assert f"{count:,} images, the official {dataset} has" in results[1]["dataset"]["args"]["protocol"]


def test_whole_data_sets_and_the_readers_own_stay(make_run, tmp_path):
    whole, mine = result("cifar10", 10_000, "p", top1=90.0), result("mine", 12, "p", top1=91.0)
    run = with_results(make_run(tmp_path / "run"), whole, mine)
    results, made = listed(run)
    assert sorted(one["dataset"]["name"] for one in results) == ["cifar10", "digits", "mine"]
    assert made.left_out == 0
    assert len(listed(run, "own")[0]) == 1
