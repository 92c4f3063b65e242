import timm

from kdzoo.zoo.listing import list_architectures, model_record


def test_everything_that_can_be_built_is_listed_ours_first():
    table = list_architectures()
    assert len(table) == len(timm.list_models())
    ours = table[table.source == "kdzoo"]
    assert {"cifar_resnet20", "cifar_wrn_40_2"} <= set(ours.name)
    assert not set(ours.name) & set(table[table.source == "timm"].name)
    assert (table.source[: len(ours)] == "kdzoo").all()


def test_a_short_list_counts_parameters():
    table = list_architectures("cifar_resnet").set_index("name")
    assert table.loc["cifar_resnet20", "params_m"] == 0.272
    assert table.loc["cifar_resnet18", "params_m"] == 11.174
    assert list_architectures("cifar_resnet", count_params=False).params_m.isna().all()


def test_patterns():
    assert list(list_architectures("cifar_wrn_16_?", count_params=False).name) == ["cifar_wrn_16_1", "cifar_wrn_16_2"]
    tags = list_architectures("resnet50.*", count_params=False)
    assert "resnet50.ram_in1k" in set(tags.name)
    assert set(tags.loc[tags.name == "resnet50.ram_in1k", "licence"]) == {"apache-2.0"}
    assert len(list_architectures("no such model")) == 0
    senet = list_architectures("senet154", count_params=False).set_index("name").loc["senet154"]
    assert (senet.default_tag, senet.weights) == ("gluon_in1k", "hf-hub:timm/senet154.gluon_in1k")


def test_a_record_has_exact_numbers():
    record = model_record("resnet18.tv_in1k")
    assert record["params"] == 11_689_512
    assert record["flops"] == 2 * record["macs"] == 3_628_146_688  # 1.81 billion multiply-adds, as published
    assert record["load_in_timm"] == "timm.create_model('resnet18.tv_in1k', pretrained=True)"
    assert record["preprocessing"]["interpolation"] == "bilinear"
    assert record["licence"] == "bsd-3-clause"
    ours = model_record("cifar_resnet20")
    assert ours["params"] == 272_474
    assert eval(ours["load_in_timm"].removeprefix("import kdzoo.zoo; "), {"timm": timm}).num_classes == 10
    assert ours["weights"] is None
