"""Write OpenRaster (.ora): a ZIP of PNGs and a list, read by Krita, GIMP, MyPaint and others.

Source: openraster.org, version 0.0.5.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO
from xml.etree import ElementTree
from zipfile import ZIP_STORED, ZipFile

from torch import Tensor
from torch.nn import functional

from ..imaging import from_levels
from ..output.writing import encode
from .record import LayeredPicture

_THUMBNAIL_PX = 256


def write_openraster(stream: IO[bytes], picture: LayeredPicture) -> None:
    """Write `picture` to a binary stream that can seek."""
    colours, alpha = picture.flat()
    with ZipFile(stream, "w", ZIP_STORED) as archive:  # PNGs are packed already
        archive.writestr("mimetype", "image/openraster")  # the first entry, by the specification
        for index, layer in enumerate(picture.layers):
            archive.writestr(_file(index), _png(from_levels(layer.image), from_levels(layer.alpha)))
        archive.writestr("stack.xml", _stack(picture))
        archive.writestr("mergedimage.png", _png(colours, alpha))
        archive.writestr("Thumbnails/thumbnail.png", _thumbnail(colours, alpha))


def _file(index: int) -> str:
    """Name a file by a number: a layer's own name may not be fit for a file."""
    return f"data/layer{index:03d}.png"


def _png(colours: Tensor, alpha: Tensor) -> bytes:
    stream = BytesIO()
    encode(stream, colours, alpha)
    return stream.getvalue()


def _thumbnail(colours: Tensor, alpha: Tensor) -> bytes:
    scale = min(1.0, _THUMBNAIL_PX / max(colours.shape[-2:]))
    size = [max(1, round(side * scale)) for side in colours.shape[-2:]]
    shown, opacity = (
        functional.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
        for part in (colours, alpha)
    )
    return _png(shown.clamp(0, 1), opacity.clamp(0, 1))


def _stack(picture: LayeredPicture) -> bytes:
    """Write the list of layers, the uppermost first, groups as stacks in the stack."""
    height, width = picture.size_hw
    root = ElementTree.Element("image", version="0.0.5", w=str(width), h=str(height))
    top = ElementTree.SubElement(root, "stack")
    groups: dict[str, ElementTree.Element] = {}
    for index, layer in reversed([*enumerate(picture.layers)]):
        place = top
        if layer.group:
            if layer.group not in groups:
                name = _printable(layer.group)
                groups[layer.group] = ElementTree.SubElement(top, "stack", name=name)
            place = groups[layer.group]
        ElementTree.SubElement(
            place, "layer", {
                "name": _printable(layer.name),
                "src": _file(index),
                "x": str(layer.left_px),
                "y": str(layer.top_px),
                "opacity": f"{layer.opacity:.4f}",
                "visibility": "visible" if layer.visible else "hidden",
                "composite-op": "svg:src-over",
            },
        )  # fmt: skip
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _printable(name: str) -> str:
    """Leave out what XML cannot hold: control characters and halves of surrogate pairs."""
    return "".join(letter if letter.isprintable() else " " for letter in name)
