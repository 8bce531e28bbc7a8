"""Open a path, a stream or a picture of Pillow's, so that its frames can be decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageChops

from ..errors import BadInput
from ..words import Array
from .facts import Exif, Facts, facts_of, metadata_of
from .formats import ANIMATED, openable, prepare_for
from .guard import PICTURE, attempting, decoding, pixel_limit, require_pixels
from .picture import Metadata
from .pixels import is_deep, split_bytes
from .png import SIGNATURE, filtered

PixelSource = str | Path | IO[bytes] | Image.Image | bytes | Array

_HEAD = 32  # bytes that tell a format
_JPEG_END = b"\xff\xd9"


class Opened:
    """A file whose frames can be decoded one by one.

    `stream` is what Pillow reads, None for a picture that is no file. `limit`: pixels of a frame.
    """

    def __init__(
        self, image: Image.Image, name: str, limit: int, facts: Facts, *, is_file: bool
    ) -> None:
        self.image, self.name, self.limit, self.facts = image, name, limit, facts
        self.is_file = is_file
        self.stream: IO[bytes] | None = getattr(image, "fp", None)
        self.format = image.format
        exif = Exif(facts)
        # Pillow turns a TIFF as it loads it
        self.orientation = 1 if self.format == "TIFF" else exif.orientation
        self.metadata: Metadata = metadata_of(facts, exif)

    def frames(self) -> range:
        """List the numbers of the frames that a browser would show, one after the other."""
        if self.format not in ANIMATED:
            return range(1)
        with decoding(self.name):
            count = max(1, int(getattr(self.image, "n_frames", 1)))
        return range(self._first(count), count)

    def first_frame(self) -> int:
        """The number of the frame that is shown first; of a Pillow picture the one
        that it is at.
        """
        with decoding(self.name):
            if not self.is_file:
                return int(self.image.tell())
            return (
                self._first(int(getattr(self.image, "n_frames", 1))) if self.format == "PNG" else 0
            )
        raise AssertionError

    def _first(self, count: int) -> int:
        # an animated PNG may begin with a still picture for programs that show no animations
        return int(bool(getattr(self.image, "default_image", False)) and count > 1)

    def seek(self, frame: int) -> None:
        """Make a frame the next one to decode. Raises BadInput, also if it has too many pixels."""
        if self.format in ANIMATED and frame != self.image.tell():
            with decoding(self.name, f"whole (frame {frame + 1})"):
                self.image.seek(frame)
        require_pixels(self.image.size, self.name, self.limit)

    def load(self, frame: int, *, deep: bool) -> tuple[Image.Image, Image.Image | None]:
        """Decode the frame, and with `deep` also the lower bytes of its 16 bits a channel, if it
        has such.

        Raises BadInput.
        """
        low = self._low_bytes(frame) if deep and is_deep(self.image) else None
        try:
            with decoding(self.name):
                self.image.load()
                if low is not None:
                    low.load()
        except BadInput:
            whole = self._without_end_mark()
            if whole is None:
                raise
            return whole, None
        # an icon may be larger than its table says
        require_pixels(self.image.size, self.name, self.limit)
        return self.image, low

    def _low_bytes(self, frame: int) -> Image.Image | None:
        """Open the frame a second time for its lower bytes; not for animated PNGs, whose frames
        overlay others.
        """
        if self.stream is None or (self.format == "PNG" and frame > 0):
            return None
        with decoding(self.name):
            place = self.stream.tell()
            self.stream.seek(0)
            low = Image.open(self.stream, formats=openable())
            if self.format == "TIFF":
                low.seek(frame)
            split_bytes(self.image, low)
            self.stream.seek(place)
        return low

    def _without_end_mark(self) -> Image.Image | None:
        """Return a JPEG that is whole except for its end mark, else None.

        Whatever is put behind its last byte, the pixels are the same.
        """
        if self.stream is None or self.format not in ("JPEG", "MPO"):
            return None
        self.stream.seek(0)
        data = self.stream.read()
        if data.endswith(_JPEG_END):
            return None
        ended, filled = (
            self._jpeg(data.removesuffix(b"\xff") + rest + _JPEG_END)
            for rest in (b"", b"\x55\xaa\x33\xcc" * 64)
        )
        if ended is None or filled is None or ImageChops.difference(ended, filled).getbbox():
            return None
        self.facts.note("the end mark of the file is missing")
        return ended

    def _jpeg(self, data: bytes) -> Image.Image | None:
        with attempting(lambda _: None):
            picture = Image.open(io.BytesIO(data), formats=["JPEG"])
            picture.load()
            return picture
        return None


def describe(source: PixelSource) -> str:
    """Return the name that sentences call the source by."""
    return str(source) if isinstance(source, str | Path) else "the data given"


@contextmanager
def opened(source: PixelSource, shrink_to: int | None) -> Iterator[Opened]:
    """Open a picture. Raises BadInput for what is none, has an absurd size, or cannot be read."""
    name = describe(source)
    limit = pixel_limit(shrinking=shrink_to is not None)
    if isinstance(source, np.ndarray):
        source = _of_array(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        source = io.BytesIO(source)
    if isinstance(source, Image.Image):
        if source.format is not None and source.format not in openable():
            prepare_for(b"%!PS" if source.format == "EPS" else b"", name)
        require_pixels(source.size, name, limit)
        yield Opened(source, name, limit, facts_of(source), is_file=False)
        return
    if not isinstance(source, str | Path):
        if not hasattr(source, "read"):
            raise BadInput(
                "a picture must be a path, an open file, bytes, an array or a picture of Pillow's",
                type(source).__name__,
                "Tensors go to `predict`.",
            )
        yield _open(source, name, limit, shrink_to)
        return
    # a stream, not a name: Pillow loses the orientation of a TIFF that it maps into memory
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 (closed by the `with` below)
    except FileNotFoundError:
        raise BadInput("a picture must exist", f"no file at {name}") from None
    except (OSError, ValueError) as error:
        raise BadInput("a picture must be a file that can be read", str(error)) from error
    with stream:
        yield _open(stream, name, limit, shrink_to)


def _of_array(array: Array) -> Image.Image:
    """H×W, H×W×3 or H×W×4 of uint8. Raises BadInput for others: their range is not certain."""
    channels = array.shape[2:]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in ((), (3,), (4,)):
        raise BadInput(
            "an array must be H×W, H×W×3 or H×W×4 of uint8, red first",
            f"{array.dtype} of shape {array.shape}",
            "Tensors go to `predict`.",
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _open(stream: Any, name: str, limit: int, shrink_to: int | None) -> Opened:
    with decoding(name, PICTURE):
        stream.seek(0)
        head = stream.read(_HEAD)
        stream.seek(0)
    if not head:
        raise BadInput(f"{name} must be a picture", "an empty file", "Get the file again.")
    prepare_for(head, name)
    facts = None
    with decoding(name, PICTURE):
        if head.startswith(SIGNATURE):
            stream, facts = filtered(stream, limit if shrink_to is None else shrink_to)
        picture = Image.open(stream, formats=openable())
        require_pixels(picture.size, name, limit)
        return Opened(picture, name, limit, facts or facts_of(picture), is_file=True)
