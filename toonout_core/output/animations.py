"""Write frames into an animated picture: PNG (APNG), WebP or GIF, each shown as long as it says.

Every frame is encoded as a still picture, and its packed pixels are put into the animation. So a
clip of any length takes the memory of one frame, and alike frames stay frames of their own.

Sources: W3C, Portable Network Graphics, third edition, section 11.3.4; Google, WebP Container
Specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Protocol

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import Metadata
from .gif import GifAnimation
from .publishing import partial_file, publish_as
from .writing import FORMATS, NO_METADATA, Format, encode, png_chunk, write_checked

_PNG_HEAD = 8  # bytes before the first chunk
_LARGEST_WEBP = 2**32 - 10
_ICC, _ALPHA, _EXIF, _MOVING = 0x20, 0x10, 0x08, 0x02  # flags of WebP
_NO_BLENDING = 2


@dataclass(frozen=True)
class Frame:
    """One frame of an animation.

    `image` 1×3×H×W or 1×1×H×W and its straight `alpha` 1×1×H×W, if any, in [0, 1]; `seconds`: how
    long it is shown.
    """

    image: Tensor
    alpha: Tensor | None
    seconds: float


@dataclass(frozen=True)
class AnimationOptions:
    """`plays`: how often it runs, 0 for ever. `bits`, `quality`, `metadata`: see `encode`."""

    format: Format = "png"
    plays: int = 0
    bits: int = 8
    quality: int | None = None
    metadata: Metadata = NO_METADATA


class StillSink(Protocol):
    """Takes frames; each says for how many ticks it is shown."""

    @property
    def ticks_per_second(self) -> int: ...

    def add(self, image: Tensor, alpha: Tensor | None, ticks: int) -> None: ...

    def close(self) -> None: ...


MOVING: frozenset[Format] = frozenset({"png", "webp", "gif"})


def write_animation(stream: IO[bytes], frames: Iterable[Frame], options: AnimationOptions) -> int:
    """Write to a binary stream that can seek; returns how many frames there were.

    The first frame decides size and transparency. Raises BadInput for no frames, for frames of
    different sizes, and for what the format cannot hold.
    """
    if options.format not in MOVING:
        raise BadInput(f"an animation must be one of {', '.join(sorted(MOVING))}", options.format)
    sink: StillSink | None = None
    first: Frame | None = None
    count, shown_s, shown = 0, 0.0, 0
    for frame in frames:
        if sink is None or first is None:
            first, sink = frame, begin_animation(stream, frame, options)
        image, alpha = _alike(frame, first)
        shown_s += frame.seconds
        ticks = max(1, round(shown_s * sink.ticks_per_second) - shown)
        sink.add(image, alpha, ticks)
        shown += ticks
        count += 1
    if sink is None:
        raise BadInput("an animation must hold frames", "none")
    sink.close()
    return count


def publish_animation(path: Path, frames: Iterable[Frame], options: AnimationOptions) -> Path:
    """Write an animation under a name, or with a free number behind it. Returns its name."""
    with partial_file(path.parent) as unfinished:
        write_checked(unfinished, partial(write_animation, frames=frames, options=options))
        return publish_as(unfinished, path, overwrite=False)


def begin_animation(stream: IO[bytes], frame: Frame, options: AnimationOptions) -> StillSink:
    """Make what takes `frame` and those after it. Raises BadInput if the format cannot hold it."""
    if max(frame.image.shape[-2:]) > FORMATS[options.format].longest_px:
        encode(stream, frame.image, frame.alpha, format=options.format)  # which says why not
    if options.format == "gif":
        height, width = frame.image.shape[-2:]
        return GifAnimation(stream, (height, width), options.plays)
    kinds: dict[Format, type[_Png | _WebP]] = {"png": _Png, "webp": _WebP}
    return kinds[options.format](stream, options)


def _alike(frame: Frame, first: Frame) -> tuple[Tensor, Tensor | None]:
    if frame.image.shape != first.image.shape or (first.alpha is None and frame.alpha is not None):
        raise BadInput(
            f"all frames must be as the first, of shape {tuple(first.image.shape)}",
            f"{tuple(frame.image.shape)}{' with alpha' if frame.alpha is not None else ''}",
        )
    if first.alpha is not None and frame.alpha is None:
        return frame.image, torch.ones_like(first.alpha)
    return frame.image, frame.alpha


# ---------------------------------------------------------------- PNG


class _Png:
    ticks_per_second = 1000

    def __init__(self, stream: IO[bytes], options: AnimationOptions) -> None:
        self._stream, self._options = stream, options
        self._frames = self._chunks = self._head_at = 0

    def add(self, image: Tensor, alpha: Tensor | None, ticks: int) -> None:
        still = BytesIO()
        metadata = NO_METADATA if self._frames else self._options.metadata
        encode(still, image, alpha, bits=self._options.bits, metadata=metadata)
        chunks = list(_png_chunks(still.getvalue()))
        if not self._frames:
            self._begin(still.getvalue()[:_PNG_HEAD], chunks)
        self._say_when(int(image.shape[-1]), int(image.shape[-2]), ticks)
        for name, data in chunks:
            if name != b"IDAT":
                continue
            if self._frames:
                png_chunk(self._stream, b"fdAT", self._number() + data)
            else:
                png_chunk(self._stream, name, data)
        self._frames += 1

    def _begin(self, head: bytes, chunks: list[tuple[bytes, bytes]]) -> None:
        self._stream.write(head)
        for name, data in chunks:
            if name not in (b"IDAT", b"IEND"):
                png_chunk(self._stream, name, data)
            if name == b"IHDR":
                self._head_at = self._stream.tell()
                self._say_how_many()

    def _say_how_many(self) -> None:
        counts = struct.pack(">II", self._frames, self._options.plays)
        png_chunk(self._stream, b"acTL", counts)

    def _say_when(self, width: int, height: int, ticks: int) -> None:
        """The whole picture anew, whatever was shown before."""
        unit, longest = self.ticks_per_second, 65535
        if ticks > longest:
            ticks, unit = min(ticks // 1000, longest), 1
        # nothing is done after it, and its pixels replace those that are there
        shown = struct.pack(">IIIIHHBB", width, height, 0, 0, ticks, unit, 0, 0)
        png_chunk(self._stream, b"fcTL", self._number() + shown)

    def _number(self) -> bytes:
        self._chunks += 1
        return struct.pack(">I", self._chunks - 1)

    def close(self) -> None:
        png_chunk(self._stream, b"IEND", b"")
        end = self._stream.tell()
        self._stream.seek(self._head_at)
        self._say_how_many()
        self._stream.seek(end)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _PNG_HEAD
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12


# ---------------------------------------------------------------- WebP


class _WebP:
    ticks_per_second = 1000

    def __init__(self, stream: IO[bytes], options: AnimationOptions) -> None:
        self._stream, self._options = stream, options
        self._start = stream.tell()
        self._exif: bytes | None = None
        self._begun = False

    def add(self, image: Tensor, alpha: Tensor | None, ticks: int) -> None:
        still = BytesIO()
        encode(
            still, image, alpha, format="webp", quality=self._options.quality,
            metadata=NO_METADATA if self._begun else self._options.metadata,
        )  # fmt: skip
        chunks = dict(_riff_chunks(still.getvalue()))
        size = _u24(image.shape[-1] - 1) + _u24(image.shape[-2] - 1)
        if not self._begun:
            self._begin(chunks, size, transparent=alpha is not None)
        pixels = b"".join(
            _riff_chunk(name, chunks[name])
            for name in (b"ALPH", b"VP8 ", b"VP8L")
            if name in chunks
        )
        head = _u24(0) + _u24(0) + size + _u24(min(ticks, 2**24 - 1)) + bytes([_NO_BLENDING])
        self._stream.write(_riff_chunk(b"ANMF", head + pixels))

    def _begin(self, chunks: dict[bytes, bytes], size: bytes, *, transparent: bool) -> None:
        self._begun, self._exif = True, chunks.get(b"EXIF")
        profile = chunks.get(b"ICCP")
        flags = _MOVING | _ALPHA * transparent
        flags |= _ICC * (profile is not None) | _EXIF * (self._exif is not None)
        self._stream.write(b"RIFF\0\0\0\0WEBP")  # the size follows at the end
        self._stream.write(_riff_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size))
        if profile is not None:
            self._stream.write(_riff_chunk(b"ICCP", profile))
        plays = min(self._options.plays, 65535)
        self._stream.write(_riff_chunk(b"ANIM", struct.pack("<IH", 0, plays)))

    def close(self) -> None:
        if self._exif is not None:
            self._stream.write(_riff_chunk(b"EXIF", self._exif))
        end = self._stream.tell()
        size = end - self._start - 8
        if size > _LARGEST_WEBP:
            raise BadInput("a webp animation must stay below 4 GB", f"{size / 2**30:.1f} GB")
        self._stream.seek(self._start + 4)
        self._stream.write(struct.pack("<I", size))
        self._stream.seek(end)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12  # after RIFF, the size and WEBP
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _riff_chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _u24(number: int) -> bytes:
    return int(number).to_bytes(3, "little")
