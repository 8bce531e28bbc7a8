"""Move the camera: named motions as functions of time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..errors import BadInput

Motion = Literal[
    "ken burns", "horizontal", "vertical", "circle", "orbit",
    "dolly zoom", "zoom in", "zoom out", "shake",
]  # fmt: skip
Loop = Literal["seamless", "ping-pong", "once"]
Easing = Literal["sine", "linear", "smooth"]
Edges = Literal["crop", "mirror", "transparent"]

_SHIFT = 0.08  # of the picture's half side, by which the nearest moves at amount 1
_PUSH = 0.35  # how much larger the nearest becomes than the focus when the camera comes nearer
_ZOOM = 0.35  # by which the whole picture grows at amount 1
_SHAKE = 0.35  # of the shift
_WAVES = 4  # sines that make up a shake


@dataclass(frozen=True)
class Pose:
    """Where the camera is. A point of disparity s (near = 1) appears at
    x' = centre + zoom·k·(x − aim) + (s − focus)·shift, with k = 1 / (1 − push·(s − focus)).

    `shift_xy`: in halves of the picture's sides; `push`: nearer, so that near things grow more
    than far ones; `zoom`: all grows alike, around `aim_xy`, which moves into the centre (shares of
    the picture's sides, 0.5 is the middle).
    """

    shift_xy: tuple[float, float] = (0.0, 0.0)
    push: float = 0.0
    zoom: float = 1.0
    aim_xy: tuple[float, float] = (0.5, 0.5)

    @property
    def is_still(self) -> bool:
        """Tell whether the picture looks as it did."""
        return self == Pose()


@dataclass(frozen=True)
class CameraOptions:
    """A motion and its amount 0 … 2. `focus`: the disparity that stays where it is.

    `aim_xy`: what a Ken Burns ends at, in shares of the sides. `phase` 0 … 1: where in the motion
    the clip begins. "once" begins with the picture as it is; "seamless" and "ping-pong" end where
    they began.
    """

    motion: Motion = "ken burns"
    amount: float = 0.5
    focus: float = 0.0
    aim_xy: tuple[float, float] = (0.5, 0.5)
    loop: Loop = "seamless"
    easing: Easing = "sine"
    reverse: bool = False
    phase: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("motion", Motion), ("loop", Loop), ("easing", Easing)):
            if getattr(self, name) not in get_args(kind):
                raise BadInput(
                    f"{name} must be one of {', '.join(get_args(kind))}", repr(getattr(self, name))
                )
        limits = {"amount": 2.0, "focus": 1.0, "phase": 1.0}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise BadInput(f"{name} must be 0 to {most:g}", str(getattr(self, name)))


def poses(options: CameraOptions, frames: int) -> list[Pose]:
    """Return a pose for each of `frames`."""
    if frames < 1:
        raise BadInput("a clip must have at least one frame", str(frames))
    path = _PATHS[options.motion](options)
    if options.motion in _CYCLES:
        times = _times(options, frames)
        result = [path(time) for time in times]
        return _from_rest(result, path(times[0])) if options.loop == "once" else result
    return [path(share) for share in shares(options, frames)]


def shares(options: CameraOptions, frames: int) -> list[float]:
    """Return 0 … 1 of a zoom for each of `frames`: the loop and the easing are in it."""
    ease = _EASINGS[options.easing]
    return [ease(_swing(options.loop, time)) for time in _times(options, frames)]


def _times(options: CameraOptions, frames: int) -> list[float]:
    """Return 0 … 1 of the motion for each frame; the last one of a loop is followed by
    the first.
    """
    last = frames - 1 if options.loop == "once" else frames
    times = [i / max(last, 1) for i in range(frames)]
    if options.loop != "once":
        times = [(time + options.phase) % 1.0 for time in times]
    return [1 - time for time in times] if options.reverse else times


def _swing(loop: Loop, time: float) -> float:
    """Go there and, in a loop, back again: 0 … 1."""
    if loop == "once":
        return time
    if loop == "seamless":  # without a jerk where it turns
        return math.sin(math.pi * time) ** 2
    return 1 - abs(2 * time - 1)


def _from_rest(path: list[Pose], first: Pose) -> list[Pose]:
    """Return the same motion, as seen from where it begins."""
    return [
        replace(
            pose,
            shift_xy=(
                pose.shift_xy[0] - first.shift_xy[0],
                pose.shift_xy[1] - first.shift_xy[1],
            ),
            push=pose.push - first.push,
            zoom=pose.zoom / first.zoom,
        )
        for pose in path
    ]


_EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda time: time,
    "sine": lambda time: (1 - math.cos(math.pi * time)) / 2,
    "smooth": lambda time: time * time * time * (time * (6 * time - 15) + 10),
}

Path = Callable[[float], Pose]


def _swaying(right: float, down: float) -> Callable[[CameraOptions], Path]:
    def build(options: CameraOptions) -> Path:
        reach = options.amount * _SHIFT

        def path(time: float) -> Pose:
            wave = math.sin(2 * math.pi * time) * reach
            return Pose((right * wave, down * wave))

        return path

    return build


def _circle(options: CameraOptions) -> Path:
    reach = options.amount * _SHIFT

    def path(time: float) -> Pose:
        turn = 2 * math.pi * time
        return Pose((reach * math.cos(turn), reach * math.sin(turn)))

    return path


def _orbit(options: CameraOptions) -> Path:
    """Move to the side and back on an arc around the focus: nearer in the middle than
    at the ends.
    """
    reach = options.amount * _SHIFT

    def path(time: float) -> Pose:
        turn = 2 * math.pi * time
        away = options.amount * _PUSH / 2 * (math.cos(2 * turn) - 1) / 2
        return Pose((1.5 * reach * math.sin(turn), 0.0), away)

    return path


def _shake(options: CameraOptions) -> Path:
    """Move like a hand that holds the camera: a few sines of whole periods, so that the
    loop closes.
    """
    draw = random.Random(options.seed)
    waves = [
        (draw.randint(1, 6), draw.uniform(0, 2 * math.pi), draw.uniform(0.3, 1))
        for _ in range(2 * _WAVES)
    ]
    reach = options.amount * _SHIFT * _SHAKE

    def path(time: float) -> Pose:
        moved = [
            reach * size * math.sin(2 * math.pi * count * time + start)
            for count, start, size in waves
        ]
        return Pose((sum(moved[:_WAVES]), sum(moved[_WAVES:])))

    return path


def _dolly_zoom(options: CameraOptions) -> Path:
    """Go back while the lens narrows: the focus keeps its size, what is behind it grows."""
    return lambda share: Pose(push=-options.amount * _PUSH * share)


def _zoom(inwards: bool) -> Callable[[CameraOptions], Path]:
    def build(options: CameraOptions) -> Path:
        def path(share: float) -> Pose:
            near = share if inwards else 1 - share
            amount = options.amount * near
            return Pose(push=_PUSH * amount, zoom=1 + _ZOOM * amount)

        return path

    return build


def _ken_burns(options: CameraOptions) -> Path:
    """Zoom in slowly, towards the aim, as far as the picture reaches."""

    def path(share: float) -> Pose:
        amount = options.amount * share
        zoom = 1 + _ZOOM * amount
        # the part that is seen must stay inside of the picture
        room = (1 - 1 / zoom) / 2
        aim = tuple(0.5 + min(max((a - 0.5) * share, -room), room) for a in options.aim_xy)
        return Pose(push=_PUSH * amount, zoom=zoom, aim_xy=(aim[0], aim[1]))

    return path


# motions that come back by themselves; the others go from 0 to 1
_CYCLES = {"horizontal", "vertical", "circle", "orbit", "shake"}

_PATHS: dict[str, Callable[[CameraOptions], Path]] = {
    "ken burns": _ken_burns,
    "horizontal": _swaying(1, 0),
    "vertical": _swaying(0, 1),
    "circle": _circle,
    "orbit": _orbit,
    "dolly zoom": _dolly_zoom,
    "zoom in": _zoom(True),
    "zoom out": _zoom(False),
    "shake": _shake,
}
