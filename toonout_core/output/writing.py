"""Write pictures to files: whole or not at all, and with the metadata that they came with."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL.Image import Exif, Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..errors import BadInput
from ..imaging import Metadata, to_array, to_pil, verify
from ..words import Array
from .gif import write_gif
from .publishing import Part, Told, named, partial_file, publish_as, publish_numbered, write_whole

Format = Literal["png", "webp", "jpg", "tiff", "gif"]

NO_METADATA = Metadata()
# of zlib: half the time of its usual 6 for cutouts 5 % larger; 1 makes halftones 70 % larger
PNG_LEVEL = 4
_BAND_ROWS = 32  # that tell how a picture is packed best
_LARGER = 1.1  # what time is worth


@dataclass(frozen=True)
class FileFormat:
    """What a kind of file can hold; `longest_px` is its largest side."""

    suffixes: tuple[str, ...]  # the first is written
    transparent: bool
    bits: tuple[int, ...]
    longest_px: int


FORMATS: dict[Format, FileFormat] = {
    "png": FileFormat((".png",), True, (1, 8, 16), 2**31 - 1),
    "webp": FileFormat((".webp",), True, (8,), 16383),
    "jpg": FileFormat((".jpg", ".jpeg"), False, (8,), 65535),
    "tiff": FileFormat((".tif", ".tiff"), True, (8,), 2**31 - 1),
    "gif": FileFormat((".gif",), True, (8,), 65535),
}


def format_of(path: Path) -> Format | None:
    """Return the format that the file name's ending stands for."""
    for name, kind in FORMATS.items():
        if path.suffix.lower() in kind.suffixes:
            return name
    return None


# ---------------------------------------------------------------- encoding


def encode(
    stream: IO[bytes],
    image: Tensor,
    alpha: Tensor | None = None,
    *,
    format: Format = "png",
    bits: int = 8,
    metadata: Metadata = NO_METADATA,
    quality: int | None = None,
) -> None:
    """Write the first item of `image` B×3×H×W or B×1×H×W with straight `alpha` B×1×H×W.

    `bits` of a channel: 8, for PNG also 16 or, for a mask that is split at one half, 1.
    `quality` 1 … 100 makes WebP lossy and sets JPEG's (95 otherwise). GIF has hard
    edges. All other formats keep artist and copyright. PNG keeps all text; WebP and JPEG keep
    `parameters` in EXIF's user comment, WebP also ComfyUI's graphs. Raises BadInput for what the
    format cannot hold.
    """
    kind = FORMATS[format]
    _require(kind, format, image, alpha, bits)
    colour = image.shape[1] == 3
    profile = metadata.icc_profile if colour and _is_rgb(metadata.icc_profile) else None
    if format == "png" and bits == 16:
        _encode_png16(stream, to_array(image[:1], 16, alpha)[0], metadata, profile)
        return
    if format == "gif":
        write_gif(stream, image, alpha)
        return
    picture = to_pil(image > 0.5).convert("1") if bits == 1 else to_pil(image, alpha)
    # Pillow takes an absent value for "none", and None for "as in the file that was read"
    shared: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if format != "webp" and metadata.dpi:
        shared["dpi"] = metadata.dpi
    if format == "png":
        picture.save(
            stream, "PNG", compress_level=PNG_LEVEL, compress_type=_strategy(picture),
            pnginfo=_png_text(metadata), exif=_exif(metadata, bare=True), **shared,
        )  # fmt: skip
    elif format == "tiff":
        picture.save(
            stream, "TIFF", compression="tiff_adobe_deflate", tiffinfo=_makers(metadata), **shared
        )
    elif format == "webp":
        picture.save(
            stream, "WEBP", lossless=quality is None, quality=quality or 80, exact=True,
            exif=_exif(metadata, graphs=True), **shared,
        )  # fmt: skip
    else:
        picture.save(
            stream, "JPEG", quality=quality or 95, subsampling=0, exif=_exif(metadata), **shared
        )


def _strategy(picture: Image) -> int:
    """Return how zlib packs a picture: by runs alone, in 0.6 of the time, unless that is larger.

    Cutouts become 0 to 3 % larger by it, but halftones 140 %. A band in the middle tells.
    """
    top = max((picture.height - _BAND_ROWS) // 2, 0)
    band = picture.crop((0, top, picture.width, min(top + _BAND_ROWS, picture.height)))
    sizes: list[int] = []
    for kind in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY):
        stream = BytesIO()
        band.save(stream, "PNG", compress_level=PNG_LEVEL, compress_type=kind)
        sizes.append(stream.tell())
    return zlib.Z_RLE if sizes[0] <= sizes[1] * _LARGER else zlib.Z_DEFAULT_STRATEGY


def _require(
    kind: FileFormat, name: Format, image: Tensor, alpha: Tensor | None, bits: int
) -> None:
    if alpha is not None and not kind.transparent:
        raise BadInput(
            f"a {name} picture must be opaque",
            "a transparent one",
            "Give a background colour, or save as png or webp.",
        )
    if bits not in kind.bits:
        raise BadInput(
            f"{name} must have {' or '.join(map(str, kind.bits))} bits a channel",
            str(bits),
            "Save as png.",
        )
    if bits == 1 and (image.shape[1] != 1 or alpha is not None):
        raise BadInput("a picture of 1 bit must be a mask", f"{image.shape[1]} channels")
    if max(image.shape[-2:]) > kind.longest_px:
        raise BadInput(
            f"the sides of a {name} picture must be at most {kind.longest_px} pixels",
            f"{image.shape[-1]}×{image.shape[-2]}",
            "Save as png.",
        )


def _is_rgb(profile: bytes | None) -> bool:
    """Tell whether a profile is for RGB: bytes 16–20 of its header say so. Another one would spoil
    the colours.
    """
    return profile is not None and profile[16:20] == b"RGB "


def _png_text(metadata: Metadata) -> PngInfo:
    info = PngInfo()
    for key, value in metadata.text.items():
        if 0 < len(key) < 80 and all(" " <= letter <= "~" for letter in key):
            info.add_text(key, value.replace("\0", ""))
    return info


# where ComfyUI keeps its graphs in files without text chunks, as "prompt:…" and "workflow:…"
_COMFY_TAGS = {"prompt": 0x0110, "workflow": 0x010F}


def _makers(metadata: Metadata) -> dict[int, bytes]:
    """Return EXIF's and TIFF's tags of who made the picture and who owns it.

    They are UTF-8, as most programs take it, though older readers expect ASCII.
    """
    said = {0x13B: metadata.artist, 0x8298: metadata.copyright}
    return {tag: text.encode() for tag, text in said.items() if text}


def _exif(metadata: Metadata, *, graphs: bool = False, bare: bool = False) -> bytes:
    """Return EXIF with artist and copyright.

    Unless `bare` it has `parameters` as the WebUI writes them: UserComment (0x9286) of the EXIF
    folder (0x8769). With `graphs` it has ComfyUI's own, as ComfyUI writes them.
    """
    exif = Exif()
    for tag, text in _makers(metadata).items():
        exif[tag] = text
    if not bare and (parameters := metadata.text.get("parameters")):
        exif[0x8769] = {0x9286: b"UNICODE\0" + parameters.encode("utf-16-be", "replace")}
    for key, tag in _COMFY_TAGS.items() if graphs else ():
        if graph := metadata.text.get(key):
            exif[tag] = f"{key}:{graph}"
    encoded = exif.tobytes() if len(exif) else b""
    # Pillow refuses a segment above 64 kB in JPEG; other formats have no such limit
    return encoded if graphs or bare or len(encoded) < 65500 else b""


# ---------------------------------------------------------------- 16-bit PNG (Pillow writes 8)


def _encode_png16(
    stream: IO[bytes], array: Array, metadata: Metadata, profile: bytes | None
) -> None:
    """Write `array` H×W×C uint16 with C 1 (grey), 3 or 4; PNG specification, sections 4 to 11."""
    height, width, channels = array.shape
    colour_type = {1: 0, 3: 2, 4: 6}[channels]
    stream.write(b"\x89PNG\r\n\x1a\n")
    png_chunk(stream, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    if profile:
        png_chunk(stream, b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if metadata.dpi:
        per_metre = [round(dpi / 0.0254) for dpi in metadata.dpi]
        png_chunk(stream, b"pHYs", struct.pack(">IIB", per_metre[0], per_metre[1], 1))
    if exif := _exif(metadata, bare=True):
        png_chunk(stream, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    for name, data, *_ in _png_text(metadata).chunks:
        png_chunk(stream, name, data)
    packer = zlib.compressobj(PNG_LEVEL)
    for rows in _filtered_rows(array.astype(">u2").view(np.uint8).reshape(height, -1), channels):
        if packed := packer.compress(rows):
            png_chunk(stream, b"IDAT", packed)
    png_chunk(stream, b"IDAT", packer.flush())
    png_chunk(stream, b"IEND", b"")


def png_chunk(stream: IO[bytes], name: bytes, data: bytes) -> None:
    """Write one chunk of a PNG."""
    stream.write(struct.pack(">I", len(data)) + name + data)
    stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _filtered_rows(rows: Array, channels: int, block: int = 64) -> Iterator[bytes]:
    """Filter each row (none, sub, up) so that the sum of absolute differences is smallest."""
    pixel = 2 * channels
    above = np.zeros_like(rows[:1])
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        left = np.pad(part, ((0, 0), (pixel, 0)))[:, :-pixel]
        upper = np.concatenate((above, part[:-1]))
        candidates = np.stack((part, part - left, part - upper))
        cost = np.abs(candidates.view(np.int8).astype(np.int16)).sum(-1, dtype=np.int64)
        best = cost.argmin(0)
        chosen = candidates[best, np.arange(len(part))]
        yield np.concatenate((best.astype(np.uint8)[:, None], chosen), 1).tobytes()
        above = part[-1:]


# ---------------------------------------------------------------- files


def write_checked(
    path: Path,
    encode: Callable[[IO[bytes]], Told],
    check: Callable[[Path], object] | None = None,
) -> Told:
    """Make the file `path` by `encode`, and see that it is whole and opens.

    Raises OSError or BadInput if not.
    """
    told = write_whole(path, encode)
    (check or verify)(path)
    return told


def publish_parts(parts: Sequence[Part], folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """Write pictures that belong together as `name` or `name_2` and so on, each with its suffix.

    Returns their paths, and what is worth knowing. All are there at the end, or none.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        partials: list[Path] = []
        for part in parts:
            partials.append(stack.enter_context(partial_file(folder)))
            notes += write_checked(partials[-1], part.encode, part.check)

        def names(number: int) -> list[Path]:
            counted = "" if number == 1 else f"_{number}"
            return [named(folder / name, f"{counted}{part.suffix}") for part in parts]

        return publish_numbered(partials, names), notes


def write(
    path: Path | str,
    image: Tensor,
    alpha: Tensor | None = None,
    *,
    format: Format | None = None,
    bits: int = 8,
    metadata: Metadata = NO_METADATA,
    quality: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Encode to a file and return its path: `path`, or one with a number where that is taken.

    `format` None goes by the name's ending. Nothing is left behind when it fails.
    """
    path = Path(path)
    kind = format or format_of(path)
    if kind is None:
        endings = ", ".join(suffix for kind in FORMATS.values() for suffix in kind.suffixes)
        raise BadInput(f"a picture's name must end in {endings}", repr(path.suffix))
    with partial_file(path.parent) as partial:
        write_checked(
            partial,
            lambda stream: encode(
                stream, image, alpha, format=kind, bits=bits, metadata=metadata, quality=quality
            ),
        )
        return publish_as(partial, path, overwrite=overwrite)
