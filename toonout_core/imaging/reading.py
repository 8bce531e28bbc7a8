"""Read files, streams and Pillow's pictures as `Picture`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from .colours import apply_colours
from .formats import openable
from .guard import decoding
from .layouts import Array, from_array
from .opening import Opened, PixelSource, opened
from .picture import Picture
from .pixels import NO_TAGS, has_alpha, pixels_of, without_false_transparency


def read(source: PixelSource, *, shrink_to: int | None = None) -> Picture:
    """Read the first (or only) frame of a file, stream or PIL picture; alpha is straight.

    `shrink_to`: pixels (width times height) that a larger picture is reduced to. What is broken
    beside the pixels is left out with a note. Raises BadInput.
    """
    with opened(source, shrink_to) as file:
        return _frame(file, file.first_frame(), shrink_to)


def read_frames(source: PixelSource, *, shrink_to: int | None = None) -> Iterator[Picture]:
    """Yield every frame of an animated file; one of a still picture. See `read`."""
    with opened(source, shrink_to) as file:
        frames = file.frames()
        if len(frames) > 1:
            for frame in frames:
                yield _frame(file, frame, shrink_to)
            return
        still = _frame(file, frames[0], shrink_to)
    del file  # what Pillow decoded takes memory, too
    yield still


def size_hw_of(source: PixelSource) -> tuple[int, int]:
    """Read height and width from the file's header; nothing is decoded. Raises BadInput."""
    with opened(source, None) as file:
        return file.image.height, file.image.width


def from_pil(picture: Image.Image) -> Picture:
    """Read a picture of any of Pillow's modes; EXIF orientation is applied, alpha is
    kept straight.
    """
    return read(picture)


def verify(path: Path) -> None:
    """Raise BadInput unless a file opens, with the right checksums if its format has any."""
    with path.open("rb") as stream, decoding("what was written", "a picture that opens"):
        Image.open(stream, formats=openable()).verify()


def _frame(file: Opened, number: int, shrink_to: int | None) -> Picture:
    file.seek(number)
    width, height = file.image.size
    smaller = shrink_to is not None and width * height > shrink_to
    image, low = file.load(number, deep=not smaller)
    facts = replace(file.facts, notes=list(file.facts.notes))
    with decoding(file.name):
        image = without_false_transparency(image)
        if smaller:
            image = _shrunk(image, shrink_to or 1)
        tags = getattr(file.image, "tag_v2", NO_TAGS)
        pixels = pixels_of(image, facts, file.name, low=low, tags=tags)
    if _is_flat(pixels.colour):
        facts.note("the picture is one flat colour")
    planes = from_array(_upright(pixels.colour, file.orientation))
    if planes.shape[1] == 1:
        planes = planes.expand(-1, 3, -1, -1).contiguous()
    alpha = pixels.alpha
    return Picture(
        apply_colours(planes, facts),
        None if alpha is None else from_array(_upright(alpha, file.orientation)),
        replace(file.metadata, icc_profile=facts.icc_profile),
        bits=16 if pixels.colour.dtype == np.uint16 else 8,
        seconds=_seconds(image),
        plays=_plays(image, file.format),
        notes=tuple(dict.fromkeys(facts.notes)),
    )


def _shrunk(picture: Image.Image, pixels: int) -> Image.Image:
    scale = (pixels / (picture.width * picture.height)) ** 0.5
    size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
    if picture.mode.startswith("I"):
        # what Pillow before 10.3 cannot resize; sharpening leads beyond black and white
        levels = picture.convert("I")
        small = np.asarray(levels.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        lowest, highest = levels.getextrema()
        return Image.fromarray(np.clip(small, lowest, highest))
    if has_alpha(picture) or picture.mode in ("1", "P"):
        picture = picture.convert("RGBA" if has_alpha(picture) else "RGB")
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _is_flat(colour: Array) -> bool:
    """H×W×C of one value in each channel."""
    corner = colour[:1, :1]
    return bool((colour[0] == corner).all() and all((row == corner[0]).all() for row in colour))


def _upright(array: Array, orientation: int) -> Array:
    """Turn H×W×C by EXIF's orientation, 1 … 8."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array


def _plays(picture: Image.Image, format: str | None) -> int:
    """How often an animation runs. A GIF says how often it is repeated, and nothing for once."""
    said = picture.info.get("loop")
    if format == "GIF":
        return 1 if said is None else int(said) + 1 if said else 0
    return int(said) if isinstance(said, int) else 0


def _seconds(picture: Image.Image) -> float:
    """Return how long a frame is shown; as in browsers, what is too fast for them gets a tenth."""
    shown = picture.info.get("duration")
    if not isinstance(shown, int | float):
        return 0.0
    return shown / 1000 if shown > 10 else 0.1
