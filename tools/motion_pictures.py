"""Contact sheets of every motion on a picture, and the moving pictures of the help pages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core import ForegroundOptions, load_segmenter  # noqa: E402
from toonout_core.imaging import Picture, read  # noqa: E402
from toonout_core.motion.camera import Motion  # noqa: E402
from toonout_core.motion.cards import Frame  # noqa: E402
from toonout_core.motion.ken_burns import ken_burns  # noqa: E402
from toonout_core.motion.options import (  # noqa: E402
    KenBurnsOptions,
    PuppetMotion,
    PuppetOptions,
)
from toonout_core.motion.puppet.stage import puppet_show  # noqa: E402
from toonout_core.ops.compositing import on_white  # noqa: E402
from toonout_core.ops.resizing import resize  # noqa: E402
from toonout_core.output.films import write_film  # noqa: E402
from toonout_core.output.instance_files import Characters, FindOptions, finding  # noqa: E402
from toonout_core.output.writing import write  # noqa: E402


def shrunk(path: Path, longest_px: int) -> Picture:
    picture = read(path)
    image = on_white(picture.image, picture.alpha)
    scale = min(1.0, longest_px / max(image.shape[-2:]))
    height, width = (round(side * scale / 2) * 2 for side in image.shape[-2:])
    return Picture(resize(image, (height, width)).clamp(0, 1))


def characters(picture: Picture, model: str) -> Characters:
    segmenter = load_segmenter(model)
    options = FindOptions(foreground=ForegroundOptions(), trust_masks=False)
    return finding(segmenter, segmenter.matting, options)(picture)  # pyright: ignore


def frames_of(
    motion: str, picture: Picture, found: Characters, count: int, amount: float | None
) -> Iterator[Frame]:
    given: dict[str, Any] = {} if amount is None else {"amount": amount}
    parts = (picture.image, found.mattes, found.colours)
    if motion in get_args(Motion):
        options = KenBurnsOptions(motion, frames=count, **given)  # pyright: ignore
        return ken_burns(*parts, options)  # pyright: ignore
    wish = PuppetOptions(motion, frames=count, **given)  # pyright: ignore
    return puppet_show(*parts, wish).frames  # pyright: ignore


def sheet(rows: list[list[Tensor]], gap_px: int = 4) -> Tensor:
    made: list[Tensor] = []
    for row in rows:
        padded = [torch.nn.functional.pad(frame, (0, gap_px, 0, gap_px), value=1) for frame in row]
        made.append(torch.cat(padded, -1))
    return torch.cat(made, -2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="png or jpg: a sheet")
    parser.add_argument("--motion", nargs="*", default=[*get_args(Motion), *get_args(PuppetMotion)])
    parser.add_argument("--side", type=int, default=320, help="longer side, in pixels")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--amount", type=float)
    parser.add_argument("--model", default="toonout-mini")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    picture = shrunk(arguments.picture, arguments.side)
    found = characters(picture, arguments.model)
    made = (
        frames_of(motion, picture, found, arguments.frames, arguments.amount)
        for motion in arguments.motion
    )
    if arguments.out.suffix == ".webp":
        film = ((frame.image, None) for frame in next(made))
        write_film(arguments.out, film, arguments.fps, overwrite=True)
    else:
        rows = [[frame.image for frame in frames] for frames in made]
        write(arguments.out, sheet(rows), overwrite=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
