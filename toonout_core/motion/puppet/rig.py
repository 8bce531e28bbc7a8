"""Find the joints of a character: by a pose that was estimated, or by the matte's shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import BadInput
from ...words import Array

# OpenPose's first 14 of 18 points, in its order; eyes and ears move with the head
JOINTS = (
    "nose", "neck",
    "right shoulder", "right elbow", "right wrist",
    "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle",
    "left hip", "left knee", "left ankle",
)  # fmt: skip

# joint -> the one that it hangs on, parents first; "hip", the middle of both hips, is the root
PARENTS = {
    "neck": "hip", "nose": "neck",
    "right shoulder": "neck", "right elbow": "right shoulder", "right wrist": "right elbow",
    "left shoulder": "neck", "left elbow": "left shoulder", "left wrist": "left elbow",
    "right hip": "hip", "right knee": "right hip", "right ankle": "right knee",
    "left hip": "hip", "left knee": "left hip", "left ankle": "left knee",
}  # fmt: skip

# Parts of the body, the farthest first, and the joints whose bones they hold: an arm may cross what
# was drawn before it.
PARTS: dict[str, tuple[str, ...]] = {
    "right leg": ("right knee", "right ankle"),
    "left leg": ("left knee", "left ankle"),
    "body": ("neck", "nose", "right shoulder", "left shoulder", "right hip", "left hip"),
    "right arm": ("right elbow", "right wrist"),
    "left arm": ("left elbow", "left wrist"),
}

# where a limb hangs on the body
SOCKETS = {
    "right leg": "right hip",
    "left leg": "left hip",
    "right arm": "right shoulder",
    "left arm": "left shoulder",
}

_SURE = 0.25  # score from which on a point of a pose is taken


@dataclass(frozen=True, eq=False)
class Rig:
    """`points`: name → (x, y) in px, "hip" among them. `guessed`: made from the matte's shape."""

    points: Mapping[str, tuple[float, float]]
    guessed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Joints that are there, parents before children."""
        return ("hip", *(name for name in PARENTS if name in self.points))

    def parent(self, name: str) -> str:
        """The nearest joint above that is there."""
        above = PARENTS[name]
        while above != "hip" and above not in self.points:
            above = PARENTS[above]
        return above

    def array(self) -> Array:
        """J×2 in the order of `names`."""
        return np.array([self.points[name] for name in self.names], np.float64)


def skeletons_in(frame: Mapping[str, Any]) -> int:
    """Count the skeletons that a frame of POSE_KEYPOINT shows. Raises BadInput for what is none."""
    skeletons = frame.get("people") if isinstance(frame, Mapping) else None
    if not isinstance(skeletons, Sequence):
        raise BadInput("a pose must have a list named people", "another record")
    return len(skeletons)


def rig_from_pose(frame: Mapping[str, Any], size_hw: tuple[int, int], skeleton: int = 0) -> Rig:
    """One frame of POSE_KEYPOINT (OpenPose's JSON) → joints in px of a picture of `size_hw`.

    Raises BadInput where there is no such skeleton, or one without hips or neck.
    """
    return Rig(_with_root(_joints(frame, size_hw, skeleton)))


def joints_inside(
    frame: Mapping[str, Any], size_hw: tuple[int, int], skeleton: int, alpha: Tensor
) -> float:
    """Return the share of a skeleton's joints that lie in a matte 1×1×H×W; 0 if it shows none."""
    points = _joints(frame, size_hw, skeleton)
    solid = alpha[0, 0] > 0.5
    inside = [
        bool(solid[int(y), int(x)])
        for x, y in points.values()
        if 0 <= x < size_hw[1] and 0 <= y < size_hw[0]
    ]
    return sum(inside) / max(len(points), 1)


def _joints(
    frame: Mapping[str, Any], size_hw: tuple[int, int], skeleton: int
) -> dict[str, tuple[float, float]]:
    count = skeletons_in(frame)
    if not 0 <= skeleton < count:
        raise BadInput(f"a pose must have a skeleton {skeleton}", f"{count} of them")
    scale_x, scale_y = _scale(frame, size_hw)
    values = frame["people"][skeleton].get("pose_keypoints_2d") or []
    points: dict[str, tuple[float, float]] = {}
    for index, name in enumerate(JOINTS):
        triple = values[3 * index : 3 * index + 3]
        if len(triple) == 3 and all(np.isfinite(triple)) and triple[2] >= _SURE:
            points[name] = (float(triple[0]) * scale_x, float(triple[1]) * scale_y)
    return points


def _scale(frame: Mapping[str, Any], size_hw: tuple[int, int]) -> tuple[float, float]:
    """Return the scale from the pose's canvas to the picture."""
    width, height = frame.get("canvas_width"), frame.get("canvas_height")
    if not width or not height:
        return 1.0, 1.0
    return size_hw[1] / float(width), size_hw[0] / float(height)


def _with_root(points: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    hips = [points[name] for name in ("right hip", "left hip") if name in points]
    if not hips or "neck" not in points:
        raise BadInput(
            "a pose must show the neck and a hip",
            f"only {', '.join(points) or 'nothing'}",
            "Leave the pose away: joints are then guessed from the character's shape.",
        )
    middle = np.mean(hips, 0)
    return {"hip": (float(middle[0]), float(middle[1])), **points}


_BORDER = 0.15  # of a character's width that touches the lower border, from which on it is cut


def is_cut(alpha: Tensor) -> bool:
    """Whether the picture's lower border cuts the character of 1×1×H×W."""
    solid = alpha[0, 0] > 0.5
    columns = int(solid.any(0).sum())
    return columns > 0 and int(solid[-1].sum()) > _BORDER * columns


# shares of a standing character's height, from the top
_NECK, _SHOULDER, _HIP = 0.24, 0.04, 0.395  # shoulders and hips from the neck down
_CUT_NECK = 0.42  # of half a character
_CUT_TORSO = 1.5  # hips below the neck, in heights of the head, where the legs are not seen
_LOWEST_HIP = 0.94  # of half a character
_ARM = 1.1  # shoulder to wrist at most, in lengths of neck to hip: farther out is what a hand holds


def rig_from_matte(alpha: Tensor) -> Rig:
    """1×1×H×W → joints of a character that stands upright, a guess from its widths.

    The neck is where the character is narrow below the head; hands are the outermost points between
    shoulders and hips, feet the lowest ones on either side. Half a character, which the lower
    border cuts, has no legs.
    """
    solid = (alpha[0, 0] > 0.5).cpu().numpy()
    rows = np.flatnonzero(solid.any(1))
    if not len(rows):
        raise BadInput("a puppet must have a matte that shows something", "an empty one")
    top, height = float(rows[0]), float(rows[-1] - rows[0])
    cut = is_cut(alpha)
    neck_y = top + height * (_neck(solid, int(rows[0]), height) or (_CUT_NECK if cut else _NECK))
    hip_y = neck_y + _HIP * (top + height - neck_y)
    if cut:
        hip_y = min(neck_y + _CUT_TORSO * (neck_y - top), top + _LOWEST_HIP * height)
    shoulder_y = neck_y + max(_SHOULDER * height, 0.12 * (hip_y - neck_y))
    torso = hip_y - neck_y
    neck_x, hip_x = (_middle(solid, y) for y in (neck_y, hip_y))
    points = {
        "neck": (neck_x, neck_y),
        "nose": (_middle(solid, (top + neck_y) / 2), (top + neck_y) / 2),
    }
    band = solid[int(shoulder_y) : int(hip_y + 0.25 * torso)]
    reach = np.flatnonzero(band.any(0))
    # a character's right is on the picture's left
    for side, sign, column in (("right", -1, reach[0]), ("left", 1, reach[-1])):
        hand_y = shoulder_y + float(np.flatnonzero(band[:, column]).mean())
        shoulder = (neck_x + sign * 0.3 * torso, shoulder_y)
        points[f"{side} shoulder"] = shoulder
        wrist = np.array((float(column) - sign * 0.06 * torso, hand_y))
        share = min(_ARM * torso / max(math.dist(shoulder, wrist), 1e-6), 1.0)
        points[f"{side} wrist"] = tuple((shoulder + share * (wrist - shoulder)).tolist())
        points[f"{side} elbow"] = tuple(np.mean((shoulder, points[f"{side} wrist"]), 0).tolist())
        points[f"{side} hip"] = (hip_x + sign * 0.16 * torso, hip_y)
        if cut:
            continue
        half = solid[:, : int(hip_x)] if sign < 0 else solid[:, int(hip_x) :]
        hip = points[f"{side} hip"]
        foot = _lowest(half, 0 if sign < 0 else int(hip_x), hip[0], top + height)
        points[f"{side} ankle"] = foot
        points[f"{side} knee"] = tuple(np.mean((hip, foot), 0).tolist())
    return Rig(_with_root(points), guessed=True)


def _middle(solid: Array, y: float) -> float:
    """The centre of a character at a height."""
    columns = np.flatnonzero(solid[int(y)])
    return float((columns if len(columns) else np.flatnonzero(solid.any(0))).mean())


def _neck(solid: Array, top: int, height: float) -> float:
    """Where a character is clearly narrower than the head above and the shoulders below it, as a
    share of its height; 0: nowhere, as long hair hides the neck."""
    widths = solid[top : top + int(0.65 * height)].sum(1).astype(np.float64)
    widths = np.convolve(widths, np.ones(5) / 5, "same")
    best, place = 0.85, 0
    for row in range(int(0.12 * height), len(widths) - 3):
        beside = min(widths[:row].max(), widths[row:].max())
        share = widths[row] / max(beside, 1.0)
        if share < best:
            best, place = share, row
    return place / height if height else 0.0


def _lowest(half: Array, offset: int, otherwise_x: float, bottom: float) -> tuple[float, float]:
    """Return the middle of what a half of the body stands on."""
    rows = np.flatnonzero(half.any(1))
    if not len(rows):
        return otherwise_x, bottom
    columns = np.flatnonzero(half[int(rows[-1] - 0.03 * len(half)) : rows[-1] + 1].any(0))
    return float(columns.mean()) + offset, float(rows[-1])


def driven(rig: Rig, sequence: Sequence[Rig]) -> list[Array]:
    """Return targets J×2 for each frame: bones keep the rig's lengths and take the sequence's
    directions.

    A bone that a frame does not show keeps its direction of before. The hip moves as the sequence's
    hip does, in proportion to the height of both bodies.
    """
    names = rig.names
    first = sequence[0]
    ratio = _torso(rig) / max(_torso(first), 1e-6)
    ways = {name: _way(rig, name) for name in names[1:]}
    result: list[Array] = []
    for frame in sequence:
        root = np.array(rig.points["hip"])
        root += ratio * (np.array(frame.points["hip"]) - np.array(first.points["hip"]))
        placed = {"hip": root}
        for name in names[1:]:
            parent = rig.parent(name)
            length = np.linalg.norm(_way(rig, name))
            if name in frame.points and parent in frame.points and name in first.points:
                ways[name] = _turned(rig, first, frame, name, parent)
            size = max(float(np.linalg.norm(ways[name])), 1e-9)
            placed[name] = placed[parent] + ways[name] * (length / size)
        result.append(np.array([placed[name] for name in names]))
    return result


def _torso(rig: Rig) -> float:
    return float(np.linalg.norm(_way(rig, "neck")))


def _way(rig: Rig, name: str) -> Array:
    return np.array(rig.points[name]) - np.array(rig.points[rig.parent(name)])


def _turned(rig: Rig, first: Rig, frame: Rig, name: str, parent: str) -> Array:
    """Return the rig's bone, turned by as much as the sequence's has turned since its
    first frame.
    """

    def bone(of: Rig) -> complex:
        way = np.array(of.points[name]) - np.array(of.points[parent])
        return complex(way[0], way[1])

    start, now, own = bone(first), bone(frame), _way(rig, name)
    if abs(start) < 1e-6 or abs(now) < 1e-6:
        return own
    turn = now / start
    moved = complex(own[0], own[1]) * turn / abs(turn)
    return np.array((moved.real, moved.imag))
