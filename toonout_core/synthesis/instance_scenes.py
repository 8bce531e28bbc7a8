"""Make pictures of several characters with known mattes, and masks as imperfect as
networks' are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..imaging import from_array, split_layer
from ..words import Array
from .composite import Generator, Placement, draw_background, place
from .cutouts import Library

_LEAST_VISIBLE = 0.3  # of a figure that others stand in front of
_ATTEMPTS = 20
_REFINER_SIDE = 720


@dataclass(frozen=True)
class InstanceScene:
    """A picture of several figures and their mattes.

    `image` 1×3×S×S, exact to 8 bit; `alphas` N×S×S float32: what is visible of each figure,
    hindmost first, so that their sum is the matte of the whole; `names` of the cutouts.
    """

    image: Tensor
    alphas: Tensor
    names: tuple[str, ...]

    @property
    def alpha(self) -> Tensor:
        """The matte 1×1×S×S of all of them together."""
        return self.alphas.sum(0).clamp(0, 1)[None, None]


def instance_scene(library: Library, seed: int, size_px: int, count: int) -> InstanceScene:
    """Place `count` figures side by side, touching and overlapping; the same for the same seed."""
    rng = np.random.default_rng(seed)
    background = draw_background(rng, library, size_px, flat_share=0.25)
    # who is cut by a side of the picture cannot stand in the middle of another
    whole = [not set(cutout.cut_sides) - {"B"} for cutout in library.cutouts]
    weights = library.weights() * (whole if any(whole) else 1.0)
    weights /= weights.sum()
    layers: list[Array] = []
    alphas: list[Array] = []
    names: list[str] = []
    slots = rng.permutation(count)
    for slot in slots:
        for attempt in range(_ATTEMPTS):
            cutout = library.cutouts[int(rng.choice(len(library.cutouts), p=weights))]
            layer = place(cutout, size_px, _placement(rng, int(slot), count))
            seen = visible_parts([*layers, layer])
            if attempt == _ATTEMPTS - 1 or _shows_enough(seen, [*layers, layer]):
                layers.append(layer)
                names.append(cutout.name)
                alphas = seen
                break
    rgb = lay_over(background, layers)
    image = from_array(rgb.round().clip(0, 255).astype(np.uint8))
    return InstanceScene(image, torch.from_numpy(np.stack(alphas)), tuple(names))


def lay_over(background: Array, layers: Sequence[Array]) -> Array:
    """Lay `layers` of `place`, hindmost first, over H×W×3 in [0, 255]."""
    rgb = background
    for layer in layers:
        colours, opacity = split_layer(layer)
        rgb = colours + (1 - opacity) * rgb
    return rgb


def whole_matte(scene: InstanceScene) -> Tensor:
    """Return 1×1×H×W in [0, 1] of all figures together."""
    return scene.alphas.sum(0).clamp(0, 1)[None, None]


def coarse_masks(alphas: Tensor, seed: int, *, error_px: float = 2.5) -> Tensor:
    """Damage N×H×W alpha → N×H×W bool, as a refiner that sees 720 pixels gives masks.

    Thin parts are lost, edges wander by `error_px` (standard deviation, of the 720), and where
    figures touch, bits of one belong to the other.
    """
    from ..opencv import cv2

    rng = np.random.default_rng(seed)
    height, width = alphas.shape[-2:]
    ratio = min(_REFINER_SIDE / max(height, width), 1.0)
    size_wh = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    small = [cv2.resize(a.numpy(), size_wh, interpolation=cv2.INTER_AREA) > 0.5 for a in alphas]
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    worn: list[Array] = []
    for mask in small:
        opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disk) > 0
        # some thin parts are kept
        kept = mask & (_noise(rng, mask.shape, 12.0) > 0.8)
        solid = opened | kept
        depth = _depth(solid) - _depth(~solid)
        worn.append(depth + error_px * _noise(rng, mask.shape, 8.0) > 0)
    _swap_bits(rng, worn)
    large = [
        cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        for mask in worn
    ]
    return torch.from_numpy(np.stack(large))


def _placement(rng: Generator, slot: int, count: int) -> Placement:
    """Choose places closer together than the figures' widths, so that neighbours touch."""
    spread = 0.18 + 0.08 * count
    across = 0.5 if count == 1 else 0.5 + spread * (slot / (count - 1) - 0.5)
    return Placement(
        scale=float(rng.uniform(0.55, 0.95)) * (1.0 if count < 4 else 0.8),
        centre_xy=(across + float(rng.uniform(-0.06, 0.06)), float(rng.uniform(0.42, 0.62))),
        angle_deg=float(np.clip(rng.normal(0, 6), -15, 15)),
        flip=bool(rng.random() < 0.5),
    )


def visible_parts(layers: Sequence[Array]) -> list[Array]:
    """Return a_i Π (1 − a_above) of each layer, hindmost first: S×S float32 that sum to
    the matte.
    """
    free = np.ones(layers[0].shape[:2], np.float32)
    seen: list[Array] = []
    for layer in reversed(layers):
        opacity = split_layer(layer)[1][..., 0].clip(0, 1)
        seen.append((opacity * free).astype(np.float32))
        free = free * (1 - opacity)
    return seen[::-1]


def _shows_enough(seen: list[Array], layers: list[Array]) -> bool:
    for visible, layer in zip(seen, layers, strict=True):
        whole = float(split_layer(layer)[1].sum())
        if whole < 0.005 * visible.size or float(visible.sum()) < _LEAST_VISIBLE * whole:
            return False
    return True


def _depth(mask: Array) -> Array:
    from ..opencv import cv2

    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _noise(rng: Generator, shape: tuple[int, ...], sigma_px: float) -> Array:
    """Make smooth noise of standard deviation 1."""
    from ..opencv import cv2

    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma_px)
    return noise / max(float(noise.std()), 1e-6)


def _swap_bits(rng: Generator, masks: list[Array]) -> None:
    """Give discs at contacts from one of two figures to the other, in place."""
    from ..opencv import cv2

    disk = np.ones((9, 9), np.uint8)
    for first in range(len(masks)):
        for second in range(first + 1, len(masks)):
            near = [cv2.dilate(masks[i].view(np.uint8), disk) > 0 for i in (first, second)]
            rows, columns = np.nonzero(near[0] & near[1])
            for _ in range(len(rows) // 1500):
                at = int(rng.integers(len(rows)))
                bit = np.zeros(masks[first].shape, np.uint8)
                centre = (int(columns[at]), int(rows[at]))
                cv2.circle(bit, centre, int(rng.integers(3, 9)), 1, -1)
                both = (bit > 0) & (masks[first] | masks[second])
                giver, taker = (first, second) if rng.random() < 0.5 else (second, first)
                masks[giver][both] = False
                masks[taker][both] = True
