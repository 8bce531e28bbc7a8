"""Bind a mesh to bones: which bone holds which part, and where bones alone would put it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from torch import Tensor

from ...words import Array
from .mesh import Mesh, cells_of, mesh_of
from .parts import BODY, Bones
from .rig import PARTS, SOCKETS, Rig

_SHARP = 4.0  # power of the inverse distance: the nearest bone decides nearly alone
_SOCKET = 1.3  # of the distance from a joint to the outline: there a limb stays grown to the body


class Skin:
    """A mesh with cells of its own for every limb, so that they can cross the body, and weights of
    all bones. `layers`: what each of PARTS shows, premultiplied H×W×4; limbs in `grown` are parts
    of the body."""

    def __init__(
        self,
        mesh: Mesh,
        rig: Rig,
        alpha: Tensor,
        layers: list[Array],
        grown: Collection[str] = (),
    ) -> None:
        bones = Bones(rig, grown)
        self.rig, self.bones, self.rest = rig, bones.pairs, bones.rest
        self._parts_of_joints = bones.parts
        shown = [cells_of(mesh, layer[..., 3] > 0) for layer in layers]
        # what is too faint for any part is the body's
        shown[BODY] |= ~np.any(shown, 0)
        triangles = [mesh.triangles[cells] for cells in shown]
        self.part_of_triangle = np.repeat(np.arange(len(PARTS)), [len(t) for t in triangles])
        joined = np.concatenate(triangles)
        self.mesh = _cut(mesh, joined, self.part_of_triangle, rig, alpha)
        near = 1 / np.maximum(bones.distances(self.mesh.points), mesh.cell_px / 4) ** _SHARP
        allowed = np.zeros((len(self.mesh.points), len(PARTS)), bool)
        for corner in range(3):
            allowed[self.mesh.triangles[:, corner], self.part_of_triangle] = True
        near = near * _own_or_any(allowed[:, bones.parts])
        self.weights = near / np.maximum(near.sum(1, keepdims=True), 1e-30)

    def holding(self, more: int) -> Array:
        """P×T: which triangles may hold each joint, those of its part, and `more` other points."""
        parts = np.array([BODY, *self._parts_of_joints])
        own = parts[:, None] == self.part_of_triangle
        others = np.ones((more, len(self.part_of_triangle)), bool)
        return np.concatenate((np.where(own.any(1, keepdims=True), own, True), others))

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


def _own_or_any(allowed: Array) -> Array:
    """V×B: bones of the parts that a point belongs to; all, where such a part has none."""
    return np.where(allowed.any(1, keepdims=True), allowed, True)


def _cut(mesh: Mesh, triangles: Array, part_of_triangle: Array, rig: Rig, alpha: Tensor) -> Mesh:
    """The mesh with points of its own for every limb, but for those where it hangs."""
    points = [mesh.points]
    count = len(mesh.points)
    used = np.zeros((count, len(PARTS)), bool)
    for corner in range(3):
        used[triangles[:, corner], part_of_triangle] = True
    for number, part in enumerate(PARTS):
        socket = rig.points.get(SOCKETS.get(part, ""))
        if number == BODY or socket is None:
            continue
        far = np.linalg.norm(mesh.points - socket, axis=1) > _reach_px(alpha, socket, mesh)
        shared = np.flatnonzero(used[:, number] & (used.sum(1) > 1) & far)
        new = np.arange(len(mesh.points))
        new[shared] = count + np.arange(len(shared))
        mine = part_of_triangle == number
        triangles[mine] = new[triangles[mine]]
        points.append(mesh.points[shared])
        count += len(shared)
    everything = np.concatenate(points)
    kept = np.unique(triangles)  # a point that only limbs had is theirs now
    place = np.zeros(len(everything), np.int64)
    place[kept] = np.arange(len(kept))
    return mesh_of(everything[kept], place[triangles], mesh.cell_px)


def _reach_px(alpha: Tensor, socket: tuple[float, float], mesh: Mesh) -> float:
    """Return how far around its socket a limb is grown to the body: about half the limb's width."""
    from ...opencv import cv2

    solid = (alpha[0, 0] > 0.5).cpu().numpy().astype(np.uint8)
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    row = min(max(round(socket[1]), 0), solid.shape[0] - 1)
    column = min(max(round(socket[0]), 0), solid.shape[1] - 1)
    return _SOCKET * max(float(inside[row, column]), mesh.cell_px)


def _complex(way: Array) -> complex:
    return complex(way[0], way[1])
