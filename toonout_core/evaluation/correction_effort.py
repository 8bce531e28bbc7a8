"""Human correction effort: how many clicks it would take to mend a mask (Qin 2022, DIS)."""

from __future__ import annotations

import numpy as np

from ..ops.regions import label_regions
from ..words import Array
from .matte_pair import MIDDLE, MattePair
from .skeleton import skeleton

_RELAX = 5  # px: thinner errors along outlines are nobody's work
_POLYGON_PX = 2.0  # how far a polygon may be off


def correction_effort(pair: MattePair, true_skeleton: Array | None = None) -> float:
    """Count the polygon corners and separate regions to mend, with both mattes as masks.

    `true_skeleton` H×W bool: the centre lines of the truth, if they are known already. As with the
    published program, it differs by some corners between OpenCV 4 and 5.
    """
    truth, found = pair.true_mask, pair.levels > MIDDLE
    right, surplus, missing = truth & found, found & ~truth, truth & ~found
    lines = skeleton(truth) if true_skeleton is None else true_skeleton
    both = _erode(truth | found, _RELAX)
    wrong = surplus & _regrow(surplus & both, ~(right | missing))
    lost = missing & _regrow(missing & both, ~(right | surplus))
    lost |= lines & ~right  # thin parts count, however thin
    effort = _effort(wrong, right | lost)
    return float(effort + _effort(lost, ~(right | wrong | lost)))


def _cross() -> Array:
    return np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def _erode(mask: Array, times: int) -> Array:
    from ..opencv import cv2

    return cv2.erode(mask.astype(np.uint8), _cross(), iterations=times).astype(bool)


def _dilate(mask: Array) -> Array:
    from ..opencv import cv2

    return cv2.dilate(mask.astype(np.uint8), _cross()).astype(bool)


def _regrow(core: Array, allowed: Array) -> Array:
    for _ in range(_RELAX):
        core = _dilate(core) & allowed
    return core


def _effort(errors: Array, other: Array) -> int:
    """Count the corners of the outline that errors share with `other`, and the regions that share
    none.
    """
    from ..opencv import cv2

    contours, _ = cv2.findContours(errors.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0
    regions, _, areas = label_regions(errors, 8)
    paths = [contour.reshape(-1, 2) for contour in contours]
    points: Array = np.concatenate(paths)
    chosen = _first_visits(points) & _dilate(other)[points[:, 1], points[:, 0]]
    touched = np.unique(regions[points[chosen, 1], points[chosen, 0]])
    separate = len(areas) - np.count_nonzero(touched)
    corners, start = 0, 0
    for path in paths:
        for piece in _pieces(path, chosen[start : start + len(path)]):
            corners += len(cv2.approxPolyDP(piece[:, None, :], _POLYGON_PX, False))
        start += len(path)
    return corners + separate


def _first_visits(points: Array) -> Array:
    """Mark where an outline comes to a pixel for the first time: outlines of thin things run there
    and back.
    """
    first = np.zeros(len(points), bool)
    first[np.unique(points, axis=0, return_index=True)[1]] = True
    return first


def _pieces(path: Array, chosen: Array) -> list[Array]:
    """Return the stretches of a closed outline that were chosen; the last one goes on in
    the first.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8)))
    pieces = [path[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    if len(pieces) > 1 and np.abs(pieces[0][0] - pieces[-1][-1]).max() == 1:
        pieces[-1] = np.concatenate((pieces[-1], pieces[0][::-1]))  # reversed, as published
        del pieces[0]
    return [np.ascontiguousarray(piece) for piece in pieces]
