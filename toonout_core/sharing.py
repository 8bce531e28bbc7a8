"""One matte of a whole picture → a matte for every character in it.

A pixel goes to the character from whose certain inside it is reached most cheaply. A step costs
its length, more where the colour changes, and much more where the matte is transparent, so that a
strand of hair stays with the head that it grows from. What is certain is the inside of a mask,
farther from its edge than masks may be wrong (soft seeds: Criminisi et al. 2008, "GeoS"). Where
two characters are reached alike, as at the edge between them, they share the pixel.

Every character is worked on within its box and a margin, and every pixel remembers the best two:
memory does not grow with their number, beside the masks that are returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .errors import BadInput
from .instances import Instances
from .ops.regions import boxes_from_masks, expand_box

Array = npt.NDArray[Any]
Window = tuple[slice, slice]

NOBODY = -1


@dataclass(frozen=True)
class ShareOptions:
    """How `share_matte` decides.

    `uncertain_px`: how far from their edges masks may be wrong; None: 1/180 of the longer side, 4
    pixels of the 720 that refiners see. `colour`: what a step from black to white costs in pixels.
    `gap`: what a step through transparency costs in pixels. `softness_px`: difference of the way
    at which a pixel is shared 73 to 27. `reach_px`: matte farther from all masks than this is left
    out. `trust_masks`: what masks hold is opaque, even if the matte misses it.
    """

    uncertain_px: float | None = None
    colour: float = 60.0
    gap: float = 8.0
    softness_px: float = 1.0
    reach_px: float = math.inf
    trust_masks: bool = False


def share_matte(
    alpha: Tensor,
    instances: Instances,
    image: Tensor | None = None,
    options: ShareOptions = ShareOptions(),
) -> Instances:
    """Alpha 1×1×H×W → the same characters by soft masks N×H×W float32 whose sum is alpha.

    `image` 1×3×H×W in [0, 1] lets colours decide where characters touch. At most two characters
    share a pixel, so that sums stay within 1/255 when masks are rounded to 8 bit. Where alpha is 0
    all masks are 0. Without any mask that holds a pixel, nothing is shared out.
    """
    _check(alpha, instances, image)
    matte = alpha[0, 0].detach().to("cpu", torch.float32).clamp(0, 1)
    if options.trust_masks and len(instances):
        matte = torch.maximum(matte, instances.union()[0, 0].cpu().to(torch.float32))
    colours = None if image is None else image[0].detach().to("cpu", torch.float32).numpy()
    masks = torch.zeros((len(instances), *instances.size_hw), dtype=torch.float32)
    shares = _Shares(instances.size_hw)
    for index, mask in enumerate(instances.masks):
        solid = (mask if mask.dtype == torch.bool else mask > 0.5).cpu()
        if bool(solid.any()):
            _explain(index, solid, matte.numpy(), colours, shares, options)
    shares.fill_unreached(matte.numpy())
    if math.isfinite(options.reach_px):
        shares.forget(_distance_to_masks(instances) > options.reach_px)
    shares.hand_out(matte.numpy(), masks.numpy(), options.softness_px)
    return instances.with_masks(masks)


class _Shares:
    """For every pixel the two characters that are nearest, and how far they are."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.first = np.full(size_hw, NOBODY, np.int16)
        self.second = np.full(size_hw, NOBODY, np.int16)
        self.near = np.full(size_hw, np.inf, np.float32)
        self.far = np.full(size_hw, np.inf, np.float32)
        self.windows: list[tuple[int, Window]] = []

    def add(self, index: int, window: Window, distance: Array) -> None:
        self.windows.append((index, window))
        first, second = self.first[window], self.second[window]
        near, far = self.near[window], self.far[window]
        wins = distance < near
        np.copyto(far, near, where=wins)
        np.copyto(second, first, where=wins)
        np.copyto(near, distance, where=wins)
        np.copyto(first, np.int16(index), where=wins)
        follows = ~wins & (distance < far)
        np.copyto(far, distance, where=follows)
        np.copyto(second, np.int16(index), where=follows)

    def fill_unreached(self, alpha: Array) -> None:
        """Matte beyond all windows goes to whom the nearest pixel belongs, by the straight line."""
        import cv2

        reached = self.first != NOBODY
        missing = (alpha > 0) & ~reached
        if not missing.any() or not reached.any():
            return
        _, labels = cv2.distanceTransformWithLabels(
            np.logical_not(reached).view(np.uint8),
            cv2.DIST_L2,
            cv2.DIST_MASK_5,
            labelType=cv2.DIST_LABEL_PIXEL,
        )
        owners = np.full(int(labels.max()) + 1, NOBODY, np.int16)
        owners[labels[reached]] = self.first[reached]
        self.first[missing] = owners[labels[missing]]
        self.windows = [(index, (slice(None), slice(None))) for index, _ in self.windows]

    def forget(self, where: Array) -> None:
        """Nobody gets these pixels."""
        self.first[where] = self.second[where] = NOBODY

    def hand_out(self, alpha: Array, masks: Array, softness_px: float) -> None:
        """Write alpha's parts into `masks` N×H×W."""
        with np.errstate(invalid="ignore", over="ignore"):
            lead = (self.far - self.near) / np.float32(max(softness_px, 1e-6))
            part = 1 / (1 + np.exp(-np.where(np.isnan(lead), np.float32(np.inf), lead)))
        part[self.second == NOBODY] = 1
        part[part > 1 - 1 / 510] = 1
        for index, window in self.windows:
            own, matte, first = masks[index][window], alpha[window], part[window]
            np.multiply(matte, first, out=own, where=self.first[window] == index)
            # the rest exactly, so that the two sum up to alpha
            np.subtract(matte, matte * first, out=own, where=self.second[window] == index)


def _explain(
    index: int,
    mask: Tensor,
    alpha: Array,
    colours: Array | None,
    shares: _Shares,
    options: ShareOptions,
) -> None:
    """Measure the way from character `index` to all pixels around it."""
    import cv2

    height, width = alpha.shape
    box = boxes_from_masks(mask[None])[0].tolist()
    margin = max(round(0.25 * max(box[2] - box[0], box[3] - box[1])), 16)
    left, top, right, bottom = expand_box(box, margin, (height, width))
    window = (slice(top, bottom), slice(left, right))
    inside = mask.numpy()[window]
    depth = np.full(inside.shape, np.inf, np.float32)
    if not inside.all():
        depth = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    uncertain = options.uncertain_px
    if uncertain is None:
        uncertain = max(max(height, width) / 180, 2.0)
    distance = np.where(inside, 4 * (uncertain - depth).clip(min=0), np.inf)
    picture = None if colours is None else colours[:, window[0], window[1]]
    steps = _Steps(alpha[window], picture, options)
    for _ in range(2):
        steps.spread_down_(distance)
        steps.spread_up_(distance)
    shares.add(index, window, distance.astype(np.float32))


class _Steps:
    """What it costs to go from a pixel to each of its neighbours."""

    def __init__(self, alpha: Array, colours: Array | None, options: ShareOptions) -> None:
        self.options = options
        self.alpha, self.colours = alpha, colours
        self.down = self._cost((slice(1, None), slice(None)), (slice(None, -1), slice(None)), 1)
        diagonal = math.sqrt(2)
        # to the lower right, to the lower left
        self.right = self._cost(
            (slice(1, None), slice(1, None)), (slice(None, -1), slice(None, -1)), diagonal
        )
        self.left = self._cost(
            (slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None)), diagonal
        )
        across = self._cost((slice(None), slice(1, None)), (slice(None), slice(None, -1)), 1)
        # cost of the way from a row's first pixel, in which differences are costs between pixels
        self.along = np.zeros(alpha.shape, np.float64)
        np.cumsum(across, 1, out=self.along[:, 1:])

    def _cost(self, there: Window, here: Window, length: float) -> Array:
        cost = 1 + self.options.gap * (1 - np.minimum(self.alpha[there], self.alpha[here]))
        cost *= length
        if self.colours is not None:
            change = np.zeros_like(cost)
            for plane in self.colours:
                change += np.abs(plane[there] - plane[here])
            cost += change * np.float32(self.options.colour / 3)
        return cost

    def spread_down_(self, distance: Array) -> None:
        """Shorter ways from above and from both sides."""
        for row in range(len(distance)):
            here = distance[row]
            if row:
                above = distance[row - 1]
                np.minimum(here, above + self.down[row - 1], out=here)
                np.minimum(here[1:], above[:-1] + self.right[row - 1], out=here[1:])
                np.minimum(here[:-1], above[1:] + self.left[row - 1], out=here[:-1])
            self._spread_along_(here, self.along[row])

    def spread_up_(self, distance: Array) -> None:
        """Shorter ways from below and from both sides."""
        for row in range(len(distance) - 2, -1, -1):
            here, below = distance[row], distance[row + 1]
            np.minimum(here, below + self.down[row], out=here)
            np.minimum(here[:-1], below[1:] + self.right[row], out=here[:-1])
            np.minimum(here[1:], below[:-1] + self.left[row], out=here[1:])
            self._spread_along_(here, self.along[row])

    @staticmethod
    def _spread_along_(row: Array, along: Array) -> None:
        # min over j ≤ i of d(j) + along(i) − along(j), then the same from the right
        np.minimum(row, np.minimum.accumulate(row - along) + along, out=row)
        back = np.minimum.accumulate((row + along)[::-1])[::-1]
        np.minimum(row, back - along, out=row)


def _distance_to_masks(instances: Instances) -> Array:
    import cv2

    union = instances.union()[0, 0].cpu()
    outside = (~union if union.dtype == torch.bool else union <= 0.5).numpy()
    return cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _check(alpha: Tensor, instances: Instances, image: Tensor | None) -> None:
    size_hw = instances.size_hw
    spelled = f"{size_hw[0]}×{size_hw[1]}"
    advice = "Give the matte, the masks and the picture of one size."
    if alpha.shape != (1, 1, *size_hw):
        got = f"shape {tuple(alpha.shape)}"
        raise BadInput(f"alpha must be 1×1×{spelled} like the masks", got, advice)
    if image is not None and image.shape != (1, 3, *size_hw):
        got = f"shape {tuple(image.shape)}"
        raise BadInput(f"image must be 1×3×{spelled} like the masks", got, advice)
