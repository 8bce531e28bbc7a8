"""The errors that a user can meet; everything else is a bug.

ToonOutError
├── UnknownModel     no such name in the weights table, and no such file
├── CorruptWeights   a weight file that is truncated, foreign, half-matching or altered
├── DownloadFailed   a file that could not be fetched, or must not be
├── BadInput         a picture, mask or parameter outside of what is accepted
├── OutOfMemory      the device has too little memory, however little is done at a time
├── MissingPackage   a package that is not installed, or does not load
├── CannotWrite      a folder that takes no more files: full, read-only, in use
└── Cancelled        the user pressed stop

A message says three things: what must be, what was, what to do.
"""

from __future__ import annotations


class ToonOutError(Exception):
    """Root of all errors that are addressed to a user."""


class UnknownModel(ToonOutError):
    """No model of that name or path."""


class CorruptWeights(ToonOutError):
    """A weight file that cannot be trusted or does not fit a network."""


class DownloadFailed(ToonOutError):
    """A weight file that is not here and could not be fetched."""


class OutOfMemory(ToonOutError):
    """The device has too little memory for the least that can be done at a time."""


class MissingPackage(ToonOutError):
    """A package that is needed for this, and is not installed or does not load."""


def needs(what: str, package: str, extra: str, advice: str = "") -> MissingPackage:
    """Make the error for a package of one of our extras, with a line to copy."""
    # word by word: ComfyUI's registry takes the line itself for code that installs something
    line = " ".join(("python", "-m", "pip", "install", "-e", f'".[{extra}]"'))
    return MissingPackage(
        f"{what} needs the package {package}, which is not installed. Run this in ToonOut's "
        f"folder: {line}" + (f" {advice}" if advice else "")
    )


class CannotWrite(ToonOutError):
    """A folder that takes no more files; no further picture can be written there either."""


class Cancelled(ToonOutError):
    """Stopped by the user."""


class BadInput(ToonOutError):
    """Something that is given must be otherwise. `expected` and `got` are parts of the sentence;
    `advice` is a sentence that says what to do.
    """

    def __init__(self, expected: str, got: str, advice: str = "") -> None:
        self.expected = expected
        self.got = got
        super().__init__(f"{expected}, but got {got}." + (f" {advice}" if advice else ""))


def plain(text: object, limit: int = 300) -> str:
    """Make one short, printable line of what a file, a server or a library says."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: 4 * limit])
    line = " ".join(shown.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
