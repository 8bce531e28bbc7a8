"""Write files of paint programs (.psd and .ora) of what was found in pictures."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from xml.etree import ElementTree
from zipfile import ZipFile

from torch import Tensor

from ..errors import BadInput
from ..output.publishing import Part
from ..output.report import NO_CHARACTER
from .building import character_layers
from .openraster import write_openraster
from .psd import write_psd
from .record import LayeredPicture

if TYPE_CHECKING:
    from ..imaging import Picture
    from ..output.instance_files import Characters

Write = Callable[[IO[bytes], LayeredPicture], None]

_PSD_HEAD = struct.Struct(">4sH6xHIIHH")


@dataclass(frozen=True)
class LayerFormat:
    """How a kind of file is written, and checked. `check` raises BadInput if it is not whole."""

    write: Write
    check: Callable[[Path], None]


def check_psd(path: Path) -> None:
    """Check that every section of a PSD is as long as it says, to the last byte of the file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(_PSD_HEAD.size)
        if len(head) < _PSD_HEAD.size or not head.startswith(b"8BPS"):
            raise BadInput("what was written must be a PSD", "another beginning")
        _, _, channels, height, _, _, _ = _PSD_HEAD.unpack(head)
        for _ in ("palette", "resources", "layers"):
            file.seek(int.from_bytes(file.read(4), "big"), 1)
        file.seek(2, 1)  # the kind of compression
        lengths = file.read(2 * channels * height)
        rows = struct.iter_unpack(">H", lengths[: len(lengths) // 2 * 2])
        expected = file.tell() + sum(row[0] for row in rows)
    if len(lengths) < 2 * channels * height or expected != size:
        raise BadInput("what was written must be a whole PSD", f"{size} bytes, not {expected}")


def check_openraster(path: Path) -> None:
    """Check that an OpenRaster file opens, has right checksums, and all layers of its list."""
    try:
        with ZipFile(path) as archive:
            damaged, names = archive.testzip(), set(archive.namelist())
            first = archive.infolist()[0].filename
            listed = ElementTree.fromstring(archive.read("stack.xml")).iter("layer")
            lacking = [layer.get("src") for layer in listed if layer.get("src") not in names]
    # what a broken archive makes its readers raise is no complete list
    except Exception as error:
        raise BadInput("what was written must be an OpenRaster file", str(error)) from error
    if damaged or lacking or first != "mimetype":
        raise BadInput("what was written must be whole", f"damage in {damaged or lacking or first}")


# by the ending of the file's name
FORMATS: dict[str, LayerFormat] = {
    ".psd": LayerFormat(write_psd, check_psd),
    ".ora": LayerFormat(write_openraster, check_openraster),
}


def format_of(path: Path) -> str | None:
    """Return the ending, if it is one of a layered file."""
    return path.suffix.lower() if path.suffix.lower() in FORMATS else None


def layer_part(picture: LayeredPicture, suffix: str) -> Part:
    """Make `picture` a file that is not written yet; `suffix` is ".psd" or ".ora"."""
    kind = FORMATS[suffix]

    def encode(stream: IO[bytes]) -> list[str]:
        kind.write(stream, picture)
        return []

    return Part(suffix, encode, kind.check)


@dataclass(frozen=True)
class LayerFiles:
    """Writes one layered file for every picture: a `Form` of `output.Batch`.

    `plate` 1×3×H×W in [0, 1]: the background without its characters, of the pictures' size.
    `suffix`: how the file is to end, which may be in upper case.
    """

    format: str = ".psd"
    suffix: str = ""
    plate: Tensor | None = None

    def suffixes(self) -> tuple[str, ...]:
        """List the endings that may follow the picture's name."""
        return (self.suffix or self.format,)

    def parts(self, made: Characters, picture: Picture) -> list[Part]:
        """Return one file; its layers are made when it is written."""
        assert made.mattes is not None
        assert made.colours is not None
        build = partial(
            character_layers, picture.image, made.mattes, made.colours, self.plate,
            alpha=picture.alpha,
        )  # fmt: skip
        kind = FORMATS[self.format]

        def encode(stream: IO[bytes]) -> list[str]:
            kind.write(stream, build())
            return ["16 bits a channel were written as 8"] if picture.bits > 8 else []

        return [Part(self.suffixes()[0], encode, kind.check)]

    def join(self) -> None:
        """Each frame of an animation has files of its own."""
        return None

    def notes(self, made: Characters) -> list[str]:
        """Say where there is no character, so that there is only a background."""
        return [] if len(made.instances) else [NO_CHARACTER]

    def details(self, made: Characters) -> dict[str, Any]:
        """Return nothing, as the file says it all."""
        return {}
