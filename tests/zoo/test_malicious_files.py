"""Files that mean harm: nothing runs, nothing is written, and it is said why they are refused.

Those in `.pdparams` are in test_pdparams_attacks.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save as save_safetensors
from safetensors.torch import save_file

import kdzoo.zoo  # noqa: F401 (registers the networks)
from kdzoo.base.errors import ModelError
from kdzoo.base.home import kdzoo_home, safe_part
from kdzoo.zoo import load_model
from kdzoo.zoo.entries import ENTRIES
from kdzoo.zoo.model_folder import read_model_config, refuse_oversized
from kdzoo.zoo.pulled import model_folder
from kdzoo.zoo.pulling import convert_file, pull
from kdzoo.zoo.references import parse_reference

NAME = "meal_v2_mobilenetv3_small_075"


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def as_zip(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def as_legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def raw_zip(program: bytes, compress: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", b"3\n")
        for name, content in more.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def touch(canary: Path) -> Call:
    return Call(os.system, f"touch {canary}")


def opened(canary: Path) -> Call:
    return Call(open, str(canary), "w")


def evaluated(canary: Path) -> Call:
    return Call(eval, f"open({str(canary)!r}, 'w')")


LIVE_PTH: dict[str, Callable[[Path], bytes]] = {
    "a system call among the weights": lambda c: as_zip({"a": torch.ones(2), "b": touch(c)}),
    "a system call instead of weights": lambda c: as_zip(touch(c)),
    "the old format": lambda c: as_legacy({"a": touch(c)}),
    "eval": lambda c: as_zip({"state_dict": evaluated(c)}),
    "open": lambda c: as_zip([opened(c)]),
    "exec, nested deep": lambda c: as_zip({"a": {"b": [({"c": Call(exec, f"open({str(c)!r}, 'w')")},)]}}),
    "a bare pickle": lambda c: pickle.dumps({"a": touch(c)}),
    "a bare pickle of protocol 0": lambda c: pickle.dumps(touch(c), 0),
    "getattr": lambda c: as_zip({"a": Call(getattr, torch.nn.Linear(1, 1), "forward"), "b": opened(c)}),
    "import": lambda c: as_zip({"a": Call(__import__, "os"), "b": touch(c)}),
    "a module's own loader": lambda c: as_zip({"a": Call(pickle.loads, pickle.dumps(touch(c)))}),
    "an average's place": lambda c: as_zip({"state_dict_ema": {"a": touch(c)}, "state_dict": {"a": torch.ones(1)}}),
    "a written file": lambda c: as_zip({"a": Call(Path.write_text, c, "x")}),
    "torch.load itself": lambda c: as_zip({"a": opened(c), "b": Call(torch.load, "/etc/passwd")}),
}

HUGE_STORAGE = b"".join(
    (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(",
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
        b"\x8a\x06\x00\x00\x00\x00\x00\x01tQ",
        b"K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.",
    )
)

DEAD_PTH: dict[str, tuple[Callable[[], bytes], str]] = {
    "a whole network": (lambda: as_zip(torch.nn.Linear(2, 2)), "holds more than weights|damaged or not"),
    "a compressed archive": (
        lambda: raw_zip(b"\x80\x02}.", zipfile.ZIP_DEFLATED, archive__data__0=bytes(10**8)),
        "is compressed",
    ),
    "a storage larger than the file": (
        lambda: raw_zip(HUGE_STORAGE, archive__data__0=b"\0" * 4),
        "damaged|does not fit",
    ),
    "a tensor that unfolds": (lambda: as_zip({"a": torch.ones(1).expand(10**12)}), "does not fit"),
    "no dict": (lambda: as_zip([torch.ones(1)]), "not named weights"),
    "no tensors": (lambda: as_zip({"a": 1}), "holds no weights"),
    "sparse tensors": (
        lambda: as_zip(
            {
                name: tensor.to_sparse() if name == "classifier.weight" else tensor
                for name, tensor in timm.create_model("tf_mobilenetv3_small_075").state_dict().items()
            }
        ),
        "no plain arrays of numbers|damaged or not",
    ),
    "tensors without values": (
        lambda: as_zip(timm.create_model("tf_mobilenetv3_small_075").to("meta").state_dict()),
        "no plain arrays of numbers|damaged or not",
    ),
    "names that write on the terminal": (lambda: as_zip({"\x1b[2J\x1b]0;owned\x07": torch.ones(1)}), "does not fit"),
    "a path as a member": (
        lambda: raw_zip(b"\x80\x02}.", **{"..__..__..__tmp__evil": b"x"}),
        "holds no weights|damaged or not",
    ),
    "cut short": (lambda: as_zip({"a": torch.ones(100)})[:-200], "damaged or not"),
    "rubbish": (lambda: b"\x00" * 100, "damaged or not"),
    "nothing": (lambda: b"", "damaged or not"),
    "a web page": (lambda: b"<html>404</html>", "damaged or not"),
}


def header(record: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = record if isinstance(record, bytes) else json.dumps(record).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(**change: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **change}


BAD_SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "an oversized header": (header({}, length=2**63), "damaged or not a safetensors"),
    "a header longer than the file": (header({}, length=10**6), "damaged or not a safetensors"),
    "a header that is not JSON": (header(b"{'a': 1}"), "damaged or not a safetensors"),
    "a header of another kind": (header([1, 2]), "damaged or not a safetensors"),
    "a nested bomb": (header(b"[" * 100_000), "damaged or not a safetensors"),
    "offsets beyond the file": (header({"a": tensor(data_offsets=[0, 4000])}, b"\0" * 4), "damaged or not"),
    "offsets that go backwards": (header({"a": tensor(data_offsets=[4, 0])}, b"\0" * 4), "damaged or not"),
    "negative offsets": (header({"a": tensor(data_offsets=[-4, 0])}, b"\0" * 4), "damaged or not"),
    "overlapping tensors": (header({"a": tensor(), "b": tensor()}, b"\0" * 4), "damaged or not"),
    "a hole": (header({"a": tensor(data_offsets=[4, 8])}, b"\0" * 8), "damaged or not"),
    "a shape that does not fill": (header({"a": tensor(shape=[2**40])}, b"\0" * 4), "damaged or not"),
    "a shape that overflows": (header({"a": tensor(shape=[2**62, 2**62])}, b"\0" * 4), "damaged or not"),
    "a type that is none": (header({"a": tensor(dtype="O")}, b"\0" * 4), "damaged or not"),
    "bytes behind the end": (header({"a": tensor()}, b"\0" * 400), "damaged or not"),
    "a pickle": (pickle.dumps({"a": Call(os.system, "true")}), "damaged or not"),
    "nothing at all": (b"", "damaged or not"),
    "no tensors in it": (header({}), "holds no weights"),
    "another network": (header({"a": tensor()}, b"\0" * 4), "does not fit"),
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))


def refused(tmp_path: Path, content: bytes, suffix: str) -> str:
    """The message of a refusal, after it was checked that nothing else happened."""
    path = tmp_path / "in" / f"evil{suffix}"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        convert_file(path, NAME)
    assert path.read_bytes() == content
    found = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
    assert found == {f"in/evil{suffix}", f"home/locks/{NAME}.lock"}
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("name", sorted(LIVE_PTH))
def test_a_live_pth_does_nothing(tmp_path, name):
    canary = tmp_path / "canary"
    content = LIVE_PTH[name](canary)
    message = refused(tmp_path, content, ".pth")
    assert "evil.pth holds more than weights" in message or "evil.pth is damaged or not" in message
    assert not canary.exists()


def test_the_live_files_are_no_duds(tmp_path, torch_server):
    """Read without care, each does what it is made for."""
    for number, name in enumerate(sorted(LIVE_PTH)):
        (tmp_path / f"{number}.pth").write_bytes(LIVE_PTH[name](tmp_path / f"canary-{number}"))
    careless = """
import contextlib, sys, torch
for path in sys.argv[1:]:
    with contextlib.suppress(Exception):
        torch.load(path, weights_only=False)
"""
    files = [str(tmp_path / f"{number}.pth") for number in range(len(LIVE_PTH))]
    (tmp_path / "careless.py").write_text(careless)
    torch_server.run(tmp_path / "careless.py", *files)
    duds = [name for number, name in enumerate(sorted(LIVE_PTH)) if not (tmp_path / f"canary-{number}").exists()]
    assert duds == []


@pytest.mark.parametrize("name", sorted(DEAD_PTH))
def test_a_malformed_pth_is_refused_for_its_own_reason(tmp_path, name):
    make, reason = DEAD_PTH[name]
    message = refused(tmp_path, make(), ".pth")
    assert any(part in message for part in reason.split("|")), message


@pytest.mark.parametrize("name", sorted(BAD_SAFETENSORS))
def test_a_malformed_safetensors_is_refused(tmp_path, name):
    content, reason = BAD_SAFETENSORS[name]
    assert reason in refused(tmp_path, content, ".safetensors")


GOOD_CONFIG = {
    "architecture": "cifar_resnet8",
    "num_classes": 3,
    "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"},
}
BAD_CONFIGS: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "not readable JSON"),
    "a nested bomb": (b"[" * 200_000, "not readable JSON"),
    "no object": ([], "names no architecture"),
    "too large": (b'{"a": "' + b"x" * 21 * 2**20 + b'"}', "larger than any config.json"),
    "an architecture that is a path": ({"architecture": "../../etc/passwd"}, "neither timm"),
    "an architecture that is a repository": ({"architecture": "hf-hub:evil/evil"}, "neither timm"),
    "an architecture that writes on the terminal": ({"architecture": "\x1b[2J"}, "neither timm"),
    "an architecture that is no text": ({"architecture": ["resnet18"]}, "names no architecture"),
    "a checkpoint of its own": ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "'checkpoint_path'"),
    "another architecture among the arguments": ({"model_args": {"architecture": "resnet18"}}, "'architecture'"),
    "another source among the arguments": ({"model_args": {"source": "x"}}, "'source'"),
    "another name among the arguments": ({"model_args": {"model_name": "x"}}, "'model_name'"),
    "a dotted argument": ({"model_args": {"a.b": 1}}, "'a.b'"),
    "an argument of no architecture": ({"model_args": {"os": "system"}}, "'os', which is no argument"),
    "an argument of another architecture": ({"model_args": {"depth": 3}}, "could not be built|cannot be built"),
    "arguments of another kind": ({"model_args": [1]}, "not an object"),
    "a huge number among the arguments": ({"model_args": {"img_size": 10**12}}, "pixels, from 1 to 4096"),
    "an infinite number": (
        json.dumps({"architecture": "cifar_resnet8", "num_classes": 3, "model_args": {"alpha": 1}})
        .replace("1}", "Infinity}")
        .encode(),
        "finite numbers",
    ),
    "a long list among the arguments": ({"model_args": {"depths": [1] * 5000}}, "whole numbers from 0 to 128"),
    "a nested argument": ({"model_args": {"dims": [[[[[[[[[[[1]]]]]]]]]]]}}, "whole numbers up to"),
    "classes without end": ({"num_classes": 10**15}, "no usable num_classes"),
    "classes below none": ({"num_classes": -1}, "no usable num_classes"),
    "classes that are no number": ({"num_classes": "3; rm"}, "no usable num_classes"),
    "classes of truth": ({"num_classes": True}, "no usable num_classes"),
    "more classes than the file holds": ({"num_classes": 10**5}, "describes a network of"),
    "a size that is no size": ({"pretrained_cfg": {"input_size": "abc"}}, "makes no sense|channels"),
    "a size without end": ({"pretrained_cfg": {"input_size": [3, 10**9, 10**9]}}, "makes no sense"),
    "a std of nothing": ({"pretrained_cfg": {"std": [0, 0, 0]}}, "makes no sense"),
    "a mean that is no number": ({"pretrained_cfg": {"mean": ["a", "b", "c"]}}, "no usable preprocessing"),
    "an interpolation that is a path": ({"pretrained_cfg": {"interpolation": "../../x"}}, "makes no sense"),
    "a record that is no object": ({"pretrained_cfg": "http://evil"}, "not an object"),
    "other channels": ({"model_args": {"in_chans": 5}}, "5 channels"),
}


def load_checked(folder: Path) -> None:
    """As a repository of the Hub is loaded when it is pulled."""
    refuse_oversized(folder / "config.json", folder / "model.safetensors")
    load_model(str(folder))


@pytest.mark.parametrize("name", sorted(BAD_CONFIGS))
def test_a_bad_config_is_refused_before_anything_is_built(tmp_path, name):
    change, reason = BAD_CONFIGS[name]
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(timm.create_model("cifar_resnet8", num_classes=3).state_dict(), folder / "model.safetensors")
    content = {**GOOD_CONFIG, **change} if isinstance(change, dict) else change
    if isinstance(change, dict) and isinstance(change.get("pretrained_cfg"), dict):
        content["pretrained_cfg"] = {**GOOD_CONFIG["pretrained_cfg"], **change["pretrained_cfg"]}
    (folder / "config.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ModelError) as caught:
        load_checked(folder)
    assert any(part in caught.value.message for part in reason.split("|")), caught.value.message
    assert caught.value.message.isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_good_config_is_good(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(GOOD_CONFIG))
    save_file(timm.create_model("cifar_resnet8", num_classes=3).state_dict(), tmp_path / "model.safetensors")
    refuse_oversized(tmp_path / "config.json", tmp_path / "model.safetensors")
    assert load_model(str(tmp_path)).pretrained


def test_a_config_cannot_choose_where_its_weights_are(tmp_path):
    """timm's record may name a file, an address or the weights themselves; only those beside it are read."""
    weights = timm.create_model("cifar_resnet8", num_classes=3).state_dict()
    save_file(weights, tmp_path / "model.safetensors")
    elsewhere = {name: torch.zeros_like(value) for name, value in weights.items()}
    (tmp_path / "other.safetensors").write_bytes(save_safetensors(elsewhere))
    record = GOOD_CONFIG["pretrained_cfg"] | {
        "file": str(tmp_path / "other.safetensors"),
        "url": "http://127.0.0.1:9/evil.pth",
        "hf_hub_id": "evil/evil",
        "custom_load": True,
        "source": "url",
        "state_dict": {"conv1.weight": [0]},
    }
    (tmp_path / "config.json").write_text(json.dumps(GOOD_CONFIG | {"pretrained_cfg": record}))
    state = load_model(str(tmp_path)).model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())


ESCAPES = (
    *("..", "../evil", "/etc/passwd", "a/../../evil", "..\\evil", "C:\\evil", "~/evil", ".ssh", "a\0b", "a\nb", ""),
    *("....//evil", "%2e%2e%2fevil", "evil\u202etxt", "a" * 300, "con:evil", "$(touch x)", "a b", "..."),
)


@pytest.mark.parametrize("text", ESCAPES)
def test_no_name_leads_out_of_its_folder(text):
    part = safe_part(text)
    assert Path(part).name == part
    assert part not in ("", ".", "..")
    assert not part.startswith(".")
    assert part.isascii()
    assert len(part) < 120
    assert model_folder(text).parent == kdzoo_home() / "models"


def test_names_that_differ_stay_apart():
    parts = [safe_part(text) for text in (*ESCAPES, "a_b", "a.b", "evil")]
    assert len(set(parts)) == len(parts)
    assert all(safe_part(name) == name for name in ENTRIES)


@pytest.mark.parametrize(
    "text", ["hf-hub:../..", "hf-hub:a/../b", "hf-hub:/etc/passwd", "hf-hub:a", "hf-hub:a/b/c", "hf-hub:a/b@../../x\n"]
)
def test_no_repository_leads_out_of_the_cache(tmp_path, text, monkeypatch):
    monkeypatch.setattr("kdzoo.zoo.downloads.hub_is_reachable", lambda: False)
    with pytest.raises(ModelError):
        pull(text)
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*")} <= {"home"}


def test_a_reference_reads_no_file_of_the_systems():
    for text in ("local-dir:/etc", "/etc/passwd", "../../etc"):
        with pytest.raises(ModelError):
            parse_reference(text)


def test_a_config_of_a_pulled_model_is_held_to_its_digest(tmp_path):
    state = timm.create_model("tf_mobilenetv3_small_075").state_dict()
    torch.save(state, tmp_path / "w.pth")
    folder = convert_file(tmp_path / "w.pth", NAME).path
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "resnet50"}))
    with pytest.raises(ModelError, match="is damaged"):
        load_model(NAME)
    assert read_model_config(folder / "config.json").architecture == "resnet50"
