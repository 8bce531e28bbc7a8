"""A folder of everything that real folders hold."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# input → outputs of a run with --recursive; the rest fails
EXPECTED = {
    "a.png": ["a.png.png"],
    "a.jpg": ["a.jpg.png"],
    "sub/a.png": ["sub/a.png"],
    "猫.webp": ["猫.png"],
    "deep_grey.png": ["deep_grey.png"],
    "deep_colour.png": ["deep_colour.png"],
    "palette.png": ["palette.png"],
    "cmyk.jpg": ["cmyk.png"],
    "one.bmp": ["one.png"],
    "wide.png": ["wide.png"],
    "rotated.jpg": ["rotated.png"],
    "run.gif": ["run_0001.png", "run_0002.png", "run_0003.png"],
    "grey_alpha.png": ["grey_alpha.png"],
    "flat.png": ["flat.png"],
}
BROKEN = ["broken.png", "empty.png", "text.png", "truncated.jpg", "sub/bomb.png"]


def drawing(height: int = 24, width: int = 32) -> Image.Image:
    """A light disc on a dark, uneven ground."""
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3) ** 2
    colours = np.stack((rows * 2, columns, (rows + columns) % 40), -1) % 60
    return Image.fromarray(np.where(inside[..., None], 230, colours).astype(np.uint8))


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int, depth: int, colour_type: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _deep_colour(height: int = 6, width: int = 8) -> bytes:
    pixels = np.arange(height * width * 3, dtype=">u2").reshape(height, -1) * 331 + 7
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png_header(width, height, 16, 2, zlib.compress(rows))


def plant_torture(root: Path) -> Path:
    """Fill `root` and return it."""
    (root / "sub").mkdir(parents=True)
    info = PngInfo()
    info.add_text("parameters", "1girl, 猫\nSteps: 20")
    picture = drawing()
    files = {
        "a.png": _bytes(picture, "PNG", pnginfo=info, icc_profile=SRGB, dpi=(300, 300)),
        "a.jpg": _bytes(picture, "JPEG", quality=95),
        "sub/a.png": _bytes(picture.rotate(180), "PNG"),
        "猫.webp": _bytes(picture, "WEBP", lossless=True),
        "deep_grey.png": _bytes(
            Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 1001), "PNG"
        ),
        "deep_colour.png": _deep_colour(),
        "palette.png": _bytes(picture.quantize(16), "PNG", transparency=0),
        "cmyk.jpg": _bytes(picture.convert("CMYK"), "JPEG", icc_profile=b"\0" * 16 + b"CMYK"),
        "one.bmp": _bytes(Image.new("RGB", (1, 1), "red"), "BMP"),
        "wide.png": _bytes(drawing(3, 5000), "PNG"),
        "run.gif": _bytes(
            picture, "GIF", save_all=True, append_images=[picture.rotate(a) for a in (40, 80)]
        ),
        "grey_alpha.png": _bytes(Image.new("LA", (9, 7), (200, 100)), "PNG"),
        "flat.png": _bytes(Image.new("RGB", (16, 16), "white"), "PNG"),
        "notes.txt": b"not a picture",
        "empty.png": b"",
        "text.png": b"I am a text.",
        "broken.png": _bytes(picture, "PNG")[:60] + b"\0" * 40,
        "truncated.jpg": _bytes(drawing(200, 200), "JPEG")[:2000],
        "sub/bomb.png": png_header(30000, 30000, 8, 2, zlib.compress(b"\0")),
    }
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90° clockwise
    files["rotated.jpg"] = _bytes(picture, "JPEG", exif=exif, quality=95)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root
