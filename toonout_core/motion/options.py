"""What a user can choose about pictures that move, told once; nothing here imports torch."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from ..errors import BadInput
from .camera import Easing, Edges, Loop, Motion

Focus = Literal["automatic", "value", "character"]
Levelling = Literal["feet", "median", "mean"]
Order = Literal["feet", "numbers"]
PuppetMotion = Literal[
    "idle", "breathe", "sway", "bounce", "float", "hair", "wave", "nod", "walk", "dance"
]


@dataclass(frozen=True)
class Told:
    """How a field appears: its label, what it does, and the limits of a number."""

    label: str
    help: str
    least: float = 0.0
    most: float = 0.0
    step: float = 1.0
    advanced: bool = False


def told(
    default: Any,
    label: str,
    help: str,
    limits: tuple[float, float, float] = (0.0, 0.0, 1.0),
    *,
    advanced: bool = False,
) -> Any:
    """A dataclass field; `limits`: least, most and step of a number; `advanced`: seldom needed."""
    about = Told(label, help, *limits, advanced)
    return field(default=default, metadata={"told": about, "help": help})


def told_of(item: Field[Any]) -> Told:
    """How a field of these records appears."""
    return item.metadata["told"]


def sentence_of_help(item: Field[Any]) -> str:
    """What a field does, as a sentence."""
    words = told_of(item).help
    return f"{words[:1].upper()}{words[1:]}."


def choices_of(record: type[Any]) -> dict[str, tuple[str, ...]]:
    """Field → what it must be one of."""
    hints = get_type_hints(record)
    return {name: get_args(hint) for name, hint in hints.items() if get_args(hint)}


class _Checked:
    """Raises BadInput for what a field cannot be."""

    def __post_init__(self) -> None:
        choices = choices_of(type(self))
        for item in fields(self):  # pyright: ignore[reportArgumentType] (of the records below)
            value, about = getattr(self, item.name), told_of(item)
            if item.name in choices:
                if value not in choices[item.name]:
                    named = ", ".join(choices[item.name])
                    raise BadInput(f"{item.name} must be one of {named}", repr(value))
            elif not isinstance(value, str | bool) and not about.least <= value <= about.most:
                raise BadInput(f"{item.name} must be {about.least:g} to {about.most:g}", f"{value}")


@dataclass(frozen=True)
class KenBurnsOptions(_Checked):
    """One wish: motion, length, and how depth is read. Numbers of characters begin with 0."""

    motion: Motion = told(
        "ken burns", "Motion",
        "ken burns: a slow zoom to the characters; horizontal, vertical, circle, orbit: the camera "
        "goes there and comes back; dolly zoom: the background grows, the focus stays; shake: a "
        "hand that holds the camera",
    )  # fmt: skip
    amount: float = told(0.5, "Amount", "how far the camera goes", (0.0, 2.0, 0.05))
    frames: int = told(90, "Frames", "length of the clip", (1, 10_000, 1))
    fps: float = told(30.0, "Frames per second", "speed of the clip", (1.0, 120.0, 1.0))
    loop: Loop = told(
        "seamless", "Loop",
        "seamless: the last frame leads to the first, without a jerk; ping-pong: there and back; "
        "once: begins with the picture as it is",
    )  # fmt: skip
    easing: Easing = told("sine", "Easing", "how a zoom starts and stops")
    focus_on: Focus = told(
        "automatic", "Focus on",
        "what stays where it is: the depth that focus says, or a character; automatic: the "
        "character in a dolly zoom, else the depth",
    )  # fmt: skip
    focus: float = told(
        0.3, "Focus", "depth that stays where it is: 0 far, 1 near", (0.0, 1.0, 0.05)
    )
    character: int = told(
        -1, "Character",
        "number of the one that focus and ken burns mean; -1: the nearest one, and for ken burns "
        "the middle of the two largest",
        (-1, 99, 1),
    )  # fmt: skip
    edges: Edges = told(
        "crop", "Edges",
        "crop: a little larger, so that no border comes into view; mirror; transparent",
    )  # fmt: skip
    blur: float = told(0.0, "Depth of field", "blurs what is far from the focus", (0.0, 1.0, 0.05))
    relief: float = told(
        0.25,
        "Relief",
        "how much of its own depth a character keeps; 0: flat",
        (0.0, 1.0, 0.05),
        advanced=True,
    )
    levelling: Levelling = told(
        "feet",
        "Depth of a character",
        "which part of it says how near all of it stands",
        advanced=True,
    )
    order: Order = told(
        "feet", "Order without depth",
        "feet: whose feet stand lower is nearer; numbers: the last number is the nearest",
        advanced=True,
    )  # fmt: skip
    invert_depth: bool = told(
        False, "Invert depth", "for depth pictures in which near is black", advanced=True
    )
    reverse: bool = told(False, "Reverse", "plays the motion backwards", advanced=True)
    phase: float = told(
        0.0, "Phase", "where in the motion a loop begins, 0 to 1", (0.0, 1.0, 0.05), advanced=True
    )
    seed: int = told(0, "Seed", "of the shake", (0, 2**31 - 1, 1), advanced=True)


@dataclass(frozen=True)
class PuppetOptions(_Checked):
    """One wish: the motion and the length. Numbers of characters begin with 0."""

    motion: PuppetMotion = told(
        "idle", "Motion",
        "idle (breathes, sways, hair follows), breathe, sway, bounce, float and hair need no "
        "joints; wave, nod, walk and dance move joints",
    )  # fmt: skip
    amount: float = told(1.0, "Amount", "how far it moves", (0.0, 2.0, 0.05))
    speed: int = told(1, "Speed", "how often the motion is repeated in the clip", (1, 20, 1))
    frames: int = told(
        60, "Frames", "length of the clip; a sequence of poses brings its own", (1, 10_000, 1)
    )
    fps: float = told(30.0, "Frames per second", "speed of the clip", (1.0, 120.0, 1.0))
    seed: int = told(0, "Seed", "of the dance", (0, 2**31 - 1, 1))
    characters: str = told(
        "", "Characters", "numbers of those that move, such as 0, 2-4; empty: all"
    )
    cells: int = told(36, "Cells", "of the mesh, along the longer side", (4, 96, 1), advanced=True)
