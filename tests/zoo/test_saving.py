import json
import math
from dataclasses import replace

import pytest
import timm
import torch
import yaml
from torch import nn

from kdzoo.base.errors import ModelError, RunError
from kdzoo.zoo import LoadedModel, load_model, save_model, seeded
from kdzoo.zoo.readme import literal
from kdzoo.zoo.saving import portable_weights

PROVENANCE = {
    "kdzoo_version": "0.1.0",
    "recipe": "meal_v2",
    "teachers": ["runs/a", "runs/b"],
    "data": "digits",
    "top1": 97.25,
    "top5": 100.0,
    "num_images": 400,
    "seed": 3,
}


def trained(reference: str = "cifar_resnet8", **arguments) -> LoadedModel:
    """A model whose every number differs from a fresh one's."""
    loaded = load_model(reference, **{"num_classes": 3, "seed": 11, **arguments})
    loaded.class_names = ("null", "eins", "zwei <b>")
    with torch.no_grad(), seeded(arguments.get("seed", 11)):
        for parameter in loaded.model.parameters():
            parameter.add_(torch.rand_like(parameter))
    return loaded


def same(one: nn.Module, two: nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("reference", "arguments"),
    [("cifar_resnet8", {}), ("cifar_wrn_16_1", {}), ("test_vit", {"image_size": 96}), ("test_convnext.r160_in1k", {})],
)
def test_timm_and_kdzoo_load_it_to_the_same_bits(tmp_path, reference, arguments):
    loaded = trained(reference, pretrained=False, **arguments)
    folder = save_model(loaded, tmp_path / "model", provenance=PROVENANCE)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True)
    ours = load_model(f"local-dir:{folder}")
    assert same(loaded.model, theirs)
    assert same(loaded.model, ours.model)
    images = torch.randn(2, 3, loaded.preprocessing.image_size, loaded.preprocessing.image_size)
    with torch.no_grad():
        assert torch.equal(loaded.model.eval()(images), theirs.eval()(images))
    look = timm.data.resolve_model_data_config(theirs)
    assert tuple(look["input_size"]) == (3, loaded.preprocessing.image_size, loaded.preprocessing.image_size)
    assert (tuple(look["mean"]), look["crop_pct"]) == (loaded.preprocessing.mean, loaded.preprocessing.crop_pct)
    assert ours.preprocessing == loaded.preprocessing
    assert ours.model_args == loaded.model_args
    assert (ours.num_classes, ours.class_names) == (3, loaded.class_names)
    assert (ours.promised_top1, ours.promised_on, dict(ours.provenance)) == (97.25, "digits", PROVENANCE)


def test_architecture_arguments_survive(tmp_path):
    loaded = trained()
    model = timm.create_model("cifar_resnet8", num_classes=3, shortcut="padding")
    loaded = replace(loaded, model=model, model_args={"shortcut": "padding"})
    folder = save_model(loaded, tmp_path / "model", provenance={})
    assert same(model, timm.create_model(f"local-dir:{folder}", pretrained=True))
    assert load_model(str(folder)).model_args == {"shortcut": "padding"}


def test_a_new_number_of_classes_and_size_over_saved_weights(tmp_path):
    folder = save_model(trained("test_vit", image_size=96), tmp_path / "model", provenance=PROVENANCE)
    changed = load_model(str(folder), num_classes=5, image_size=128)
    assert changed.model(torch.zeros(1, 3, 128, 128)).shape == (1, 5)
    assert changed.model_args["img_size"] == 128
    assert changed.promised_top1 is None
    random = load_model(str(folder), pretrained=False)
    assert not same(random.model, load_model(str(folder)).model)
    assert random.promised_top1 is None


def test_the_sources_provenance_is_not_inherited(tmp_path):
    loaded = trained("resnet18.fb_swsl_ig1b_ft_in1k", pretrained=False)
    loaded.preprocessing = replace(loaded.preprocessing, mean=(0.1, 0.2, 0.3), image_size=64, interpolation="bicubic")
    config = json.loads((save_model(loaded, tmp_path / "m", provenance={}) / "config.json").read_text())
    record = config["pretrained_cfg"]
    for inherited in ("tag", "license", "origin_url", "hf_hub_id", "url", "paper_ids", "file", "test_input_size"):
        assert inherited not in record
    assert (record["mean"], record["input_size"], record["interpolation"]) == ([0.1, 0.2, 0.3], [3, 64, 64], "bicubic")
    assert (record["classifier"], record["first_conv"]) == ("fc", "conv1")
    assert config["label_names"] == ["null", "eins", "zwei <b>"]
    licensed = save_model(loaded, tmp_path / "n", provenance={"license": "mit"})
    assert load_model(str(licensed)).licence == "mit"


def test_layouts_wrappers_and_other_weights_are_written_plainly(tmp_path):
    loaded = trained()
    state = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    loaded.model.to(memory_format=torch.channels_last)
    compiled = torch.compile(loaded.model, backend="eager")
    folder = save_model(loaded, tmp_path / "model", provenance={}, model=compiled)
    read = load_model(str(folder)).model.state_dict()
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())
    average = timm.create_model("cifar_resnet8", num_classes=3)
    save_model(loaded, folder, provenance={}, model=nn.DataParallel(average))
    assert same(average, load_model(str(folder)).model)


def test_tied_tensors_and_slices_are_stored_whole():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    model.register_buffer("part", torch.arange(10.0)[2:4])
    tensors = portable_weights(model)
    assert torch.equal(tensors["0.weight"], tensors["1.weight"])
    assert tensors["0.weight"].data_ptr() != tensors["1.weight"].data_ptr()
    assert tensors["part"].untyped_storage().nbytes() == 8


def test_equal_models_give_equal_bytes(tmp_path):
    one = save_model(trained(), tmp_path / "a" / "model", provenance=PROVENANCE)
    two = save_model(trained(), tmp_path / "b" / "model", provenance=PROVENANCE)
    for name in ("config.json", "model.safetensors", "README.md"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_model_is_replaced_and_other_folders_are_not(tmp_path):
    first, second = trained(), trained(seed=12)
    folder = save_model(first, tmp_path / "model", provenance={})
    save_model(second, folder, provenance={})
    assert same(second.model, load_model(str(folder)).model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(ModelError, match=r"thesis\.tex"):
        save_model(first, folder, provenance={})
    assert same(second.model, load_model(str(folder)).model)


def test_what_is_not_json_leaves_nothing(tmp_path):
    for provenance in ({"x": object()}, {"top1": math.nan}):
        with pytest.raises(ModelError, match="not JSON"):
            save_model(trained(), tmp_path / "model", provenance=provenance)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not be written"):
        save_model(trained(), tmp_path / "file" / "model", provenance={})


def test_a_write_that_fails_half_way_leaves_the_earlier_model(tmp_path, fork_server):
    """A limit on a file's size cuts the write off, as a full disk would."""
    script = (
        "import resource, signal, sys\n"
        "from kdzoo.base.errors import RunError\n"
        "from kdzoo.zoo import load_model, save_model\n"
        "place = sys.argv[1]\n"
        "save_model(load_model('cifar_resnet8', seed=1), place, provenance={'seed': 1})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    save_model(load_model('cifar_resnet8', seed=2), place, provenance={'seed': 2})\n"
        "except RunError as error:\n"
        "    print(load_model(place).provenance['seed'], '|', error.message)\n"
    )
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "place").mkdir()
    done = fork_server.run(tmp_path / "script.py", tmp_path / "place/model")
    assert done.stdout.startswith("1 | ")
    assert "could not be written" in done.stdout
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["model"]


HOSTILE = [
    "<script>alert(1)</script>",
    "`` ` ``` x",
    "`",
    "line\n\n# heading\n---\nlicense: mit",
    "a ‮ b \x1b[31m",
    "[x](javascript:alert(1)) ![y](http://z) {{ 7*7 }} {% raw %} $HOME",
    "",
    "   ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_out_literal(tmp_path, text):
    loaded = trained()
    loaded.class_names = (text, "b", "c")
    folder = save_model(loaded, tmp_path / "model", provenance={"recipe": text, text or "key": 1, "data": text})
    config = json.loads((folder / "config.json").read_text())
    assert config["label_names"][0] == text
    assert config["kdzoo"]["recipe"] == text
    readme = (folder / "README.md").read_text()
    head = yaml.safe_load(readme.split("---\n")[1])
    assert set(head) == {"library_name", "pipeline_tag", "tags"}
    span = literal(text)
    assert "\n" not in span
    assert f"recipe`: {span}\n" in readme
    assert all(c.isprintable() or c == "\n" for c in readme)
    fence = span[: len(span) - len(span.lstrip("`"))]
    if fence:  # in between, no run of as many backticks ends the span
        inner = span[len(fence) : -len(fence)]
        assert fence not in "".join(c if c == "`" else " " for c in inner).split()


def test_the_readmes_code_runs(tmp_path, monkeypatch):
    loaded = trained()
    save_model(loaded, tmp_path / "it's a model", provenance=PROVENANCE)
    readme = (tmp_path / "it's a model" / "README.md").read_text()
    assert "97.25" in readme
    monkeypatch.chdir(tmp_path)
    blocks = readme.split("## Load it")[1].split("With kdzoo")
    for block in blocks:
        code = "\n".join(line[4:] for line in block.splitlines() if line.startswith("    "))
        scope: dict = {}
        exec(code, scope)  # the README's own lines
        assert same(loaded.model, scope["model"])
