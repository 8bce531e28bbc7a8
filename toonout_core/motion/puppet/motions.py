"""Move a puppet by named motions. All are whole periods of a clip, so that loops close."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from ...words import Array
from .rig import Rig

# a motion of the mesh: rest points V×2 and the turn 0 … 2π → new points
Field = Callable[[Array, float], Array]
# a motion of joints: the turn → angles in radians by joint, and a shift of the root in px
Angles = Callable[[float], tuple[dict[str, float], tuple[float, float]]]


_ARM_UP, _HAND_UP = 1.75, 2.7  # where a waving arm goes, radians from hanging down
_HOLD = 0.35  # of the height: over it a motion grows from a border that holds


class Body:
    """Measures of a character that scale motions, px. `cut`: by the picture's lower border."""

    def __init__(self, points: Array, rig: Rig | None, *, cut: bool = False) -> None:
        self.cut = cut
        self.left, self.top = points.min(0)
        self.right, self.bottom = points.max(0)
        self.height = max(self.bottom - self.top, 1.0)
        self.middle = (self.left + self.right) / 2
        shoulders, hips = self.top + 0.28 * self.height, self.top + 0.55 * self.height
        head = (self.middle, self.top + 0.12 * self.height)
        if rig is not None:
            shoulders, hips = rig.points["neck"][1], rig.points["hip"][1]
            head = rig.points.get("nose", head)
        self.shoulders, self.hips = shoulders, max(hips, shoulders + 1.0)
        self.head = np.array(head)
        self.head_px = max(abs(self.shoulders - self.top) / 2, 1.0)

    def held(self, points: Array, moved: Array) -> Array:
        """What the picture's border cuts stays there, so that no gap opens below it."""
        if not self.cut:
            return moved
        up = np.clip((self.bottom - points[:, 1]) / (_HOLD * self.height), 0, 1)[:, None]
        return points + (moved - points) * up * up * (3 - 2 * up)


# ---------------------------------------------------------------- without joints


def breathe(body: Body, amount: float) -> Field:
    """Breathe: the chest rises and widens by up to 3 %; head and arms go up with it."""

    def field(points: Array, turn: float) -> Array:
        lift = 0.03 * amount * (1 - math.cos(turn)) / 2
        up = np.clip((body.hips - points[:, 1]) / (body.hips - body.shoulders), 0, 1)
        chest = np.sin(math.pi * up)  # widest between hips and shoulders
        moved = points.copy()
        moved[:, 1] -= lift * (body.hips - body.shoulders) * up
        moved[:, 0] += 0.5 * lift * chest * (points[:, 0] - body.middle)
        return moved

    return field


def sway(body: Body, amount: float) -> Field:
    """Sway from side to side like grass: the feet stay, the head moves most."""

    def field(points: Array, turn: float) -> Array:
        up = np.clip((body.bottom - points[:, 1]) / body.height, 0, 1)
        moved = points.copy()
        moved[:, 0] += 0.08 * amount * body.height * math.sin(turn) * up**1.5
        return moved

    return field


def bounce(body: Body, amount: float) -> Field:
    """Squash and stretch from the feet; what grows in height gets slimmer."""

    def field(points: Array, turn: float) -> Array:
        stretch = 1 + 0.08 * amount * math.sin(turn)
        moved = points.copy()
        moved[:, 1] = body.bottom - (body.bottom - points[:, 1]) * stretch
        moved[:, 0] = body.middle + (points[:, 0] - body.middle) / stretch
        return moved

    return field


def float_(body: Body, amount: float) -> Field:
    """Float up and down with a little turn, all of it alike."""

    def field(points: Array, turn: float) -> Array:
        angle = 0.04 * amount * math.sin(turn)
        centre = np.array((body.middle, (body.top + body.bottom) / 2))
        moved = (points - centre) @ _rotation(angle).T + centre
        moved[:, 1] -= 0.04 * amount * body.height * (1 - math.cos(turn)) / 2
        return moved

    return field


def hair(body: Body, amount: float) -> Field:
    """Let what is far from the head swing after it, as springs do: later and wider with the
    distance.

    The answer of a damped spring to a head that moves as sin(t) is |H| sin(t − arg H), H = 1 / (1 −
    u² + 2 i d u); softer springs, farther out, have a larger u.
    """
    damping = 0.35

    def field(points: Array, turn: float) -> Array:
        away = np.linalg.norm(points - body.head, axis=1)
        far = np.clip((away - body.head_px) / (2 * body.head_px), 0, 1)
        # below the hips nothing is hair
        far = far * np.clip((body.hips - points[:, 1]) / body.height * 4, 0, 1)
        ease = far * far * (3 - 2 * far)
        soft = 0.9 * far
        answer = 1 / (1 - soft**2 + 2j * damping * soft)
        swing = np.abs(answer) * np.sin(turn + np.angle(answer))
        # turned around the head, not shifted: that keeps every area, so that no strand thins out
        angle = 0.12 * amount * ease * swing
        x, y = (points - body.head).T
        cos, sin = np.cos(angle), np.sin(angle)
        return body.head + np.stack((x * cos + y * sin, y * cos - x * sin), 1)

    return field


def idle(body: Body, amount: float) -> Field:
    """Wait as a character does: it breathes, sways a little, and its hair follows."""
    parts = (breathe(body, amount), sway(body, amount / 4), hair(body, amount / 2))

    def field(points: Array, turn: float) -> Array:
        return points + sum(part(points, turn) - points for part in parts)

    return field


# ---------------------------------------------------------------- with joints
# A positive angle turns from right to down on the picture: it lifts the right arm, which is on the
# picture's left, and lowers the left one.


def wave(rig: Rig, amount: float, seed: int, side: str = "right") -> Angles:
    """Wave: an arm goes up to the side, the forearm waves three times, and it comes down again.

    An arm that is up already rises less.
    """
    upper = _raised(rig, f"{side} shoulder", f"{side} elbow")
    lift = min(max(_ARM_UP - upper, 0.0), 1.6)
    fore = _raised(rig, f"{side} elbow", f"{side} wrist") + lift
    bend = min(max(_HAND_UP - fore, 0.0), 0.7)
    sign = 1 if side == "right" else -1

    def angles(turn: float) -> tuple[dict[str, float], tuple[float, float]]:
        raised = amount * (1 - math.cos(turn)) / 2
        return {
            f"{side} elbow": sign * lift * raised,
            f"{side} wrist": sign * raised * (bend + 0.5 * math.sin(3 * turn)),
            "nose": -sign * 0.08 * raised,
        }, (0.0, 0.0)

    return angles


def _raised(rig: Rig, start: str, end: str) -> float:
    """Angle of a bone to one that hangs down, outwards: π/2 to the side, π up. 0 if it lacks."""
    if start not in rig.points or end not in rig.points:
        return 0.0
    x, y = np.subtract(rig.points[end], rig.points[start])
    outwards = -x if start.startswith("right") else x
    angle = math.atan2(outwards, y)
    return angle if angle > -math.pi / 2 else angle + 2 * math.pi


def nod(rig: Rig, amount: float, seed: int) -> Angles:
    """Nod, as if saying yes."""
    return lambda turn: ({"nose": 0.22 * amount * math.sin(turn)}, (0.0, 0.0))


def walk(rig: Rig, amount: float, seed: int) -> Angles:
    """Step on the spot, seen from the front or from the side."""
    leg = _length(rig, "right hip", "right ankle")

    def angles(turn: float) -> tuple[dict[str, float], tuple[float, float]]:
        step = amount * math.sin(turn)
        result: dict[str, float] = {}
        for side, sign in (("right", 1.0), ("left", -1.0)):
            result[f"{side} knee"] = 0.35 * step
            result[f"{side} ankle"] = -0.7 * amount * max(0.0, sign * math.sin(turn)) * sign
            result[f"{side} elbow"] = -0.25 * step
        lift = 0.02 * amount * leg * (1 - math.cos(2 * turn)) / 2
        return result, (0.0, -lift)

    return angles


def dance(rig: Rig, amount: float, seed: int) -> Angles:
    """Move arms, head and hips to a beat of its own for each seed."""
    draw = random.Random(seed)
    joints = ("nose", "neck", "right elbow", "right wrist", "left elbow", "left wrist",
              "right knee", "left knee")  # fmt: skip
    sizes = {"nose": 0.15, "neck": 0.12, "right knee": 0.15, "left knee": 0.15}
    beats = {
        name: (draw.choice((1, 2)), draw.choice((-1, 1)) * draw.uniform(0.6, 1)) for name in joints
    }
    reach = 0.03 * _length(rig, "hip", "neck")

    def angles(turn: float) -> tuple[dict[str, float], tuple[float, float]]:
        moved = {
            name: amount * sizes.get(name, 0.45) * size * math.sin(count * turn)
            for name, (count, size) in beats.items()
        }
        return moved, (reach * amount * math.sin(turn), -reach * amount * abs(math.sin(turn)))

    return angles


def turned(rig: Rig, angles: dict[str, float], shift_xy: tuple[float, float]) -> Array:
    """Return J×2, the rig's joints with every bone turned by its own angle and those above it."""
    names = rig.names
    placed = {"hip": complex(*rig.points["hip"]) + complex(*shift_xy)}
    turns: dict[str, complex] = {"hip": 1 + 0j}
    for name in names[1:]:
        parent = rig.parent(name)
        turns[name] = turns[parent] * complex(
            math.cos(angles.get(name, 0.0)), math.sin(angles.get(name, 0.0))
        )
        way = complex(*rig.points[name]) - complex(*rig.points[parent])
        placed[name] = placed[parent] + turns[name] * way
    return np.array([(placed[name].real, placed[name].imag) for name in names])


def _rotation(angle: float) -> Array:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array(((cos, -sin), (sin, cos)))


def _length(rig: Rig, start: str, end: str) -> float:
    if start not in rig.points or end not in rig.points:
        return 0.0
    return math.dist(rig.points[start], rig.points[end])


FREE: dict[str, Callable[[Body, float], Field]] = {
    "idle": idle, "breathe": breathe, "sway": sway, "bounce": bounce, "float": float_, "hair": hair,
}  # fmt: skip
JOINTED: dict[str, Callable[[Rig, float, int], Angles]] = {
    "wave": wave, "nod": nod, "walk": walk, "dance": dance,
}  # fmt: skip
ARMED = ("wave", "walk", "dance")  # those of them that move arms
