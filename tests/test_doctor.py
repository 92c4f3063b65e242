"""The doctor finds what is really wrong, and nothing else."""

from __future__ import annotations

import sys
from importlib import metadata

import huggingface_hub.constants
import pytest

from kdzoo import doctor


def findings(check) -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in check()}


def test_this_installation_is_fit() -> None:
    found = doctor.examine()
    assert [finding for finding in found if finding.status == "problem"] == []
    names = {finding.check for finding in found}
    assert {"python", "torch", "torchvision operators", "cpu", "KDZOO_DATA", "space here", "this folder"} <= names


def test_a_version_below_its_floor_and_a_missing_package_are_problems(monkeypatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "timm":
            return "0.9.0"
        if name == "pandas":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = findings(doctor._versions)
    assert (found["timm"].status, found["pandas"].status, found["torch"].status) == ("problem", "problem", "ok")
    assert found["timm"].hint.startswith("pip install -U 'timm>=")
    assert "pytest" not in found, "extras are not required"


def test_operators_that_cannot_be_imported_are_a_problem(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    found = findings(doctor._torchvision)["torchvision operators"]
    assert found.status == "problem"
    assert "reinstall both" in found.hint


def test_frameworks_are_named_with_what_was_tested(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("kdzoo.transfer.detection.engines.why_no_detectron2", lambda: "detectron2 is not installed")
    found = findings(doctor._engines)["detectron2"]
    assert (found.status, "git+https://" in found.hint) == ("note", True)
    monkeypatch.setattr("kdzoo.transfer.detection.engines.why_no_detectron2", lambda: None)
    folder = tmp_path / "detectron2-0.6.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: detectron2\nVersion: 0.6\n")
    (folder / "direct_url.json").write_text('{"url": "x", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}')
    monkeypatch.syspath_prepend(tmp_path)
    found = findings(doctor._engines)["detectron2"]
    assert found.status == "ok"
    assert found.found.startswith("0.6 abc123; tested with 02b5c4e")


def test_a_check_that_breaks_is_itself_a_finding(monkeypatch) -> None:
    def _python():
        raise RuntimeError("odd")
        yield

    monkeypatch.setattr(doctor, "_python", _python)
    first = doctor.examine()[0]
    assert (first.check, first.status, first.found) == ("python", "problem", "RuntimeError: odd")


def test_the_data_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("KDZOO_DATA", raising=False)
    assert findings(doctor._data)["KDZOO_DATA"].status == "note"
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "nowhere"))
    assert findings(doctor._data)["KDZOO_DATA"].status == "problem"
    (tmp_path / "imagenet").mkdir()
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    found = findings(doctor._data)["KDZOO_DATA"]
    assert (found.status, found.hint) == ("ok", "not there: cifar10, cifar100")


def test_the_cache_is_where_the_hubs_client_looks() -> None:
    assert str(doctor.hub_cache()) == huggingface_hub.constants.HF_HUB_CACHE


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_the_caches_variables(monkeypatch, variables: dict[str, str], expected: str) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(doctor.hub_cache()) == expected
