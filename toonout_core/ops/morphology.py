"""Grow and shrink by a Euclidean disk: masks exactly, soft alpha with its softness kept.

What lies outside of the picture is unknown: it neither grows in nor eats away. So dilate and erode
are adjoint, and doing one after the other a second time changes nothing, up to the border.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from .blur import through_opencv


def dilate(mask: Tensor, radius_px: int) -> Tensor:
    """Compute the maximum over a disk (dx² + dy² ≤ radius²) of B×C×H×W, bool or float."""
    _check_radius(radius_px)
    if radius_px == 0:
        return mask
    if mask.dtype == torch.bool:
        if through_opencv(mask):
            return _distance_to(mask) <= radius_px + 1e-3
        return _disk_maximum(mask.to(torch.float32), radius_px) > 0.5
    return _disk_maximum(mask, radius_px)


def erode(mask: Tensor, radius_px: int) -> Tensor:
    """Compute the minimum over a disk of B×C×H×W, bool or float."""
    if mask.dtype == torch.bool:
        return ~dilate(~mask, radius_px)
    return -dilate(-mask, radius_px)


def grow(alpha: Tensor, radius_px: float) -> Tensor:
    """Move the edges of B×1×H×W in [0, 1] outwards by a fraction of pixels; inwards if negative.

    Between two whole radii the results of both are mixed: a hard edge that grows by 0.3 px gets a
    rim of alpha 0.3, a soft edge keeps its profile.
    """
    if not math.isfinite(radius_px):
        raise BadInput("radius_px must be a number", str(radius_px))
    if radius_px < 0:
        return -_grow(-alpha.to(torch.float32), -radius_px)
    return _grow(alpha.to(torch.float32), radius_px)


def _grow(alpha: Tensor, radius_px: float) -> Tensor:
    whole = math.floor(radius_px)
    share = radius_px - whole
    grown = dilate(alpha, whole)
    return torch.lerp(grown, dilate(alpha, whole + 1), share) if share else grown


def signed_distance(mask: Tensor) -> Tensor:
    """Measure the exact distance to the mask's edge in pixels: positive inside, negative outside.

    B×C×H×W bool → float32. The edge runs between pixels: next to it are +0.5 and −0.5. A plane
    without any edge is +inf or −inf.
    """
    return (_distance_to(~mask) - 0.5).clamp(min=0) - (_distance_to(mask) - 0.5).clamp(min=0)


def _distance_to(mask: Tensor) -> Tensor:
    """Measure how far each pixel's centre is from the nearest one in the mask; inf where there is
    none.
    """
    from ..opencv import cv2

    planes = mask.detach().cpu().flatten(0, 1).numpy()
    distances = np.full(planes.shape, np.inf, np.float32)
    for plane, distance in zip(planes, distances, strict=True):
        if plane.any():
            outside = np.logical_not(plane).view(np.uint8)
            distance[...] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distances).view(mask.shape).to(mask.device)


def _disk_maximum(x: Tensor, radius: int) -> Tensor:
    """Compute a maximum over a disk as one over rows: a running maximum along each, 3 operations
    for each ±dy.

    A row of n pixels is covered by two windows of 2^j ≤ n, and those double as rows get longer.
    """
    height, width = x.shape[-2:]
    result = torch.full_like(x, -torch.inf)
    row = torch.empty_like(x)
    window = torch.nn.functional.pad(x, (radius, radius, 0, 0), value=-torch.inf)
    span = 1
    for dy in range(radius, -1, -1):
        half = math.isqrt(radius * radius - dy * dy)
        while 2 * span <= 2 * half + 1:
            window = torch.maximum(window[..., :-span], window[..., span:])
            span *= 2
        if dy >= height:
            continue
        first, last = radius - half, radius + half + 1 - span
        left, right = window[..., first : first + width], window[..., last : last + width]
        torch.maximum(left, right, out=row)
        below, above = result[..., dy:, :], result[..., : height - dy, :]
        torch.maximum(below, row[..., : height - dy, :], out=below)
        torch.maximum(above, row[..., dy:, :], out=above)
    return result


def _check_radius(radius_px: int) -> None:
    if radius_px < 0 or radius_px != int(radius_px):
        raise BadInput("radius_px must be a whole number, at least 0", str(radius_px))
