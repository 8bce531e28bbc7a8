"""Animated PNG and WebP, written frame by frame: no more than two frames are held.

Pillow writes both too, but keeps every frame until the end. It encodes the frames here; what is
written around them is APNG's `acTL`, `fcTL` and `fdAT`, and WebP's `VP8X`, `ANIM` and `ANMF`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadInput
from .layouts import Array

_WEBP_LONGEST_PX = 16383
_LONGEST_MS = 2**24 - 1


class Animated:
    """Takes H×W×3 or H×W×4 arrays of 8 bit, all of one shape, and how long each is shown."""

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._file = path.open("xb")
        self._shape = shape
        self._before: Array | None = None
        self._begin()

    def add(self, frame: Array, start: Fraction, seconds: Fraction) -> None:
        """A frame that is shown from `start` on, for `seconds`. Only what has changed is kept."""
        top, left, bottom, right = self._changed(frame)
        self._before = frame
        self._frame(frame[top:bottom, left:right], (left, top), start, seconds)

    def close(self) -> None:
        """Finish the file. Raises OSError."""
        with self._file:
            self._end()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _changed(self, frame: Array) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what differs from the frame before; at even places."""
        if self._before is None:
            return 0, 0, frame.shape[0], frame.shape[1]
        differs = (frame != self._before).any(-1)
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        if not len(rows):
            return 0, 0, 1, 1  # a frame must hold a pixel
        top, left = int(rows[0]) // 2 * 2, int(columns[0]) // 2 * 2
        return top, left, int(rows[-1]) + 1, int(columns[-1]) + 1

    def _begin(self) -> None:
        raise NotImplementedError

    def _frame(
        self, part: Array, place: tuple[int, int], start: Fraction, seconds: Fraction
    ) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class AnimatedPng(Animated):
    """APNG, which repeats for ever; of PNG's third edition."""

    def _begin(self) -> None:
        height, width, channels = self._shape
        self._count = self._sequence = 0
        self._file.write(b"\x89PNG\r\n\x1a\n")
        kind = {3: 2, 4: 6}[channels]
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        self._control_at = self._file.tell()
        self._chunk(b"acTL", struct.pack(">II", 0, 0))  # how many frames there are: at the end

    def _frame(
        self, part: Array, place: tuple[int, int], start: Fraction, seconds: Fraction
    ) -> None:
        height, width = part.shape[:2]
        shown = _short(seconds)
        # neither is anything taken away after the frame, nor is it blended
        control = struct.pack(">IIII", width, height, *place)
        control += struct.pack(">HHBB", shown.numerator, shown.denominator, 0, 0)
        self._chunk(b"fcTL", self._numbered() + control)
        for data in _png_data(part):
            if self._count:
                self._chunk(b"fdAT", self._numbered() + data)
            else:
                self._chunk(b"IDAT", data)
        self._count += 1

    def _end(self) -> None:
        self._chunk(b"IEND", b"")
        self._file.seek(self._control_at)
        self._chunk(b"acTL", struct.pack(">II", self._count, 0))

    def _numbered(self) -> bytes:
        self._sequence += 1
        return struct.pack(">I", self._sequence - 1)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _short(seconds: Fraction) -> Fraction:
    """The nearest fraction of two numbers of 16 bits."""
    room = 65535 if seconds <= 1 else int(65535 / seconds)
    return min(seconds, Fraction(65535)).limit_denominator(max(room, 1))


def _png_data(part: Array) -> Iterator[bytes]:
    """The contents of the IDAT chunks of a still PNG."""
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(part)).save(held, "PNG", compress_level=4)
    data, at = held.getvalue(), 8
    while at < len(data):
        (length,), name = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        if name == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


class AnimatedWebp(Animated):
    """Animated WebP, which repeats for ever. `quality` None: without loss; alpha always is."""

    def __init__(self, path: Path, shape: tuple[int, int, int], quality: int | None) -> None:
        if max(shape) > _WEBP_LONGEST_PX:
            raise BadInput(
                f"the sides of a webp picture must be at most {_WEBP_LONGEST_PX} pixels",
                f"{shape[1]}×{shape[0]}",
                "Save as mov, mkv or apng.",
            )
        self._quality = quality
        super().__init__(path, shape)

    def _begin(self) -> None:
        height, width, channels = self._shape
        flags = 0x02 | (0x10 if channels == 4 else 0)  # animated, with alpha
        self._file.write(b"RIFF\0\0\0\0WEBP")  # how long it is: at the end
        self._chunk(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1))
        self._chunk(b"ANIM", struct.pack("<IH", 0, 0))

    def _frame(
        self, part: Array, place: tuple[int, int], start: Fraction, seconds: Fraction
    ) -> None:
        height, width = part.shape[:2]
        # rounded at both ends, so that the roundings do not add up
        shown = max(round((start + seconds) * 1000) - round(start * 1000), 1)
        left, top = place
        facts = (left // 2, top // 2, width - 1, height - 1, min(shown, _LONGEST_MS))
        not_blended = b"\x02"
        self._chunk(b"ANMF", b"".join(map(_three, facts)) + not_blended + self._still(part))

    def _end(self) -> None:
        size = self._file.tell()
        self._file.seek(4)
        self._file.write(struct.pack("<I", size - 8))

    def _still(self, part: Array) -> bytes:
        """The chunks of a still WebP that hold pixels."""
        held = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(part)).save(
            held, "WEBP", lossless=self._quality is None, quality=self._quality or 50,
            exact=True, method=3,
        )  # fmt: skip
        data, at, kept = held.getvalue(), 12, b""
        while at < len(data):
            (length,), name = struct.unpack("<I", data[at + 4 : at + 8]), data[at : at + 4]
            end = at + 8 + length + length % 2
            if name in (b"ALPH", b"VP8 ", b"VP8L"):
                kept += data[at:end]
            at = end
        return kept

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def _three(number: int) -> bytes:
    """24 bits, the lowest first."""
    return struct.pack("<I", number)[:3]
