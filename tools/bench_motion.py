"""Known truth for moving cards: `python tools/bench_motion.py ART` prints errors and CPU time.

A character of the test split with its true matte moves 24 pixels over a background that moves 4, at
512². Mean absolute error in the band of 4 pixels around the new outline and where the background
came into view, of three ways: a height map that is marched through (one picture, one depth), our
cards, and our cards with the true background.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from toonout_core import estimate_foreground  # noqa: E402
from toonout_core.imaging import read  # noqa: E402
from toonout_core.instances import Instances  # noqa: E402
from toonout_core.motion.camera import CameraOptions, Pose, poses  # noqa: E402
from toonout_core.motion.cards import film  # noqa: E402
from toonout_core.motion.scene import Scene, build_scene  # noqa: E402
from toonout_core.ops.compositing import over  # noqa: E402
from toonout_core.ops.morphology import dilate, erode  # noqa: E402
from toonout_core.ops.placing import fit_background  # noqa: E402

SIDE, NEAR_PX, FAR_PX = 512, 24, 4


def figure_of(path: Path) -> tuple[Tensor, Tensor]:
    """Colours 1×3×512×512 and alpha of a cutout that stands on the lower border."""
    picture = read(path)
    assert picture.alpha is not None
    scale = SIDE * 0.8 / max(picture.size_hw)
    size = [max(1, int(side * scale)) for side in picture.size_hw]
    rgba = torch.cat((picture.image * picture.alpha, picture.alpha), 1)
    small = torch.nn.functional.interpolate(rgba, size, mode="bicubic", antialias=True).clamp(0, 1)
    canvas = torch.zeros(1, 4, SIDE, SIDE)
    left = (SIDE - size[1]) // 2
    canvas[..., SIDE - size[0] :, left : left + size[1]] = small
    alpha = canvas[:, 3:]
    return torch.where(alpha > 0, canvas[:, :3] / alpha.clamp_min(1e-4), canvas[:, :3]).clamp(
        0, 1
    ), alpha


def shifted(image: Tensor, pixels: int, *, empty: bool) -> Tensor:
    """To the right; the border is repeated, or empty."""
    moved = image.roll(pixels, -1)
    moved[..., :pixels] = 0 if empty else image[..., :1]
    return moved


def height_map(picture: Tensor, alpha: Tensor) -> Tensor:
    """The first surface that a ray meets, from near to far in 65 steps."""
    depth = cv2.GaussianBlur((alpha[0, 0] > 0.5).float().numpy(), (0, 0), 0.6)
    depth = cv2.dilate(depth, np.ones((5, 5)))
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    source, open_ = x - FAR_PX, np.ones((SIDE, SIDE), bool)
    for level in np.linspace(1, 0, 65):
        move = np.float32(FAR_PX + (NEAR_PX - FAR_PX) * level)
        hit = cv2.remap(depth, x - move, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        hits = (hit >= level) & open_
        source[hits] = (x - move)[hits]
        open_ &= ~hits
    pixels = picture[0].permute(1, 2, 0).contiguous().numpy()
    drawn = cv2.remap(pixels, source, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(drawn).permute(2, 0, 1)[None]


def cards(picture: Tensor, alpha: Tensor, plate: Tensor | None) -> Tensor:
    """By the package: matte, colours, plate, one card."""
    colours = estimate_foreground(picture, alpha)
    scene = build_scene(picture, Instances.from_masks(alpha[0]), colours, plate=plate)
    ground = torch.full_like(alpha, FAR_PX / NEAR_PX)
    scene = Scene(scene.image, scene.plate, ground, scene.cards)
    pose = Pose((NEAR_PX / (SIDE / 2), 0.0))
    return next(iter(film(scene, [pose], edges="mirror"))).image


def errors(art: Path, count: int, seed: int) -> dict[str, np.ndarray]:
    """Band and disocclusion for each way, mean over figures, and the number of figures won."""
    draw = random.Random(seed)
    figures = draw.sample(sorted((art / "fg" / "test").glob("*")), count)
    backgrounds = sorted((art / "bg").glob("*.webp"))
    rows: dict[str, list[Any]] = {}
    for path in figures:
        colours, alpha = figure_of(path)
        behind = read(draw.choice(backgrounds)).image
        behind = fit_background(behind, (SIDE, SIDE), "cover", torch.zeros(1, 3, SIDE, SIDE))
        picture = over(colours, alpha, behind)
        moved = shifted(torch.cat((colours, alpha), 1), NEAR_PX, empty=True)
        truth = over(moved[:, :3], moved[:, 3:], shifted(behind, FAR_PX, empty=False))
        now = moved[:, 3:]
        band = dilate(now > 0.02, 4) & ~erode(now > 0.98, 4)
        hole = (shifted(alpha, FAR_PX, empty=False) > 0.02) & (now < 0.02) & ~band
        ways = {
            "height map": height_map(picture, alpha),
            "cards": cards(picture, alpha, None),
            "cards, true background": cards(picture, alpha, behind),
        }
        for name, frame in ways.items():
            off = (frame - truth).abs().mean(1, keepdim=True)
            rows.setdefault(name, []).append((float(off[band].mean()), float(off[hole].mean())))
    return {name: np.array(values) for name, values in rows.items()}


def speed(side: int) -> None:
    """CPU time of a frame with one card, and with three."""
    image = torch.rand(1, 3, side, side)
    rows = torch.arange(side)[:, None] - side / 2
    for count in (1, 3):
        masks = torch.stack(
            [
                (
                    (
                        (torch.arange(side)[None] - side * (k + 1) / (count + 1)) ** 2 + rows**2
                    ).sqrt()
                    < side / 5
                ).float()
                for k in range(count)
            ]
        )
        masks /= masks.sum(0).clamp_min(1)
        depth = torch.linspace(0, 1, side).expand(side, side)[None, None]
        for name, given in (("flat", None), ("with depth", depth)):
            scene = build_scene(image, Instances.from_masks(masks), image, depth=given, plate=image)
            path = poses(CameraOptions("circle"), 10)
            start = time.process_time()
            for _ in film(scene, path):
                pass
            spent = (time.process_time() - start) / len(path) * 1000
            layer = spent / (count + 1)
            print(
                f"{side}², {count} cards, {name}: {spent:.0f} CPU-ms a frame, {layer:.0f} a layer"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("art", type=Path, help="folder with fg/test and bg")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name, values in errors(arguments.art, arguments.count, arguments.seed).items():
        print(
            f"{name:24s} band {values[:, 0].mean():.4f}  came into view {values[:, 1].mean():.4f}"
        )
    speed(1024)


if __name__ == "__main__":
    main()
