"""Make the square pictures of the example graphs, and pictures of the help pages, with the
built-in model: `python tools/thumbnails.py [NAME ...]`.

Each shows what its graph or node does, except for what a checkpoint would draw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.motion_pictures import characters, frames_of  # noqa: E402
from toonout_core import Matte, load_matting  # noqa: E402
from toonout_core.characters.overlay import draw_instances, instance_colours  # noqa: E402
from toonout_core.evaluation.contact_sheet import softest_box  # noqa: E402
from toonout_core.imaging import Picture, from_array, read, to_array, to_pil  # noqa: E402
from toonout_core.ops.adjust import AdjustOptions, adjust  # noqa: E402
from toonout_core.ops.compositing import checkerboard, over  # noqa: E402
from toonout_core.ops.placing import behind, fit_background  # noqa: E402
from toonout_core.ops.plate import background_plate  # noqa: E402
from toonout_core.ops.resizing import resize  # noqa: E402
from toonout_core.output.instance_files import Characters  # noqa: E402

SIDE_PX = 512
FOLDER = ROOT / "example_workflows"
HELP_FOLDER = ROOT / "web" / "docs" / "pictures"
MODEL = "toonout-mini"
BROOM, MILK, GROUP = (
    ROOT / "examples" / name for name in ("drawings/broom.webp", "drawings/milk.webp", "group.webp")
)
GIRL = ROOT / "toonout_core" / "assets" / "example.webp"
MEADOW = ROOT / "examples" / "meadow.webp"


@cache
def picture_of(path: Path) -> Tensor:
    """1×3×SIDE×SIDE, the middle of the picture; the top of a tall one, where heads are.

    The group is whole, with its background continued at the sides: cut off at its waist, the model
    takes a part of the background for a character's.
    """
    image = read(path).image
    if path == GROUP:
        missing = image.shape[-2] - image.shape[-1]
        image = pad(image, (missing // 2, missing - missing // 2, 0, 0), mode="replicate")
    return square(image)


@cache
def matte_of(path: Path) -> Matte:
    return load_matting(MODEL)(Picture(picture_of(path)))


@cache
def found_in(path: Path) -> Characters:
    return characters(Picture(picture_of(path)), MODEL)


def square(image: Tensor) -> Tensor:
    image = image[..., : image.shape[-1], :]
    return fit_background(image, (SIDE_PX, SIDE_PX), "cover", image[..., :1, :1])


def clear(matte: Matte) -> Tensor:
    """The cutout over the pattern of transparency."""
    return over(matte.colours, matte.alpha, checkerboard((SIDE_PX, SIDE_PX), 32))


def halves(left: Tensor, right: Tensor) -> Tensor:
    """Two pictures of one place, parted by a slanted line."""
    x = torch.arange(SIDE_PX)[None, :] + 0.12 * torch.arange(SIDE_PX)[:, None]
    side = x - (SIDE_PX / 2 + 0.06 * SIDE_PX)
    return torch.where(side.abs() < 3, torch.ones(1), torch.where(side < 0, left, right))


def tiles(*pictures: Tensor) -> Tensor:
    """Two rows of two, with a line between them."""
    half = (SIDE_PX - 4) // 2
    small = [resize(picture, (half, half)).clamp(0, 1) for picture in pictures]
    whole = torch.ones(1, 3, SIDE_PX, SIDE_PX)
    for number, picture in enumerate(small):
        y, x = (half + 4) * (number // 2), (half + 4) * (number % 2)
        whole[..., y : y + half, x : x + half] = picture
    return whole


def row(*pictures: Tensor) -> Tensor:
    """Side by side, with lines between them."""
    line = torch.ones(1, 3, SIDE_PX, 6)
    return torch.cat([part for picture in pictures for part in (picture, line)][:-1], -1)


def grey(alpha: Tensor) -> Tensor:
    return alpha.to(torch.float32).expand(1, 3, SIDE_PX, SIDE_PX)


def lines(image: Tensor) -> Tensor:
    """White lines on black, as Canny draws them."""
    import cv2

    edges = cv2.Canny(to_array(image)[0], 40, 120)
    return from_array(cv2.dilate(edges, np.ones((3, 3)))[..., None].repeat(3, -1))


def who_is_who() -> Tensor:
    return draw_instances(picture_of(GROUP), found_in(GROUP).instances)


def masks() -> list[Tensor]:
    return [grey(mask[None, None]) for mask in found_in(GROUP).instances.masks]


def alone(index: int) -> Tensor:
    """One character as it is, all else dark."""
    image, mask = picture_of(GROUP), masks()[index]
    return image * (0.25 + 0.75 * mask)


def several() -> Tensor:
    found, image = found_in(GROUP), picture_of(GROUP)
    assert found.mattes is not None and found.colours is not None
    back = checkerboard((SIDE_PX, SIDE_PX), 32)
    each = [over(found.colours, own[None, None], back) for own in found.mattes.masks[:2]]
    return tiles(image, who_is_who(), *each)


def replaced(path: Path) -> Tensor:
    matte = matte_of(path)
    return over(matte.colours, matte.alpha, behind(matte.image, "white", read(MEADOW).image))


def everybody() -> Tensor:
    return found_in(GROUP).instances.masks.any(0)[None, None].to(torch.float32)


def coloured() -> Tensor:
    """Each character's place in its own colour, soft."""
    found = found_in(GROUP).instances
    canvas = torch.full((1, 3, SIDE_PX, SIDE_PX), 0.75)
    for mask, colour in zip(found.masks, instance_colours(len(found)), strict=True):
        canvas = over(
            colour[None, :, None, None].expand_as(canvas), mask[None, None].float(), canvas
        )
    return torch.nn.functional.avg_pool2d(canvas, 25, 1, 12, count_include_pad=False)


def cut_frames() -> list[Tensor]:
    """Frames of a clip, two before and two after."""
    frames = list(frames_of("dance", Picture(picture_of(GIRL)), found_in(GIRL), 8, 1.0))
    chosen = [square(frames[index].image) for index in (0, 4)]
    return [*chosen, *(clear(load_matting(MODEL)(Picture(frame))) for frame in chosen)]


def moving(motion: str, amount: float) -> Tensor:
    frames = list(frames_of(motion, Picture(picture_of(GIRL)), found_in(GIRL), 8, amount))
    return tiles(*(square(frames[index].image) for index in (0, 2, 4, 6)))


def compared() -> Tensor:
    matte = matte_of(GIRL)
    x0, y0, x1, y1 = softest_box(matte.alpha, SIDE_PX // 4)
    magenta = matte.composite("#ff00ff")
    return tiles(matte.image, grey(matte.alpha), magenta, square(magenta[..., y0:y1, x0:x1]))


def adjusted() -> Tensor:
    """A matte with a haze, specks and holes, and what *Adjust Matte* makes of it."""
    alpha = matte_of(BROOM).alpha.clone()
    noise = torch.rand(alpha.shape, generator=torch.Generator().manual_seed(1))
    specks = torch.nn.functional.max_pool2d((noise > 0.9997).float(), 7, 1, 3)
    rough = torch.where(specks > 0, 1 - alpha, alpha * 0.9 + 0.06)
    options = AdjustOptions(black=0.1, white=0.9, fill_holes_px=120, drop_specks_px=120)
    return row(grey(rough), grey(adjust(rough, options)))


def layers() -> list[Tensor]:
    """The picture, its background, and two of its characters."""
    found = found_in(GROUP)
    assert found.mattes is not None and found.colours is not None
    back = checkerboard((SIDE_PX, SIDE_PX), 32)
    each = [over(found.colours, own[None, None], back) for own in found.mattes.masks[:2]]
    return [picture_of(GROUP), background_plate(picture_of(GROUP), everybody()), *each]


def beside(path: Path) -> Tensor:
    return halves(picture_of(path), clear(matte_of(path)))


def folder() -> Tensor:
    return tiles(*(clear(matte_of(path)) for path in (BROOM, MILK, GIRL, GROUP)))


def clip() -> Tensor:
    return halves(replaced(GIRL), clear(matte_of(GIRL)))


THUMBNAILS: dict[str, Callable[[], Tensor]] = {
    "01 Cut out a picture": partial(beside, BROOM),
    "01b Several characters": several,
    "01c Text to image and cut out": partial(beside, GIRL),
    "02 A whole folder": folder,
    "03 Redraw one character": lambda: tiles(
        picture_of(GROUP), who_is_who(), masks()[0], alone(0)
    ),
    "03b Clean background": lambda: tiles(
        picture_of(GROUP), who_is_who(), grey(everybody()),
        background_plate(picture_of(GROUP), everybody()),
    ),
    "04 New style with line art": lambda: tiles(
        who_is_who(), lines(picture_of(GROUP)), *masks()[:2]
    ),
    "04b New style with the Impact Pack": lambda: tiles(
        who_is_who(), grey(1 - everybody()), *masks()[:2]
    ),
    "04c New style without ControlNet": lambda: tiles(
        picture_of(GROUP), who_is_who(), *masks()[:2]
    ),
    "05 New background": lambda: halves(picture_of(MILK), replaced(MILK)),
    "05b Cut out a video": lambda: tiles(*cut_frames()),
    "06 Ken Burns": partial(moving, "orbit", 1.0),
    "06b Puppet": partial(moving, "dance", 1.0),
    "07 Compare models": compared,
    "08 Prompts per character": lambda: tiles(
        picture_of(GROUP), who_is_who(), coloured(), (picture_of(GROUP) + coloured()) / 2
    ),
    "09 Layers to PSD": lambda: tiles(*layers()),
    "10 Clip with transparency": clip,
}  # fmt: skip

HELP: dict[str, Callable[[], Tensor]] = {
    "matte": lambda: row(picture_of(BROOM), grey(matte_of(BROOM).alpha), clear(matte_of(BROOM))),
    "compose": lambda: row(
        clear(matte_of(MILK)), square(matte_of(MILK).composite("#ff00ff")), replaced(MILK)
    ),
    "adjust": adjusted,
    "folder": lambda: row(*(clear(matte_of(path)) for path in (BROOM, MILK, GIRL, GROUP))),
    "layers": lambda: row(*layers()),
    "prompts": lambda: row(who_is_who(), coloured()),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = {FOLDER / f"{name}.jpg": make for name, make in THUMBNAILS.items()}
    made |= {HELP_FOLDER / f"{name}.jpg": make for name, make in HELP.items()}
    for path, make in made.items():
        if path.stem in sys.argv[1:] or len(sys.argv) == 1:
            picture = to_pil(make())
            picture.thumbnail((1024, SIDE_PX))
            picture.save(path, quality=86)
