"""Bind a mesh to bones: which bone holds which part, and where bones alone would put it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ...words import Array
from .mesh import Mesh, mesh_of
from .rig import PARTS, SOCKETS, Rig

_SHARP = 4.0  # power of the inverse distance: the nearest bone decides nearly alone
_SOCKET = 1.3  # of the distance from a joint to the outline: there a limb stays grown to the body


class Skin:
    """A mesh cut along its limbs, so that they can cross the body, and weights of all bones."""

    def __init__(self, mesh: Mesh, rig: Rig, alpha: Tensor) -> None:
        self.rig = rig
        self.rest = rig.array()
        names = rig.names
        self.bones = [(names.index(rig.parent(name)), names.index(name)) for name in names[1:]]
        part_of_bone = np.array([_part(name) for name in names[1:]])
        nearest = self._distances(mesh.points[mesh.triangles].mean(1)).argmin(1)
        self.part_of_triangle = part_of_bone[nearest]
        self.mesh = _cut(mesh, self.part_of_triangle, rig, alpha)
        near = 1 / np.maximum(self._distances(self.mesh.points), mesh.cell_px / 4) ** _SHARP
        allowed = np.zeros((len(self.mesh.points), len(PARTS)), bool)
        for corner in range(3):
            allowed[self.mesh.triangles[:, corner], self.part_of_triangle] = True
        near = near * allowed[:, part_of_bone]
        self.weights = near / np.maximum(near.sum(1, keepdims=True), 1e-30)

    def _distances(self, points: Array) -> Array:
        """Return the distances to every bone, N×B px."""
        return np.stack([_distance(points, self.rest[a], self.rest[b]) for a, b in self.bones], 1)

    def placed(self, targets: Array) -> Array:
        """Return V×2: every point where its bones carry it, J×2 being where the joints are now."""
        moved = np.zeros_like(self.mesh.points)
        for index, (a, b) in enumerate(self.bones):
            old = _complex(self.rest[b] - self.rest[a])
            new = _complex(targets[b] - targets[a])
            turn = 1 if abs(old) < 1e-9 or abs(new) < 1e-9 else new / old
            turn /= abs(turn)
            way = (self.mesh.points - self.rest[a]) @ np.array(
                [[turn.real, turn.imag], [-turn.imag, turn.real]]
            )
            moved += self.weights[:, index, None] * (way + targets[a])
        return moved


def _cut(mesh: Mesh, part_of_triangle: Array, rig: Rig, alpha: Tensor) -> Mesh:
    """Cut the mesh, so that every limb has points of its own, except for those where it hangs."""
    triangles = mesh.triangles.copy()
    points = [mesh.points]
    count = len(mesh.points)
    body = [*PARTS].index("body")
    used = np.zeros((count, len(PARTS)), bool)
    for corner in range(3):
        used[triangles[:, corner], part_of_triangle] = True
    for number, part in enumerate(PARTS):
        socket = rig.points.get(SOCKETS.get(part, ""))
        if number == body or socket is None:
            continue
        far = np.linalg.norm(mesh.points - socket, axis=1) > _reach_px(alpha, socket, mesh)
        shared = np.flatnonzero(used[:, number] & (used.sum(1) > 1) & far)
        new = np.arange(len(mesh.points))
        new[shared] = count + np.arange(len(shared))
        mine = part_of_triangle == number
        triangles[mine] = new[triangles[mine]]
        points.append(mesh.points[shared])
        count += len(shared)
    return mesh_of(np.concatenate(points), triangles, mesh.cell_px)


def _reach_px(alpha: Tensor, socket: tuple[float, float], mesh: Mesh) -> float:
    """Return how far around its socket a limb is grown to the body: about half the limb's width."""
    import cv2

    solid = (alpha[0, 0] > 0.5).cpu().numpy().astype(np.uint8)
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    row = min(max(round(socket[1]), 0), solid.shape[0] - 1)
    column = min(max(round(socket[0]), 0), solid.shape[1] - 1)
    return _SOCKET * max(float(inside[row, column]), mesh.cell_px)


def _part(joint: str) -> int:
    """Return the number of the part, in the order of drawing, that the bone above a joint
    belongs to.
    """
    return next(number for number, joints in enumerate(PARTS.values()) if joint in joints)


def _distance(points: Array, start: Array, end: Array) -> Array:
    """Return the distance of N×2 points to a line segment."""
    way = end - start
    length = float(way @ way)
    share = np.clip((points - start) @ way / length, 0, 1) if length > 0 else np.zeros(len(points))
    return np.linalg.norm(points - start - share[:, None] * way, axis=1)


def _complex(way: Array) -> complex:
    return complex(way[0], way[1])
