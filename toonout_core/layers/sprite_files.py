"""Write a sprite sheet as files: the picture, and the list of its frames beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ..imaging import Metadata
from ..output.publishing import partial_file, publish_numbered, write_whole
from ..output.writing import NO_METADATA, encode, write_checked
from .sprites import SpriteSheet, aseprite_json

Names = Callable[[int], Sequence[Path]]


def publish_sheet(
    sheet: SpriteSheet,
    durations_ms: Sequence[float],
    folder: Path,
    names: Names,
    metadata: Metadata = NO_METADATA,
) -> tuple[Path, Path]:
    """Write picture (PNG) and list into `folder`: both under the names of `names(1)`, or of the
    next number if one of those is taken. The list tells the picture's real name."""
    with ExitStack() as stack:
        picture, listing = (stack.enter_context(partial_file(folder)) for _ in range(2))
        pixels = partial(encode, image=sheet.image, alpha=sheet.alpha, metadata=metadata)
        write_checked(picture, pixels)

        def tell_name(chosen: Sequence[Path]) -> None:
            text = aseprite_text(sheet, chosen[0].name, durations_ms) + "\n"
            listing.unlink(missing_ok=True)
            write_whole(listing, lambda stream: stream.write(text.encode()))

        first, second = publish_numbered([picture, listing], names, tell_name)
        return first, second


def aseprite_text(sheet: SpriteSheet, picture_name: str, durations_ms: Sequence[float]) -> str:
    """Write the list of a sheet as the text of its file."""
    return json.dumps(aseprite_json(sheet, picture_name, durations_ms), indent=1)
