"""Find the centre lines of a mask, one pixel wide (Zhang and Suen 1984).

With ImageJ's departures from the paper: scikit-image has them, and so have the published numbers.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..words import Array

_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

# neighbours -> turns at which a pixel goes, where that is not what the paper's conditions say
_DEPARTURES = {
    1: ("N NW", "N NE", "N E NW", "NE E", "N NE E", "N W NW", "N NE W", "S W NW", "N SW W",
        "N NE SW W"),
    2: ("E SE", "N E SE", "E SE S", "S SW", "E S SW", "NE E S SW", "SE S W", "SW W", "S SW W"),
    3: ("N E", "E S", "N W", "S W"),
    0: ("SE S", "W NW"),
}  # fmt: skip


def skeleton(mask: Array) -> Array:
    """Peel the outlines of H×W bool off, by turns from two sides, until lines are left."""
    framed = np.pad(mask, 1)
    flat, row = framed.ravel(), framed.shape[1]
    around = np.array([-row, 1 - row, 1, 1 + row, row, row - 1, -1, -row - 1])  # clockwise from N
    inside = np.flatnonzero(flat)
    # only what has an empty neighbour can go; whoever loses one becomes a candidate
    candidates = inside[~flat[inside[:, None] + around].all(1)]
    waiting = [candidates, candidates]
    turn, idle = 0, 0
    while idle < 2:
        places = waiting[turn]
        code = flat[places[:, None] + around] @ (1 << np.arange(8))
        gone = places[_removable(turn)[code]]
        flat[gone] = False
        neighbours = np.unique((gone[:, None] + around).ravel())
        changed = neighbours[flat[neighbours]]
        waiting[turn] = changed
        waiting[1 - turn] = np.union1d(waiting[1 - turn], changed)
        waiting[1 - turn] = waiting[1 - turn][flat[waiting[1 - turn]]]
        idle = 0 if gone.size else idle + 1
        turn = 1 - turn
    return framed[1:-1, 1:-1].copy()


@cache
def _removable(turn: int) -> Array:
    """Tell for each of 256 neighbourhoods (bit i: neighbour i of the compass) whether a
    pixel goes.
    """
    codes = np.arange(256)
    north, _, east, _, south, _, west, _ = bits = [(codes >> i & 1).astype(bool) for i in range(8)]
    count = sum(bit.astype(int) for bit in bits)
    beginnings = sum((~bits[i] & bits[(i + 1) % 8]).astype(int) for i in range(8))
    if turn == 0:
        free = ~(north & east & south) & ~(east & south & west)
    else:
        free = ~(north & east & west) & ~(north & south & west)
    goes = (count >= 2) & (count <= 6) & (beginnings == 1) & free
    for turns, neighbourhoods in _DEPARTURES.items():
        for names in neighbourhoods:
            goes[sum(1 << _COMPASS.index(name) for name in names.split())] = turns >> turn & 1
    return goes
