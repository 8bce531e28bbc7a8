"""Lay a regular grid of triangles over a matte."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...words import Array

_SEEN = 0.02  # alpha from which on a cell belongs to the character
_LEAST_CELL_PX = 3.0
_TIES = 4  # edges that hold a detached part
_TIE_WEIGHT = 0.25


@dataclass(frozen=True, eq=False)
class Mesh:
    """`points` V×2 (x, y in px, float64); `triangles` T×3 indices; `edges` E×2 indices with their
    `weights` E: sides and diagonals of cells, and ties of detached parts."""

    points: Array
    triangles: Array
    edges: Array
    weights: Array
    cell_px: float
    corner_xy: tuple[float, float] = (0.0, 0.0)  # of the grid


def cells_of(mesh: Mesh, seen: Array) -> Array:
    """T: which triangles lie in cells that hold something of H×W bool."""
    left, top = mesh.corner_xy
    occupied = _occupied(seen, top, left, mesh.cell_px)
    middles = mesh.points[mesh.triangles].mean(1)
    columns, rows = ((middles - mesh.corner_xy) // mesh.cell_px).astype(np.int64).T
    inside = (rows < occupied.shape[0]) & (columns < occupied.shape[1])
    result = np.zeros(len(middles), bool)
    result[inside] = occupied[rows[inside], columns[inside]]
    return result


def mesh_over(alpha: Tensor, cells: int = 36) -> Mesh:
    """Make a mesh over 1×1×H×W whose longer side has about `cells` cells; every visible pixel is
    inside.

    Parts that hang in the air are tied to the nearest part that does not. Raises BadInput for an
    empty matte.
    """
    if not 4 <= cells <= 96:
        raise BadInput("cells must be 4 to 96", str(cells))
    seen = (alpha[0, 0] > _SEEN).cpu().numpy()
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        raise BadInput("a puppet must have a matte that shows something", "an empty one")
    top, left = float(rows[0]) - 1, float(columns[0]) - 1
    height, width = float(rows[-1]) + 1 - top, float(columns[-1]) + 1 - left
    cell = max(max(height, width) / cells, _LEAST_CELL_PX)
    occupied = _occupied(seen, top, left, cell)
    corners = np.zeros((occupied.shape[0] + 1, occupied.shape[1] + 1), bool)
    for down in (0, 1):
        for right in (0, 1):
            corners[down : down + occupied.shape[0], right : right + occupied.shape[1]] |= occupied
    number = np.full(corners.shape, -1, np.int64)
    number[corners] = np.arange(int(corners.sum()))
    y, x = np.nonzero(corners)
    points = np.stack((left + x * cell, top + y * cell), 1).astype(np.float64)
    j, i = np.nonzero(occupied)
    square = [number[j + down, i + right] for down in (0, 1) for right in (0, 1)]
    triangles = _triangles(square, (i + j) % 2 == 0)
    return replace(mesh_of(points, triangles, cell), corner_xy=(left, top))


def mesh_of(points: Array, triangles: Array, cell_px: float) -> Mesh:
    """Make a mesh with the edges of its triangles; parts that hang in the air are tied to the
    nearest one.
    """
    edges, weights = _edges(points, triangles, cell_px)
    ties = _ties(points, edges)
    return Mesh(
        points,
        triangles,
        np.concatenate((edges, ties)),
        np.concatenate((weights, np.full(len(ties), _TIE_WEIGHT))),
        cell_px,
    )


def _occupied(seen: Array, top: float, left: float, cell: float) -> Array:
    """Tell which cells hold a visible pixel; a pixel reaches half a pixel around its centre."""
    y, x = np.nonzero(seen)
    if not len(y):
        return np.zeros((0, 0), bool)
    found: list[Array] = []
    for dy, dx in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
        found.append(np.stack(((y + dy - top) // cell, (x + dx - left) // cell)).astype(np.int64))
    places = np.concatenate(found, 1)
    size = places.max(1) + 1
    occupied = np.zeros(tuple(size), bool)
    occupied[places[0], places[1]] = True
    return occupied


def _triangles(square: list[Array], falling: Array) -> Array:
    """Make two triangles for each cell, cut along alternating diagonals, so that no direction is
    preferred.
    """
    a, b, c, d = square  # upper left, upper right, lower left, lower right
    one = np.where(falling[:, None], np.stack((a, b, d), 1), np.stack((a, b, c), 1))
    two = np.where(falling[:, None], np.stack((a, d, c), 1), np.stack((b, d, c), 1))
    return np.concatenate((one, two))


def _edges(points: Array, triangles: Array, cell_px: float) -> tuple[Array, Array]:
    """Return the edges: the sides of a triangle weigh 1 and its diagonal a half, which resists
    shear as well.
    """
    sides = [triangles[:, [one, two]] for one, two in ((0, 1), (1, 2), (0, 2))]
    pairs = np.sort(np.concatenate(sides), 1)
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    own = np.where(lengths > 1.2 * cell_px, 0.5, 1.0)
    unique, places = np.unique(pairs, axis=0, return_inverse=True)
    return unique, np.bincount(places.ravel(), own)


def _ties(points: Array, edges: Array) -> Array:
    """Make edges from every detached part to the nearest points of what hangs together already."""
    labels = _components(len(points), edges)
    held = labels == np.bincount(labels).argmax()
    ties: list[Array] = []
    while not held.all():
        loose = np.flatnonzero(~held)
        main = np.flatnonzero(held)
        near = _nearest(points[loose], points[main])
        gap = np.linalg.norm(points[loose] - points[main[near]], axis=1)
        part = np.flatnonzero(labels == labels[loose[gap.argmin()]])
        spread = part[np.linspace(0, len(part) - 1, min(_TIES, len(part))).astype(int)]
        ties.append(np.stack((spread, main[_nearest(points[spread], points[main])]), 1))
        held[part] = True
    return np.concatenate(ties) if ties else np.zeros((0, 2), np.int64)


def _components(count: int, edges: Array) -> Array:
    """Return a number for each point, the same for those that edges connect."""
    labels = np.arange(count)
    while True:
        least = labels.copy()
        np.minimum.at(least, edges[:, 0], labels[edges[:, 1]])
        np.minimum.at(least, edges[:, 1], labels[edges[:, 0]])
        least = least[least]
        if np.array_equal(least, labels):
            return labels
        labels = least


def _nearest(points: Array, among: Array) -> Array:
    """Return for each of `points` the index of the nearest one."""
    one, two = torch.from_numpy(points), torch.from_numpy(among)
    return torch.cdist(one, two).argmin(1).numpy()


def barycentric(mesh: Mesh, points: Array, allowed: Array | None = None) -> Array:
    """P×V matrix that gives `points` P×2 from the mesh's; one outside of it goes with the nearest
    triangle, by coordinates beyond 0 … 1. `allowed` P×T: which triangles may hold which point."""
    corners = mesh.points[mesh.triangles]
    away = np.linalg.norm(points[:, None] - corners.mean(1), axis=2)
    nearest = (away if allowed is None else np.where(allowed, away, np.inf)).argmin(1)
    rows = np.zeros((len(points), len(mesh.points)))
    for index, (point, triangle) in enumerate(zip(points, nearest, strict=True)):
        a, b, c = corners[triangle]
        share = np.linalg.solve(np.stack((b - a, c - a), 1), point - a)
        rows[index, mesh.triangles[triangle]] = (1 - share.sum(), share[0], share[1])
    return rows
