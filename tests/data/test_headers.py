"""The size that a header states is that of the image; whatever the bytes are, reading it ends without an error."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpjax.data.headers import stated_size
from interpjax.data.images import BadImageError, decode_image, read_image

FORMATS = {
    "jpg": (".jpg", []),
    "progressive jpg": (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
    "png": (".png", []),
    "webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
    "lossless webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    "bmp": (".bmp", []),
    "tiff": (".tiff", []),
    "ppm": (".ppm", []),
    "gif": (".gif", []),
    "pam": (".pam", []),
    "text ppm": (".ppm", [cv2.IMWRITE_PXM_BINARY, 0]),
}


def encoded(name, height, width) -> bytes:
    suffix, flags = FORMATS[name]
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    return cv2.imencode(suffix, image, flags)[1].tobytes()


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (257, 65)])
@pytest.mark.parametrize("name", FORMATS)
def test_stated_size_is_that_of_the_image(name, size):
    file = encoded(name, *size)
    assert stated_size(file) == size == decode_image(file, "x").shape[:2]
    with pytest.raises(BadImageError, match=rf"image x: has {size[1]} × {size[0]} = \d+ pixels; expected at most 0"):
        decode_image(file, "x", max_pixels=0)


@pytest.mark.parametrize("name", FORMATS)
def test_file_that_is_cut_short_or_damaged_has_some_size_or_none(name):
    file = encoded(name, 9, 7)
    for length in range(0, len(file), max(1, len(file) // 60)):
        stated_size(file[:length])
    for place in range(0, min(len(file), 200)):
        stated_size(file[:place] + b"\xff" + file[place + 1 :])


@given(
    st.sampled_from(
        [
            b"",
            b"\xff\xd8",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"GIF89a",
            b"P7\n",
            b"P6",
        ]
    ),
    st.binary(),
)
def test_any_bytes_have_some_size_or_none(magic, rest):
    found = stated_size(magic + rest)
    assert found is None or min(found) >= 0


def test_stray_bytes_between_the_segments_of_a_jpeg_are_passed_over_as_decoders_do():
    file = encoded("jpg", 30, 40)
    second = 4 + struct.unpack(">H", file[4:6])[0]
    file = file[:second] + b"\0\x11" + file[second:]
    assert stated_size(file) == (30, 40) == decode_image(file, "x").shape[:2]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_size_of_a_tiff_with_wide_offsets_is_read(order):
    """Of the layout in the design of BigTIFF: offsets and counts have 8 bytes, an entry has 20."""
    entries = [(256, 3, "H", 500), (257, 4, "I", 300), (258, 3, "H", 8)]
    packed = b"".join(
        struct.pack(f"{order}HHQ", tag, kind, 1) + struct.pack(f"{order}{form}", value).ljust(8, b"\0")
        for tag, kind, form, value in entries
    )
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
    file = start + struct.pack(f"{order}Q", len(entries)) + packed
    assert stated_size(file) == (300, 500)
    assert stated_size(file[:-45]) is None


def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    side = 20_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    lines = zlib.compress(bytes(1000), 9)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b""))
    with pytest.raises(BadImageError, match=r"has 20000 × 20000 = 400000000 pixels; expected at most 100000000"):
        read_image(path)
