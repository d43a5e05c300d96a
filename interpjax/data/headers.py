"""How large an encoded image says that it is, read from its first bytes: so that a huge one is not decoded at all."""

import re
import struct

# What JPEG files call the segments that begin a frame, and so tell its size (ITU-T T.81, Tab. B.1); the numbers left
# out are of tables and of arithmetic coding.
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
SCAN = 0xDA  # begins the pixels, before which a frame must have begun
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment behind them
WIDTH_TAG, HEIGHT_TAG = 256, 257  # of TIFF 6.0, Sec. 8
TIFF_FORMS = {3: "H", 4: "I", 16: "Q"}  # of a value, by the number of its type; 16 is BigTIFF's
MOST_ENTRIES = 2**16
PNG = b"\x89PNG\r\n\x1a\n"
Size = tuple[int, int]  # height, width


def stated_size(encoded: bytes) -> Size | None:
    """(height, width) that an image's header states; None where the format is none of those below, or it is damaged.

    JPEG, PNG, GIF, WebP, BMP, TIFF and Netpbm are known: of these a few kilobytes can stand for gigabytes of pixels.

    Args:
      encoded: the image's file.
    """
    readers = {
        b"\xff\xd8": _jpeg,
        PNG: _png,
        b"RIFF": _webp,
        b"BM": _bmp,
        b"II*\0": lambda file: _tiff(file, "<"),
        b"MM\0*": lambda file: _tiff(file, ">"),
        b"II+\0": lambda file: _tiff(file, "<", big=True),
        b"MM\0+": lambda file: _tiff(file, ">", big=True),
        b"GIF8": _gif,
        b"P7": _pam,
        b"P": _netpbm,
    }
    for magic, read in readers.items():
        if encoded.startswith(magic):
            try:
                return read(encoded)
            except (struct.error, IndexError, ValueError, OverflowError):  # cut short, or not what its first bytes say
                return None
    return None


def png_depth(encoded: bytes) -> int | None:
    """The bits of each channel (or palette entry) of a PNG file, as its header states; None for other files."""
    return encoded[24] if encoded.startswith(PNG) and len(encoded) > 24 else None


def _jpeg(file: bytes) -> Size | None:
    place = 2
    while (place := file.find(b"\xff", place)) != -1:  # decoders pass over stray bytes
        marker = file[place + 1]
        if marker == 0xFF:  # a byte that fills up
            place += 1
        elif marker in ALONE:
            place += 2
        elif marker == SCAN:
            return None
        elif marker in FRAMES:
            height, width = struct.unpack_from(">HH", file, place + 5)
            return height, width
        else:
            (length,) = struct.unpack_from(">H", file, place + 2)
            place += 2 + length
    return None


def _png(file: bytes) -> Size:
    width, height = struct.unpack_from(">II", file, 16)
    return height, width


def _webp(file: bytes) -> Size | None:
    kind = file[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(file[27:30], "little"), 1 + int.from_bytes(file[24:27], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", file, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", file, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None


def _bmp(file: bytes) -> Size:
    if struct.unpack_from("<I", file, 14) == (12,):  # the header of OS/2
        width, height = struct.unpack_from("<HH", file, 18)
    else:
        width, height = struct.unpack_from("<ii", file, 18)
    return abs(height), abs(width)  # a height below 0 is of rows from top to bottom


def _tiff(file: bytes, order: str, *, big: bool = False) -> Size | None:
    # Where the place of the entries stands, how wide it and their count are, and the bytes before the first entry, of
    # each, and before its value.
    stands, wide, count, before, each, value = (8, "Q", "Q", 8, 20, 12) if big else (4, "I", "H", 2, 12, 8)
    (place,) = struct.unpack_from(f"{order}{wide}", file, stands)
    (entries,) = struct.unpack_from(f"{order}{count}", file, place)
    found = {}
    for entry in range(min(entries, MOST_ENTRIES)):
        start = place + before + each * entry
        tag, kind = struct.unpack_from(f"{order}HH", file, start)
        if tag in (WIDTH_TAG, HEIGHT_TAG):
            (found[tag],) = struct.unpack_from(f"{order}{TIFF_FORMS.get(kind, 'I')}", file, start + value)
    return (found[HEIGHT_TAG], found[WIDTH_TAG]) if len(found) == 2 else None


def _gif(file: bytes) -> Size:
    width, height = struct.unpack_from("<HH", file, 6)
    return height, width


def _pam(file: bytes) -> Size | None:
    header = dict(re.findall(rb"^(WIDTH|HEIGHT)\s+(\d{1,9})\s*$", file[:4096], re.MULTILINE))
    return (int(header[b"HEIGHT"]), int(header[b"WIDTH"])) if len(header) == 2 else None


def _netpbm(file: bytes) -> Size | None:
    comments = rb"(?:\s|#[^\n]*\n)+"
    found = re.match(rb"P[1-6]" + comments + rb"(\d{1,9})" + comments + rb"(\d{1,9})\s", file[:4096])
    return (int(found[2]), int(found[1])) if found else None
