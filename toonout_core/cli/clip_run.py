"""What every verb does that makes a clip of one picture: its options, and the way to the file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BadInput
from ..options import clips, cutout, files, running
from .finding import add_finding_options, make_find
from .folder_run import note, shrink_to
from .parsing import Parser, add
from .terminal import ProgressBar

if TYPE_CHECKING:
    from torch import Tensor

    from ..instances import Instances
    from ..motion.cards import Frame


def add_clip_options(parser: Parser) -> None:
    """The picture, the clip, and who finds characters."""
    parser.add_argument("picture", metavar="PICTURE", help="a picture with characters")
    add(parser, clips.CLIP, required=True)
    add(parser, clips.PLATE, cutout.FOREGROUND_METHOD, files.SHRINK_TO, title="clip")
    add(parser, clips.REPLACE_CLIP, running.QUIET, title="clip")
    add_finding_options(parser)


class Scene(NamedTuple):
    """What is to move: the picture as it is seen, 1×3×H×W, the mattes of its characters, colours
    free of the background, and the picture without its characters, if there is one."""

    image: Tensor
    mattes: Instances
    colours: Tensor
    plate: Tensor | None


def read_scene(arguments: argparse.Namespace) -> Scene:
    """The picture that was named, and who is in it; that may be nobody."""
    from ..imaging import read
    from ..ops.compositing import on_white

    picture = read(arguments.picture, shrink_to=shrink_to(arguments))
    plate = _plate(arguments, picture.size_hw)
    found = make_find(arguments, matte=True, colours=True)(picture)
    note(arguments, f"characters: {len(found.instances)}")
    image = on_white(picture.image, picture.alpha)
    if found.mattes is None or found.colours is None:
        return Scene(image, found.instances, picture.image, plate)
    return Scene(image, found.mattes, found.colours, plate)


def _plate(arguments: argparse.Namespace, size_hw: tuple[int, int]) -> Tensor | None:
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
