"""The kinds of files that a clip can be written to, and what each can hold."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BadInput, needs

VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v"})  # that are read


@dataclass(frozen=True)
class Codec:
    """How PyAV writes a kind of file. `sound`: codecs that are copied as they are; any other one
    is encoded anew as `sound_codec`. None: all are copied."""

    name: str
    container: str
    opaque: str  # pixel format of frames without alpha
    transparent: str = ""  # and of those with it, if there can be any
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    sound: frozenset[str] | None = frozenset()
    sound_codec: str = ""
    even: bool = False  # sides must be even


@dataclass(frozen=True)
class ClipFormat:
    """A kind of clip. Without a `codec` it is an animated picture, which needs no PyAV."""

    suffixes: tuple[str, ...]  # the first is written
    codec: Codec | None = None

    @property
    def transparent(self) -> bool:
        """Whether it can hold alpha."""
        return self.codec is None or bool(self.codec.transparent)


# the codec's alternate frames cannot be transparent
_VP9 = {
    "crf": "20", "b": "0", "auto-alt-ref": "0", "cpu-used": "4", "row-mt": "1",
    "g": "128", "keyint_min": "128",  # colours and alpha can be entered at the same frames
}  # fmt: skip

CLIP_FORMATS: dict[str, ClipFormat] = {
    "webm": ClipFormat(
        (".webm",),
        Codec(
            "libvpx-vp9", "webm", "yuv420p", "yuva420p", _VP9,
            frozenset({"opus", "vorbis"}), "libopus",
        ),
    ),
    "mov": ClipFormat(
        (".mov",),
        Codec(
            "prores_ks", "mov", "yuv444p10le", "yuva444p10le",
            {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
            frozenset({"aac", "alac", "mp3", "pcm_s16le", "pcm_s24le"}), "aac",
        ),
    ),
    "mkv": ClipFormat(
        (".mkv",), Codec("ffv1", "matroska", "bgr0", "bgra", {"level": "3"}, sound=None)
    ),
    "mp4": ClipFormat(
        (".mp4", ".m4v"),
        Codec(
            "libx264", "mp4", "yuv420p", options={"crf": "16"},
            sound=frozenset({"aac", "mp3", "ac3", "eac3", "alac"}), sound_codec="aac", even=True,
        ),
    ),
    "webp": ClipFormat((".webp",)),
    "apng": ClipFormat((".apng", ".png")),
}  # fmt: skip


def clip_format_of(path: Path) -> str | None:
    """Return the format that the file name's ending stands for."""
    for name, kind in CLIP_FORMATS.items():
        if path.suffix.lower() in kind.suffixes:
            return name
    return None


def has_pyav() -> bool:
    """Tell whether PyAV (the extra `video`) is there: without it there is no webm, mov and mkv."""
    return importlib.util.find_spec("av") is not None


def writable_formats() -> list[str]:
    """List what can be written here; OpenCV writes mp4 where PyAV is missing."""
    return [name for name, kind in CLIP_FORMATS.items() if not _lacks_av(name, kind)]


def require_format(path: Path) -> str:
    """Return the kind of clip that `path` is called. Raises BadInput if none, and MissingPackage
    if it needs PyAV.
    """
    name = clip_format_of(path)
    if name is None:
        endings = ", ".join(kind.suffixes[0] for kind in CLIP_FORMATS.values())
        raise BadInput(f"a clip's name must end in {endings}", repr(path.name))
    if _lacks_av(name, CLIP_FORMATS[name]):
        raise needs(name, "av", "video", "Or save webp, apng or mp4.")
    return name


def _lacks_av(name: str, kind: ClipFormat) -> bool:
    return kind.codec is not None and name != "mp4" and not has_pyav()
