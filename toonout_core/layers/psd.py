"""Write Photoshop's file format: named layers in groups, 8 bit, RLE, with a flat preview.

Source: Adobe Photoshop File Formats Specification. Photoshop, Krita and GIMP read what is written:
RGB with transparency, Unicode names, an sRGB profile, and the merged picture for programs that know
no layers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from torch import Tensor

from ..errors import BadInput
from ..imaging import to_levels
from ..words import Array
from .packbits import packbits
from .record import Layer, LayeredPicture

LONGEST_PX = 30_000
LARGEST_BYTES = 2**31 - 1  # sizes are 32 bit; GIMP and Krita read them with a sign

_RESOLUTION, _ICC_PROFILE = 1005, 1039  # numbers of image resources
_PIXELS_PER_INCH = 72
_OPEN_GROUP, _GROUP_END = 1, 3  # kinds of section divider
_HIDDEN = 2  # bit 1 of a layer's flags
_ALPHA = -1  # its channel's number


def write_psd(stream: IO[bytes], picture: LayeredPicture) -> None:
    """Write `picture` to a binary stream. Raises BadInput for what the format cannot hold."""
    height, width = picture.size_hw
    if max(height, width) > LONGEST_PX:
        raise BadInput(
            f"the sides of a PSD must be at most {LONGEST_PX} pixels",
            f"{width}×{height}",
            "Save as OpenRaster (.ora).",
        )
    colours, alpha = picture.flat()
    opaque = bool((alpha == 1).all())
    stream.write(b"8BPS" + struct.pack(">H6xHIIHH", 1, 3 if opaque else 4, height, width, 8, 3))
    stream.write(struct.pack(">I", 0))  # no palette
    stream.write(_sized(_resources()))
    stream.write(_sized(_layer_section(picture, opaque)))
    _write_merged(stream, colours, alpha, opaque)


def _resources() -> bytes:
    """Write resolution and colour profile."""
    from PIL import ImageCms  # slow to import

    dots = struct.pack(">IHHIHH", _PIXELS_PER_INCH << 16, 1, 1, _PIXELS_PER_INCH << 16, 1, 1)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return _resource(_RESOLUTION, dots) + _resource(_ICC_PROFILE, profile)


def _resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HH", number, 0) + _sized(data) + b"\0" * (len(data) % 2)


def _layer_section(picture: LayeredPicture, opaque: bool) -> bytes:
    """Write the records of all layers, then their pixels, the lowest first."""
    records: list[bytes] = []
    pixels: list[bytes] = []
    for number, (layer, kind) in enumerate(_entries(picture), 1):
        channels = _channels(layer) if kind == 0 else [(n, b"\0\0") for n in (_ALPHA, 0, 1, 2)]
        records.append(_record(layer, kind, channels, number))
        pixels += [data for _, data in channels]
    # a negative count says that the merged picture's fourth channel is its transparency
    count = len(records) if opaque else -len(records)
    info = b"".join((struct.pack(">h", count), *records, *pixels))
    info += b"\0" * (-len(info) % 4)
    if len(info) > LARGEST_BYTES:
        raise BadInput(
            "a PSD must stay below 2 GB",
            f"{len(info) / 2**30:.1f} GB of layers",
            "Save as OpenRaster (.ora), or fewer layers.",
        )
    return _sized(info) + struct.pack(">I", 0)  # no mask that concerns all layers


def _entries(picture: LayeredPicture) -> Iterator[tuple[Layer, int]]:
    """List the layers, and the two marks around every group: its end lies below it, its
    name above.
    """
    group = ""
    opening: Layer | None = None
    for layer in picture.layers:
        if layer.group != group:
            if opening is not None:
                yield opening, _OPEN_GROUP
            group = layer.group
            opening = _mark(layer, group) if group else None
            if group:
                yield _mark(layer, "</Layer group>"), _GROUP_END
        yield layer, 0
    if opening is not None:
        yield opening, _OPEN_GROUP


def _mark(layer: Layer, name: str) -> Layer:
    """Make a layer without pixels."""
    return Layer(name, layer.image[..., :0, :0], layer.alpha[..., :0, :0])


def _channels(layer: Layer) -> list[tuple[int, bytes]]:
    """Return number and packed pixels of transparency, red, green and blue."""
    planes = [(_ALPHA, layer.alpha[0, 0]), *enumerate(layer.image[0])]
    return [(number, _rle(plane.numpy())) for number, plane in planes]


def _rle(plane: Array) -> bytes:
    """Write a channel with the mark of its compression and the lengths of its rows."""
    packed, lengths = packbits(plane)
    return struct.pack(">H", 1) + lengths.astype(">u2").tobytes() + packed


def _record(layer: Layer, kind: int, channels: list[tuple[int, bytes]], number: int) -> bytes:
    height, width = layer.size_hw
    box = (layer.top_px, layer.left_px, layer.top_px + height, layer.left_px + width)
    head = struct.pack(">4iH", *(box if kind == 0 else (0, 0, 0, 0)), len(channels))
    head += b"".join(struct.pack(">hI", number, len(data)) for number, data in channels)
    flags = 0 if layer.visible else _HIDDEN
    blend = b"pass" if kind == _OPEN_GROUP else b"norm"
    head += b"8BIM" + (b"norm" if kind == _GROUP_END else blend)
    head += struct.pack(">4B", round(layer.opacity * 255), 0, flags, 0)
    extra = struct.pack(">II", 0, 0) + _short_name(layer.name)  # no mask, no blending ranges
    extra += _block(b"luni", _unicode(layer.name)) + _block(b"lyid", struct.pack(">I", number))
    if kind:
        extra += _block(b"lsct", struct.pack(">I", kind) + b"8BIM" + blend)
    return head + _sized(extra)


def _short_name(name: str) -> bytes:
    """Shorten the name for programs that know no Unicode: at most 31 bytes, padded to 4."""
    text = name.encode("ascii", "replace")[:31]
    data = bytes([len(text)]) + text
    return data + b"\0" * (-len(data) % 4)


def _unicode(name: str) -> bytes:
    text = name.encode("utf-16-be", "replace")
    data = struct.pack(">I", len(text) // 2) + text
    return data + b"\0" * (-len(data) % 4)


def _block(key: bytes, data: bytes) -> bytes:
    return b"8BIM" + key + _sized(data)


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _write_merged(stream: IO[bytes], colours: Tensor, alpha: Tensor, opaque: bool) -> None:
    """Write the flat picture: colours as they look on white, as Photoshop writes them,
    then alpha.
    """
    planes = [*to_levels(colours * alpha + (1 - alpha))[0]]
    if not opaque:
        planes.append(to_levels(alpha)[0, 0])
    packed = [packbits(plane.numpy()) for plane in planes]
    stream.write(struct.pack(">H", 1))
    for _, lengths in packed:
        stream.write(lengths.astype(">u2").tobytes())
    for data, _ in packed:
        stream.write(data)
