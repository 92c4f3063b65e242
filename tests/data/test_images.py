"""Decoding: every odd file becomes RGB or an UnreadableImage with a reason, and nothing else escapes."""

from __future__ import annotations

import contextlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from kdzoo.data import UnreadableImage, read_rgb


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_have_a_reason(tmp_path: Path, make_picture, kind: str) -> None:
    content = _encoded(make_picture(0, 200, 160), kind)
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert read_rgb(path).size == (200, 160)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage) as caught:
        read_rgb(path, "x.jpg")
    assert caught.value.reason
    assert "\n" not in caught.value.message
    assert "x.jpg" in caught.value.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"this is a letter, not a picture", "not an image"),
        (np.random.default_rng(0).bytes(5000), "not an image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 400, ""),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 400, ""),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_garbage_has_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        read_rgb(path)
    assert caught.value.reason
    assert reason in caught.value.reason


def test_broken_bytes_never_raise_anything_else(make_picture) -> None:
    from kdzoo.data.images import decode_rgb

    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM"):
        content = _encoded(make_picture(0), kind)
        for _ in range(150):
            broken = bytearray(content)
            for position in rng.integers(0, len(broken), 8):
                broken[position] = rng.integers(256)
            with contextlib.suppress(UnreadableImage):
                assert decode_rgb(bytes(broken), "x").mode == "RGB"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        read_rgb(tmp_path / "none.jpg")
    with pytest.raises(UnreadableImage, match="directory"):
        read_rgb(tmp_path)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture) -> None:
    path = tmp_path / "x.png"
    make_picture(0, 40, 40).save(path)
    for limit in (1000, 500):  # Pillow warns above the limit and raises above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UnreadableImage, match="decompression bomb"):
            read_rgb(path)


def test_truncation_is_found_even_when_another_library_tolerates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture
) -> None:
    content = _encoded(make_picture(0, 200, 160), "JPEG")
    (tmp_path / "x.jpg").write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UnreadableImage, match="truncated"):
        read_rgb(tmp_path / "x.jpg")


def test_other_modes_become_rgb(tmp_path: Path, make_picture) -> None:
    image = make_picture(0)
    for mode, name in (("L", "a.png"), ("CMYK", "a.jpg"), ("1", "b.png"), ("LA", "c.png"), ("RGBA", "d.png")):
        image.convert(mode).save(tmp_path / name)
        read = read_rgb(tmp_path / name)
        assert read.mode == "RGB"
        expected = Image.open(tmp_path / name).convert("RGB")
        assert np.array_equal(np.asarray(read), np.asarray(expected))


def test_palette_with_transparency_does_not_warn(tmp_path: Path, make_picture) -> None:
    palette = make_picture(0).quantize(16)
    palette.save(tmp_path / "x.png", transparency=bytes(range(16)))
    read = read_rgb(tmp_path / "x.png")
    assert np.array_equal(np.asarray(read), np.asarray(palette.convert("RGB")))


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    levels = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    for name in ("x.png", "x.tif"):
        Image.fromarray(levels).save(tmp_path / name)
        assert np.array_equal(np.asarray(read_rgb(tmp_path / name))[..., 1], levels >> 8)


def test_exif_orientation_is_not_applied(tmp_path: Path, make_picture) -> None:
    image = make_picture(0, 48, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_rgb(tmp_path / "x.jpg").size == (48, 40)


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImage("a/b.jpg", "it is broken")))
    assert (error.identity, error.reason) == ("a/b.jpg", "it is broken")
    assert "a/b.jpg" in error.message
    assert error.hint
