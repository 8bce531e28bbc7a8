"""Read BVH files (motion capture as text) as a sequence of flat poses that drives a puppet.

Source of the format: Biovision Hierarchical Data, as M. Meredith and S. Maddock describe it, 2001.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import BadInput
from ...words import Array
from .rig import Rig

Plane = Literal["front", "side"]

_MOST_BYTES = 50_000_000
_MOST_JOINTS = 500

# what joints are called in common files, small letters without prefixes and blanks
_NAMES = {
    "hip": ("hips", "hip", "pelvis", "root"),
    "neck": ("neck", "neck1"),
    "nose": ("head", "head1"),
    **{
        f"{side} {ours}": tuple(f"{side}{theirs}" for theirs in names)
        for side in ("left", "right")
        for ours, names in {
            "shoulder": ("arm", "shoulder", "uparm", "upperarm"),
            "elbow": ("forearm", "elbow", "lowarm", "lowerarm"),
            "wrist": ("hand", "wrist"),
            "hip": ("upleg", "hip", "thigh"),
            "knee": ("leg", "knee", "lowleg", "shin"),
            "ankle": ("foot", "ankle"),
        }.items()
    },
}


@dataclass
class _Joint:
    name: str
    parent: int
    offset: Array = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()


def read_bvh(path: Path | str, plane: Plane = "front", most_frames: int = 3000) -> list[Rig]:
    """Read poses in px-like units, y downwards, seen from the front or from the side.

    Raises BadInput for files that are no BVH, and for skeletons without hips and neck.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise BadInput(f"{path} must be at most 50 MB", f"{path.stat().st_size} bytes")
    words = iter(path.read_text("utf-8", "replace").split())
    try:
        joints = _hierarchy(words)
        frames = _frames(words, joints, most_frames)
    except (StopIteration, ValueError, KeyError) as error:
        raise BadInput(
            f"{path} must be a BVH file", "another text, or one that is cut off"
        ) from error
    found = _found(joints)
    missing = [name for name in ("hip", "neck") if name not in found]
    if missing:
        raise BadInput(
            f"{path} must have joints called Hips and Neck",
            ", ".join(joint.name for joint in joints[:20]),
        )
    axes = (0, 1) if plane == "front" else (2, 1)
    return [_flat(_positions(joints, values), found, axes) for values in frames]


def _hierarchy(words: Iterator[str]) -> list[_Joint]:
    joints: list[_Joint] = []
    open_: list[int] = []
    pending: _Joint | None = None
    for word in words:
        key = word.upper()
        if key == "MOTION":
            return joints
        if key in ("ROOT", "JOINT", "END"):
            pending = _Joint(next(words), open_[-1] if open_ else -1)
            joints.append(pending)
            if len(joints) > _MOST_JOINTS:
                raise ValueError("too many joints")
        elif key == "{":
            open_.append(len(joints) - 1)
        elif key == "}":
            open_.pop()
        elif key == "OFFSET" and pending is not None:
            pending.offset = np.array([float(next(words)) for _ in range(3)])
        elif key == "CHANNELS" and pending is not None:
            count = int(next(words))
            if not 0 <= count <= 6:
                raise ValueError("channels")
            pending.channels = tuple(next(words) for _ in range(count))
    raise ValueError("no motion")


def _frames(words: Iterator[str], joints: list[_Joint], most: int) -> list[Array]:
    width = sum(len(joint.channels) for joint in joints)
    if next(words).upper() != "FRAMES:" or not joints or not width:
        raise ValueError("frames")
    count = int(next(words))
    if not 1 <= count <= most:
        raise BadInput(f"a BVH file must have 1 to {most} frames", str(count))
    for expected in ("FRAME", "TIME:"):
        if next(words).upper() != expected:
            raise ValueError(expected)
    next(words)  # seconds of a frame
    frames = [np.array([float(next(words)) for _ in range(width)]) for _ in range(count)]
    if not np.isfinite(frames).all():
        raise ValueError("numbers")
    return frames


def _found(joints: list[_Joint]) -> dict[str, int]:
    plain = [joint.name.lower().rpartition(":")[2].replace("_", "") for joint in joints]
    result: dict[str, int] = {}
    for ours, names in _NAMES.items():
        place = next((plain.index(name) for name in names if name in plain), None)
        if place is not None:
            result[ours] = place
    return result


def _positions(joints: list[_Joint], values: Array) -> Array:
    """Return J×3 in the file's units."""
    places = np.zeros((len(joints), 3))
    turns: list[Array] = []
    at = 0
    for index, joint in enumerate(joints):
        shift, turn = joint.offset.copy(), np.eye(3)
        for channel in joint.channels:
            axis = "xyz".index(channel[0].lower())
            if channel.lower().endswith("position"):
                shift[axis] = values[at] if joint.parent < 0 else shift[axis] + values[at]
            else:
                turn = turn @ _about(axis, float(np.deg2rad(values[at])))
            at += 1
        above = np.eye(3) if joint.parent < 0 else turns[joint.parent]
        base = np.zeros(3) if joint.parent < 0 else places[joint.parent]
        places[index] = base + above @ shift
        turns.append(above @ turn)
    return places


def _about(axis: int, angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    one, two = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[one, one] = turn[two, two] = cos
    turn[one, two], turn[two, one] = -sin, sin
    return turn


def _flat(places: Array, found: dict[str, int], axes: tuple[int, int]) -> Rig:
    """Flatten a pose as a picture shows it: who faces us has the left side on our right; y goes
    downwards.
    """
    return Rig(
        {n: (float(places[i, axes[0]]), -float(places[i, axes[1]])) for n, i in found.items()}
    )
