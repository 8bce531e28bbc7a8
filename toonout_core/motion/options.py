"""What a user can choose about pictures that move, told once; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..options.option import choice, number, options_of, switch, text, told, whole
from .camera import Easing, Edges, Loop, Motion

# what a camera that passes cards can do, and the published zoom through points
KenBurnsMotion = Literal[Motion, "points"]
Focus = Literal["automatic", "value", "character"]
Levelling = Literal["feet", "median", "mean"]
Order = Literal["feet", "numbers"]
PuppetMotion = Literal[
    "idle", "breathe", "sway", "bounce", "float", "hair", "wave", "nod", "walk", "dance"
]

# what both of them have
_AMOUNT = number("amount", 0.5, (0.0, 2.0, 0.05), "How far the camera goes.")
_FRAMES = whole("frames", 90, (1, 10000), "Length of the clip.")
_FPS = number("fps", 30.0, (1.0, 120.0, 1.0), "Speed of the clip.", label="Frames per second")
_SEED = whole("seed", 0, (0, 2**31 - 1), "The same number gives the same dance.")


class _Checked:
    """A record that raises BadInput for what a field cannot be."""

    def __post_init__(self) -> None:
        for option in options_of(type(self)):
            option.check(getattr(self, option.name))


@dataclass(frozen=True)
class KenBurnsOptions(_Checked):
    """What a user wants of a moving camera: motion, length, and how depth is read.

    Numbers of characters begin with 0.
    """

    motion: KenBurnsMotion = told(choice(
        "motion", "ken burns", get_args(KenBurnsMotion),
        "ken burns: a slow zoom to the characters. horizontal, vertical, circle, orbit: the "
        "camera goes there and comes back. dolly zoom: the background grows, the focus stays. "
        "zoom in, zoom out: the camera comes nearer, or goes away. shake: like a camera in a hand. "
        "points: the published zoom, in which every pixel is a point by itself; it needs a depth "
        "picture, and takes seconds for each frame.",
    ))  # fmt: skip
    amount: float = told(_AMOUNT)
    frames: int = told(_FRAMES)
    fps: float = told(_FPS)
    loop: Loop = told(choice(
        "loop", "seamless", get_args(Loop),
        "seamless: the last frame leads to the first, without a jerk. ping-pong: there and back. "
        "once: begins with the picture as it is.",
    ))  # fmt: skip
    easing: Easing = told(choice(
        "easing", "sine", get_args(Easing),
        "How a zoom starts and stops.",
    ))  # fmt: skip
    focus_on: Focus = told(choice(
        "focus_on", "automatic", get_args(Focus),
        "What stays where it is. value: the depth that focus gives. character: the character "
        "that is chosen. automatic: character in a dolly zoom, else value.",
    ))  # fmt: skip
    focus: float = told(number(
        "focus", 0.3, (0.0, 1.0, 0.05),
        "Depth that stays where it is: 0 far, 1 near.",
    ))  # fmt: skip
    character: int = told(whole(
        "character", -1, (-1, 99),
        "The number of the character in focus, to which ken burns goes. -1: the nearest is in "
        "focus, and ken burns goes between the two largest.",
    ))  # fmt: skip
    edges: Edges = told(choice(
        "edges", "crop", get_args(Edges),
        "crop: a little larger, so that no border comes into view. mirror: the picture goes on as "
        "in a mirror. transparent: nothing is there.",
    ))  # fmt: skip
    blur: float = told(number(
        "blur", 0.0, (0.0, 1.0, 0.05),
        "Blurs what is far from the focus.",
        label="Depth of field",
    ))  # fmt: skip
    relief: float = told(number(
        "relief", 0.25, (0.0, 1.0, 0.05),
        "How much of its own depth a character keeps; 0: flat.",
        advanced=True,
    ))  # fmt: skip
    levelling: Levelling = told(choice(
        "levelling", "feet", get_args(Levelling),
        "The part of a character whose depth is used for all of it.",
        label="Depth of a character", advanced=True,
    ))  # fmt: skip
    order: Order = told(choice(
        "order", "feet", get_args(Order),
        "feet: the character whose feet are lower is nearer. numbers: the last number is the "
        "nearest.",
        label="Order without depth", advanced=True,
    ))  # fmt: skip
    invert_depth: bool = told(switch(
        "invert_depth", False,
        "For depth pictures in which near is black.",
        advanced=True,
    ))  # fmt: skip
    reverse: bool = told(switch(
        "reverse", False,
        "Plays the motion backwards.",
        advanced=True,
    ))  # fmt: skip
    phase: float = told(number(
        "phase", 0.0, (0.0, 1.0, 0.05),
        "Where in the motion a loop begins, 0 to 1.",
        advanced=True,
    ))  # fmt: skip
    seed: int = told(_SEED.but(help="The same number gives the same shake.", advanced=True))


@dataclass(frozen=True)
class PuppetOptions(_Checked):
    """What a user wants of a puppet: the motion and the length. Numbers of characters
    begin with 0.
    """

    motion: PuppetMotion = told(choice(
        "motion", "idle", get_args(PuppetMotion),
        "idle: breathes and sways, and hair follows. idle, breathe, sway, bounce, float and hair "
        "need no joints; wave, nod, walk and dance move joints.",
    ))  # fmt: skip
    amount: float = told(_AMOUNT.but(default=1.0, help="How far it moves."))
    speed: int = told(whole(
        "speed", 1, (1, 20),
        "How often the motion is repeated in the clip.",
    ))  # fmt: skip
    frames: int = told(_FRAMES.but(
        default=60, help="Length of the clip; a sequence of poses brings its own.",
    ))  # fmt: skip
    fps: float = told(_FPS)
    seed: int = told(_SEED)
    characters: str = told(text(
        "characters", "",
        "Numbers of the characters that move, such as 0, 2-4. Empty: all.",
    ))  # fmt: skip
    cells: int = told(whole(
        "cells", 36, (4, 96),
        "The number of the mesh's cells along the longer side.",
        advanced=True,
    ))  # fmt: skip
