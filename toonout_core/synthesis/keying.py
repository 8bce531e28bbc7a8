"""Cut characters out of chroma-key frames: soft alpha, and colours free of the screen's.

In the plane of chroma, turned so that the screen is at (1, 0), a pixel at (x, z) has k = x − |z| /
tan θ of screen in it. That is exact for I = αF + (1−α)B where F is grey, and nothing for what is
further than θ from the screen's hue (F. van den Bergh, V. Lalioti: Software Chroma Keying in an
Immersive Virtual Environment, 1999). Along edges the opaque colour F beside the edge is known too,
and α = (I − B)·(F − B) / |F − B|² is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..ops.unmixing import nearest_colours
from ..words import Array
from .key_colour import Key, chroma_of, hue_histogram, key_of, screen_colours, screen_mask
from .options import KeyOptions

_ALIKE = 0.02  # |F − B|² at which an edge's colours say as much as the cone
_BEHIND_PX = 2.5
_LITTLE = 0.6  # of the screen: what shows less, further in than edges are wide, is opaque


@dataclass(frozen=True)
class Keyed:
    """What was cut out: `image` 1×3×H×W, colours of the figure, and `alpha` 1×1×H×W, both
    in [0, 1].
    """

    image: Tensor
    alpha: Tensor
    key: Key


def estimate_key(frames: Sequence[Tensor], options: KeyOptions) -> Key:
    """Find one key for all `frames` 1×3×H×W of a clip; see `key_of`."""
    if options.hue_deg is not None:
        return Key(options.hue_deg % 360, 4.0, 1.0)
    counted = [hue_histogram(_planes(frame)) for frame in frames]
    histogram = np.sum([part for part, _ in counted], axis=0)
    return key_of(histogram, sum(pixels for _, pixels in counted))


def extract(image: Tensor, key: Key, options: KeyOptions) -> Keyed:
    """Cut out the figure before a screen of that hue.

    Raises BadInput if `image` 1×3×H×W shows no screen or no figure.
    """
    planes = _planes(image)
    surely = screen_mask(planes, key)
    screen = screen_colours(planes, surely)
    cone = screen_share(planes, screen, options.cone_deg)
    alpha = 1 - _stretched(cone, surely)
    alpha = _refined(alpha, planes, screen, options.edge_px)
    alpha = _largest_parts(alpha, options.least_part)
    if float(alpha.mean()) < options.least_share:
        raise BadInput(
            f"a figure must fill {options.least_share:.0%} of the frame",
            f"{alpha.mean():.1%}",
            "Lower that share if figures are small.",
        )
    colours = _own_colours(planes, alpha, screen)
    colours = _despilled(colours, alpha, screen, options)
    return Keyed(torch.from_numpy(colours)[None], torch.from_numpy(alpha)[None, None], key)


def screen_share(planes: Array, screen: Array, cone_deg: float) -> Array:
    """Return k, how much of `screen` is in `planes` (both 3×H×W), as H×W in [0, 1]."""
    first, second = chroma_of(planes)
    key_first, key_second = chroma_of(screen)
    length = np.maximum(key_first**2 + key_second**2, np.float32(1e-4))
    along = (first * key_first + second * key_second) / length
    across = np.abs(second * key_first - first * key_second) / length
    return (along - across / np.float32(np.tan(np.radians(cone_deg)))).clip(0, 1)


def _planes(image: Tensor) -> Array:
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise BadInput("a frame must be 1×3×H×W", f"shape {tuple(image.shape)}")
    return image[0].to(torch.float32).cpu().numpy()


def _stretched(share: Array, surely: Array) -> Array:
    """Cut off the noise of the screen, and as much of the figure's, from `share`."""
    noise = float(share[surely].std())
    low, high = min(2 * noise, 0.1), max(float(share[surely].mean()) - 2.5 * noise, 0.6)
    return ((share - low) / (high - low)).clip(0, 1).astype(np.float32)


def _refined(alpha: Array, planes: Array, screen: Array, edge_px: float) -> Array:
    """Compute alpha along edges by the colours of both sides; inside it is opaque."""
    from ..opencv import cv2

    clear = (alpha < 0.02).astype(np.uint8)
    distance = cv2.distanceTransform(1 - clear, cv2.DIST_L2, cv2.DIST_MASK_5)
    refined = np.where((distance > edge_px) & (alpha > 1 - _LITTLE), 1, alpha)
    refined[_enclosed(refined)] = 1
    # the outermost opaque pixels may hold a little screen: colours come from behind them
    core = (refined > 0.98) & (distance > min(edge_px, _BEHIND_PX))
    rows, columns = np.nonzero((clear == 0) & np.logical_not(core))
    if not len(rows) or not core.any():
        return refined.astype(np.float32)
    figure, near = nearest_colours(core, planes, rows, columns)
    behind = screen[:, rows, columns]
    apart = figure - behind
    length = (apart**2).sum(0)
    share = ((planes[:, rows, columns] - behind) * apart).sum(0) / np.maximum(length, 1e-6)
    trust = np.where(near, length / (length + np.float32(_ALIKE)), 0)
    cone = refined[rows, columns]
    refined[rows, columns] = cone + trust * (share.clip(0, 1) - cone)
    return refined.clip(0, 1).astype(np.float32)


def _enclosed(alpha: Array) -> Array:
    """Find soft parts that touch nothing clear, H×W bool: they are the figure's own colours, not
    its edge.
    """
    from ..opencv import cv2

    count, labels = cv2.connectedComponents((alpha < 0.98).astype(np.uint8), connectivity=8)
    open_ = np.zeros(count, np.bool_)
    open_[np.asarray(labels, np.int64)[alpha < 0.02]] = True
    open_[0] = True
    return np.logical_not(open_)[np.asarray(labels, np.int64)]


def _largest_parts(alpha: Array, least_part: float) -> Array:
    from ..opencv import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (alpha > 0.1).astype(np.uint8), connectivity=8
    )
    if count < 2:
        return alpha
    areas = stats[:, cv2.CC_STAT_AREA]
    large = areas >= least_part * areas[1:].max()
    large[0] = True
    return alpha * large[np.asarray(labels, np.int64)]


def _own_colours(planes: Array, alpha: Array, screen: Array) -> Array:
    """Return F = (I − (1−α)B) / α; where little is seen, more and more the colour of what
    is beside.
    """
    solved = (planes - (1 - alpha) * screen) / np.maximum(alpha, np.float32(0.05))
    solid = alpha > 0.9
    if not solid.any():
        return solved.clip(0, 1)
    rows, columns = np.nonzero((alpha > 0) & np.logical_not(solid))
    colours = solved.clip(0, 1)
    beside, near = nearest_colours(solid, planes, rows, columns)
    trust = np.where(near, ((alpha[rows, columns] - 0.1) / 0.6).clip(0, 1), 1)
    found = colours[:, rows, columns]
    colours[:, rows, columns] = beside + trust * (found - beside)
    return colours.astype(np.float32)


def _despilled(colours: Array, alpha: Array, screen: Array, options: KeyOptions) -> Array:
    """Take away the light that the screen throws on the figure: k of it, near the screen."""
    from ..opencv import cv2

    reach = 0.03 * min(alpha.shape)
    solid = (alpha > 0.02).astype(np.uint8)
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_5)
    near = (2 - distance / max(reach, 1)).clip(0, 1)
    light = screen_share(colours, screen, options.cone_deg) * near * options.despill
    return (colours - light * screen).clip(0, 1).astype(np.float32)
