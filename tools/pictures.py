"""Make the pictures of README and model card with the project itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core import InstanceSegmenter, Matting, load_matting, load_segmenter  # noqa: E402
from toonout_core.characters.overlay import draw_instances  # noqa: E402
from toonout_core.imaging import read, to_pil  # noqa: E402
from toonout_core.ops.compositing import over  # noqa: E402
from toonout_core.ops.resizing import resize  # noqa: E402
from toonout_core.segmentation.asking import seen as shown  # noqa: E402
from toonout_core.weights import REGIONS  # noqa: E402


def panels(matting: Matting, path: Path, colour: str) -> list[Tensor]:
    """Before, matte, cutout on `colour`: each 1×3×H×W."""
    picture = read(path)
    matte = matting(picture)
    before = picture.image
    if picture.alpha is not None:
        before = over(before, picture.alpha, torch.ones_like(before))
    return [before, matte.alpha.expand(-1, 3, -1, -1), matte.composite(colour)]


def who_is_who(
    segmenter: InstanceSegmenter, regions: InstanceSegmenter, path: Path
) -> list[Tensor]:
    """Before, characters as found, connected regions of the matte: each 1×3×H×W."""
    image = shown(path)
    found = [one.segment(image)[0] for one in (segmenter, regions)]
    return [image, *(draw_instances(image, own) for own in found)]


def side_by_side(images: Sequence[Tensor], height_px: int, gap_px: int = 8) -> Tensor:
    """In one row, all of one height."""
    parts: list[Tensor] = []
    for image in images:
        scale = height_px / image.shape[-2]
        parts += [resize(image, (height_px, round(image.shape[-1] * scale)))]
        parts += [torch.ones(1, 3, height_px, gap_px)]
    return torch.cat(parts[:-1], -1)


def stacked(rows: Sequence[Tensor], gap_px: int = 8) -> Tensor:
    """One row under the other, padded with white to the widest."""
    width = max(row.shape[-1] for row in rows)
    parts: list[Tensor] = []
    for row in rows:
        full = torch.ones(1, 3, row.shape[-2], width)
        full[..., : row.shape[-1]] = row
        parts += [full, torch.ones(1, 3, gap_px, width)]
    return torch.cat(parts[:-1], -2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model", default="toonout-mini")
    parser.add_argument("--colour", default="#ff00ff")
    parser.add_argument("--characters", action="store_true", help="who is who instead of mattes")
    parser.add_argument("--height", type=int, default=480, help="of one row, in pixels")
    arguments = parser.parse_args()
    if arguments.characters:
        both = [load_segmenter(name) for name in (arguments.model, arguments.model + REGIONS)]
        wide = [who_is_who(both[0], both[1], path) for path in arguments.pictures]
    else:
        matting = load_matting(arguments.model)
        wide = [panels(matting, path, arguments.colour) for path in arguments.pictures]
    rows = [side_by_side(panel, arguments.height) for panel in wide]
    to_pil(stacked(rows)).save(arguments.out, quality=88)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
