"""One option, and how what a user gave for it is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from ..errors import BadInput, plain

Kind = Literal["switch", "whole", "number", "choice", "text"]

_UNIT = re.compile(r"_(px|percent|deg)$")
_UNITS = {"px": "px", "percent": "%", "deg": "°"}
_METAVARS = {"whole": "N", "number": "X", "text": "TEXT"}
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Option:
    """`name`: in nodes, routes and records. `flag`: in the shell, `--name` without a unit if empty.

    `default` None: nothing is chosen until somebody chooses; several values are a tuple. `choices`
    may be empty for a menu that the host fills. For the shell: `short`, `metavar`, `older` (flags
    of earlier releases, which still work) and `mistaken` (flags that users try instead). For
    pages: `label`. For texts of several lines: `lines` and `placeholder`. `advanced`: seldom
    needed, so that hosts may fold it away.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    least: float = 0.0
    most: float = 0.0
    step: float = 1.0
    choices: tuple[str, ...] = ()
    flag: str = ""
    short: str = ""
    metavar: str = ""
    older: tuple[str, ...] = ()
    mistaken: tuple[str, ...] = ()
    label: str = ""
    lines: bool = False
    placeholder: str = ""
    advanced: bool = False

    def but(self, **changes: Any) -> Option:
        """The same with another default, range or text, for a place where it means more or less."""
        return replace(self, **changes)

    @property
    def in_shell(self) -> str:
        """`--grow` for grow_px."""
        return self.flag or in_shell(self.name)

    @property
    def in_usage(self) -> str:
        """What stands for the value in the shell's help."""
        return self.metavar or _METAVARS.get(self.kind, "NAME")

    @property
    def on_page(self) -> str:
        """`Grow (px)` for grow_px."""
        if self.label:
            return self.label
        words = _UNIT.sub("", self.name).replace("_", " ").capitalize()
        unit = _UNIT.search(self.name)
        return f"{words} ({_UNITS[unit[1]]})" if unit else words

    @property
    def limits(self) -> str:
        """`-200 … 200`; empty for what has none."""
        if self.kind not in ("whole", "number"):
            return ""
        return f"{self.least:.12g} … {self.most:.12g}"

    @property
    def default_said(self) -> str:
        """The default as a help says it; empty where nothing is chosen."""
        return said(self.default)

    def check(self, value: Any, called: str = "") -> Any:
        """The value in its right type and within its limits. Raises BadInput, by the name `called`.

        Texts that hold a number or true and false are read as such.
        """
        name = called or self.name
        if isinstance(value, tuple):
            return tuple(self.check(item, called) for item in value)
        if self.kind == "switch":
            return _switch(name, value)
        if self.kind in ("whole", "number"):
            return self._number(name, value)
        if not isinstance(value, str):
            raise BadInput(f"{name} must be a text", plain(repr(value)))
        if self.choices and value not in self.choices:
            raise BadInput(f"{name} must be one of {', '.join(self.choices)}", plain(repr(value)))
        return value

    def _number(self, name: str, value: Any) -> float:
        expected = f"{name} must be {self.limits}"
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise BadInput(expected, plain(repr(value)))
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise BadInput(expected, plain(repr(value))) from None
        if not self.least <= number <= self.most:
            raise BadInput(expected, plain(value))
        if self.kind == "number":
            return number
        if number != int(number):
            raise BadInput(f"{name} must be a whole number", plain(value))
        return int(number)


def said(value: Any) -> str:
    """A default as a help says it: `on`, `0.5`, `item building`; empty for None."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(said, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else f"{value}"


def in_shell(name: str) -> str:
    """`--grow` for grow_px: the shell says no units."""
    return "--" + _UNIT.sub("", name).replace("_", "-")


def _switch(name: str, value: Any) -> bool:
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise BadInput(f"{name} must be true or false", plain(repr(value)))
    return known


def switch(name: str, default: bool, help: str, **more: Any) -> Option:
    """On or off."""
    return Option(name, "switch", default, help, **more)


def whole(name: str, default: Any, limits: tuple[int, ...], help: str, **more: Any) -> Option:
    """A whole number; `limits`: least, most and, unless it is 1, the step."""
    least, most, step = (*limits, 1)[:3]
    return Option(name, "whole", default, help, least, most, step, **more)


def number(name: str, default: Any, limits: tuple[float, ...], help: str, **more: Any) -> Option:
    """A number; `limits`: least, most and step."""
    least, most, step = limits
    return Option(name, "number", default, help, least, most, step, **more)


def choice(
    name: str, default: str | None, choices: tuple[str, ...], help: str, **more: Any
) -> Option:
    """One of several words; of a menu that the host fills if `choices` is empty."""
    return Option(name, "choice", default, help, choices=choices, **more)


def text(name: str, default: Any, help: str, **more: Any) -> Option:
    """Any text."""
    return Option(name, "text", default, help, **more)


def told(option: Option) -> Any:
    """A dataclass field of that name and default; `options_of` gives the option back."""
    return field(default=option.default, metadata={"option": option})


def options_of(record: type[Any]) -> tuple[Option, ...]:
    """The options of a record whose fields were made by `told`."""
    return tuple(item.metadata["option"] for item in fields(record) if "option" in item.metadata)
