"""Small sound files that tools/fuzz.py damages: one or more of every format that can be made."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save as save_tensors

from toonout_core.imaging import picture_suffixes
from toonout_core.models.unet import UNet


def pictures() -> dict[str, bytes]:
    """File name → content."""
    found: dict[str, bytes] = {}
    for make in (_by_pillow, _png, _jpeg, _tiff, _animations, _by_hand):
        for name, content in make():
            found[name] = content
    return found


def drawing(mode: str = "RGB", size: tuple[int, int] = (40, 28)) -> Image.Image:
    """A disc on an uneven ground, half of it transparent where the mode can."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    inside = (rows - size[1] / 2) ** 2 + (columns - size[0] / 2) ** 2 < 100
    ground = np.stack((rows * 5, columns * 3, (rows * columns) % 200), -1)
    rgba = np.dstack((np.where(inside[..., None], 230, ground), 100 + 155 * inside))
    picture = Image.fromarray(rgba.clip(0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray((rows * 1500 + columns * 20).astype(np.uint16))
    return picture if mode == "RGBA" else picture.convert("RGB").convert(mode)


def _saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def _by_pillow() -> Iterator[tuple[str, bytes]]:
    """Every format that Pillow writes and reads, in every mode that it takes."""
    Image.init()
    readable = {Image.registered_extensions().get(ending) for ending in picture_suffixes()}
    endings = {name: end for end, name in Image.registered_extensions().items()}
    for format in sorted(name for name in readable if name in Image.SAVE):
        for mode in ("RGB", "RGBA", "L", "P", "1", "I;16"):
            size = (32, 32) if format in ("ICO", "ICNS") else (40, 28)
            try:
                content = _saved(drawing(mode, size), format)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not a mode of that format
            yield f"{format}_{mode.replace(';', '')}{endings[format]}".lower(), content


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x112], exif[0x13B], exif[0x8298] = 6, "An Artist", "(c) someone"
    exif[0x8769] = {0x9286: b"UNICODE\0" + "1girl\nSteps: 20".encode("utf-16-be")}
    return exif.tobytes()


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _png() -> Iterator[tuple[str, bytes]]:
    info = PngInfo()
    info.add_text("parameters", "1girl, Steps: 20")
    info.add_text("workflow", "x" * 500, zip=True)
    info.add_itxt("prompt", "猫", zip=True)
    rich = _saved(
        drawing(), "PNG", pnginfo=info, exif=_exif(), icc_profile=_profile(), dpi=(300, 300)
    )
    yield "rich.png", rich
    said = (
        _chunk(b"gAMA", struct.pack(">I", 100000))
        + _chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
        + _chunk(b"tRNS", struct.pack(">3H", 0, 0, 0))
    )
    plain = _saved(drawing(), "PNG")
    yield "colours.png", plain[:33] + said + plain[33:]
    yield "palette.png", _saved(drawing("P"), "PNG", transparency=3)
    rng = np.random.default_rng(0)
    for kind, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        rows = rng.integers(0, 65536, (9, 11, channels)).astype(">u2")
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, 16, kind, 0, 0, 0))
        content = plain[:8] + head + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
        yield f"deep_{channels}.png", content


def _jpeg() -> Iterator[tuple[str, bytes]]:
    yield "rich.jpg", _saved(drawing(), "JPEG", exif=_exif(), icc_profile=_profile(), comment=b"c")
    yield "progressive.jpg", _saved(drawing(), "JPEG", progressive=True)
    yield "cmyk.jpg", _saved(drawing("CMYK"), "JPEG")
    yield "two.mpo", _saved(drawing(), "MPO", save_all=True, append_images=[drawing()])


def _tiff() -> Iterator[tuple[str, bytes]]:
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{packing}.tif", _saved(drawing(), "TIFF", compression=packing)
    yield "g4.tif", _saved(drawing("1"), "TIFF", compression="group4")
    yield "cmyk.tif", _saved(drawing("CMYK"), "TIFF", icc_profile=_profile())
    lab = Image.merge("LAB", [Image.new("L", (9, 9), level) for level in (136, 120, 140)])
    yield "lab.tif", _saved(lab, "TIFF")


def _animations() -> Iterator[tuple[str, bytes]]:
    frames = [drawing("RGBA").rotate(angle) for angle in (0, 40, 80)]
    for format, ending in (
        ("GIF", "gif"),
        ("PNG", "apng"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("TIFF", "tif"),
    ):
        try:
            content = _saved(
                frames[0], format, save_all=True, append_images=frames[1:], duration=40
            )
        except (OSError, KeyError):
            continue  # this Pillow writes none
        yield f"moving.{ending}", content
    options = {"save_all": True, "append_images": frames[1:], "disposal": 2, "transparency": 0}
    yield "disposed.gif", _saved(frames[0].convert("P"), "GIF", **options)


def _by_hand() -> Iterator[tuple[str, bytes]]:
    planes = np.asarray(drawing()).transpose(2, 0, 1).tobytes()  # not an image of ours
    yield (
        "flat.psd",
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 28, 40, 8, 3) + bytes(14) + planes,
    )
    rows = "\n".join(f'"{"ab" * 4}",' for _ in range(8))
    head = '/* XPM */\nstatic char *x[] = {\n"8 8 2 1",\n"a c #ff0000",\n"b c None",\n'
    yield "x.xpm", f"{head}{rows}}};".encode()
    brush = struct.pack(">IIIII", 28, 2, 8, 8, 4) + b"GIMP" + struct.pack(">I", 10)
    yield "x.gbr", brush + bytes(256)
    yield "x.ras", struct.pack(">8I", 0x59A66A95, 8, 8, 24, 192, 1, 0, 0) + bytes(range(192))
    yield "eps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    yield "photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    yield "photo.jxl", b"\xff\x0a\xfa\x1f" + bytes(60)


# ---------------------------------------------------------------- weight files


def weights() -> dict[str, bytes]:
    """File name → content: a tiny network in every form that is read."""
    torch.manual_seed(0)
    network = UNet(widths=(4, 8), patch=2, separable=True).train(False)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    few = dict(list(state.items())[:6])
    wrapped = {"state_dict": {f"module.{k}": v for k, v in few.items()}, "epoch": 3}
    found = {
        "whole.safetensors": save_tensors(state, {"format": "pt"}),
        "few.safetensors": save_tensors(few, {"toonout": "{}"}),
    }
    makers: dict[str, Callable[[Path | io.BytesIO], None]] = {
        "whole.pth": lambda to: torch.save(state, to),
        "few.pth": lambda to: torch.save(few, to),
        "wrapped.ckpt": lambda to: torch.save(wrapped, to),
        "old.pth": lambda to: torch.save(few, to, _use_new_zipfile_serialization=False),
    }
    for name, make in makers.items():
        stream = io.BytesIO()
        make(stream)
        found[name] = stream.getvalue()
    return found
