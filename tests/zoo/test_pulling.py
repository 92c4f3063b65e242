"""Pulling from a mirror of the releases: official names, both generations of keys, both dialects of values."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
import timm
import torch
from release_files import meal_v2_file, paddle_arrays, pdparams
from safetensors.torch import load_file

from kdzoo.base.errors import ModelError, RunError, UsageError
from kdzoo.zoo import list_models, load_model, parse_reference
from kdzoo.zoo.cached import cached_weights
from kdzoo.zoo.conversion import convert
from kdzoo.zoo.pulled import damage, model_folder, read_record, trusted_digest
from kdzoo.zoo.pulling import convert_file, pull

SMALL = "MobileNetV3_small_x0_35"
NAME = "ssld_mobilenetv3_small_035"
FILE = "legendary_models/MobileNetV3_small_x0_35_ssld_pretrained.pdparams"


@pytest.fixture
def release():
    return pdparams(paddle_arrays(SMALL, "legendary"))


def kept(home: Path) -> list[str]:
    """Everything in kdzoo's home, apart from the locks."""
    files = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    return sorted(str(path) for path in files if path.parts[0] != "locks")


WHOLE = [
    f"digests/{NAME}.sha256",
    f"models/{NAME}.json",
    f"models/{NAME}/README.md",
    f"models/{NAME}/config.json",
    f"models/{NAME}/model.safetensors",
]


@pytest.mark.parametrize(
    ("dialect", "pairs", "protocol"),
    [("plain", False, 2), ("plain", True, 4), ("legendary", False, 4), ("legendary", True, 2)],  # every two of them
)
def test_ssld_under_its_official_name(home, serve, dialect, pairs, protocol):
    arrays = paddle_arrays(SMALL, dialect)
    content = pdparams(arrays, pairs=pairs, protocol=protocol)
    mirror = serve({FILE: content})
    pulled = pull(NAME, mirror=mirror.address)
    assert (pulled.outcome, pulled.trust, pulled.licence) == ("pulled", "first", "apache-2.0")
    assert pulled.digest == hashlib.sha256(content).hexdigest()
    assert mirror.requests == [f"GET {FILE}"]
    assert kept(home) == WHOLE
    expected = convert(SMALL, {name: torch.from_numpy(array) for name, array in arrays.items()})
    assert read_record(NAME)["converted_from"] == {"network": SMALL, "keys": dialect}
    mirror.stop()
    mirror.stop = lambda: None
    loaded = load_model(NAME)
    stock = timm.create_model(f"local-dir:{pulled.path}", pretrained=True)
    for state in (loaded.model.state_dict(), stock.state_dict(), load_file(pulled.path / "model.safetensors")):
        assert state.keys() == expected.state_dict.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in expected.state_dict.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "dialect", "pairs"),
    [
        ("ssld_resnet50d", "legendary_models/ResNet50_vd_ssld_pretrained.pdparams", "legendary", False),
        ("ssld_resnet50d_plain", "ResNet50_vd_ssld_pretrained.pdparams", "plain", True),
        ("ssld_resnet50d_fix_320", "Fix_ResNet50_vd_ssld_v2_pretrained.pdparams", "plain", False),
    ],
)
def test_ssld_resnet50d(home, serve, name, file, dialect, pairs):
    arrays = paddle_arrays("ResNet50_vd", dialect)
    mirror = serve({file: pdparams(arrays, pairs=pairs)})
    pulled = pull(name, mirror=mirror.address)
    model = timm.create_model(f"local-dir:{pulled.path}", pretrained=True).eval()
    assert torch.equal(model.fc.weight, torch.from_numpy(next(a for n, a in arrays.items() if a.ndim == 2)).t())
    assert model.pretrained_cfg["input_size"][-1] == (320 if name.endswith("320") else 224)
    assert load_model(name).promised_top1 == {"ssld_resnet50d": 83.0, "ssld_resnet50d_plain": 82.39}.get(name, 84.0)
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64)).isfinite().all()


def test_what_is_saved_says_what_it_is(home, serve, release):
    pulled = pull(NAME, mirror=serve({FILE: release}).address)
    loaded = load_model(NAME)
    assert (loaded.reference, loaded.architecture, loaded.num_classes) == (NAME, "mobilenetv3_small_035_paddle", 1000)
    assert (loaded.promised_top1, loaded.promised_on, loaded.licence) == (55.55, "imagenet", "apache-2.0")
    assert loaded.class_names[0] == "n01440764"
    look = loaded.preprocessing
    assert (look.image_size, look.crop_pct, look.interpolation) == (224, 0.875, "bilinear")
    block = json.loads((pulled.path / "config.json").read_text())["kdzoo"]
    assert block["address"].startswith("https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/")
    assert block["sha256"] == hashlib.sha256(release).hexdigest()
    assert block["protocol"] == "224 px, crop_pct 0.875, bilinear"
    assert block["teachers"] == ["ssld_mobilenetv3_large_100"]
    assert any("OpenCV" in note for note in block["notes"])


def test_meal_v2_with_its_own_preprocessing(home, serve):
    content, state = meal_v2_file("tf_mobilenetv3_small_075")
    mirror = serve({"MEALV2_MobileNet_V3_Small_0.75_224.pth": content})
    pulled = pull("meal_v2_mobilenetv3_small_075", mirror=mirror.address)
    assert pulled.licence is None
    assert pulled.notes == ("these weights come with no licence",)
    loaded = load_model("meal_v2_mobilenetv3_small_075")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.model.state_dict().items())
    assert loaded.preprocessing.mean == (0.485, 0.456, 0.406)
    assert loaded.preprocessing.std == (0.229, 0.224, 0.225)
    assert loaded.licence is None
    assert loaded.promised_top1 == 67.60
    stock = timm.create_model(f"local-dir:{pulled.path}", pretrained=True)
    assert tuple(timm.data.resolve_data_config({}, model=stock)["mean"]) == (0.485, 0.456, 0.406)
    assert timm.create_model("tf_mobilenetv3_small_075").pretrained_cfg["mean"] == (0.5, 0.5, 0.5)
    assert "license" not in json.loads((pulled.path / "config.json").read_text())["pretrained_cfg"]


def test_a_second_pull_touches_no_network(home, serve, release):
    mirror = serve({FILE: release})
    first = pull(NAME, mirror=mirror.address)
    stamp = (first.path / "model.safetensors").stat().st_mtime_ns
    mirror.requests.clear()
    second = pull(NAME, mirror=mirror.address)
    assert (second.outcome, second.digest, second.path) == ("there", first.digest, first.path)
    assert mirror.requests == []
    assert (first.path / "model.safetensors").stat().st_mtime_ns == stamp


def test_two_pulls_at_once(home, serve, release, fork_server, tmp_path):
    mirror = serve({FILE: release})
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from kdzoo.zoo.pulling import pull; print(pull(sys.argv[1], mirror=sys.argv[2]).outcome)"
    )
    running = [fork_server.start(script, NAME, mirror.address, environment=dict(os.environ)) for _ in range(2)]
    outcomes = sorted(one.wait().stdout.strip() for one in running)
    assert outcomes == ["pulled", "there"]
    assert mirror.requests == [f"GET {FILE}"]
    assert kept(home) == WHOLE
    assert damage(NAME) is None


def test_threads_wait_for_each_other(home, serve, release):
    mirror, outcomes = serve({FILE: release}), []
    threads = [
        threading.Thread(target=lambda: outcomes.append(pull(NAME, mirror=mirror.address).outcome)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["pulled", "there", "there"]
    assert mirror.requests == [f"GET {FILE}"]


def test_not_pulled_yet_is_one_clear_line(home):
    with pytest.raises(ModelError, match=f"^{NAME} is not pulled yet") as caught:
        load_model(NAME)
    assert caught.value.hint == f"kdzoo pull {NAME}"
    assert cached_weights(parse_reference(NAME)) is None
    assert load_model(NAME, pretrained=False, num_classes=7).num_classes == 7


def test_the_mirror_of_the_environment(home, serve, release, monkeypatch):
    mirror = serve({FILE: release})
    monkeypatch.setenv("KDZOO_MIRROR", mirror.address + "/")
    assert pull(NAME).outcome == "pulled"
    assert cached_weights(parse_reference(NAME)) == model_folder(NAME) / "model.safetensors"
    assert list(list_models(NAME).pulled) == [True]


def test_a_changed_file_is_refused_until_it_is_trusted(home, serve, release):
    mirror = serve({FILE: release})
    first = pull(NAME, mirror=mirror.address)
    other = mirror.files[FILE] = pdparams(paddle_arrays(SMALL, "legendary", seed=1))
    (first.path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has the SHA-256 .* when ssld_\w+ was first pulled it was") as caught:
        pull(NAME, mirror=mirror.address)
    assert "--force" in caught.value.hint
    assert trusted_digest(NAME) == first.digest
    assert not any("downloads" in name for name in kept(home))
    pulled = pull(NAME, mirror=mirror.address, force=True)
    assert (pulled.outcome, pulled.trust) == ("pulled", "first")
    assert trusted_digest(NAME) == hashlib.sha256(other).hexdigest()


def test_a_corrupted_download_of_the_same_size_is_refused(home, serve, release):
    mirror = serve({FILE: release})
    pull(NAME, mirror=mirror.address)
    flipped = bytearray(release)
    flipped[len(release) // 2] ^= 1
    mirror.files[FILE] = bytes(flipped)
    assert len(flipped) == len(release)
    (model_folder(NAME) / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="has the SHA-256"):
        pull(NAME, mirror=mirror.address)
    mirror.files[FILE] = release
    again = pull(NAME, mirror=mirror.address)
    assert (again.outcome, again.trust) == ("pulled", "recorded")
    assert damage(NAME) is None


def test_a_digest_that_was_asked_for(home, serve, release):
    mirror = serve({FILE: release})
    with pytest.raises(ModelError, match="was asked for"):
        pull(NAME, mirror=mirror.address, digest="0" * 64)
    assert kept(home) == []
    assert pull(NAME, mirror=mirror.address, digest=hashlib.sha256(release).hexdigest().upper()).outcome == "pulled"
    with pytest.raises(ModelError, match="was asked for"):
        pull(NAME, mirror=mirror.address, digest="0" * 64)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_damaged_model_is_not_loaded(home, serve, release, file):
    mirror = serve({FILE: release})
    pulled = pull(NAME, mirror=mirror.address)
    content = bytearray((pulled.path / file).read_bytes())
    content[-10] ^= 1
    (pulled.path / file).write_bytes(content)
    with pytest.raises(ModelError, match=f"is damaged: the SHA-256 of {file}") as caught:
        load_model(NAME)
    assert caught.value.hint == f"get it again: kdzoo pull {NAME}"
    assert pull(NAME, mirror=mirror.address).outcome == "pulled"
    assert load_model(NAME).pretrained


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>moved</html>", "refused"),
        (b"", "it is empty"),
        (pdparams(paddle_arrays("MobileNetV3_small_x1_0", "plain")), "does not fit|lacks"),
        (pdparams({"a": paddle_arrays(SMALL, "plain")["conv1.conv.weight"]}), "are named as"),
    ],
    ids=["a web page", "nothing", "another network", "another file"],
)
def test_what_is_no_release_leaves_nothing(home, serve, content, message):
    mirror = serve({FILE: content})
    with pytest.raises(ModelError, match=message):
        pull(NAME, mirror=mirror.address)
    assert kept(home) == []
    assert read_record(NAME) is None
    assert trusted_digest(NAME) is None


def test_a_failed_pull_leaves_the_old_model(home, serve, release):
    mirror = serve({FILE: release})
    pull(NAME, mirror=mirror.address)
    mirror.fail(FILE, status=404)
    with pytest.raises(ModelError, match="404"):
        pull(NAME, mirror=mirror.address, force=True)
    assert load_model(NAME).pretrained


def test_a_file_on_disk(home, tmp_path, release):
    path = tmp_path / "MobileNetV3_small_x0_35_ssld_pretrained.pdparams"
    path.write_bytes(release)
    pulled = convert_file(path, NAME)
    assert (pulled.outcome, pulled.trust, pulled.digest) == ("pulled", "first", hashlib.sha256(release).hexdigest())
    assert path.read_bytes() == release
    assert kept(home) == WHOLE
    assert load_model(NAME).pretrained
    path.write_bytes(pdparams(paddle_arrays(SMALL, "legendary", seed=1)))
    with pytest.raises(ModelError, match="first pulled"):
        convert_file(path, NAME)
    assert convert_file(path, NAME, force=True).trust == "first"


def test_a_file_on_disk_with_another_models_weights(home, tmp_path):
    content, _ = meal_v2_file("tf_mobilenetv3_small_100")
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match="does not fit tf_mobilenetv3_small_075"):
        convert_file(tmp_path / "w.pth", "meal_v2_mobilenetv3_small_075")
    assert convert_file(tmp_path / "w.pth", "meal_v2_mobilenetv3_small_100").outcome == "pulled"
    with pytest.raises(ModelError, match="has no entry 'meal_v3'"):
        convert_file(tmp_path / "w.pth", "meal_v3")
    with pytest.raises(ModelError, match="is not converted from a file"):
        convert_file(tmp_path / "w.pth", "resnet50.ram_in1k")
    with pytest.raises(ModelError, match="there is no file"):
        convert_file(tmp_path / "nowhere.pth", "meal_v2_mobilenetv3_small_100")


def test_weights_that_are_not_finite(home, tmp_path):
    state = timm.create_model("tf_mobilenetv3_small_075", pretrained=False).state_dict()
    state["classifier.bias"][3] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"not finite, in classifier\.bias"):
        convert_file(tmp_path / "w.pth", "meal_v2_mobilenetv3_small_075")


def test_names_that_cannot_be_pulled(home, tmp_path):
    with pytest.raises(ModelError, match="there is no model 'ssld_resnet50'") as caught:
        pull("ssld_resnet50")
    assert "ssld_resnet50d" in caught.value.hint
    with pytest.raises(ModelError, match="is a row of a paper"):
        pull("fixres_resnet50_384")
    with pytest.raises(ModelError, match="names no published weights"):
        pull("cifar_resnet20")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="on this machine already"):
        pull(str(tmp_path))
    with pytest.raises(UsageError, match="is not an address"):
        pull(NAME, mirror="file:///etc")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs /proc")
def test_a_home_that_cannot_be_written(monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", "/proc/self/kdzoo")
    with pytest.raises(RunError, match="cannot write to /proc/self/kdzoo"):
        pull(NAME, mirror="http://127.0.0.1:9")


def test_no_room_while_saving(home, serve, release, fork_server, tmp_path):
    """The download fits the limit on a file's size, and the converted model does not."""
    arrays = paddle_arrays(SMALL, "legendary")
    mirror = serve({FILE: pdparams({name: array.astype("float16") for name, array in arrays.items()})})
    script = """
import resource, sys
import kdzoo.zoo.pulling as pulling
from kdzoo.base.errors import KdzooError
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
try:
    pulling.pull(sys.argv[1], mirror=sys.argv[2])
except KdzooError as error:
    print(type(error).__name__, error.message)
"""
    (tmp_path / "script.py").write_text(script)
    done = fork_server.run(tmp_path / "script.py", NAME, mirror.address, environment=dict(os.environ))
    assert done.stdout.startswith("RunError"), done.stdout + done.stderr
    assert kept(home) == []
