"""Read what a file says beside its pixels. Nothing of it is ever a reason not to read the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from PIL import Image

from .guard import attempting
from .picture import Metadata

_ORIENTATION, _ARTIST, _COPYRIGHT = 0x112, 0x13B, 0x8298
_EXIF_FOLDER, _USER_COMMENT = 0x8769, 0x9286

_DPI = (1, 65535)  # what files can hold
_LONGEST = 10_000  # letters of an artist's name or a copyright

# what Pillow keeps in `info` about the encoding, not about the picture
_NOT_TEXT = frozenset(
    {"comment", "compression", "version", "extension", "transparency", "dpi", "exif", "icc_profile"}
)


@dataclass
class Colours:
    """What a PNG says of its colours beside a profile. `white_and_primaries`: x and y of white,
    red, green and blue. `code_points`: primaries and transfer, of ITU-T H.273."""

    gamma: float = 0.0
    white_and_primaries: tuple[float, ...] = ()
    is_srgb: bool = False
    code_points: tuple[int, ...] = ()


@dataclass
class Facts:
    """`exif` packed, with or without a header, or a TIFF's own; `room`: bytes that may still be
    unpacked."""

    text: dict[str, str] = field(default_factory=dict[str, str])
    exif: bytes | Image.Exif = b""
    icc_profile: bytes | None = None
    dpi: Any = None
    colours: Colours = field(default_factory=Colours)
    grey_alpha_16: bool = False
    notes: list[str] = field(default_factory=list[str])
    room: int = 64_000_000

    def note(self, text: str) -> None:
        """Remember what a user should know."""
        self.notes.append(text)

    def leave_out(self, what: str, why: str) -> None:
        """Add a note that something was left out."""
        self.note(f"{what} was left out: {why}")

    @contextmanager
    def optional(self, what: str) -> Iterator[None]:
        """Leave out whatever fails inside, with a note."""
        with attempting(lambda why: self.leave_out(what, why)):
            yield


def facts_of(picture: Image.Image) -> Facts:
    """Collect what Pillow found in a file, or keeps with a picture that is none."""
    info = picture.info
    facts = Facts(
        text={
            key: value
            for key, value in info.items()
            if isinstance(key, str) and isinstance(value, str) and key not in _NOT_TEXT
        },
        dpi=info.get("dpi"),
    )
    if isinstance(exif := info.get("exif"), bytes):
        facts.exif = exif
    if isinstance(profile := info.get("icc_profile"), bytes):
        facts.icc_profile = profile or None
    if isinstance(gamma := info.get("gamma"), float):
        facts.colours.gamma = gamma
    if isinstance(places := info.get("chromaticity"), tuple):
        facts.colours.white_and_primaries = places
    facts.colours.is_srgb = "srgb" in info
    if picture.format == "TIFF" and not facts.exif:
        with facts.optional("EXIF"):
            facts.exif = picture.getexif()
    return facts


class Exif:
    """The entries of EXIF that matter here. A broken folder gives no entries, and a note."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._folder = Image.Exif()
        if isinstance(facts.exif, Image.Exif):
            self._folder = facts.exif
        elif facts.exif:
            with facts.optional("EXIF"):
                self._folder.load(facts.exif)

    @property
    def orientation(self) -> int:
        """The orientation, 1 … 8."""
        found: Any = self._value(_ORIENTATION)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1

    def text(self, tag: int) -> str:
        """Read a tag that holds letters, as UTF-8 where it is such."""
        found = self._value(tag)
        if isinstance(found, str):  # Pillow takes every byte for a letter of Latin-1
            with suppress(UnicodeError):
                found = found.encode("latin-1").decode()
        return found.strip("\0 ")[:_LONGEST] if isinstance(found, str) else ""

    def user_comment(self) -> str:
        """Read the comment in which generators put their parameters in JPEG and WebP."""
        comment = None
        with self._facts.optional("the user comment of EXIF"):
            comment = self._folder.get_ifd(_EXIF_FOLDER).get(_USER_COMMENT)
        return _decoded(comment) if isinstance(comment, bytes) else ""

    def _value(self, tag: int) -> Any:
        found = None
        with self._facts.optional("a part of EXIF"):
            found = self._folder.get(tag)
        return found


def _decoded(comment: bytes) -> str:
    coding, content = comment[:8], comment[8:]
    if coding == b"UNICODE\0":
        return content.decode(_byte_order(content), "replace").strip("\ufeff\0")
    if coding in (b"ASCII\0\0\0", b"\0" * 8):
        return content.decode("utf-8", "replace").strip("\0 ")
    return ""


def _byte_order(content: bytes) -> str:
    """Guess the byte order of a text, which EXIF does not say: Latin letters have a zero in the
    higher byte.
    """
    zeros_first, zeros_second = content[::2].count(0), content[1::2].count(0)
    little = content.startswith(b"\xff\xfe") or zeros_second > zeros_first
    return "utf-16-le" if little else "utf-16-be"


# ---------------------------------------------------------------- to be written again


def metadata_of(facts: Facts, exif: Exif) -> Metadata:
    """Keep what is carried on, except for the profile. What is absurd is left out, with a note."""
    text = dict(facts.text)
    for key in [key for key in text if key.startswith("Raw profile type ")]:
        facts.leave_out(key, "an old copy of what stands elsewhere in a file")
        del text[key]
    for key, value in text.items():  # pixels stand upright now
        if "tiff:Orientation" in value:
            text[key] = re.sub(r'(tiff:Orientation(?:="|>))[0-9]', r"\g<1>1", value)
    if "parameters" not in text and (comment := exif.user_comment()):
        text["parameters"] = comment
    return Metadata(
        text,
        dpi=_resolution(facts),
        artist=exif.text(_ARTIST),
        copyright=exif.text(_COPYRIGHT),
    )


def _resolution(facts: Facts) -> tuple[float, float] | None:
    if facts.dpi is None:
        return None
    with facts.optional("the resolution"):
        across, down = (float(value) for value in facts.dpi)
        if all(isfinite(dpi) and _DPI[0] <= dpi <= _DPI[1] for dpi in (across, down)):
            return across, down
        raise ValueError(f"{across:g} × {down:g} dots per inch")
    return None
