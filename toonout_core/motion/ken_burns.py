"""Make frames of a camera that moves through a picture with its characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from .camera import CameraOptions, poses, shares
from .cards import Frame, film
from .options import KenBurnsOptions
from .published import published_zoom
from .scene import Scene, SceneOptions, build_scene, out_of_focus

_HEAD = 0.5  # of a character's height, from the top: what a camera goes for


def ken_burns(
    image: Tensor,
    mattes: Instances,
    colours: Tensor,
    options: KenBurnsOptions,
    *,
    depth: Tensor | None = None,
    plate: Tensor | None = None,
) -> Iterator[Frame]:
    """Yield frames, one at a time; see `build_scene` for what is given. Wrong input is
    told at once.
    """
    number = options.character
    if number >= len(mattes):
        most = f"-1 or 0 to {len(mattes) - 1}" if len(mattes) else "-1 where there is none"
        raise BadInput(f"character must be {most}", str(number))
    read = SceneOptions(options.invert_depth, options.levelling, options.relief, options.order)
    scene = build_scene(image, mattes, colours, depth=depth, plate=plate, options=read)
    focus = _focus(options, scene)
    motion = "ken burns" if options.motion == "points" else options.motion
    camera = CameraOptions(
        motion, options.amount, focus, aim_of(mattes, number), options.loop,
        options.easing, options.reverse, options.phase, options.seed,
    )  # fmt: skip
    if options.motion == "points":
        if depth is None:
            raise BadInput(
                "the motion points must have a depth picture",
                "none",
                "Give one, or choose ken burns, which works without.",
            )
        near = _focus(replace(options, focus_on="character"), scene)
        zoom = 1 + options.amount / 2  # 1.25 as published
        path = shares(camera, options.frames)
        return _as_frames(published_zoom(scene, path, near, options.blur, zoom))
    path = poses(camera, options.frames)
    return film(out_of_focus(scene, focus, options.blur), path, focus, options.edges)


def _as_frames(shown: Iterator[Tensor]) -> Iterator[Frame]:
    for planes in shown:
        colours, mask = planes.split(3, 1)
        yield Frame(colours, mask, torch.ones_like(mask))


def _focus(options: KenBurnsOptions, scene: Scene) -> float:
    automatic = "character" if options.motion == "dolly zoom" else "value"
    chosen = automatic if options.focus_on == "automatic" else options.focus_on
    if chosen == "value" or not scene.cards:
        return options.focus
    near = {card.number: card.disparity for card in scene.cards}
    return near[options.character] if options.character >= 0 else max(near.values())


def aim_of(mattes: Instances, number: int = -1) -> tuple[float, float]:
    """Return where a camera goes, x and y as shares of the sides: to the upper half of character
    `number`.

    -1 stands for the middle between those of the two largest, or the picture's where there is none.
    """
    chosen = [number] if number >= 0 else mattes.ranking("area").tolist()[:2]
    points = [point for index in chosen if (point := _head(mattes.masks[index])) is not None]
    if not points:
        return 0.5, 0.5
    x, y = torch.tensor(points).mean(0).tolist()
    return x, y


def _head(mask: Tensor) -> tuple[float, float] | None:
    """Return the centre of the upper half of H×W, in shares of the sides."""
    solid = mask > 0.5
    rows = solid.any(1).nonzero()
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    upper = solid[top : top + max(1, round(_HEAD * (bottom - top)))].to(torch.float32)
    y, x = (upper.sum(1 - axis) for axis in (0, 1))
    total = float(upper.sum())
    across = float((x * torch.arange(len(x))).sum()) / total
    down = float((y * torch.arange(len(y))).sum()) / total + top
    return (across + 0.5) / mask.shape[1], (down + 0.5) / mask.shape[0]
