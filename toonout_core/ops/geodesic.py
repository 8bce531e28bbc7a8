"""Find the cheapest way through a picture: short, through what is opaque, and not across colours.

Distances spread row by row, down and up again (raster scans, Toivanen 1996). Along a row of steps
s, the cheapest way from the left is min over j ≤ i of d(j) + S(i) − S(j), where S is the running
sum of s. That is a running minimum of d − S.
"""

from __future__ import annotations

import math

import numpy as np

from ..words import Array

Window = tuple[slice, slice]

_SCANS = 2  # ways that wind more often than this around corners are found too long
_ALL, _BUT_FIRST, _BUT_LAST = slice(None), slice(1, None), slice(None, -1)


def geodesic_distance(
    start: Array, alpha: Array, colours: Array | None, *, colour: float, gap: float
) -> Array:
    """Cost of reaching every pixel, H×W float64; `start` H×W is what it costs to begin there.

    `alpha` H×W and `colours` 3×H×W in [0, 1]. A step costs its length in pixels; `gap` (1−α)⁴
    times that more; and `colour` times the largest change of a channel.
    """
    distance = start.astype(np.float64)
    steps = _Steps(alpha, colours, colour, gap)
    for _ in range(_SCANS):
        steps.spread_down_(distance)
        steps.spread_up_(distance)
    return distance


class _Steps:
    """What it costs to go from a pixel to each of its neighbours, and back."""

    def __init__(self, alpha: Array, colours: Array | None, colour: float, gap: float) -> None:
        self.alpha, self.colours = alpha, colours
        self.colour, self.gap = np.float32(colour), np.float32(gap)
        self.down = self._cost((_BUT_FIRST, _ALL), (_BUT_LAST, _ALL), 1)
        diagonal = math.sqrt(2)
        self.down_right = self._cost((_BUT_FIRST, _BUT_FIRST), (_BUT_LAST, _BUT_LAST), diagonal)
        self.down_left = self._cost((_BUT_FIRST, _BUT_LAST), (_BUT_LAST, _BUT_FIRST), diagonal)
        self.along = np.zeros(alpha.shape, np.float64)
        across = self._cost((_ALL, _BUT_FIRST), (_ALL, _BUT_LAST), 1)
        np.cumsum(across, 1, out=self.along[:, 1:])

    def _cost(self, there: Window, here: Window, length: float) -> Array:
        cost = 1 - np.minimum(self.alpha[there], self.alpha[here])
        # to the fourth: half transparent hair is no gap
        cost *= cost
        cost *= cost
        cost *= self.gap
        cost += 1
        cost *= np.float32(length)
        if self.colours is not None:
            change = np.zeros_like(cost)
            for plane in self.colours:
                np.maximum(change, np.abs(plane[there] - plane[here]), out=change)
            cost += change * self.colour
        return cost

    def spread_down_(self, distance: Array) -> None:
        """Cheaper ways from above and from both sides, in place."""
        self._spread_along_(distance[0], self.along[0])
        for row in range(1, len(distance)):
            here, above = distance[row], distance[row - 1]
            np.minimum(here, above + self.down[row - 1], out=here)
            np.minimum(here[1:], above[:-1] + self.down_right[row - 1], out=here[1:])
            np.minimum(here[:-1], above[1:] + self.down_left[row - 1], out=here[:-1])
            self._spread_along_(here, self.along[row])

    def spread_up_(self, distance: Array) -> None:
        """Cheaper ways from below and from both sides, in place."""
        for row in range(len(distance) - 2, -1, -1):
            here, below = distance[row], distance[row + 1]
            np.minimum(here, below + self.down[row], out=here)
            np.minimum(here[:-1], below[1:] + self.down_right[row], out=here[:-1])
            np.minimum(here[1:], below[:-1] + self.down_left[row], out=here[1:])
            self._spread_along_(here, self.along[row])

    @staticmethod
    def _spread_along_(row: Array, along: Array) -> None:
        np.minimum(row, np.minimum.accumulate(row - along) + along, out=row)
        back = np.minimum.accumulate((row + along)[::-1])[::-1]
        np.minimum(row, back - along, out=row)
