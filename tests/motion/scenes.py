"""A drawn scene of known depth: two disks before a pattern."""

from __future__ import annotations

import torch
from torch import Tensor

from toonout_core.instances import Instances
from toonout_core.motion.scene import Scene, SceneOptions, build_scene
from toonout_core.ops.compositing import over

SIZE_HW = (72, 96)


def disk(centre_xy: tuple[float, float], radius: float, size_hw=SIZE_HW) -> Tensor:
    rows = torch.arange(size_hw[0])[:, None] - centre_xy[1]
    columns = torch.arange(size_hw[1])[None] - centre_xy[0]
    return (radius + 0.5 - (rows**2 + columns**2).sqrt()).clamp(0, 1)


def pattern(size_hw=SIZE_HW) -> Tensor:
    rows, columns = torch.arange(size_hw[0])[:, None], torch.arange(size_hw[1])[None]
    waves = [0.5 + 0.4 * torch.sin(columns / 7 + k) * torch.cos(rows / 9 - k) for k in range(3)]
    return torch.stack(waves)[None]


def drawn(centres=((30, 40), (62, 30)), radius=12) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, plate, colours, parts of the matte."""
    plate, colours = pattern(), pattern().flip(-1).clamp(0, 0.5) + 0.3
    parts = torch.stack([disk(centre, radius) for centre in centres])
    return over(colours, parts.sum(0)[None, None].clamp(0, 1), plate), plate, colours, parts


def scene(depth: Tensor | None = None, **options) -> Scene:
    picture, plate, colours, parts = drawn()
    return build_scene(
        picture, Instances.from_masks(parts), colours,
        depth=depth, plate=plate, options=SceneOptions(**options),
    )  # fmt: skip


def slope(near: float = 1.0) -> Tensor:
    """Depth that grows towards the bottom, as a floor's; the disks are nearer than the floor."""
    ramp = torch.linspace(0, 0.5, SIZE_HW[0])[:, None].expand(*SIZE_HW).clone()
    for part, level in zip(drawn()[3], (near, 0.7), strict=True):
        ramp[part > 0.5] = level
    return ramp[None, None]
