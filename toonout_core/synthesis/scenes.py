"""Make pictures of several characters on a background, for training instance segmentation.

After "Instance-guided Cartoon Editing with a Large-scale Dataset" (arXiv:2312.01943). Different
here: a figure that others hide is left out of the picture, not painted grey; and a pixel belongs to
the figure that shows most there, not to the one in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from ..imaging import from_array, split_layer
from ..instances import Instances
from ..words import Array
from .attaching import attach
from .colouring import quantise, share_histogram, subjects_of
from .composite import Placement, place, plain_background
from .cutouts import Art, Cutout
from .distorting import distort
from .instance_scenes import InstanceScene, lay_over, visible_parts
from .layouts import (
    Kind,
    close_boxes,
    match_boxes,
    person_boxes,
    portrait_box,
    row_boxes,
    tile_boxes,
)
from .options import SceneOptions
from .strewing import strew

Generator = np.random.Generator

_KINDS: tuple[Kind, ...] = ("people", "row", "tiles")
_BEHIND = 0.55  # boxes taller than that stand behind the others
_SMALLEST_PX = 20
_SEEN = np.float32(30 / 255)
_LEAST_PIXELS = 64
_MOST_CLOSE = 4  # characters that touch and hug
_LARGE = 0.7  # of single characters fill most of the picture
_KNOTS = 9  # of the blobs of embraces, along a side


def make_scene(
    art: Art, seed: int, index: int, options: SceneOptions, layouts: Sequence[Array] = ()
) -> InstanceScene:
    """Make scene `index` of the data set `seed`: it depends on nothing else.

    `layouts`: see `layouts.read_layouts`.
    """
    rng = np.random.default_rng((seed, index))
    kind, count = _draw_kind(rng, options)
    cutouts = _draw_figures(rng, art, count, options)
    background = random_crop(rng, draw_background(rng, art, options.size_px), options.size_px)
    if options.flat_share and rng.random() < options.flat_share:
        background = plain_background(rng, options.size_px).astype(np.uint8)
    if options.loose_share and rng.random() < options.loose_share:
        background = strew(rng, art, background.astype(np.float32)).round().clip(0, 255)
        background = background.astype(np.uint8)
    colour_step = rng.random()
    if cutouts and colour_step < options.histogram_share:
        coloured, background = share_histogram([cutout.rgba for cutout in cutouts], background)
        pairs = zip(cutouts, coloured, strict=True)
        cutouts = [replace(cutout, rgba=rgba) for cutout, rgba in pairs]
    if kind is None:
        shares = np.array(options.kinds) / sum(options.kinds)
        kind = _KINDS[int(rng.choice(len(_KINDS), p=shares))]
    portrait = kind == "close" and len(cutouts) == 1 and options.portrait_share
    if portrait and not cutouts[0].cut_sides and rng.random() < options.portrait_share:
        kind = "portrait"
    boxes = _boxes(rng, kind, cutouts, layouts)
    order = list(rng.permutation(len(boxes))) if kind == "close" else _back_to_front(boxes)
    layers = [
        (
            cutouts[i].name,
            place(cutouts[i], options.size_px, _placement(rng, cutouts[i], boxes[i], options)),
        )
        for i in order
    ]
    if kind == "close":
        layers = embrace(rng, layers)
    rgb, parts, names = assemble(background.astype(np.float32), layers, options.least_visible)
    if options.histogram_share <= colour_step < options.histogram_share + options.quantised_share:
        seen = subjects_of(parts.sum(0))
        rgb = quantise(rng, rgb, seen, int(rng.choice((12, 16, 32))))
    return InstanceScene(from_array(rgb), torch.from_numpy(parts), names)


def embrace(rng: Generator, layers: Sequence[tuple[str, Array]]) -> list[tuple[str, Array]]:
    """Let neighbours reach around each other, as arms do when people hug: named layers, hindmost
    first → the same.

    In half of all pairs of neighbours, blobs of the one behind come before the other. The one in
    front gets holes there, through which one sees what is behind.
    """
    from ..opencv import cv2

    held = [(name, layer.copy()) for name, layer in layers]
    for (_, behind), (_, front) in pairwise(held):
        if rng.random() < 0.5:
            continue
        knots = rng.normal(size=(_KNOTS, _KNOTS)).astype(np.float32)
        size_wh = (front.shape[1], front.shape[0])
        waves = cv2.resize(knots, size_wh, interpolation=cv2.INTER_CUBIC)
        # a soft edge of some pixels: where waves pass 0.7 standard deviations
        blobs = ((waves - np.float32(0.7)) * 20).clip(0, 1)[..., None]
        front *= 1 - blobs * split_layer(behind)[1].clip(0, 1)
    return held


def assemble(
    background: Array, layers: Sequence[tuple[str, Array]], least_visible: float
) -> tuple[Array, Array, tuple[str, ...]]:
    """Lay named `layers` (hindmost first) over one another: S×S×3 uint8, N×S×S float32 and names.

    Figures of which less than `least_visible` can be seen (on the canvas and before others) are
    left out.
    """
    kept = list(layers)
    while True:
        parts = visible_parts([layer for _, layer in kept]) if kept else []
        for index, (_, layer) in enumerate(kept):
            whole = float(split_layer(layer)[1].sum())
            visible = float(parts[index].sum())
            if visible < max(least_visible * whole, _LEAST_PIXELS):
                # the hindmost first: who stands behind it is seen better without it
                del kept[index]
                break
        else:
            break
    rgb = lay_over(background, [layer for _, layer in kept]).round().clip(0, 255)
    empty = np.zeros((0, *background.shape[:2]), np.float32)
    names = tuple(name for name, _ in kept)
    return rgb.astype(np.uint8), np.stack(parts) if parts else empty, names


def label(scene: InstanceScene) -> Instances:
    """Make masks that do not overlap, with the names of figures as tags.

    A pixel is of the figure that shows most there, if its opacity is above 30 of 255.
    """
    masks = torch.zeros_like(scene.alphas, dtype=torch.bool)
    if len(scene.alphas):
        most, who = scene.alphas.max(0)
        for index in range(len(masks)):
            masks[index] = (who == index) & (most > float(_SEEN))
    found = Instances.from_masks(masks, tags=scene.names, origin="synthetic scene")
    return found[masks.flatten(1).any(1)]


def _draw_kind(rng: Generator, options: SceneOptions) -> tuple[Kind | None, int]:
    """Draw how many characters there are, and how they stand, if that is not left to `kinds`."""
    single, empty, close = options.single_share, options.empty_share, options.close_share
    drawn = rng.random() if single + empty + close else 1.0
    if drawn < empty:
        return None, 0
    if drawn < empty + single:
        return ("close" if rng.random() < _LARGE else "people"), 1
    count = draw_count(rng, options)
    if drawn < empty + single + close:
        return "close", min(max(count, 2), _MOST_CLOSE)
    return None, count


def draw_count(rng: Generator, options: SceneOptions) -> int:
    """Draw a number from Poisson; where that is none or too many, any number with equal chance."""
    count = int(rng.poisson(options.mean_count))
    return count if 1 <= count <= options.most else int(rng.integers(1, options.most + 1))


def draw_background(rng: Generator, art: Art, size_px: int) -> Array:
    """Draw a background of the art, H×W×3 uint8; grey where there is none."""
    if not art.backgrounds:
        return np.full((size_px, size_px, 3), 127, np.uint8)
    return art.background(int(rng.integers(len(art.backgrounds))), 2 * size_px)


def random_crop(rng: Generator, scene: Array, size_px: int) -> Array:
    """Cut a nearly square crop of H×W×3, 60 to 100 % of the shorter side, perhaps mirrored."""
    from ..opencv import cv2

    height, width = scene.shape[:2]
    side = min(height, width) * rng.uniform(0.6, 1.0)
    ratio = rng.uniform(0.9, 1.1)
    high = min(max(round(side / ratio**0.5), 1), height)
    wide = min(max(round(side * ratio**0.5), 1), width)
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    crop = scene[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    mode = cv2.INTER_AREA if min(high, wide) > size_px else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(crop), (size_px, size_px), interpolation=mode)


def drawable(art: Art) -> Array:
    """Return the sampling probability of each figure that can stand anywhere.

    Figures that a side of their picture cuts, other than the bottom, have none.
    """
    whole = [not set(figure.cut_sides) - {"B"} for figure in art.figures]
    weights = art.weights() * (whole if any(whole) else 1.0)
    return weights / weights.sum()


def _draw_figures(rng: Generator, art: Art, count: int, options: SceneOptions) -> list[Cutout]:
    weights = drawable(art)
    chosen = [int(rng.choice(len(weights), p=weights)) for _ in range(count)]
    if rng.random() < options.repeat_share:
        chosen = chosen[:1] * count
    cutouts = [art.cutout(index, options.size_px) for index in chosen]
    for index, cutout in enumerate(cutouts):
        if not cutout.cut_sides and rng.random() < options.distort_share:
            cutout = replace(cutout, rgba=distort(rng, cutout.rgba))
        if options.attach_share and not cutout.cut_sides and rng.random() < options.attach_share:
            cutout = replace(cutout, rgba=attach(rng, cutout.rgba, _draw_props(rng, art, options)))
        cutouts[index] = cutout
    return cutouts


def _draw_props(rng: Generator, art: Art, options: SceneOptions) -> list[Array]:
    if not art.props:
        return []
    return [art.prop(int(rng.integers(len(art.props))), options.size_px).rgba]


def _boxes(
    rng: Generator, kind: Kind, cutouts: Sequence[Cutout], layouts: Sequence[Array]
) -> Array:
    if not cutouts:
        return np.zeros((0, 4))
    aspects = [cutout.rgba.shape[1] / cutout.rgba.shape[0] for cutout in cutouts]
    if kind == "row":
        return row_boxes(rng, aspects)
    if kind == "close":
        return close_boxes(rng, aspects)
    if kind == "portrait":
        return portrait_box(rng, aspects[0])
    if kind == "people":
        return match_boxes(person_boxes(rng, len(cutouts), layouts), aspects)
    return match_boxes(tile_boxes(rng, len(cutouts)), aspects)


def _back_to_front(boxes: Array) -> list[int]:
    """Order boxes: very tall ones are behind; of the others, those whose feet are higher."""
    feet = boxes[:, 1] + boxes[:, 3]
    return sorted(range(len(boxes)), key=lambda i: (boxes[i, 3] <= _BEHIND, float(feet[i])))


def _placement(rng: Generator, cutout: Cutout, box: Array, options: SceneOptions) -> Placement:
    """Place it in the middle of its box, as high and wide as both allow in the mean."""
    height, width = cutout.rgba.shape[:2]
    ratios = np.array([box[3] / height, box[2] / width])
    scale = float(np.minimum(ratios, 1.25 * ratios.min()).mean()) * max(height, width)
    limit = options.turn_deg / (2 if cutout.cut_sides else 1)
    turned = rng.random() < options.turn_share
    return Placement(
        scale=max(scale, _SMALLEST_PX / options.size_px),
        centre_xy=(float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)),
        angle_deg=float(rng.uniform(-limit, limit)) if turned else 0.0,
        flip=bool(rng.random() < 0.5),
        squash=float(np.exp(rng.uniform(-0.1, 0.1))),
    )
