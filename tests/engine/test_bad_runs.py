"""Whatever goes wrong gives one clear error, and nothing half-written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fork_server import ForkServer
from PIL import Image
from torch import Tensor, nn

from kdzoo.base.digests import sha256_of
from kdzoo.base.errors import CheckpointError, KdzooError, RunError
from kdzoo.base.run_documents import read_lines
from kdzoo.data import open_source
from kdzoo.engine.checkpoint import checkpoint_path, digest_path
from kdzoo.engine.distributed import Processes
from kdzoo.engine.job import TrainJob
from kdzoo.engine.loop import train
from kdzoo.engine.objective import Objective, Phase, StepView, student_group
from kdzoo.engine.run_folder import RunFolder
from kdzoo.engine.signals import StopRequest
from kdzoo.zoo import load_model

CPU = Processes(0, 1, torch.device("cpu"))
MakeJob = Callable[..., TrainJob]


def _train(job: TrainJob) -> None:
    with StopRequest() as stop:
        train(job, CPU, stop)


@pytest.fixture
def good(make_job: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of `make_job()`, trained once for all."""
    out = tmp_path_factory.getbasetemp() / "good-run"
    if not out.exists():
        _train(make_job(out=out))
    return out


class _Explodes(Objective):
    """A finite term and one that is not, from the third step on."""

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        return (Phase("student", (student_group(student),)),)

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        loss = nn.functional.cross_entropy(step.student().logits, step.labels)
        return {"fine": loss, "bad": loss * (float("nan") if step.step == 3 else 1.0)}


def test_a_term_that_is_not_finite_is_named_before_the_update(make_job: MakeJob) -> None:
    job = make_job(objective=_Explodes())
    with pytest.raises(RunError, match="'bad' term of phase 'student' became nan at step 3; nothing was updated"):
        _train(job)
    assert all(parameter.isfinite().all() for parameter in job.student.model.parameters())
    assert not (job.out / "result.json").exists()
    assert not (job.out / "model").exists()


def test_an_existing_run_is_refused_without_resume(make_job: MakeJob, good: Path) -> None:
    shutil.copytree(good, make_job().out)
    before = (make_job().out / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="already holds a run"):
        _train(make_job())
    _train(make_job(resume=True))  # finished: nothing to do
    assert (make_job().out / "metrics.jsonl").read_bytes() == before


def test_changed_settings_are_refused_by_name(make_job: MakeJob, good: Path) -> None:
    shutil.copytree(good, make_job().out)
    (make_job().out / "result.json").unlink()
    with pytest.raises(CheckpointError, match=r"optimizer\.lr was 0\.05, is 0\.02"):
        _train(make_job(resume=True, fixed={"optimizer.lr": 0.02}))


def test_a_folder_with_something_else_is_refused(make_job: MakeJob) -> None:
    make_job().out.mkdir()
    (make_job().out / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="holds no run"):
        _train(make_job())
    assert [path.name for path in make_job().out.iterdir() if path.name != ".lock"] == ["thesis.tex"]


_HOLD_CLAIM = """
import signal, sys
from pathlib import Path
from kdzoo.engine.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).claim({}, {}, resume=False):
    print("held", flush=True)
    signal.pause()
"""


def test_a_folder_in_use_is_refused(make_job: MakeJob, tmp_path: Path, fork_server: ForkServer) -> None:
    (tmp_path / "hold.py").write_text(_HOLD_CLAIM)
    holder = fork_server.start(tmp_path / "hold.py", make_job().out)
    assert holder.readline() == "held\n"
    with pytest.raises(RunError, match="in use by another process"):
        _train(make_job())
    os.kill(holder.pids[0], signal.SIGKILL)
    assert holder.wait(check=False).returncodes == (-signal.SIGKILL,)


_DIE_WITH_CLAIM = """
import os, signal, sys
from pathlib import Path
from kdzoo.engine.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).claim({}, {}, resume=False):
    if os.fork() == 0:  # as a loader's worker: it has every file that was open
        print(os.getpid(), flush=True)
    signal.pause()
"""


def test_a_killed_run_is_free_at_once_though_its_workers_live_on(tmp_path: Path, fork_server: ForkServer) -> None:
    run = RunFolder(tmp_path / "run")
    (tmp_path / "hold.py").write_text(_DIE_WITH_CLAIM)
    killed = fork_server.start(tmp_path / "hold.py", run.path)
    worker = int(killed.readline())
    os.kill(killed.pids[0], signal.SIGKILL)
    assert killed.wait(check=False).returncodes == (-signal.SIGKILL,)
    with run.claim({}, {}, resume=False):
        os.kill(worker, signal.SIGKILL)  # it was still alive


def test_an_unwritable_folder_is_one_error(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match="file"):
        _train(make_job(out=tmp_path / "file" / "run"))
    with pytest.raises(RunError, match="/proc/kdzoo"):
        _train(make_job(out=Path("/proc/kdzoo/run")))


@pytest.mark.numeric
@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_checkpoint_is_passed_over_and_the_run_ends_the_same(
    make_job: MakeJob, tmp_path: Path, good: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = make_job()
    shutil.copytree(good, job.out)
    (job.out / "result.json").unlink()
    newest = max((job.out / "checkpoints").glob("step-*.safetensors"))
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 4
        newest.write_bytes(content)
    _train(make_job(resume=True))
    assert "its SHA-256 does not hold" in capsys.readouterr().err
    for name in (f"checkpoints/{newest.name}", "metrics.jsonl", "model/model.safetensors"):
        assert (job.out / name).read_bytes() == (good / name).read_bytes()


def test_a_checkpoint_of_another_architecture_is_one_error(make_job: MakeJob, tmp_path: Path, good: Path) -> None:
    other = load_model("cifar_resnet14", pretrained=False, num_classes=10, seed=0)
    _train(make_job(out=tmp_path / "other", student=other))
    job = make_job()
    shutil.copytree(good, job.out)
    (job.out / "result.json").unlink()
    newest = max((job.out / "checkpoints").glob("step-*.safetensors"))
    newest.write_bytes((tmp_path / "other/checkpoints" / newest.name).read_bytes())
    digest_path(newest).write_text(f"{sha256_of(newest)}  {newest.name}\n")
    with pytest.raises(CheckpointError, match="does not fit this run"):
        _train(make_job(resume=True))


@pytest.fixture
def folder_with_garbage(tmp_path: Path) -> Path:
    """Two classes of 150 real images, 50 files among them garbage."""
    source = open_source("digits", "train")
    rng = np.random.default_rng(0)
    for split, count in (("train", 150), ("val", 10)):
        for label in (0, 1):
            folder = tmp_path / "data" / split / str(label)
            folder.mkdir(parents=True)
            for number, index in enumerate(np.flatnonzero(source.labels == label)[:count]):
                source.load(int(index)).save(folder / f"{number:03}.png")
    for number in range(25):
        for label in (0, 1):
            path = tmp_path / f"data/train/{label}/{number * 4:03}.png"
            path.write_bytes(rng.bytes(200) if number % 2 else path.read_bytes()[:100])
    return tmp_path / "data"


def test_garbage_among_the_images_stops_the_run_past_the_threshold(
    make_job: MakeJob, folder_with_garbage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_source, val_source = (
        open_source(str(folder_with_garbage), "train"),
        open_source(str(folder_with_garbage), "val"),
    )
    job = make_job(train_source=train_source, val_source=val_source)
    with pytest.raises(RunError, match=r"of the \d+ training images cannot be decoded, more than 0.1 %"):
        _train(job)
    assert not (job.out / "model").exists()
    tolerant = replace(job.training, max_unreadable_fraction=0.5, batch_size=64, checkpoint_every_steps=0)
    job = make_job(train_source=train_source, val_source=val_source, training=tolerant)
    _train(job)
    named = [line["image"] for line in read_lines(job.out / "metrics.jsonl")[0] if line["kind"] == "unreadable"]
    assert len(named) == len(set(named))
    assert set(named) <= {f"{label}/{number * 4:03}.png" for number in range(25) for label in (0, 1)}
    assert "another image takes its place" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 600 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_one_error_and_the_run_goes_on_elsewhere(make_job: MakeJob, small_disk: Path) -> None:
    job = make_job(out=small_disk / "run")
    with pytest.raises(RunError, match="the disk is full"):
        _train(job)
    assert not list((job.out / "checkpoints").glob(".*"))
    for checkpoint in (job.out / "checkpoints").glob("step-*.safetensors"):
        assert digest_path(checkpoint).read_text().split()[0] == sha256_of(checkpoint)


def test_a_file_size_limit_is_one_error(make_job: MakeJob) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(KdzooError, match="could not be written"):
            _train(make_job())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not checkpoint_path(make_job().out / "checkpoints", 2).exists()
    assert not list((make_job().out / "checkpoints").glob(".*"))


def test_less_images_than_a_batch_is_one_error(make_job: MakeJob) -> None:
    with pytest.raises(KdzooError, match="a batch of 2,000 images cannot be made of 1,437"):
        _train(make_job(training=replace(make_job().training, batch_size=2000)))


def test_an_unreadable_held_out_image_stops_the_evaluation_by_name(
    make_job: MakeJob, folder_with_garbage: Path
) -> None:
    (folder_with_garbage / "val/0/000.png").write_bytes(b"garbage")
    with pytest.raises(KdzooError, match=os.path.join("0", "000.png")):
        _train(make_job(val_source=open_source(str(folder_with_garbage), "val")))


def test_truncated_images_really_are_unreadable(folder_with_garbage: Path) -> None:
    with Image.open(folder_with_garbage / "train/0/000.png") as image, pytest.raises((OSError, SyntaxError)):
        image.convert("RGB")
