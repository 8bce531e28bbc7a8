"""Attach to figures what characters hold and wear: tails, wings, staffs, things.

Who learns to tell characters apart must see that these belong to their owner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..imaging import from_layer, join_layers, to_layer
from ..words import Array

Generator = np.random.Generator

_ROOM = 0.45  # of the longer side, on every side, for what sticks out
_CURVE = 24  # points of a tail


def attach(rng: Generator, rgba: Array, props: Sequence[Array] = ()) -> Array:
    """Join one more thing to H×W×4 uint8, straight → a larger picture of both.

    A tail or wings go behind the figure; a staff or one of `props` (RGBA like it) goes before it.
    """
    height, width = rgba.shape[:2]
    room = round(_ROOM * max(height, width))
    canvas = np.pad(rgba, ((room, room), (room, room), (0, 0)))
    edge = _outline(canvas)
    if len(edge) < 8:
        return rgba
    size = float(np.ptp(edge, axis=0).max())
    kind = str(rng.choice(("tail", "wings", "staff", "prop" if len(props) else "staff")))
    if kind == "prop":
        thing = _prop(rng, canvas, edge, size, props[int(rng.integers(len(props)))])
    else:
        shapes = {"tail": _tail, "wings": _wings, "staff": _staff}[kind](rng, edge, size)
        thing = _drawn(rng, canvas, shapes, size)
    behind = kind in ("tail", "wings")
    return _close(from_layer(join_layers(to_layer(canvas), thing) if behind else
                             join_layers(thing, to_layer(canvas))))  # fmt: skip


def _outline(rgba: Array) -> Array:
    """Return the longest outline, N×2 x, y, in order."""
    from ..opencv import cv2

    solid = (rgba[..., 3] > 127).astype(np.uint8)
    lines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(lines, key=len, default=np.zeros((0, 1, 2), np.int32))
    return np.asarray(longest, np.float64)[:, 0]


def _tail(rng: Generator, edge: Array, size: float) -> list[Array]:
    """Draw a bent strip that gets thinner or thicker, from a side of the lower body."""
    start = _somewhere(rng, edge, (0.5, 0.9))
    side = 1.0 if start[0] > edge[:, 0].mean() else -1.0
    turn = np.cumsum(rng.normal(0, 0.12, _CURVE)) + rng.uniform(-0.9, 0.7)
    turn += np.linspace(0, rng.uniform(-1.5, 1.5), _CURVE)
    step = size * rng.uniform(0.35, 0.75) / _CURVE
    ways = np.stack((side * np.cos(turn), np.sin(turn)), 1)
    line = start - 0.06 * size * ways[0] + np.cumsum(step * ways, 0)
    thick = size * np.linspace(rng.uniform(0.015, 0.07), rng.uniform(0.004, 0.07), _CURVE)
    across = np.stack((-ways[:, 1], ways[:, 0]), 1) * thick[:, None]
    return [np.concatenate((line + across, (line - across)[::-1]))]


def _wings(rng: Generator, edge: Array, size: float) -> list[Array]:
    """Draw one fan or two alike that grow from the upper body."""
    middle = edge.mean(0)
    root = np.array([middle[0], edge[:, 1].min() + size * rng.uniform(0.25, 0.45)])
    feathers = int(rng.integers(3, 8))
    turns = np.linspace(rng.uniform(-1.3, -0.7), rng.uniform(0.1, 0.8), feathers)
    lengths = size * rng.uniform(0.35, 0.6) * np.linspace(1, rng.uniform(0.4, 0.8), feathers)
    dent = rng.uniform(0.5, 0.85)
    points = [np.zeros(2)]
    for turn, length in zip(turns, lengths, strict=True):
        way = np.array([np.cos(turn), np.sin(turn)])
        between = np.array([np.cos(turn + 0.15), np.sin(turn + 0.15)])
        points += [length * way, dent * length * between]
    wing = np.stack(points)
    fans = [root + wing, root + wing * (-1, 1)]
    return fans if rng.random() < 0.7 else fans[:1]


def _staff(rng: Generator, edge: Array, size: float) -> list[Array]:
    """Draw a long thin bar through a side of the body, perhaps with a head."""
    hold = _somewhere(rng, edge, (0.3, 0.7))
    turn = rng.normal(-np.pi / 2, 0.45)
    way = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-way[1], way[0]]) * size * rng.uniform(0.006, 0.022)
    up, down = size * rng.uniform(0.25, 0.6), size * rng.uniform(0.05, 0.45)
    top, bottom = hold + way * up, hold - way * down
    shapes = [np.stack((top + across, top - across, bottom - across, bottom + across))]
    if rng.random() < 0.6:
        radius = size * rng.uniform(0.03, 0.1)
        corners = np.linspace(0, 2 * np.pi, int(rng.integers(3, 14)), endpoint=False)
        long = rng.uniform(0.6, 1.8)
        head = np.stack((long * np.cos(corners), np.sin(corners)), 1) * radius
        shapes.append(top + head[:, :1] * way + head[:, 1:] * across / np.linalg.norm(across))
    return shapes


def _prop(rng: Generator, canvas: Array, edge: Array, size: float, prop: Array) -> Array:
    """Put the thing in a hand: it covers a place of the outline. Premultiplied, as large
    as `canvas`.
    """
    from ..opencv import cv2

    hold = _somewhere(rng, edge, (0.25, 0.8))
    scale = size * rng.uniform(0.15, 0.5) / max(prop.shape[:2])
    turn = rng.uniform(-0.6, 0.6)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    opaque = np.argwhere(prop[..., 3] > 127)
    held = opaque[int(rng.integers(len(opaque)))][::-1] if len(opaque) else np.zeros(2)
    matrix = np.concatenate((linear, (hold - linear @ held)[:, None]), 1)
    size_wh = (canvas.shape[1], canvas.shape[0])
    return cv2.warpAffine(to_layer(prop), matrix, size_wh, flags=cv2.INTER_LINEAR)


def _drawn(rng: Generator, canvas: Array, shapes: list[Array], size: float) -> Array:
    """Draw polygons in a colour of the figure or in any, outlined or not; premultiplied."""
    from ..opencv import cv2

    own = canvas[canvas[..., 3] > 250]
    colour = rng.integers(0, 256, 3)
    if len(own) and rng.random() < 0.7:
        colour = own[int(rng.integers(len(own))), :3]
    rgb = np.empty((*canvas.shape[:2], 3), np.uint8)
    rgb[:] = colour
    opacity = np.zeros(canvas.shape[:2], np.uint8)
    outlined = rng.random() < 0.7
    thick = max(round(size * rng.uniform(0.003, 0.01)), 1)
    for shape in shapes:
        # a sixteenth of a pixel: edges are as smooth as those of drawings
        points = (shape * 16).round().astype(np.int32)[:, None]
        cv2.fillPoly(opacity, [points], 255, cv2.LINE_AA, 4)
        if outlined:
            ink = [int(value) for value in colour // 4]
            cv2.polylines(rgb, [points], True, ink, 2 * thick, cv2.LINE_AA, 4)
    return to_layer(np.concatenate((rgb, opacity[..., None]), -1))


def _somewhere(rng: Generator, edge: Array, heights: tuple[float, float]) -> Array:
    """Choose x, y of the outline between two shares of its height."""
    top, bottom = edge[:, 1].min(), edge[:, 1].max()
    share = (edge[:, 1] - top) / max(bottom - top, 1)
    fitting = edge[(heights[0] <= share) & (share <= heights[1])]
    chosen = fitting if len(fitting) else edge
    return chosen[int(rng.integers(len(chosen)))]


def _close(rgba: Array) -> Array:
    """Cut off the empty margins."""
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis)) for axis in (1, 0))
    if not len(rows):
        return rgba
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
