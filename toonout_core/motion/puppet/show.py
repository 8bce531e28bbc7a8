"""Make frames from a character's pixels and a motion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...imaging import from_rgba, split_layer, to_comfy
from ...words import Array
from ..cards import Frame
from ..options import PuppetOptions
from .arap import Deformer
from .drawing import Painter
from .mesh import Mesh, mesh_over
from .motions import FREE, JOINTED, Body, turned, wave
from .parts import BODY, LEGS, freedom, split
from .rig import PARTS, SOCKETS, Rig, driven, is_cut, rig_from_matte
from .skin import Skin

_APART = 0.5  # freedom of a limb from which on it is a part of its own
_SKIRT = 0.2  # how far legs in a skirt move


class Puppet:
    """One character: `image` 1×3×H×W and `alpha` 1×1×H×W, straight, [0, 1].

    `rig` None: joints are guessed from the matte's shape where a motion needs some. `jointed`: a
    sequence of poses will drive it.
    """

    def __init__(
        self,
        image: Tensor,
        alpha: Tensor,
        options: PuppetOptions,
        rig: Rig | None = None,
        *,
        jointed: bool = False,
    ) -> None:
        self.options = options
        self.jointed = jointed or options.motion in JOINTED
        self.rig = rig or rig_from_matte(alpha)
        rgba = torch.cat((image * alpha, alpha), 1)
        pixels = np.ascontiguousarray(to_comfy(rgba)[0].cpu().numpy())
        guessed = self.jointed and self.rig.guessed
        self.freedom = freedom(pixels, self.rig) if guessed else {}
        # limbs that cannot be told apart from the rest bend with it, like a skirt
        self.grown = {name for name in SOCKETS if self.freedom.get(name, 1.0) < _APART}
        layers = self._layers(pixels)
        mesh = mesh_over(alpha, options.cells)
        self.skin = Skin(mesh, self.rig, alpha, layers, self.grown)
        self.mesh: Mesh = self.skin.mesh
        self.body = Body(self.mesh.points, rig, cut=is_cut(alpha))
        self.painter = Painter(pixels, layers, self.mesh, self.skin.part_of_triangle)
        self._deformer: Deformer | None = None

    def shapes(self, frames: int, sequence: Sequence[Rig] | None = None) -> Iterator[Array]:
        """Return the mesh's points V×2 for each frame. With a `sequence` of poses,
        those drive it.
        """
        if frames < 1:
            raise BadInput("a clip must have at least one frame", str(frames))
        if sequence:
            for targets in driven(self.rig, sequence):
                yield self._bent(targets)
            return
        options = self.options
        for frame in range(frames):
            turn = 2 * math.pi * options.speed * frame / frames
            if options.motion in FREE:
                field = FREE[options.motion](self.body, options.amount)
                yield self.body.held(self.mesh.points, field(self.mesh.points, turn))
            else:
                motion = JOINTED[options.motion](self.rig, options.amount, options.seed)
                if options.motion == "wave" and self._left_is_freer:
                    motion = wave(self.rig, options.amount, options.seed, "left")
                angles, shift = motion(turn)
                mild = {name: angle * self.mildness(name) for name, angle in angles.items()}
                yield self._bent(turned(self.rig, mild, shift))

    @property
    def still_arms(self) -> bool:
        """Whether a guess found no arm that stands free, so that motions leave the arms alone."""
        return all(name in self.grown for name in SOCKETS if name not in LEGS)

    @property
    def _left_is_freer(self) -> bool:
        return self.freedom.get("left arm", 1.0) > self.freedom.get("right arm", 1.0)

    def mildness(self, joint: str) -> float:
        """By how much a joint may move: guessed legs in a skirt hardly do, arms that lie on the
        body not at all.
        """
        part = next((part for part, joints in PARTS.items() if joint in joints), "")
        if part in self.grown:
            return _SKIRT if part in LEGS else 0.0
        return self.freedom.get(part, 1.0)

    def _layers(self, pixels: Array) -> list[Array]:
        """What each part shows; without moving joints the body is all of it."""
        if self.jointed:
            return split(pixels, self.rig, self.grown)
        none = np.zeros_like(pixels)
        return [pixels if number == BODY else none for number in range(len(PARTS))]

    def _bent(self, targets: Array) -> Array:
        if np.abs(targets - self.rig.array()).max() < 1e-9:
            return self.mesh.points
        if self._deformer is None:
            held = self._held()
            pins = np.concatenate((self.rig.array(), held))
            self._deformer = Deformer(self.mesh, pins, self.skin.holding(len(held)))
        return self._deformer.pose(
            np.concatenate((targets, self._held())), self.skin.placed(targets)
        )

    def _held(self) -> Array:
        """P×2: points at the picture's lower border that stay, if the border cuts the character."""
        if not self.body.cut:
            return np.zeros((0, 2))
        return self.mesh.points[self.mesh.points[:, 1] > self.body.bottom - 1.5 * self.mesh.cell_px]


def puppet_film(
    puppets: Sequence[Puppet],
    frames: int,
    plate: Tensor | None = None,
    sequences: Sequence[Sequence[Rig] | None] = (),
) -> Iterator[Frame]:
    """Yield frames of puppets, the farthest first, before `plate` 1×3×H×W; None: transparent."""
    if not puppets:
        raise BadInput("a puppet show must have a character", "none")
    given = [*sequences, *([None] * len(puppets))][: len(puppets)]
    lengths = {len(sequence) for sequence in given if sequence}
    if len(lengths) > 1:
        raise BadInput("all sequences of poses must be equally long", f"{sorted(lengths)} frames")
    count = lengths.pop() if lengths else frames
    shapes = [p.shapes(count, s) for p, s in zip(puppets, given, strict=True)]
    behind = np.zeros_like(puppets[0].painter.pixels)
    if plate is not None:
        split_layer(behind)[0][...] = to_comfy(plate)[0].cpu().numpy()
    for now in zip(*shapes, strict=True):
        canvas = behind.copy()
        for puppet, points in zip(puppets, now, strict=True):
            puppet.painter.lay_over(canvas, points)
        yield _frame(canvas, opaque=plate is not None)


def _frame(canvas: Array, *, opaque: bool) -> Frame:
    colours, mask = (part.clamp_(0, 1) for part in from_rgba(canvas))
    if opaque:
        return Frame(colours, mask, torch.ones_like(mask))
    straight = torch.where(mask > 0, colours / mask.clamp_min(1e-4), colours).clamp(0, 1)
    return Frame(straight, mask, mask)
