"""Small files of every kind, written by hand where no library writes them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(
    pixels: np.ndarray, *extra: bytes, after: tuple[bytes, ...] = (), end: bool = True
) -> bytes:
    """H×W×C of uint8 or uint16 with C 1 … 4; `extra` chunks before the pixels, `after` behind."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    return b"".join(
        (
            SIGNATURE,
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)),
            *extra,
            chunk(b"IDAT", zlib.compress(rows)),
            *after,
            chunk(b"IEND", b"") if end else b"",
        )
    )


def tiff(pixels: np.ndarray, *, order: str = "<", **tags: int) -> bytes:
    """H×W×C of uint8 or uint16, one strip; `tags`: orientation, photometric, extra_samples."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    strip = pixels.astype(f"{order}u{bits // 8}").tobytes()
    numbers = {"photometric": 262, "orientation": 274, "extra_samples": 338}
    entries = {
        256: (3, (width,)), 257: (3, (height,)), 258: (3, (bits,) * channels), 259: (3, (1,)),
        262: (3, (2 if channels > 2 else 1,)), 273: (4, (8,)), 277: (3, (channels,)),
        278: (3, (height,)), 279: (4, (len(strip),)), 284: (3, (1,)),
    }  # fmt: skip
    entries |= {numbers[name]: (3, (value,)) for name, value in tags.items()}
    start = 8 + len(strip) + len(strip) % 2
    values_at = start + 2 + 12 * len(entries) + 4
    folder, values = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, numbers_) in sorted(entries.items()):
        packed = struct.pack(order + ("H" if kind == 3 else "I") * len(numbers_), *numbers_)
        if len(packed) > 4:
            place = struct.pack(order + "I", values_at + len(values))
            values += packed
        else:
            place = packed.ljust(4, b"\0")
        folder += struct.pack(order + "HHI", tag, kind, len(numbers_)) + place
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", start)
    return head + strip.ljust(start - 8, b"\0") + folder + b"\0\0\0\0" + values


def noise(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width * 10 + channels)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """A small ICC profile, version 2; `tags` beside white point and description."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"t\0" + b"\0" * 79,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
    } | tags
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content = content.ljust(-(-len(content) // 4) * 4, b"\0")
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    size = place + len(data)
    connection = b"Lab " if space == b"CMYK" else b"XYZ "
    head = struct.pack(">I4sI", size, b"test", 0x02100000) + kind + space + connection
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def cmyk_profile() -> bytes:
    """Ink of any kind darkens L from 100 to 0 by its share of four; a* and b* stay 0."""
    grid = 2
    inks = np.indices((grid,) * 4).reshape(4, -1).sum(0) / 4
    lab = np.stack([(1 - inks) * 0xFF00, np.full_like(inks, 0x8000), np.full_like(inks, 0x8000)], 1)
    ramp = struct.pack(">2H", 0, 65535)
    table = b"mft2\0\0\0\0" + struct.pack(">4B", 4, 3, grid, 0)
    table += struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += struct.pack(">2H", 2, 2) + ramp * 4 + lab.astype(">u2").tobytes() + ramp * 3
    return profile(b"CMYK", {b"A2B0": table}, kind=b"prtr")
