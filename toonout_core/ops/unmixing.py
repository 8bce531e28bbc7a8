"""Tell how much of two characters is in a pixel of the edge between them, from its colour.

Where characters 1 and 2 meet, I = tF₁ + (1−t)F₂. With both colours known from beside the edge,
least squares give t = (I − F₂)·(F₁ − F₂) / |F₁ − F₂|². Where the colours are alike this says
nothing, and t stays what it was: the two are weighed |F₁ − F₂|² to _ALIKE.
"""

from __future__ import annotations

import numpy as np

from ..words import Array

_BAND_PX = 1.5  # on each side of an edge: antialiasing
_REACH_PX = 6  # where the colours beside an edge are looked for
_ALIKE = 0.02
_VISIBLE = 0.02


def unmix_edges_(part: Array, first: Array, second: Array, alpha: Array, colours: Array) -> None:
    """Overwrite `part` H×W, the share of character `first` H×W against `second`, along edges.

    `first` and `second` hold numbers of characters, negative for none; `alpha` H×W is that of all
    of them, and `colours` are 3×H×W in [0, 1].
    """
    visible = (alpha > _VISIBLE) & (first >= 0)
    band = _edges(first, visible)
    rows, columns = np.nonzero(band & (second >= 0))
    if not len(rows):
        return
    pair = np.stack((first[rows, columns], second[rows, columns]))
    beside = np.zeros((2, 3, len(rows)), np.float32)
    known = np.ones(len(rows), np.bool_)
    for number in np.unique(pair):
        core = (first == number) & (alpha > 0.5) & ~band
        for place in range(2):
            chosen = np.nonzero(pair[place] == number)[0]
            if len(chosen):
                found, near = nearest_colours(core, colours, rows[chosen], columns[chosen])
                beside[place][:, chosen] = found
                known[chosen] &= near
    apart = beside[0] - beside[1]
    length = (apart**2).sum(0)
    projected = ((colours[:, rows, columns] - beside[1]) * apart).sum(0)
    share = (projected / np.maximum(length, 1e-6)).clip(0, 1)
    trust = np.where(known, length / (length + np.float32(_ALIKE)), 0)
    part[rows, columns] += trust * (share - part[rows, columns])


def _edges(first: Array, visible: Array) -> Array:
    """Tell where two visible characters touch nearby, H×W bool."""
    from ..opencv import cv2

    edge = np.zeros(first.shape, np.bool_)
    across = visible[:, 1:] & visible[:, :-1] & (first[:, 1:] != first[:, :-1])
    down = visible[1:] & visible[:-1] & (first[1:] != first[:-1])
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    if not edge.any():
        return edge
    outside = np.logical_not(edge).view(np.uint8)
    return visible & (cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5) < _BAND_PX)


def nearest_colours(
    core: Array, colours: Array, rows: Array, columns: Array
) -> tuple[Array, Array]:
    """Find at each of P places the mean colour of `core` H×W bool around its nearest pixel.

    Returns colours 3×P, and P bool: whether that pixel is within 6 pixels. `colours` are 3×H×W.
    """
    from ..opencv import cv2

    top, left = max(int(rows.min()) - _REACH_PX, 0), max(int(columns.min()) - _REACH_PX, 0)
    window = (slice(top, int(rows.max()) + _REACH_PX + 1),)
    window += (slice(left, int(columns.max()) + _REACH_PX + 1),)
    inside = core[window]
    if not inside.any():
        return np.zeros((3, len(rows)), np.float32), np.zeros(len(rows), np.bool_)
    distance, nearest = cv2.distanceTransformWithLabels(
        np.logical_not(inside).view(np.uint8),
        cv2.DIST_L2,
        cv2.DIST_MASK_5,
        labelType=cv2.DIST_LABEL_PIXEL,
    )
    labels = np.asarray(nearest, np.int64)
    weight = cv2.blur(inside.astype(np.float32), (3, 3))
    table = np.zeros((3, int(labels.max()) + 1), np.float32)
    for plane, row in zip(colours, table, strict=True):
        mean = cv2.blur(plane[window] * inside, (3, 3)) / np.maximum(weight, 1e-6)
        row[labels[inside]] = mean[inside]
    places = (rows - top, columns - left)
    return table[:, labels[places]], distance[places] <= _REACH_PX
