"""What every verb does that makes a clip of one picture: its options, and the way to the file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from .finding import add_choice_options, add_finding_options, check_choices, make_find
from .folder_run import note, shrink_to
from .options import add_foreground_method, add_shrink_option
from .terminal import ProgressBar

if TYPE_CHECKING:
    from torch import Tensor

    from ..imaging import Picture
    from ..motion.cards import Frame
    from ..output.instance_files import Characters


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """The picture, the clip, and who finds characters."""
    parser.add_argument("picture", metavar="PICTURE", help="a picture with characters")
    parser.add_argument(
        "-o", "--out", metavar="CLIP", required=True,
        help="clip.mp4, clip.webm, clip.webp, or a folder for its frames, such as frames/",
    )  # fmt: skip
    group = parser.add_argument_group("clip")
    group.add_argument(
        "--plate", metavar="FILE",
        help="the picture without its characters, of the same size; better than what is painted "
        "over by itself",
    )  # fmt: skip
    add_foreground_method(group)
    add_shrink_option(group)
    group.add_argument("--overwrite", action="store_true", help="replace a clip of that name")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    add_finding_options(parser)
    add_choice_options(parser)
    parser.set_defaults(foreground=True)


def find_in(arguments: argparse.Namespace, picture: Picture) -> Characters:
    """The characters, with mattes and colours, none of them without either."""
    from ..output.instance_files import Characters

    check_choices(arguments)
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
