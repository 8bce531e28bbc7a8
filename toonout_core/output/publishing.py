"""Files that are whole or not there, and take nobody's name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

Existing = Literal["number", "skip", "overwrite"]

PARTIAL_SUFFIX = ".toonout-part"


@dataclass(frozen=True)
class Part:
    """One file of a result. `suffix`: what follows the name that all files of the result share;
    `encode` writes to a binary stream and returns what is worth knowing about it."""

    suffix: str
    encode: Callable[[IO[bytes]], list[str]]


@contextmanager
def partial_file(folder: Path, ending: str = "") -> Iterator[Path]:
    """A name in `folder` to write to before publishing; what is left there at the end goes.

    `ending`: for writers that go by the file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}{ending}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def numbered(path: Path, number: int) -> Path:
    """`girl.png` → `girl_2.png`; number 1 is the plain name."""
    return path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")


def publish(partial: Path, target: Path, *, overwrite: bool = False) -> None:
    """Give a finished file its name in one step. Raises FileExistsError if the name is taken."""
    if overwrite:
        os.replace(partial, target)
        return
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(str(target)) from None
        os.replace(partial, target)


def publish_numbered(
    partials: Sequence[Path], names: Callable[[int], Sequence[Path]]
) -> list[Path]:
    """`publish` files that belong together as `names(1)`, or `names(2)` if one is taken, and on."""
    number = 0
    while True:
        number += 1
        targets = names(number)
        if any(os.path.lexists(target) for target in targets):
            continue
        done: list[Path] = []
        try:
            for partial, target in zip(partials, targets, strict=True):
                publish(partial, target)
                done.append(target)
        except FileExistsError:  # another process was faster: take ours away and go on
            for target in done:
                target.unlink()
            continue
        return done


def publish_parts(parts: Sequence[Part], folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """Write files that belong together as `name` or `name_2` and on, each with its suffix: their
    paths, and what is worth knowing. All are there at the end, or none."""
    notes: list[str] = []
    with ExitStack() as stack:
        partials: list[Path] = []
        for part in parts:
            partials.append(stack.enter_context(partial_file(folder)))
            with partials[-1].open("xb") as stream:
                notes += part.encode(stream)

        def names(number: int) -> list[Path]:
            counted = name if number == 1 else f"{name}_{number}"
            return [folder / f"{counted}{part.suffix}" for part in parts]

        return publish_numbered(partials, names), notes
