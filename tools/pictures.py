"""Make the pictures of README and docs with the project itself.

`python tools/pictures.py --all` makes all of docs/images that needs no art but the shipped one;
`--only NAME …` some of them. Run it when the built-in model has changed. `--rows`, `--characters`
and `--edges` lay pictures of your own side by side, as the model card, docs/instances.md and
docs/clips.md do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.motion_pictures import characters, frames_of, shrunk  # noqa: E402
from toonout_core import Matte, estimate_foreground, load_matting, load_segmenter  # noqa: E402
from toonout_core.characters.overlay import draw_instances  # noqa: E402
from toonout_core.imaging import Picture, read, to_pil  # noqa: E402
from toonout_core.layers.sprites import SheetOptions, sprite_sheet  # noqa: E402
from toonout_core.ops.adjust import AdjustOptions, adjust  # noqa: E402
from toonout_core.ops.compositing import checkerboard, over, parse_colour  # noqa: E402
from toonout_core.ops.placing import behind  # noqa: E402
from toonout_core.ops.plate import background_plate  # noqa: E402
from toonout_core.ops.resizing import resize  # noqa: E402
from toonout_core.output.instance_files import Characters  # noqa: E402
from toonout_core.segmentation.asking import seen as shown  # noqa: E402
from toonout_core.weights import REGIONS  # noqa: E402

FOLDER = ROOT / "docs" / "images"
GIRL = ROOT / "toonout_core" / "assets" / "example.webp"
BROOM, MILK, GROUP, MEADOW = (
    ROOT / "examples" / f"{name}.webp"
    for name in ("drawings/broom", "drawings/milk", "group", "meadow")
)
HAIR = (slice(425, 525), slice(235, 335))  # rows and columns of the tips of hair in GIRL
MOST_BYTES = 400_000  # of a picture that moves
COLOUR = "#ff00ff"  # shows every fault of an edge
WARM = "#ffd166"

Pictures = list[Image.Image]  # one, or the frames of one that moves


@cache
def matte_of(path: Path, model: str) -> Matte:
    return load_matting(model)(read(path))


@cache
def found_in(path: Path, model: str, longest_px: int = 768) -> Characters:
    return characters(shrunk(path, longest_px), model)


def clear(colours: Tensor, alpha: Tensor) -> Tensor:
    """A cutout over the pattern of transparency, 1×3×H×W."""
    size = (alpha.shape[-2], alpha.shape[-1])
    return over(colours, alpha, checkerboard(size, max(6, size[0] // 48), 0.97, 0.85))


def grey(alpha: Tensor) -> Tensor:
    return alpha.to(torch.float32).expand(-1, 3, -1, -1)


def halves(left: Tensor, right: Tensor) -> Tensor:
    """Two pictures of one place, parted by a slanted line."""
    height, width = left.shape[-2:]
    side = torch.arange(width)[None, :] - width / 2
    side = side + 0.12 * (torch.arange(height)[:, None] - height / 2)
    return torch.where(side.abs() < width / 160, 1.0, torch.where(side < 0, left, right))


def side_by_side(images: Sequence[Tensor], height_px: int, gap_px: int = 8) -> Tensor:
    """In one row, all of one height."""
    parts: list[Tensor] = []
    for image in images:
        scale = height_px / image.shape[-2]
        parts += [resize(image, (height_px, round(image.shape[-1] * scale)))]
        parts += [torch.ones(1, 3, height_px, gap_px)]
    return torch.cat(parts[:-1], -1).clamp(0, 1)


def stacked(rows: Sequence[Tensor], gap_px: int = 8) -> Tensor:
    """One row under the other, padded with white to the widest."""
    width = max(row.shape[-1] for row in rows)
    parts: list[Tensor] = []
    for row in rows:
        full = torch.ones(1, 3, row.shape[-2], width)
        full[..., : row.shape[-1]] = row
        parts += [full, torch.ones(1, 3, gap_px, width)]
    return torch.cat(parts[:-1], -2)


def named(panels: dict[str, Tensor], height_px: int) -> Image.Image:
    """A row of panels with their names below."""
    row = to_pil(side_by_side(list(panels.values()), height_px))
    sheet = Image.new("RGB", (row.width, row.height + 26), "white")
    sheet.paste(row)
    pen, font, left = ImageDraw.Draw(sheet), ImageFont.load_default(15), 0.0
    for name, panel in panels.items():
        width = panel.shape[-1] * height_px / panel.shape[-2]
        pen.text((left + width / 2, row.height + 13), name, "black", font, anchor="mm")
        left += width + 8
    return sheet


# ---------------------------------------------------------------- rows of any pictures


def panels(path: Path, model: str, colour: str = COLOUR) -> list[Tensor]:
    """Before, matte, cutout on `colour`: each 1×3×H×W."""
    matte, picture = matte_of(path, model), read(path)
    before = picture.image
    if picture.alpha is not None:
        before = over(before, picture.alpha, torch.ones_like(before))
    return [before, grey(matte.alpha), matte.composite(colour)]


def who_is_who(path: Path, model: str) -> list[Tensor]:
    """Before, characters as found, connected regions of the matte: each 1×3×H×W."""
    image = shown(path)
    found = [load_segmenter(name).segment(image)[0] for name in (model, model + REGIONS)]
    return [image, *(draw_instances(image, own) for own in found)]


def redrawn_edges(path: Path, model: str) -> list[Tensor]:
    """Before with a frame, and what is in it without and with detail: each 1×3×H×W.

    The frame is an eighth as high as the picture, where the most edges are sharper: there the
    mattes differ in both directions.
    """
    picture = read(path)
    matting = load_matting(model)
    mattes = [matting(picture, detail=detail) for detail in (False, True)]
    change = mattes[1].alpha - mattes[0].alpha
    side_px = min(max(change.shape[-2] // 8, 32), *change.shape[-2:])
    step_px = side_px // 4
    up, down = (functional.avg_pool2d((sign * change).relu(), 16, 4) for sign in (1, -1))
    both = functional.avg_pool2d(torch.minimum(up, down), side_px // 4, step_px // 4)
    top, left = (step_px * cells for cells in divmod(int(both.argmax()), both.shape[-1]))
    frame = torch.zeros_like(change)
    frame[..., top : top + side_px, left : left + side_px] = 1
    inner = -functional.max_pool2d(-frame, 13, 1, 6)
    before = over(parse_colour("#ff0000").expand_as(picture.image), frame - inner, picture.image)
    place = (..., slice(top, top + side_px), slice(left, left + side_px))
    return [before, *(matte.composite(COLOUR)[place] for matte in mattes)]


# ---------------------------------------------------------------- pictures of the pages


def hero(model: str) -> Pictures:
    before, alpha, on_warm = panels(GIRL, model, WARM)
    matte = matte_of(GIRL, model)
    row = [before, alpha, clear(matte.colours, matte.alpha), on_warm]
    return [to_pil(side_by_side(row, 400))]


def card(model: str) -> Pictures:
    return [to_pil(side_by_side(panels(GIRL, model), 480))]


def one_cutout(model: str) -> Pictures:
    matte = matte_of(BROOM, model)
    return [small(halves(matte.image, clear(matte.colours, matte.alpha)))]


def numbered(model: str) -> Tensor:
    return draw_instances(read(GROUP).image, found_in(GROUP, model).instances)


def each_alone(model: str) -> list[Tensor]:
    """Two characters with their own parts of the matte, over the pattern."""
    found = found_in(GROUP, model)
    assert found.mattes is not None and found.colours is not None
    return [clear(found.colours, own[None, None]) for own in found.mattes.masks[:2]]


def chosen(model: str) -> Pictures:
    """The second character as it is, all else dark."""
    mask = found_in(GROUP, model).instances.masks[1:2, None].to(torch.float32)
    return [small(read(GROUP).image * (0.25 + 0.75 * mask))]


def layers(model: str) -> list[Tensor]:
    """The picture, its background and two characters."""
    image = read(GROUP).image
    everybody = found_in(GROUP, model).instances.masks.any(0)[None, None].to(torch.float32)
    return [image, background_plate(image, everybody), *each_alone(model)]


def small(image: Tensor, side_px: int = 160) -> Image.Image:
    """A thumbnail, the upper middle of the picture."""
    picture = to_pil(image.clamp(0, 1))
    side = min(picture.size)
    left = (picture.width - side) // 2
    return picture.crop((left, 0, left + side, side)).resize(
        (side_px, side_px), Image.Resampling.LANCZOS
    )


def fanned(model: str) -> Pictures:
    """Layers, one before the other."""
    sheet = Image.new("RGB", (160, 160), "white")
    for step, layer in enumerate(layers(model)[1:]):
        sheet.paste(small(layer, 108), (26 * step, 26 * step))
    return [sheet]


def moved(motion: str, model: str, longest_px: int, count: int) -> list[Tensor]:
    picture, found = shrunk(GIRL, longest_px), found_in(GIRL, model + REGIONS, longest_px)
    return [frame.image for frame in frames_of(motion, picture, found, count, 1.0)]


def film(model: str) -> Pictures:
    """A clip, and what is left of each of its frames, which are cut out one by one."""
    matting = load_matting(model)
    mattes = [matting(Picture(image)) for image in moved("orbit", model, 480, 12)]
    return [small(halves(one.image, clear(one.colours, one.alpha))) for one in mattes]


def motion(model: str) -> Pictures:
    """A camera that goes around, and a character that dances."""
    both = [moved(name, model, 320, 24) for name in ("orbit", "dance")]
    return [to_pil(side_by_side(frames, 320)) for frames in zip(*both, strict=True)]


def dance(model: str) -> Pictures:
    return [small(frame) for frame in moved("dance", model, 240, 16)]


def nodes(model: str) -> Pictures:
    matte = matte_of(MILK, model)
    meadow = behind(matte.image, "white", read(MEADOW).image)
    made = {
        "Load Image": matte.image,
        "Cut Out Character: mask": grey(matte.alpha),
        "Cut Out Character: cutout": clear(matte.colours, matte.alpha),
        "Compose over Background": over(matte.colours, matte.alpha, meadow),
    }
    return [named(made, 240)]


def character_nodes(model: str) -> Pictures:
    first, second = each_alone(model)
    mask = found_in(GROUP, model).instances.masks[:1, None]
    made = {
        "Segment Characters": numbered(model),
        "one of its masks": grey(mask),
        "Mattes of Characters: 0": first,
        "Mattes of Characters: 1": second,
    }
    return [named(made, 240)]


def clean_colours(model: str) -> Pictures:
    """Tips of hair that lay over a meadow, enlarged, over magenta; all with the same alpha."""
    matte = matte_of(GIRL, model)
    size = (matte.alpha.shape[-2], matte.alpha.shape[-1])
    true = estimate_foreground(read(GIRL).image, matte.alpha)
    image = over(true, matte.alpha, resize(read(MEADOW).image, size))
    colours = {
        "not cleaned": image,
        "blur fusion": estimate_foreground(image, matte.alpha, method="blur-fusion"),
        "inversion (default)": estimate_foreground(image, matte.alpha),
        "true colours": true,
    }
    place = (slice(None), slice(None), *HAIR)
    magenta = parse_colour(COLOUR)
    return [named({k: over(v, matte.alpha, magenta)[place] for k, v in colours.items()}, 300)]


def sprites(model: str) -> Pictures:
    """Frames of a puppet on one sheet, over the pattern of transparency."""
    picture, found = shrunk(BROOM, 480), found_in(BROOM, model + REGIONS, 480)
    frames = list(frames_of("sway", picture, found, 8, 1.0))
    images, masks = ([getattr(frame, name) for frame in frames] for name in ("image", "mask"))
    alpha = adjust(torch.cat(masks), AdjustOptions(black=0.1, drop_specks_px=120))
    sheet = sprite_sheet(torch.cat(images), alpha, SheetOptions(columns=4, padding_px=6))
    return [to_pil(side_by_side([clear(sheet.image, sheet.alpha)], 515))]


PICTURES: dict[str, Callable[[str], Pictures]] = {
    "hero.jpg": hero,
    "before-matte-cutout.jpg": card,
    "task-cutout.jpg": one_cutout,
    "task-characters.jpg": lambda model: [small(numbered(model))],
    "task-redraw.jpg": chosen,
    "task-clip.webp": film,
    "task-layers.jpg": fanned,
    "task-motion.webp": dance,
    "nodes.jpg": nodes,
    "nodes-characters.jpg": character_nodes,
    "motion.webp": motion,
    "layers.jpg": lambda model: [to_pil(side_by_side(layers(model), 384))],
    "sprites.jpg": sprites,
    "clean-colours.jpg": clean_colours,
}
# the other files of the folder, and what makes them
ELSEWHERE = {
    "banner.*": "tools/brand.py",
    "icon.*": "tools/brand.py",
    "characters-groups.jpg": "--characters, of art that is not shipped",
    "detail.jpg": "--edges, of art that is not shipped",
    "toonout-mini-failures.jpg": "--rows, of composites of the validation split",
    "webui-*.jpg": "screenshots of a WebUI",
}


def save(path: Path, made: Pictures) -> None:
    """One picture, or frames that move; those must stay small."""
    if len(made) == 1:
        made[0].save(path, quality=86)
        return
    rest: dict[str, Any] = {"append_images": made[1:], "duration": 70, "loop": 0, "method": 4}
    for quality in (80, 65, 50, 35):
        made[0].save(path, save_all=True, quality=quality, **rest)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{path} has more than {MOST_BYTES} bytes; give it fewer or smaller frames")


def make(names: Sequence[str], folder: Path, model: str) -> None:
    for name in names:
        save(folder / name, PICTURES[name](model))
        print(f"{name}: {(folder / name).stat().st_size // 1000} kB", flush=True)


def lay_out(arguments: argparse.Namespace) -> None:
    """Rows of the reader's own pictures on one sheet."""
    kinds: list[tuple[list[Path], Callable[[Path, str], list[Tensor]]]] = [
        (arguments.rows, partial(panels, colour=arguments.colour)),
        (arguments.characters, who_is_who),
        (arguments.edges, redrawn_edges),
    ]
    paths, row_of = next(kind for kind in kinds if kind[0])
    rows = [side_by_side(row_of(path, arguments.model), arguments.height) for path in paths]
    to_pil(stacked(rows)).save(arguments.out, quality=88)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="every picture that is made here")
    what.add_argument("--only", nargs="+", choices=list(PICTURES), metavar="NAME")
    what.add_argument(
        "--rows", nargs="+", type=Path, metavar="PICTURE", help="before, matte, after"
    )
    what.add_argument("--characters", nargs="+", type=Path, metavar="PICTURE", help="who is who")
    what.add_argument(
        "--edges", nargs="+", type=Path, metavar="PICTURE", help="without and with detail"
    )
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help="a folder; a file for rows")
    parser.add_argument("--model", default="toonout-mini")
    parser.add_argument("--colour", default=COLOUR, help="behind the cutouts of --rows")
    parser.add_argument("--height", type=int, default=480, help="of one row, in pixels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.all or arguments.only:
        make(arguments.only or list(PICTURES), arguments.out, arguments.model)
    else:
        lay_out(arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
