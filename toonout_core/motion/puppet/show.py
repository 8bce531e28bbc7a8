"""Make frames from a character's pixels and a motion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...imaging import from_array, to_comfy
from ...words import Array
from ..cards import Frame
from ..options import PuppetOptions
from .arap import Deformer
from .drawing import Painter
from .mesh import Mesh, mesh_over
from .motions import FREE, JOINTED, Body, turned
from .rig import Rig, driven, rig_from_matte
from .skin import Skin


class Puppet:
    """One character: `image` 1×3×H×W and `alpha` 1×1×H×W, straight, [0, 1].

    `rig` None: joints are guessed from the matte's shape where a motion needs some.
    """

    def __init__(
        self, image: Tensor, alpha: Tensor, options: PuppetOptions, rig: Rig | None = None
    ) -> None:
        self.options = options
        self.rig = rig or rig_from_matte(alpha)
        self.skin = Skin(mesh_over(alpha, options.cells), self.rig, alpha)
        self.mesh: Mesh = self.skin.mesh
        self.body = Body(self.mesh.points, rig)
        rgba = torch.cat((image * alpha, alpha), 1)
        pixels = np.ascontiguousarray(to_comfy(rgba)[0].cpu().numpy())
        self.painter = Painter(pixels, self.mesh, self.skin.part_of_triangle)
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
                yield FREE[options.motion](self.body, options.amount)(self.mesh.points, turn)
            else:
                motion = JOINTED[options.motion](self.rig, options.amount, options.seed)
                yield self._bent(turned(self.rig, *motion(turn)))

    def _bent(self, targets: Array) -> Array:
        if np.abs(targets - self.rig.array()).max() < 1e-9:
            return self.mesh.points
        if self._deformer is None:
            self._deformer = Deformer(self.mesh, self.rig.array())
        return self._deformer.pose(targets, self.skin.placed(targets))


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
    for now in zip(*shapes, strict=True):
        canvas = np.zeros_like(puppets[0].painter.pixels)
        for puppet, points in zip(puppets, now, strict=True):
            layer = puppet.painter.draw(points)
            canvas *= 1 - layer[..., -1:]
            canvas += layer
        yield _frame(canvas, plate)


def _frame(canvas: Array, plate: Tensor | None) -> Frame:
    shown = from_array(canvas).clamp_(0, 1)
    colours, mask = shown[:, torch.arange(3)], shown[:, -1:]
    if plate is not None:
        return Frame(colours + (1 - mask) * plate, mask, torch.ones_like(mask))
    straight = torch.where(mask > 0, colours / mask.clamp_min(1e-4), colours).clamp(0, 1)
    return Frame(straight, mask, mask)
