"""Write GIF: 256 colours, and pixels that are transparent or not. Still pictures, and animations.

Pillow finds the colours and packs the pixels of every frame. The blocks around them are written
here, so that no frame is kept, none is merged with an alike one, and each replaces the one before.
Source: CompuServe, Graphics Interchange Format, version 89a.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import IO, Any

from torch import Tensor

from ..imaging import to_pil

_COLOURS = 256
_CLEAR = _COLOURS - 1  # the colour that stands for "transparent"
_LONGEST_CS = 65535  # hundredths of a second
_KEEP, _CLEAR_AFTER = 1, 2  # what is done with a frame before the next one is drawn


def write_gif(stream: IO[bytes], image: Tensor, alpha: Tensor | None) -> None:
    """Write the first item of B×3×H×W or B×1×H×W, visible where `alpha` B×1×H×W is at
    least one half.
    """
    _paletted(image, alpha).save(stream, "GIF", **_options(alpha))


class GifAnimation:
    """Frames of one size, written to a stream one after the other."""

    ticks_per_second = 100

    def __init__(self, stream: IO[bytes], size_hw: tuple[int, int], plays: int) -> None:
        self._stream = stream
        height, width = size_hw
        stream.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0))
        if plays != 1:  # the number of times that it is repeated, 0 for ever
            again = struct.pack("<H", min(max(plays - 1, 0), 65535))
            stream.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + again + b"\0")

    def add(self, image: Tensor, alpha: Tensor | None, ticks: int) -> None:
        """1×3×H×W or 1×1×H×W, its alpha, and for how many hundredths of a second it is shown."""
        after = _KEEP if alpha is None else _CLEAR_AFTER
        flags = after << 2 | (alpha is not None)
        shown = struct.pack("<BHB", flags, min(ticks, _LONGEST_CS), _CLEAR)
        self._stream.write(b"\x21\xf9\x04" + shown + b"\0")
        still = BytesIO()
        write_gif(still, image, alpha)
        self._stream.write(_drawing(still.getvalue()))

    def close(self) -> None:
        """Write what follows the last frame."""
        self._stream.write(b"\x3b")


def _paletted(image: Tensor, alpha: Tensor | None) -> Any:
    """Give a picture of Pillow's a palette of 256 colours."""
    picture = to_pil(image).convert("RGB").quantize(_COLOURS if alpha is None else _CLEAR)
    colours = picture.getpalette() or []
    picture.putpalette((colours + [0] * 3 * _COLOURS)[: 3 * _COLOURS])
    if alpha is not None:
        picture.paste(_CLEAR, mask=to_pil((alpha < 0.5).to(alpha)).convert("1"))
    return picture


def _options(alpha: Tensor | None) -> dict[str, Any]:
    fixed: dict[str, Any] = {"optimize": False, "interlace": 0}
    return fixed if alpha is None else fixed | {"transparency": _CLEAR}


def _drawing(data: bytes) -> bytes:
    """Return the one picture of a GIF file with its colours: descriptor, palette, packed pixels."""
    bits = data[10] & 7
    at = 13 + 3 * 2 ** (bits + 1)
    palette = data[13:at]
    while data[at : at + 1] == b"\x21":  # what is said beside the picture
        at = _after_blocks(data, at + 2)
    descriptor = data[at : at + 9] + bytes([0x80 | bits])
    start = at + 10
    return descriptor + palette + data[start : _after_blocks(data, start + 1)]


def _after_blocks(data: bytes, at: int) -> int:
    """Skip blocks, which begin with their length; one of length 0 is the last."""
    while data[at]:
        at += 1 + data[at]
    return at + 1
