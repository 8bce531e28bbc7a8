"""Deform a mesh in the plane as rigidly as possible.

Source: O. Sorkine and M. Alexa, As-Rigid-As-Possible Surface Modeling, 2007. In the plane a
rotation is a complex number of length 1, so the local step is a division instead of an SVD.
"""

from __future__ import annotations

import numpy as np
import torch

from ...words import Array
from .mesh import Mesh, barycentric

_PIN_WEIGHT = 1000.0
_MOST_STEPS = 200
_PATIENCE = 20  # steps before more points may move
_LEAST_AREA = 0.02  # of a cell, twice the area of a triangle


class Deformer:
    """A mesh held by pins. The system is factored once; every pose is a few substitutions.

    Energy Σ w |(p'ᵢ − p'ⱼ) − rᵢ (pᵢ − pⱼ)|² + 1000 Σ |pin − target|². Local step: rᵢ is the unit of
    Σⱼ w (p'ᵢ − p'ⱼ) conj(pᵢ − pⱼ). Global step: L p' = Σⱼ w (rᵢ + rⱼ)/2 (pᵢ − pⱼ).
    """

    def __init__(self, mesh: Mesh, pins: Array, allowed: Array | None = None) -> None:
        """`pins` P×2: points of the picture that will be moved; at least one. `allowed` P×T: which
        triangles may hold which of them."""
        self.mesh = mesh
        self.rest = _complex(mesh.points)
        self.one, self.two = mesh.edges[:, 0], mesh.edges[:, 1]
        self.along = mesh.weights * (self.rest[self.one] - self.rest[self.two])
        self.held = barycentric(mesh, pins, allowed)
        count = len(mesh.points)
        laplacian = np.zeros((count, count))
        np.add.at(laplacian, (self.one, self.two), -mesh.weights)
        np.add.at(laplacian, (self.two, self.one), -mesh.weights)
        laplacian[np.diag_indices(count)] = -laplacian.sum(1)
        system = laplacian + _PIN_WEIGHT * self.held.T @ self.held
        self.factor = torch.linalg.cholesky(torch.from_numpy(system))

    def pose(self, targets: Array, guess: Array, steps: int = 4) -> Array:
        """V×2 for pins moved to `targets` P×2, beginning with `guess` V×2."""
        pull = _PIN_WEIGHT * self.held.T @ _complex(targets)
        points = _complex(guess)
        for _ in range(steps):
            turn = self._rotations(points)
            force = self.along * (turn[self.one] + turn[self.two]) / 2
            right = pull.copy()
            np.add.at(right, self.one, force)
            np.subtract.at(right, self.two, force)
            points = self._solve(right)
        return self._untangled(_plane(points))

    def _untangled(self, points: Array) -> Array:
        """Open triangles that turned over, at the inside of a sharp bend.

        Their points move to the mean of their neighbours until no triangle is left. What stays shut
        gets more room.
        """
        way = np.sign(areas(self.mesh.points, self.mesh.triangles))
        least = _LEAST_AREA * self.mesh.cell_px**2
        loose = np.zeros(len(points), bool)
        for step in range(_MOST_STEPS):
            over = way * areas(points, self.mesh.triangles) < least
            if not over.any():
                break
            loose[self.mesh.triangles[over]] = True
            if step % _PATIENCE == _PATIENCE - 1:
                loose[self.two[loose[self.one]]] = True
                loose[self.one[loose[self.two]]] = True
            points[loose] = self._means(points)[loose]
        return points

    def _means(self, points: Array) -> Array:
        """Return the mean of the neighbours of each point."""
        sums, weights = np.zeros_like(points), np.zeros(len(points))
        for one, two in ((self.one, self.two), (self.two, self.one)):
            np.add.at(sums, one, self.mesh.weights[:, None] * points[two])
            np.add.at(weights, one, self.mesh.weights)
        return sums / weights[:, None]

    def _rotations(self, points: Array) -> Array:
        now = points[self.one] - points[self.two]
        turned = now * self.along.conj()
        sums = np.zeros(len(points), np.complex128)
        np.add.at(sums, self.one, turned)
        np.add.at(sums, self.two, turned)
        size = np.abs(sums)
        return np.where(size > 0, sums / np.maximum(size, 1e-30), 1)

    def _solve(self, right: Array) -> Array:
        both = torch.from_numpy(_plane(right))
        solved = torch.cholesky_solve(both, self.factor).numpy()
        return solved[:, 0] + 1j * solved[:, 1]


def areas(points: Array, triangles: Array) -> Array:
    """Return twice the signed area of every triangle: one that has turned over has another sign."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    one, two = b - a, c - a
    return one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]


def _complex(points: Array) -> Array:
    return points[:, 0] + 1j * points[:, 1]


def _plane(numbers: Array) -> Array:
    """V complex numbers → V×2."""
    return np.stack((np.real(numbers), np.imag(numbers)), 1)
