"""What every verb does that makes a clip of one picture: its options, and the way to the file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import clips, cutout, files, running
from .finding import add_finding_options, make_find
from .folder_run import note, shrink_to
from .parsing import Parser, add
from .terminal import ProgressBar

if TYPE_CHECKING:
    from torch import Tensor

    from ..imaging import Picture
    from ..motion.cards import Frame
    from ..output.instance_files import Characters


def add_clip_options(parser: Parser) -> None:
    """The picture, the clip, and who finds characters."""
    parser.add_argument("picture", metavar="PICTURE", help="a picture with characters")
    add(parser, clips.CLIP, required=True)
    add(parser, clips.PLATE, cutout.FOREGROUND_METHOD, files.SHRINK_TO, title="clip")
    add(parser, clips.REPLACE_CLIP, running.QUIET, title="clip")
    add_finding_options(parser)


def find_in(arguments: argparse.Namespace, picture: Picture) -> Characters:
    """The characters, with mattes and colours, none of them without either."""
    from ..output.instance_files import Characters

    found = make_find(arguments, matte=True, colours=True)(picture)
    note(arguments, f"characters: {len(found.instances)}")
    if found.mattes is None or found.colours is None:
        return Characters(found.instances, found.instances, picture.image)
    return found


def read_picture(arguments: argparse.Namespace) -> Picture:
    """What is to move, as it is seen."""
    from ..imaging import read

    return read(arguments.picture, shrink_to=shrink_to(arguments))


def plate_of(arguments: argparse.Namespace, size_hw: tuple[int, int]) -> Tensor | None:
    """The background that was named, 1×3×H×W."""
    if arguments.plate is None:
        return None
    from ..segmentation.asking import seen

    plate = seen(arguments.plate)
    if tuple(plate.shape[-2:]) != size_hw:
        raise BadInput(
            f"--plate must have the picture's size {size_hw[1]}×{size_hw[0]}",
            f"{plate.shape[-1]}×{plate.shape[-2]}",
        )
    return plate


def save(
    arguments: argparse.Namespace,
    frames: Iterable[Frame],
    count: int,
    rate: float,
    *,
    transparent: bool,
) -> int:
    """Write the clip, one frame at a time, and say where it lies."""
    from ..output.films import write_film

    with ProgressBar(count, Path(arguments.out).name, quiet=arguments.quiet) as bar:

        def shown() -> Iterator[tuple[Any, Any]]:
            for frame in frames:
                yield frame.image, frame.alpha if transparent else None
                bar.advance()

        path = write_film(Path(arguments.out), shown(), rate, overwrite=arguments.overwrite)
    note(arguments, f"{count} frames. Result: {path}")
    return 0
