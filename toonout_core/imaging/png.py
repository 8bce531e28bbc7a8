"""Give Pillow the parts of a PNG that concern pixels, and read the rest here, where it harms
nothing.

W3C, Portable Network Graphics, third edition, sections 5 and 11.
"""

from __future__ import annotations

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, cast
from zlib import decompressobj

from .facts import Facts

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_FOR_PIXELS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})  # of those that decoders may ignore
_LARGEST = 16_000_000  # bytes of one text or profile
_DPI_PER_METRE = 0.0254


@dataclass(frozen=True)
class _Chunk:
    """`start`: where its content is in the stream."""

    kind: bytes
    start: int
    size: int
    whole: bool


def filtered(stream: IO[bytes], deep_px: int) -> tuple[IO[bytes], Facts]:
    """Return a stream of what Pillow needs for the pixels, and what the rest of the file says.

    Grey with alpha of 16 bits, which Pillow cannot read, comes as RGBA of 8 bits with the same
    bytes: high and low byte of grey, high and low byte of alpha; not above `deep_px` pixels.
    """
    facts = Facts()
    parts: list[bytes | tuple[int, int]] = [SIGNATURE]
    header = b""
    ended = False
    for chunk in _chunks(stream):
        ended |= chunk.kind == b"IEND"
        if chunk.kind == b"IHDR" and not header:
            header = _content(stream, chunk)
            facts.grey_alpha_16 = header[8:10] == b"\x10\x04" and _area(header) <= deep_px
            if facts.grey_alpha_16:
                parts.append(_packed(b"IHDR", header[:8] + b"\x08\x06" + header[10:]))
                continue
        optional = chunk.kind[0] >= ord("a")
        if optional and not _is_sound(stream, chunk, header):
            facts.leave_out(f"a part of the file ({chunk.kind.decode('latin-1')})", "damaged")
        elif not optional or chunk.kind in _FOR_PIXELS:
            _append(parts, chunk.start - 8, chunk.size + 12)
        elif chunk.whole:
            _learn(facts, chunk.kind, stream, chunk)
    if not ended:
        facts.note("the end mark of the file is missing")
    return cast(IO[bytes], _Spliced(stream, parts)), facts


def _area(header: bytes) -> int:
    return int.from_bytes(header[:4], "big") * int.from_bytes(header[4:8], "big")


def _append(parts: list[bytes | tuple[int, int]], start: int, length: int) -> None:
    last = parts[-1]
    if not isinstance(last, bytes) and sum(last) == start:
        parts[-1] = (last[0], last[1] + length)
    else:
        parts.append((start, length))


def _chunks(stream: IO[bytes]) -> Iterator[_Chunk]:
    end = stream.seek(0, io.SEEK_END)
    place = len(SIGNATURE)
    while place + 12 <= end:
        stream.seek(place)
        size, kind = struct.unpack(">I4s", stream.read(8))
        if not kind.isalpha():
            return
        whole = place + 12 + size <= end
        yield _Chunk(kind, place + 8, min(size, end - place - 12), whole)
        place += 12 + size
        if kind == b"IEND":
            return


def _content(stream: IO[bytes], chunk: _Chunk) -> bytes:
    stream.seek(chunk.start)
    return stream.read(chunk.size)


def _packed(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _is_sound(stream: IO[bytes], chunk: _Chunk, header: bytes) -> bool:
    """Check what decoders may ignore: a checksum, and of transparency also the length."""
    if chunk.kind in _FOR_PIXELS - {b"tRNS"} or not chunk.whole or chunk.size > 4 * _LARGEST:
        return chunk.whole
    content = _content(stream, chunk)
    if stream.read(4) != struct.pack(">I", zlib.crc32(content, zlib.crc32(chunk.kind))):
        return False
    if chunk.kind != b"tRNS":
        return True
    lengths = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}
    return chunk.size in lengths.get(header[9] if len(header) > 9 else -1, ())


class _Spliced(io.RawIOBase):
    """Parts of a stream, given as (start, length), and other bytes, one after the other."""

    def __init__(self, stream: IO[bytes], parts: list[bytes | tuple[int, int]]) -> None:
        self._stream, self._parts = stream, parts
        self._starts = [0]
        for part in parts:
            length = len(part) if isinstance(part, bytes) else part[1]
            self._starts.append(self._starts[-1] + length)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence]
        self._place = max(0, base + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._starts[-1] if size is None or size < 0 else size
        read: list[bytes] = []
        while wanted > 0 and self._place < self._starts[-1]:
            piece = self._piece(bisect_right(self._starts, self._place) - 1, wanted)
            if not piece:
                break
            read.append(piece)
            self._place += len(piece)
            wanted -= len(piece)
        return b"".join(read)

    def _piece(self, index: int, wanted: int) -> bytes:
        part, skipped = self._parts[index], self._place - self._starts[index]
        if isinstance(part, bytes):
            return part[skipped : skipped + wanted]
        self._stream.seek(part[0] + skipped)
        return self._stream.read(min(wanted, part[1] - skipped))


# ---------------------------------------------------------------- what the rest says


def _learn(facts: Facts, kind: bytes, stream: IO[bytes], chunk: _Chunk) -> None:
    """Take in what a chunk says; add a note where it is broken or too large."""
    if kind not in _READERS:
        return
    name, reader = _READERS[kind]
    with facts.optional(name):
        if chunk.size > _LARGEST:
            raise ValueError(f"more than {_LARGEST // 10**6} MB")
        reader(facts, _content(stream, chunk))


def _text(facts: Facts, content: bytes) -> None:
    key, _, value = content.partition(b"\0")
    facts.text[key.decode("latin-1")] = value.decode("latin-1")


def _packed_text(facts: Facts, content: bytes) -> None:
    key, _, value = content.partition(b"\0")
    facts.text[key.decode("latin-1")] = _unpacked(facts, value[1:]).decode("latin-1")


def _international_text(facts: Facts, content: bytes) -> None:
    key, _, rest = content.partition(b"\0")
    packed, rest = rest[:1] == b"\1", rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, value = rest.partition(b"\0")
    facts.text[key.decode("latin-1")] = (_unpacked(facts, value) if packed else value).decode()


def _profile(facts: Facts, content: bytes) -> None:
    _name, _, rest = content.partition(b"\0")
    facts.icc_profile = _unpacked(facts, rest[1:])


def _unpacked(facts: Facts, content: bytes) -> bytes:
    """Unpack zlib with a limit: no part of a file becomes more than `_LARGEST`, nor all
    parts `room`.
    """
    packer = decompressobj()
    most = min(_LARGEST, facts.room)
    unpacked = packer.decompress(content, max(1, most))
    facts.room -= len(unpacked)
    if len(unpacked) >= most:
        raise ValueError(f"more than {_LARGEST // 10**6} MB")
    return unpacked


def _density(facts: Facts, content: bytes) -> None:
    across, down, unit = struct.unpack(">IIB", content)
    if unit == 1:
        facts.dpi = (across * _DPI_PER_METRE, down * _DPI_PER_METRE)


def _exif(facts: Facts, content: bytes) -> None:
    facts.exif = content


def _gamma(facts: Facts, content: bytes) -> None:
    facts.colours.gamma = struct.unpack(">I", content)[0] / 1e5


def _chromaticities(facts: Facts, content: bytes) -> None:
    facts.colours.white_and_primaries = tuple(v / 1e5 for v in struct.unpack(">8I", content))


def _standard(facts: Facts, content: bytes) -> None:
    facts.colours.is_srgb = True


def _code_points(facts: Facts, content: bytes) -> None:
    facts.colours.code_points = struct.unpack(">4B", content)[:2]


_Reader = Callable[[Facts, bytes], None]
_READERS: dict[bytes, tuple[str, _Reader]] = {
    b"tEXt": ("a text", _text),
    b"zTXt": ("a text", _packed_text),
    b"iTXt": ("a text", _international_text),
    b"iCCP": ("the colour profile", _profile),
    b"pHYs": ("the resolution", _density),
    b"eXIf": ("EXIF", _exif),
    b"gAMA": ("the gamma", _gamma),
    b"cHRM": ("the primaries", _chromaticities),
    b"sRGB": ("the colour space", _standard),
    b"cICP": ("the colour space", _code_points),
}
