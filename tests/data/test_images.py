"""Decoding: every odd file becomes RGB or an UnreadableImage with a reason, and nothing else escapes."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from kdzoo.data import UnreadableImage, read_rgb
from kdzoo.data.images import decode_stored, read_orientation
from kdzoo.data.reading import Reading


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


DEEP = {
    "12 bits in 16": (lambda: np.full((9, 9), 4095, dtype=np.uint16), "png", "nothing says how bright that is"),
    "10 bits in a TIFF": (lambda: np.arange(81, dtype=np.uint16).reshape(9, 9) * 12, "tif", "@white=4095 for 12 bits"),
    "14 bits": (lambda: np.full((9, 9), 16383, dtype=np.uint16), "png", "16-bit pixels from 16,383 to 16,383"),
    "32 bits": (lambda: np.full((9, 9), 2**30, dtype=np.int32), "tif", "32-bit pixels"),
    "floats from 0 to 1": (
        lambda: np.linspace(0, 1, 81, dtype=np.float32).reshape(9, 9),
        "tif",
        "floating-point pixels",
    ),
    "floats to 255": (lambda: np.full((9, 9), 255, dtype=np.float32), "tif", "nothing says how bright"),
    "no numbers": (lambda: np.full((9, 9), np.nan, dtype=np.float32), "tif", "no finite numbers"),
}


@pytest.mark.parametrize("name", DEEP)
def test_pixels_whose_range_nothing_defines_are_refused(name: str, tmp_path: Path) -> None:
    make, extension, reason = DEEP[name]
    Image.fromarray(make()).save(tmp_path / f"x.{extension}")
    with pytest.raises(UnreadableImage, match=reason) as caught:
        read_rgb(tmp_path / f"x.{extension}")
    assert f"x.{extension}" in caught.value.message


@pytest.mark.parametrize(
    ("pixels", "extension", "white", "expected"),
    [
        (np.array([[0, 2048, 4095]], dtype=np.uint16), "png", 4095, [0, 128, 255]),
        (np.array([[0, 512, 1023]], dtype=np.uint16), "tif", 1023, [0, 128, 255]),
        (np.array([[0, 256, 16383]], dtype=np.uint16), "png", 65535, [0, 1, 63]),
        (np.array([[0, 2**31 - 1]], dtype=np.int32), "tif", 2**31 - 1, [0, 255]),
        (np.array([[0, 0.5, 1, 7]], dtype=np.float32), "tif", 1, [0, 128, 255, 255]),
        (np.array([[-3, 200]], dtype=np.float32), "tif", 255, [0, 200]),
    ],
)
def test_a_stated_white_scales(
    pixels: np.ndarray, extension: str, white: float, expected: list[int], tmp_path: Path
) -> None:
    Image.fromarray(pixels).save(tmp_path / f"x.{extension}")
    read = read_rgb(tmp_path / f"x.{extension}", reading=Reading(white=white))
    assert np.asarray(read)[0, :, 2].tolist() == expected


def test_files_that_define_their_white_need_none(tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], dtype=">u2").tobytes())
    for reading in (Reading(), Reading(white=1023)):
        assert np.asarray(read_rgb(tmp_path / "x.pgm", reading=reading))[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.zeros((2, 2), dtype=np.uint16)).save(tmp_path / "black.png")
    assert not np.asarray(read_rgb(tmp_path / "black.png")).any()


def _png_of_16_bit_colours(values: np.ndarray) -> bytes:
    """A PNG of three channels of 16 bits, which Pillow reads and does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + values[row].astype(">u2").tobytes() for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_deep_colours_in_the_lower_half_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(_png_of_16_bit_colours(np.full((2, 2, 3), 4000)))
    with pytest.raises(UnreadableImage, match="colours of 16 bits a channel, all of them in the lower half"):
        read_rgb(path)
    assert np.asarray(read_rgb(path, reading=Reading(white=65535)))[0, 0].tolist() == [15, 15, 15]
    with pytest.raises(UnreadableImage, match="read with white=65535 alone"):
        read_rgb(path, reading=Reading(white=4095))
    path.write_bytes(_png_of_16_bit_colours(np.full((2, 2, 3), 40_000)))
    assert np.asarray(read_rgb(path))[0, 0].tolist() == [156, 156, 156]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_where_asked(orientation: int, tmp_path: Path, make_picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    make_picture(0, 48, 40).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "x.jpg", reading=Reading(upright=True))), expected)
    assert read_orientation(tmp_path / "x.jpg") == orientation


def test_a_png_whose_checksum_is_wrong_is_noticed(make_picture) -> None:
    content = bytearray(_encoded(make_picture(0), "PNG"))
    content[content.index(b"IDAT") + 300] ^= 1
    with pytest.raises(UnreadableImage):
        decode_stored(bytes(content), "x.png")
    assert decode_stored(_encoded(make_picture(0).convert("L"), "PNG"), "x.png").mode == "L"
