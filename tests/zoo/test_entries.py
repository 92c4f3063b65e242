"""Every entry of the zoo: it builds, its record is complete, its size and cost are right, its numbers are timm's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg

from kdzoo.base.errors import ModelError, UsageError
from kdzoo.zoo import entry_record, list_models, load_model, parse_reference
from kdzoo.zoo.building import create
from kdzoo.zoo.conversion import conversions, released_network
from kdzoo.zoo.entries import COSTS, ENTRIES, PAPERS, PROMISED_TOP1, RELEASES, address_at, get_entry
from kdzoo.zoo.entries.read import DOCUMENTS

NAMES = sorted(ENTRIES)
ROOT = Path(__file__).resolve().parents[2]


def measuring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entry_costs", ROOT / "benchmarks" / "entry_costs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def params_of(name: str) -> int:
    entry = ENTRIES[name]
    with torch.device("meta"):
        model = create(entry.timm_name or entry.architecture, name, **entry.model_args)
    assert model.num_classes == 1000
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_name_is_there_once():
    rows = [row for document in DOCUMENTS for family in document["family"] for row in family["entries"]]
    assert [row["name"] for row in rows] == list(ENTRIES) == list(COSTS)


def test_every_key_of_the_data_files_is_read():
    """A misspelt key would be a value that nobody sees."""
    known = {
        *("group", "format", "base", "licence", "paper", "image_size", "crop_pct", "interpolation", "mean", "std"),
        *("source", "teachers", "notes", "name", "timm_name", "file", "network", "architecture", "model_args"),
        *("top1", "top5", "results", "more"),
    }
    for document in DOCUMENTS:
        levels = [document, *document["family"], *(row for family in document["family"] for row in family["entries"])]
        results = [one for level in levels for key in ("results", "more") for one in level.get(key, ())]
        assert {key for level in [*levels, *results] for key in level} <= known | {"family", "entries"}


def smallest_of_each_family() -> list[str]:
    """The entry with the fewest parameters of every paper and format."""
    by_size = sorted(ENTRIES, key=lambda name: -COSTS[name][0])
    return sorted({(ENTRIES[name].paper, ENTRIES[name].format): name for name in by_size}.values())


@pytest.mark.parametrize("name", smallest_of_each_family())
def test_each_family_builds_with_the_recorded_parameters(name):
    assert params_of(name) == COSTS[name][0]


@pytest.mark.slow
@pytest.mark.parametrize("group", ["meal_v2", "ssld", "distilled", "teacher", "reference"])
def test_every_entry_builds_with_the_recorded_parameters(group):
    """Without memory; one network once, however many entries it has."""
    seen: dict[tuple[str, str], int] = {}
    for name, entry in ENTRIES.items():
        if entry.group == group:
            key = (entry.architecture, str(entry.model_args))
            seen.setdefault(key, params_of(name))
            assert seen[key] == COSTS[name][0], name
    assert seen


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_entry_costs_what_is_recorded(name):
    assert measuring().measure(ENTRIES[name]) == COSTS[name]


# PaddleClas' own table, in millions and thousand millions (docs/en/algorithm_introduction/ImageNet_models_en.md); it
# counts BatchNorm's statistics among the parameters, and other operations beside multiply-adds.
@pytest.mark.parametrize(
    ("name", "params_m", "macs_g"),
    [
        ("ssld_resnet34d", 21.84, 3.93),
        ("ssld_resnet50d", 25.63, 4.35),
        ("ssld_resnet101d", 44.67, 8.08),
        ("ssld_res2net101d", 45.35, 8.35),
        ("ssld_hrnet_w18", 21.35, 4.32),
        ("ssld_hrnet_w48", 77.57, 17.34),
        ("ssld_mobilenetv1", 4.25, 0.57888),
        ("ssld_mobilenetv2", 3.54, 0.32784),
        ("ssld_mobilenetv3_large_100", 5.50, 0.22966),
        ("ssld_mobilenetv3_small_100", 2.95, 0.06367),
        ("ssld_mobilenetv3_small_035", 1.67, 0.01456),
        ("ssld_ghostnet_130", 7.38, 0.23689),
        ("ssld_lcnet_050", 1.89, 0.04728),
        ("ssld_lcnet_100", 2.96, 0.16081),
        ("ssld_lcnet_250", 9.04, 0.90649),
    ],
)
def test_the_costs_are_those_that_paddleclas_publishes(name, params_m, macs_g):
    params, macs = COSTS[name]
    assert params / 1e6 == pytest.approx(params_m, rel=0.015)
    assert macs / 1e9 == pytest.approx(macs_g, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_complete(name):
    entry = ENTRIES[name]
    assert entry.results
    for result in entry.results:
        assert 50 < result.top1 < 90
        assert result.top5 is None or result.top1 < result.top5 < 100
        assert result.image_size >= 176
        assert result.source
    assert entry.paper in PAPERS
    assert PAPERS[entry.paper].url.startswith("https://")
    assert entry.preprocessing.image_size % 8 == 0 or entry.image_size in (260, 300, 380, 475)
    assert entry.licence is None or entry.licence == entry.licence.lower()
    if entry.format == "none":
        assert entry.address == ""
        return
    assert entry.address.startswith(("https://", "hf-hub:timm/"))
    assert entry.digest is None or len(entry.digest) == 64
    record = entry_record(name)
    assert record["get"] == f"kdzoo pull {name}"
    assert record["load_in_timm"].count("timm.create_model(") == 1
    for teacher in entry.teachers:
        if "." in teacher or teacher.startswith(("ssld_", "meal_")):
            assert teacher in ENTRIES, teacher


@pytest.mark.parametrize("name", [name for name in NAMES if ENTRIES[name].timm_name])
def test_what_timm_hosts_is_as_timm_says(name):
    entry = ENTRIES[name]
    record = get_pretrained_cfg(entry.timm_name)
    assert record.has_weights
    assert entry.address == f"hf-hub:{record.hf_hub_id}"
    assert entry.architecture == record.architecture
    assert entry.image_size == record.input_size[-1]
    assert (entry.mean, entry.std) == (tuple(record.mean), tuple(record.std))
    assert (entry.interpolation, entry.crop_pct) == (record.interpolation, record.crop_pct)
    assert entry.licence == record.license
    assert record.num_classes == 1000
    assert parse_reference(name).pinned == entry.timm_name
    assert parse_reference(name).names_weights


def published_as(form):
    return [entry for entry in ENTRIES.values() if entry.format == form]


def test_the_eight_files_of_meal_v2():
    entries = published_as("pth")
    assert len(entries) == 8
    assert {entry.licence for entry in entries} == {None}
    assert {entry.mean for entry in entries} == {(0.485, 0.456, 0.406)}
    assert all(entry.address == RELEASES[0] + entry.file_name for entry in entries)
    assert get_entry("meal_v2_resnet50_380").image_size == 380


def test_every_convertible_network_of_paddleclas_has_an_entry():
    entries = published_as("pdparams")
    assert {entry.network for entry in entries} == set(conversions())
    for entry in entries:
        assert released_network(entry.file_name) == entry.network
        assert entry.architecture == conversions()[entry.network].architecture
        assert entry.model_args == conversions()[entry.network].model_args
        assert entry.address.removeprefix(RELEASES[1]).removeprefix("legendary_models/") == entry.file_name


def test_weights_for_no_commerce_say_so():
    for name, entry in ENTRIES.items():
        if ".fb_swsl" in name or ".fb_wsl" in name or ".fb_ssl" in name:
            assert entry.licence == "cc-by-nc-4.0", name


def test_promises_come_from_the_entries():
    assert PROMISED_TOP1["resnet50.ram_in1k"] == 79.03
    assert PROMISED_TOP1["tf_efficientnet_b4.ns_jft_in1k"] == 85.16
    assert "lcnetv2_base.ssld_in1k" not in PROMISED_TOP1  # measured with another resize than timm's record
    assert get_entry("fixres_resnet50_384").promised_top1 is None
    assert get_entry("ssld_resnet50d_fix_320").promised_top1 == 84.0


def test_a_mirror_takes_the_place_of_either_base():
    assert address_at(get_entry("ssld_resnet50d"), "http://m/x/") == (
        "http://m/x/legendary_models/ResNet50_vd_ssld_pretrained.pdparams"
    )
    assert address_at(get_entry("meal_v2_resnet50"), "http://m") == "http://m/MEALV2_ResNet50_224.pth"
    assert address_at(get_entry("meal_v2_resnet50"), None) == RELEASES[0] + "MEALV2_ResNet50_224.pth"


def test_a_row_without_weights_is_no_reference():
    with pytest.raises(ModelError, match="is a row of a paper"):
        load_model("fixres_resnet50_384")


def test_the_list_is_filtered_and_sorted():
    table = list_models()
    assert list(table.name) == list(ENTRIES)
    assert set(list_models("ssld_").name) == {name for name in ENTRIES if name.startswith("ssld_")}
    assert set(list_models("meal_v?_resnet50").name) == {"meal_v1_resnet50", "meal_v2_resnet50"}
    best = list_models(sort="top1").top1
    assert list(best) == sorted(best, reverse=True)
    assert list_models(sort="params_m").params_m.is_monotonic_increasing
    small = list_models(max_params=6, max_macs=0.5, max_size=23, min_top1=75)
    assert "ssld_mobilenetv3_large_100" in set(small.name)
    assert (small.params_m <= 6).all()
    assert (small.macs_g <= 0.5).all()
    assert (small.top1 >= 75).all()
    assert set(list_models(licence="none").name) == {entry.name for entry in published_as("pth")}
    assert set(list_models(licence="cc-by-nc").licence) == {"cc-by-nc-4.0"}
    assert set(list_models(source="paddleclas").name) == {entry.name for entry in published_as("pdparams")}
    assert set(list_models(paper="ssld").paper) == {"ssld"}
    assert set(list_models(paper="noisy student").paper) == {"noisy_student"}
    assert list_models("no such model").empty
    with pytest.raises(UsageError, match="cannot be sorted by 'speed'"):
        list_models(sort="speed")


def test_a_record_is_json_and_says_how_to_load(tmp_path, monkeypatch):
    import json

    monkeypatch.setenv("KDZOO_HOME", str(tmp_path))
    record = entry_record("ssld_mobilenetv3_large_100")
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record, allow_nan=False))
    assert (record["params"], record["macs"]) == COSTS["ssld_mobilenetv3_large_100"]
    assert record["params"] == 5_480_206  # counted in PaddleClas' definition
    assert record["load_in_timm"].startswith("import kdzoo.zoo; timm.create_model('local-dir:")
    assert entry_record("ssld_hgnet_tiny")["load_in_timm"] == (
        "timm.create_model('hgnet_tiny.ssld_in1k', pretrained=True)"
    )
    assert timm.is_model(record["architecture"])
    with pytest.raises(ModelError, match="has no entry"):
        entry_record("ssld_resnet51d")
