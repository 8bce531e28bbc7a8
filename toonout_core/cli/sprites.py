"""`toonout sprites`: frames of a clip, or pictures, as one sheet and a list for game engines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import layers, running
from .folder_run import note
from .options import add_foreground_options, add_model_options, load_model
from .parsing import Verbs, add
from .terminal import ProgressBar

if TYPE_CHECKING:
    from torch import Tensor

    from ..imaging import Picture
    from ..layers.sprites import SpriteSheet
    from ..output.animations import Frame

DURATION_MS = 100.0  # of pictures that do not say how long they are shown

EXAMPLES = """\
examples:
  toonout sprites walk.webp -o walk.png                      frames of an animation
  toonout sprites walk.mp4 -o walk.png --every 2 --columns 8
  toonout sprites 'walk_*.png' -o walk.png --fps 12          pictures, by their names
  toonout sprites walk.gif -o walk.png --padding 2 --power-of-two --pivot centre
  toonout sprites walk.mp4 -o walk.png --animation walk.webp

results:
  walk.png, and walk.json in the format of Aseprite ("array"), which Phaser, Godot, Unity and other
  engines read: where each frame lies, how long it is shown, and the pivot, as a slice. All frames
  are cut to the one box that holds all that is visible. Nothing is overwritten: walk_2.png is next.

exit codes: 0 done, 2 nothing could be done, 130 interrupted, 143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "sprites",
        help="make a sprite sheet of a clip or of pictures, with a list of its frames",
        description="Make a sprite sheet of a clip or of pictures. Inputs are never changed.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH",
        help='animated picture, video, picture, folder or pattern ("*.png")',
    )  # fmt: skip
    add(parser, layers.SHEET_OUT, required=True)
    add(parser, *layers.SHEET, layers.OWN_FPS, layers.EVERY, title="sheet")
    add(parser, layers.ANIMATION_FILE, title="sheet")
    add(parser, layers.CUT, title="result")
    add_foreground_options(parser)
    add_model_options(parser)
    add(parser, running.QUIET)


def run(arguments: argparse.Namespace) -> int:
    """Make one sheet of everything that was named."""
    from ..layers.sprite_files import publish_sheet
    from ..output.publishing import numbered

    out = Path(arguments.out)
    options = _options(arguments, out)
    frames = _frames(arguments)
    sheet = _sheet(frames, options)
    durations_ms = [1000 * frame.seconds for frame in frames]

    def names(number: int) -> list[Path]:
        return [numbered(path, number) for path in (out, out.with_suffix(".json"))]

    picture, listing = publish_sheet(sheet, durations_ms, out.parent, names)
    height, width = sheet.image.shape[-2:]
    told = f"{len(frames)} frames, {width}×{height} pixels. Results: {picture}, {listing}"
    if arguments.animation:
        told += f", {_write_animation(Path(arguments.animation), frames)}"
    note(arguments, told)
    return 0


def _options(arguments: argparse.Namespace, out: Path) -> Any:
    from ..layers.sprites import SheetOptions

    if out.suffix.lower() != ".png":
        raise BadInput("a sprite sheet must be a .png", f"the file name {out}")
    if arguments.animation:
        _moving_format(Path(arguments.animation))
    return SheetOptions(
        arguments.columns, arguments.trim, arguments.padding_px, arguments.power_of_two,
        arguments.pivot,
    )  # fmt: skip


def _moving_format(path: Path) -> Any:
    from ..output.animations import MOVING
    from ..output.writing import format_of

    kind = format_of(path)
    if kind not in MOVING:
        raise BadInput("an animation must be a .webp, .png or .gif", f"the file name {path}")
    return kind


def _frames(arguments: argparse.Namespace) -> list[Frame]:
    """Every frame of everything, cut out, with 8 bits a channel as they are held until the end."""
    from ..imaging import to_levels
    from ..output.animations import Frame

    paths = _paths(arguments)
    cut = _Cut(arguments)
    frames: list[Frame] = []
    with ProgressBar(len(paths), "sprites", quiet=arguments.quiet) as bar:
        for path in paths:
            for picture, seconds in _pictures(path, arguments):
                image, alpha = cut(picture)
                frames.append(Frame(to_levels(image), to_levels(alpha), seconds))
            bar.advance(text=Path(path).name)
    if not frames:
        raise BadInput("there must be frames", f"none in {', '.join(arguments.paths)}")
    return frames


def _paths(arguments: argparse.Namespace) -> list[Path]:
    """Files in the order in which they were named; of a folder or pattern, by their names."""
    from ..output.clip_formats import VIDEO_SUFFIXES
    from ..output.naming import find_sources

    paths: list[Path] = []
    for name in arguments.paths:
        if Path(name).suffix.lower() in VIDEO_SUFFIXES:
            paths.append(Path(name))
            continue
        found = find_sources([name])
        for problem, text in found.problems:
            raise BadInput("every picture must be there", f"{problem}: {text}")
        paths += [source.path for source in found.sources]
    return paths


def _pictures(path: Path, arguments: argparse.Namespace) -> Iterator[tuple[Picture, float]]:
    """Frames, and for how many seconds each is shown with those that are left out after it."""
    from ..output.clip_formats import VIDEO_SUFFIXES
    from ..output.clips import pictures_of, timing

    of_video = 1 / timing(path)[0] if path.suffix.lower() in VIDEO_SUFFIXES else 0.0
    for number, picture in enumerate(pictures_of(path)):
        if number % arguments.every == 0:
            own = picture.seconds or of_video or DURATION_MS / 1000
            shown = 1 / arguments.fps if arguments.fps else own * arguments.every
            yield picture, shown


class _Cut:
    """Colours 1×3×H×W and alpha 1×1×H×W of a frame; the network is loaded when it is needed."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._matting: Any = None

    def __call__(self, picture: Picture) -> tuple[Tensor, Tensor]:
        arguments = self._arguments
        clear = picture.alpha is not None and bool((picture.alpha < 1).any())
        if arguments.cut == "never" or (arguments.cut == "auto" and clear):
            alpha = picture.alpha
            return picture.image, picture.image[:, :1] * 0 + 1 if alpha is None else alpha
        from ..chosen import foreground_options

        if self._matting is None:
            self._matting = load_model(arguments)
        matte = self._matting(picture, foreground=foreground_options(vars(arguments)))
        return matte.colours, matte.alpha


def _sheet(frames: list[Frame], options: Any) -> SpriteSheet:
    """The sheet of frames of one size, in [0, 1]."""
    from dataclasses import replace

    import torch

    from ..imaging import from_levels
    from ..layers.sprites import sprite_sheet

    sizes = {tuple(frame.image.shape[-2:]) for frame in frames}
    if len(sizes) > 1:
        told = ", ".join(f"{width}×{height}" for height, width in sorted(sizes)[:4])
        raise BadInput("all frames must have one size", told)
    images = torch.cat([frame.image for frame in frames])
    alphas = torch.cat([frame.alpha for frame in frames if frame.alpha is not None])
    sheet = sprite_sheet(images, alphas, options)
    return replace(sheet, image=from_levels(sheet.image), alpha=from_levels(sheet.alpha))


def _write_animation(path: Path, frames: list[Frame]) -> Path:
    from ..imaging import from_levels
    from ..output.animations import AnimationOptions, Frame, publish_animation

    options = AnimationOptions(_moving_format(path))
    shown = (
        Frame(from_levels(f.image), None if f.alpha is None else from_levels(f.alpha), f.seconds)
        for f in frames
    )
    return publish_animation(path, shown, options)
