"""Know which files are opened: what Pillow decodes itself, and nothing that starts a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from PIL import Image, ImageFile

from ..errors import BadInput
from .guard import attempting

# EPS: Ghostscript, another program, would draw it. MPEG: Pillow knows the size of a video and no
# more. FITS: measurements of telescopes, unpacked without a limit.
_NEVER_OPENED = frozenset({"EPS", "MPEG", "FITS"})

# formats whose frames follow one another in time or on paper; in others, further "frames" are
# previews (MPO), layers (PSD) or sizes (ICO)
ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI", "DCX", "JXL"})

_EPS = (b"%!PS", b"\xc5\xd0\xd3\xc6")
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


@dataclass(frozen=True)
class _Plugin:
    """A package that teaches Pillow a format. `made_here`: whether the first bytes are of it."""

    name: str
    package: str
    suffixes: frozenset[str]
    made_here: Callable[[bytes], bool]
    register: Callable[[], object]


_PLUGINS = (
    _Plugin(
        "HEIC",
        "pillow-heif",
        frozenset({".heic", ".heif", ".hif"}),
        lambda head: head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and b"avi" not in head,
        lambda: import_module("pillow_heif").register_heif_opener(),
    ),
    _Plugin(
        "JPEG XL",
        "pillow-jxl-plugin",
        frozenset({".jxl"}),
        lambda head: head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")),
        lambda: import_module("pillow_jxl"),
    ),
)


def openable() -> list[str]:
    """List Pillow's names of the formats that it may try."""
    Image.init()
    named = set(Image.registered_extensions().values())
    return [name for name in Image.OPEN if name in named and _decodes(name)]


def _decodes(name: str) -> bool:
    factory = Image.OPEN[name][0]
    stub = isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    return not stub and name not in _NEVER_OPENED


@lru_cache(1)
def picture_suffixes() -> frozenset[str]:
    """List the endings of files that are read, in lower case: what Pillow opens, HEIC
    and JPEG XL.
    """
    allowed = set(openable())
    known = {end for end, name in Image.registered_extensions().items() if name in allowed}
    return frozenset(known.union(*(plugin.suffixes for plugin in _PLUGINS)))


@lru_cache(1)
def animated_suffixes() -> frozenset[str]:
    """List the endings of files that may hold several frames. A PNG that moves should
    end in .apng.
    """
    known = Image.registered_extensions()
    still = {".png"}
    moving = {end for end in picture_suffixes() if known.get(end) in ANIMATED}
    return frozenset(moving - still | {".jxl"})


def prepare_for(head: bytes, name: str) -> None:
    """Load what a file's format needs, by the file's first bytes.

    Raises BadInput if the format is not read at all, or needs a package that is not here.
    """
    if head.startswith(_EPS):
        raise BadInput(
            f"{name} must be a picture of pixels", "EPS, which another program has to draw",
            "Save it as PNG first.",
        )  # fmt: skip
    for plugin in _PLUGINS:
        if plugin.made_here(head):
            _register(plugin, name)


def _register(plugin: _Plugin, name: str) -> None:
    problems: list[str] = []
    with attempting(problems.append):
        plugin.register()
    if problems:
        raise BadInput(
            f"{name} must be a picture that Pillow reads", f"{plugin.name} ({problems[0]})",
            f"Install the package {plugin.package}, or save it as PNG first.",
        )  # fmt: skip
