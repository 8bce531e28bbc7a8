"""Make one synthetic picture of known alpha: figures placed on a background, then worn a little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imaging import split_layer, to_layer
from ..words import Array
from .cutouts import Cutout, Library

Generator = np.random.Generator


@dataclass(frozen=True)
class Placement:
    """Where a figure stands. `scale`: its longest side over the canvas side (before squashing)."""

    scale: float
    centre_xy: tuple[float, float]  # in [0, 1] of the canvas
    angle_deg: float = 0.0
    flip: bool = False
    squash: float = 1.0  # width/height distortion of the canvas


def place(cutout: Cutout, size_px: int, placement: Placement) -> Array:
    """Put the figure on an empty canvas: size×size×4 float32 in [0, 255], premultiplied by
    alpha/255.

    Sides where the source canvas cuts the figure are pushed onto the border of the canvas.
    """
    from ..opencv import cv2

    rgba = cutout.rgba[:, ::-1] if placement.flip else cutout.rgba
    height, width = rgba.shape[:2]
    factor = placement.scale * size_px / max(height, width)
    stretch = placement.squash**0.5
    turn = np.deg2rad(placement.angle_deg)
    cos, sin = np.cos(turn) * factor, np.sin(turn) * factor
    linear = np.array([[cos / stretch, sin / stretch], [-sin * stretch, cos * stretch]])
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    moved = corners @ linear.T
    target = np.array(placement.centre_xy) * size_px - (moved.max(0) + moved.min(0)) / 2
    low, high = moved.min(0) + target, moved.max(0) + target
    sides = cutout.cut_sides
    if placement.flip:
        sides = sides.translate(str.maketrans("LR", "RL"))
    # under rotation the cut edge is tilted: push it out until none of it can be seen
    slack = abs(sin) * np.array([height, width]) + 1
    for axis, (first, last) in enumerate((("L", "R"), ("T", "B"))):
        if last in sides:
            target[axis] += size_px - high[axis] + slack[axis]
        elif first in sides:
            target[axis] -= low[axis] + slack[axis]
    # warpAffine counts from pixel centres, the corners above from pixel edges
    target += linear @ (0.5, 0.5) - 0.5
    matrix = np.concatenate((linear, target[:, None]), 1)
    pixels = to_layer(rgba)
    if factor < 0.7:
        # antialias: warpAffine samples, it does not average
        sigma = 0.4 / factor
        pixels = cv2.GaussianBlur(pixels, (0, 0), sigma)
    return cv2.warpAffine(pixels, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)


def random_placement(rng: Generator, cut: bool) -> Placement:
    """Choose where a figure stands; one that its source `cut` is turned less."""
    return Placement(
        scale=float(rng.uniform(0.45, 1.2)),
        centre_xy=(float(rng.uniform(0.25, 0.75)), float(rng.uniform(0.35, 0.65))),
        angle_deg=float(np.clip(rng.normal(0, 4 if cut else 10), -25, 25)),
        flip=bool(rng.random() < 0.5),
        squash=float(np.exp(rng.uniform(-0.45, 0.45))),
    )


def plain_colour(rng: Generator) -> Array:
    """Draw one of the U-Net paper's replacement colours: white 40 %, light 40 %, dark 10 %, black
    10 %.
    """
    kind = rng.choice(4, p=(0.4, 0.4, 0.1, 0.1))
    if kind == 0:
        return np.full(3, 255, np.float32)
    if kind == 3:
        return np.zeros(3, np.float32)
    low, high = (150, 256) if kind == 1 else (0, 100)
    return rng.integers(low, high, 3).astype(np.float32)


def plain_background(rng: Generator, size_px: int) -> Array:
    """Fill size×size×3 with one of the paper's colours, in [0, 255]."""
    return np.broadcast_to(plain_colour(rng), (size_px, size_px, 3)).copy()


def gradient_background(rng: Generator, size_px: int) -> Array:
    """Draw a linear ramp between two colours, or a striped or dotted pattern of them."""
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    ramp = x * np.cos(turn) + y * np.sin(turn)
    if rng.random() < 0.4:
        period = rng.uniform(0.03, 0.25)
        ramp = (np.sin(ramp * 2 * np.pi / period) > 0).astype(np.float32)
        if rng.random() < 0.5:
            cross = -x * np.sin(turn) + y * np.cos(turn)
            ramp = np.abs(ramp - (np.sin(cross * 2 * np.pi / period) > 0))
    else:
        ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    return first + (second - first) * ramp[..., None].astype(np.float32)


def scene_background(
    rng: Generator, scene: Array, size_px: int, share: tuple[float, float] = (0.35, 1.0)
) -> Array:
    """Squash a random crop of `scene` (H×W×3 uint8) to the canvas."""
    from ..opencv import cv2

    height, width = scene.shape[:2]
    part = rng.uniform(*share)
    crop_h, crop_w = max(int(height * part), 16), max(int(width * part * rng.uniform(0.7, 1)), 16)
    top = int(rng.integers(0, height - crop_h + 1))
    left = int(rng.integers(0, max(width - crop_w, 0) + 1))
    crop = scene[top : top + crop_h, left : left + crop_w]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    mode = cv2.INTER_AREA if min(crop.shape[:2]) > size_px else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(crop), (size_px, size_px), interpolation=mode).astype(
        np.float32
    )


def jitter_colours(rng: Generator, rgb: Array, strength: float = 0.25) -> Array:
    """Change brightness, contrast and saturation of H×W×3 float in [0, 255]."""
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    grey = rgb.mean(-1, keepdims=True)
    rgb = grey + (rgb - grey) * np.float32(saturation)
    rgb = (rgb - 128) * np.float32(contrast) + 128 * np.float32(brightness)
    if rng.random() < 0.1:
        rgb = rgb[..., rng.permutation(3)]
    return rgb.clip(0, 255)


def draw_background(rng: Generator, library: Library, size_px: int, flat_share: float) -> Array:
    """Draw a plain colour for `flat_share` of the draws, else a pattern or a scene."""
    from ..opencv import cv2

    if rng.random() < flat_share or not library.backgrounds:
        return plain_background(rng, size_px)
    if rng.random() < 0.12:
        return gradient_background(rng, size_px)
    scene = library.backgrounds[int(rng.integers(len(library.backgrounds)))]
    background = scene_background(rng, scene, size_px)
    background = jitter_colours(rng, background, 0.35)
    if rng.random() < 0.25:
        background = cv2.GaussianBlur(background, (0, 0), rng.uniform(0.5, 0.02 * size_px))
    return background


def wear(rng: Generator, rgb: Array) -> Array:
    """Damage a picture as happens on its way: JPEG, resampling, noise, grey, line-art screens."""
    from ..opencv import cv2

    size_px = rgb.shape[0]
    if rng.random() < 0.15:
        small = int(size_px * rng.uniform(0.4, 0.9))
        rgb = cv2.resize(rgb, (small, small), interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(rgb, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        rgb = rgb + rng.normal(0, rng.uniform(1, 10), rgb.shape).astype(np.float32)
    if rng.random() < 0.06:
        rgb = np.repeat(rgb.mean(-1, keepdims=True), 3, -1)
    rgb = rgb.clip(0, 255)
    if rng.random() < 0.3:
        quality = int(rng.integers(35, 95))
        done, data = cv2.imencode(
            ".jpg", rgb.round().astype(np.uint8), [int(cv2.IMWRITE_JPEG_QUALITY), quality]
        )
        if done:
            rgb = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return rgb


def training_sample(
    rng: Generator, library: Library, size_px: int, flat_share: float, weights: Array
) -> tuple[Array, Array]:
    """Make a picture, RGB size×size×3, and its alpha, size×size×1, both uint8."""
    rgb = draw_background(rng, library, size_px, flat_share)
    alpha = np.zeros((size_px, size_px, 1), np.float32)
    for _ in range(int(rng.choice((1, 2, 3), p=(0.78, 0.16, 0.06)))):
        layer = place_any(rng, library, size_px, weights)
        rgb, alpha = stand(rng, rgb, alpha, layer)
    return to_levels(wear(rng, rgb), alpha)


def place_any(rng: Generator, library: Library, size_px: int, weights: Array) -> Array:
    """Place one figure of the library, drawn by `weights`, anywhere: a layer as
    `place` makes it.
    """
    cutout = library.cutouts[int(rng.choice(len(library.cutouts), p=weights))]
    return place(cutout, size_px, random_placement(rng, bool(cutout.cut_sides)))


def stand(rng: Generator, rgb: Array, alpha: Array, layer: Array) -> tuple[Array, Array]:
    """Put one more figure in front of the picture (size×size×3 in [0, 255]) and its alpha
    (size×size×1).

    Its colours may be changed, and it may throw a shadow.
    """
    from ..opencv import cv2

    size_px = len(rgb)
    colours, opacity = split_layer(layer)
    if rng.random() < 0.6:
        straight = colours / np.maximum(opacity, 1e-3)
        colours = jitter_colours(rng, straight.clip(0, 255)) * opacity
    if rng.random() < 0.12:
        right, down = rng.uniform(-0.05, 0.05), rng.uniform(0, 0.05)
        shift = np.array([[1, 0, right * size_px], [0, 1, down * size_px]], np.float32)
        shadow = cv2.warpAffine(opacity, shift, (size_px, size_px))
        shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(0.004, 0.03) * size_px)
        rgb = rgb * (1 - np.float32(rng.uniform(0.2, 0.7)) * shadow[..., None])
    return colours + (1 - opacity) * rgb, opacity + (1 - opacity) * alpha


def to_levels(rgb: Array, alpha: Array) -> tuple[Array, Array]:
    """Convert both to uint8: colours from [0, 255], alpha from [0, 1]."""
    return rgb.round().clip(0, 255).astype(np.uint8), (alpha * 255).round().astype(np.uint8)
