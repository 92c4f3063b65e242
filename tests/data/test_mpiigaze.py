"""MPIIGaze's layout: angles, mirrored eyes, who is held out, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mini_mpiigaze import PEOPLE, write_mpiigaze
from scipy.io import loadmat, savemat
from scipy.spatial.transform import Rotation

from kdzoo.base.errors import DataError, UsageError
from kdzoo.data import (
    ArraySource,
    Augmentation,
    BatchOrder,
    ConcatSource,
    EvalTransform,
    check_source,
    eval_batches,
    open_source,
    parse_data_spec,
    train_batches,
)
from kdzoo.data.mpiigaze import gaze_angles, head_angles, held_out_people

EVERYONE = tuple(f"p{number:02d}" for number in range(15))


@pytest.fixture(scope="module")
def gaze(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("gaze") / "MPIIGaze"
    return path, write_mpiigaze(path)


def test_every_listed_eye_is_there_with_its_gaze_and_right_eyes_are_mirrored(gaze) -> None:
    path, truth = gaze
    val, train = (open_source(f"mpiigaze@p01+p03:{path}", split) for split in ("val", "train"))
    assert isinstance(val, ArraySource)
    assert (val.name, len(val), len(train)) == ("mpiigaze@p01+p03", 80, 120)
    assert (val.native_size, val.target_names, val.class_names) == ((36, 60), ("pitch", "yaw"), ())
    np.testing.assert_allclose(val.targets, np.concatenate([truth["p01"], truth["p03"]]), atol=1e-6)
    np.testing.assert_allclose(train.targets, np.concatenate([truth[p] for p in ("p00", "p02", "p04")]), atol=1e-6)
    assert val.identity(1) == "p01/day01/0001.jpg/right"
    assert (val.labels == -1).all()
    # The iris lies where the angles say, for left and right eyes alike: so the right ones were mirrored, sign and all.
    for index in (0, 1, 40, 79):
        pixels = np.asarray(val.load(index))
        assert pixels.shape == (36, 60, 3)
        rows, columns = np.nonzero(pixels[..., 0] < 115)
        assert rows.mean() == pytest.approx(18 - 40 * val.targets[index, 0], abs=0.6)
        assert columns.mean() == pytest.approx(30 - 50 * val.targets[index, 1], abs=0.6)


def test_head_poses_follow_the_rotation_and_change_sign_with_the_mirror(gaze) -> None:
    path, _ = gaze
    val = open_source(f"mpiigaze@p02:{path}", "val")
    data = loadmat(path / "Data/Normalized/p02/day01.mat", squeeze_me=True, struct_as_record=False)["data"]
    axes = Rotation.from_rotvec(data.left.pose).as_matrix()[:, :, 2]
    expected = np.stack([np.arcsin(axes[:, 1]), np.arctan2(axes[:, 0], axes[:, 2])], axis=1)
    np.testing.assert_allclose(val.conditions[0:20:2], expected, atol=1e-6)
    np.testing.assert_allclose(val.conditions[1:20:2], expected * [1, -1], atol=1e-6)
    assert head_angles(np.zeros(3)) == (0.0, 0.0)


def test_angles_of_known_directions() -> None:
    assert gaze_angles(np.array([0.0, 0.0, -2.0])) == pytest.approx((0.0, 0.0))
    assert gaze_angles(np.array([0.0, -1.0, -1.0])) == pytest.approx((np.pi / 4, 0.0))
    assert gaze_angles(np.array([-1.0, 0.0, -1.0])) == pytest.approx((0.0, np.pi / 4))


def test_both_readings_of_the_split() -> None:
    assert held_out_people("p07", EVERYONE) == ("p07",)
    assert held_out_people("p07+p01+p12", EVERYONE) == ("p01", "p07", "p12")
    draws = [held_out_people(f"draw{number}", EVERYONE) for number in range(3)]
    assert all(len(set(people)) == 3 for people in draws)
    assert len(set(draws)) == 3
    assert held_out_people(None, EVERYONE) == draws[0]
    for wrong in ("p15", "draw", "p01+", "nobody"):
        with pytest.raises(UsageError, match="there is no person"):
            held_out_people(wrong, EVERYONE)
    with pytest.raises(UsageError, match="holds out all"):
        held_out_people("p00+p01", ("p00", "p01"))


def test_the_spec_names_who_is_held_out() -> None:
    spec = parse_data_spec("mpiigaze@p03:/data/MPIIGaze")
    assert (spec.name, spec.held_out, str(spec.path), str(spec)) == (
        "mpiigaze", "p03", "/data/MPIIGaze", "mpiigaze@p03:/data/MPIIGaze",
    )  # fmt: skip
    with pytest.raises(UsageError, match="names nothing after the @"):
        parse_data_spec("mpiigaze@:/data")
    with pytest.raises(DataError, match="neither a known data set"):
        parse_data_spec("cifar10@p03")


def test_missing_data_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match="mpiigaze not found") as error:
        open_source("mpiigaze", "train")
    assert str(tmp_path / "mpiigaze") in error.value.message
    assert "Evaluation Subset" in error.value.hint


def test_batches_carry_targets_and_conditions_and_a_view_keeps_the_shape(gaze) -> None:
    path, _ = gaze
    train = open_source(f"mpiigaze:{path}", "train")
    augmentation = Augmentation(image_size=36, image_width=60, crop="center", hflip_prob=0.0)
    order = BatchOrder(num_samples=len(train), batch_size=16, epochs=1, seed=4)
    batch = next(train_batches(train, augmentation, order, workers=0))
    assert batch.images.shape == (16, 3, 36, 60)
    ids = batch.sample_ids.numpy()
    np.testing.assert_array_equal(batch.targets.numpy(), train.targets[ids])
    np.testing.assert_array_equal(batch.conditions.numpy(), train.conditions[ids])
    np.testing.assert_array_equal(batch.images[3].permute(1, 2, 0).numpy(), np.asarray(train.load(int(ids[3]))))
    transform = EvalTransform(image_size=36, image_width=60, crop_pct=1.0, interpolation="bilinear")
    seen = list(eval_batches(train, transform, batch_size=32, workers=0))
    np.testing.assert_array_equal(np.concatenate([b.targets.numpy() for b in seen]), train.targets)


def test_unlabeled_images_have_no_target_and_fingerprints_see_targets(gaze) -> None:
    path, _ = gaze
    train, extra = (open_source(f"mpiigaze:{path}", split) for split in ("train", "unlabeled"))
    assert extra.targets is None
    both = ConcatSource([train, extra])
    assert np.isnan(both.targets[len(train) :]).all()
    np.testing.assert_array_equal(both.targets[: len(train)], train.targets)
    other = ArraySource("x", "val", (), train.labels, np.zeros((len(train), 36, 60), np.uint8), ["a"] * len(train),
                        target_names=train.target_names, targets=train.targets + 1)  # fmt: skip
    same = ArraySource("x", "val", (), train.labels, np.zeros((len(train), 36, 60), np.uint8), ["a"] * len(train),
                       target_names=train.target_names, targets=train.targets)  # fmt: skip
    assert other.fingerprint() != same.fingerprint()
    with pytest.raises(ValueError, match="targets differ"):
        ConcatSource([train, open_source("digits", "val")])


def test_the_check_counts_people(gaze) -> None:
    path, _ = gaze
    report = check_source(f"mpiigaze@p00:{path}", workers=0)
    assert report.ok
    assert [(split.split, split.num_images) for split in report.splits] == [("train", 160), ("val", 40)]
    assert any("5 people (p00 has 40, p01 has 40, p02 has 40 and others)" in text for text in report.warnings)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _change(path: Path, eye: str, **fields: object) -> None:
    document = loadmat(path, simplify_cells=True)
    for name, value in fields.items():
        if value is None:
            del document["data"][eye][name]
        else:
            document["data"][eye][name] = value
    cells = np.empty((len(document["filenames"]), 1), dtype=object)
    cells[:, 0] = document["filenames"]
    savemat(path, {"data": document["data"], "filenames": cells})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "is damaged"),
        (_flip, "is damaged"),
        (lambda path: path.write_bytes(b""), "no MATLAB 5 file"),
        (lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(200)), "no MATLAB 5 file"),
        (lambda path: path.write_bytes(b"MATLAB 5.0" + bytes(300)), "is damaged|no variable"),
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: savemat(path, {"data": 1.0, "filenames": np.zeros((0, 1), object)}), "no field data.left"),
        (lambda path: savemat(path, {"filenames": np.zeros((0, 1), object)}), "no variable 'data'"),
        (lambda path: _change(path, "right", gaze=None), "no field data.right.gaze"),
        (lambda path: _change(path, "left", gaze=np.zeros((10, 3))), "direction of no length"),
        (lambda path: _change(path, "left", gaze=np.full((10, 3), np.nan)), "not finite"),
        (lambda path: _change(path, "left", pose=np.zeros((10, 2))), "pose is 10×2, expected 10×3"),
        (lambda path: _change(path, "left", image=np.zeros((9, 36, 60))), "image is 9×36×60, expected 10×36×60"),
        (lambda path: _change(path, "left", image=np.full((10, 36, 60), 300.0)), "beyond 0 to 255"),
    ],
)
def test_a_damaged_day_is_refused_in_a_line(damage, message: str, tmp_path: Path) -> None:
    write_mpiigaze(tmp_path, people=PEOPLE[:4], days=1)
    damage(tmp_path / "Data/Normalized/p02/day01.mat")
    with pytest.raises(DataError, match=message) as error:
        open_source(f"mpiigaze:{tmp_path}", "val")
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("day01/9999.jpg left", "has no image and gaze"),
        ("day09/0001.jpg left", "there is no file"),
        ("day01/0001.jpg", "is not like"),
        ("../../secret/0001.jpg left", "is not like"),
    ],
)
def test_a_listed_image_without_a_gaze_is_named(line: str, message: str, tmp_path: Path) -> None:
    write_mpiigaze(tmp_path, people=PEOPLE[:4], days=1)
    file = tmp_path / "Evaluation Subset/sample list for eye image/p00.txt"
    file.write_text(f"day01/0001.jpg left\n{line}\n")
    with pytest.raises(DataError, match=message) as error:
        open_source(f"mpiigaze:{tmp_path}", "train")
    assert "p00.txt, line 2" in error.value.message
