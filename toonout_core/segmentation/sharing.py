"""Share the matte of a whole picture out among the characters in it.

A pixel goes to the character that reaches it most cheaply from its certain inside. A step costs its
length, more where the colour changes, and much more where the matte is transparent. So a strand of
hair stays with the head that it grows from. The certain inside of a mask lies farther from its edge
than masks may be wrong (soft seeds: Criminisi et al. 2008, "GeoS"). Where two characters reach a
pixel at the same cost, they share it. Along the edge between them its colour tells how much of each
is in it.

Every character is worked on within its box and a margin, and every pixel remembers the best two. So
memory does not grow with the number of characters, beside the masks that are returned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..host import Host, Step
from ..instances import Instances
from ..ops.geodesic import geodesic_distance
from ..ops.regions import boxes_from_masks, expand_box
from ..ops.unmixing import unmix_edges_
from ..words import Array

Window = tuple[slice, slice]

NOBODY = -1
_DOUBT = 4.0  # what a pixel less of depth costs a mask's inside, in pixels of the way
_MARGIN = 0.5  # of a box' longer side, around it
_LEAST_MARGIN_PX = 32
_BLUR = np.float32(0.05)  # of the way: far from both characters decisions get softer
# of the picture's longer side; without colours a way knows no edges, and masks must be trusted more
_UNCERTAIN_WITH_COLOURS = 1 / 100
_UNCERTAIN = 1 / 180


@dataclass(frozen=True)
class ShareOptions:
    """How `share_matte` decides.

    `uncertain_px`: how far from their edges masks may be wrong; None takes 1/100 of the longer
    side, or 1/180 without an image. `colour`: the cost in pixels of a step across which a channel
    changes from 0 to 1. `gap`: the extra cost of a step through transparency. `softness_px`: a
    pixel is shared 73 to 27 where the other character's way is longer by this. `reach_px`: matte
    farther from all masks than this is left out. `trust_masks`: what lies deeper in a mask than
    `uncertain_px` is opaque, even if the matte misses it.
    """

    uncertain_px: float | None = None
    colour: float = 60.0
    gap: float = 20.0
    softness_px: float = 1.0
    reach_px: float = math.inf
    trust_masks: bool = False


def share_matte(
    alpha: Tensor,
    instances: Instances,
    image: Tensor | None = None,
    options: ShareOptions = ShareOptions(),
    *,
    host: Host | None = None,
) -> Instances:
    """Alpha 1×1×H×W → the same characters with soft masks N×H×W float32 whose sum is alpha.

    `image` 1×3×H×W in [0, 1] lets colours decide where characters touch. At most two characters
    share a pixel, so that sums stay within 1/255 when masks are rounded to 8 bit. Where alpha is 0,
    all masks are 0. If no mask holds a pixel, nothing is shared out. `host` is told of every
    character that is done, and may stop.
    """
    _check(alpha, instances, image)
    matte = alpha[0, 0].detach().to("cpu", torch.float32).clamp(0, 1).numpy().copy()
    colours = None if image is None else image[0].detach().to("cpu", torch.float32).numpy()
    if options.uncertain_px is None:
        part = _UNCERTAIN if image is None else _UNCERTAIN_WITH_COLOURS
        options = replace(options, uncertain_px=max(max(matte.shape) * part, 2.0))
    if options.trust_masks:
        _trust(instances, matte, options.uncertain_px or 0)
    shares = _Shares(instances.size_hw)
    with _progress(host, len(instances)) as report:
        for index, mask in enumerate(instances.masks):
            seed = _seed(mask.cpu())
            if seed is not None:
                shares.add(index, seed.window, _way(seed, matte, colours, options))
            report(1)
    shares.fill_unreached(matte)
    if math.isfinite(options.reach_px):
        shares.forget(_distance_to_masks(instances) > options.reach_px)
    # numpy's zeros cost no memory until they are written, torch's do
    masks = np.zeros((len(instances), *instances.size_hw), np.float32)
    shares.hand_out(matte, colours, masks, options.softness_px)
    return instances.with_masks(torch.from_numpy(masks))


class _Shares:
    """Remembers for every pixel the two characters that are nearest, and how far they are."""

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
        """Give the matte beyond all windows to the owner of the nearest pixel, by the
        straight line.
        """
        from ..opencv import cv2

        reached = self.first != NOBODY
        missing = (alpha > 0) & ~reached
        if not missing.any() or not reached.any():
            return
        _, nearest = cv2.distanceTransformWithLabels(
            np.logical_not(reached).view(np.uint8),
            cv2.DIST_L2,
            cv2.DIST_MASK_5,
            labelType=cv2.DIST_LABEL_PIXEL,
        )
        labels = np.asarray(nearest, np.int32)
        owners = np.full(int(labels.max()) + 1, NOBODY, np.int16)
        owners[labels[reached]] = self.first[reached]
        self.first[missing] = owners[labels[missing]]
        self.windows = [(index, (slice(None), slice(None))) for index, _ in self.windows]

    def forget(self, where: Array) -> None:
        """Take these pixels from everybody."""
        self.first[where] = self.second[where] = NOBODY

    def hand_out(
        self, alpha: Array, colours: Array | None, masks: Array, softness_px: float
    ) -> None:
        """Write the parts of alpha into `masks` N×H×W."""
        with np.errstate(invalid="ignore", over="ignore"):
            lead = (self.far - self.near) / (np.float32(max(softness_px, 1e-6)) + _BLUR * self.near)
            part = 1 / (1 + np.exp(-np.where(np.isnan(lead), np.float32(np.inf), lead)))
        part[self.second == NOBODY] = 1
        part[part > 1 - 1 / 510] = 1
        if colours is not None:
            unmix_edges_(part, self.first, self.second, alpha, colours)
        for index, window in self.windows:
            own, matte, first = masks[index][window], alpha[window], part[window]
            np.multiply(matte, first, out=own, where=self.first[window] == index)
            # the rest exactly, so that the two sum up to alpha
            np.subtract(matte, matte * first, out=own, where=self.second[window] == index)


@dataclass(frozen=True)
class _Seed:
    """Where one character is known to be: its surroundings, and how deep in its mask they lie."""

    window: Window
    depth: Array


def _seed(mask: Tensor) -> _Seed | None:
    """Find where the character of a mask H×W surely is; None if the mask is empty."""
    from ..opencv import cv2

    solid = mask if mask.dtype == torch.bool else mask > 0.5
    box = boxes_from_masks(solid[None])[0].tolist()
    if box[2] == 0:
        return None
    margin = max(round(_MARGIN * max(box[2] - box[0], box[3] - box[1])), _LEAST_MARGIN_PX)
    left, top, right, bottom = expand_box(box, margin, (len(mask), len(mask[0])))
    window = (slice(top, bottom), slice(left, right))
    inside = solid.numpy()[window]
    if inside.all():
        return _Seed(window, np.full(inside.shape, np.inf, np.float32))
    return _Seed(
        window, cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    )


def _trust(instances: Instances, matte: Array, uncertain_px: float) -> None:
    """Make `matte` opaque deep inside of masks."""
    for mask in instances.masks:
        seed = _seed(mask.cpu())
        if seed is not None:
            matte[seed.window][seed.depth >= uncertain_px] = 1


@contextmanager
def _progress(host: Host | None, total: int) -> Iterator[Step]:
    if host is None:
        yield lambda count=1, *, preview=None: None
        return
    with host.progress(total, "instance mattes") as report:
        yield report


def _way(seed: _Seed, alpha: Array, colours: Array | None, options: ShareOptions) -> Array:
    """Measure the way from the certain inside of a character to all pixels around it."""
    assert options.uncertain_px is not None
    doubt = _DOUBT * (options.uncertain_px - seed.depth).clip(min=0)
    start = np.where(seed.depth > 0, doubt, np.inf)
    picture = None if colours is None else colours[:, seed.window[0], seed.window[1]]
    way = geodesic_distance(
        start, alpha[seed.window], picture, colour=options.colour, gap=options.gap
    )
    return way.astype(np.float32)


def _distance_to_masks(instances: Instances) -> Array:
    from ..opencv import cv2

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
