"""Put files in place that are whole or not there, and that take no other file's name."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, cast

from ..errors import CannotWrite

if TYPE_CHECKING:
    from ..imaging import Picture

Existing = Literal["number", "skip", "overwrite"]

Told = TypeVar("Told")

PARTIAL_SUFFIX = ".toonout-part"
LOCKED_SUFFIX = f".locked{PARTIAL_SUFFIX}"  # of runs that hold the folder's lock

_LONGEST_NAME = 255  # bytes, of all common file systems
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True)
class Part:
    """One file of a result.

    `suffix` follows the name that all files of the result share. `encode` writes to a binary stream
    and returns what is worth knowing about it.
    """

    suffix: str
    encode: Callable[[IO[bytes]], list[str]]
    check: Callable[[Path], object] | None = None


# from a stream, and what was made of each frame with its picture, to what is worth knowing: the one
# file of an animation
Join = Callable[[IO[bytes], Iterable[tuple[Told, "Picture"]]], list[str]]

# ---------------------------------------------------------------- what is not finished yet


@contextmanager
def partial_file(folder: Path, ending: str = "", *, locked: bool = False) -> Iterator[Path]:
    """Make a file in `folder` to write to before publishing. What is left of it at the end is
    removed.

    `ending`: for writers that go by the file's name. `locked`: the folder's lock is held, so that
    the next one who holds it may remove what a killed run has left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix = LOCKED_SUFFIX if locked else PARTIAL_SUFFIX
    path = folder / f".{secrets.token_hex(8)}{suffix}{ending}"
    try:
        yield path
    finally:
        with suppress(OSError):  # a read-only disk says no even where there is nothing
            path.unlink()


class _ByPython:
    """A file without its descriptor: encoders that write to it themselves miss a full disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        if name == "fileno":
            raise AttributeError(name)
        return getattr(self._file, name)


def write_whole(path: Path, encode: Callable[[IO[bytes]], Told], *, durable: bool = False) -> Told:
    """Make a file by `encode`, and see that the disk holds all of it. Raises OSError if not.

    `durable`: see `through_to_disk`.
    """
    with path.open("xb") as file:
        told = encode(cast("IO[bytes]", _ByPython(file)))
        size = file.seek(0, os.SEEK_END)
        if durable:
            through_to_disk(file)
    if path.stat().st_size != size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return told


def through_to_disk(file: IO[bytes]) -> None:
    """Write through to the disk, so that no file with its name is short after a loss of power.

    Raises OSError.
    """
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no fsync
            raise


# ---------------------------------------------------------------- names


def named(path: Path, ending: str) -> Path:
    """Join `girl` and `_2.png` → `girl_2.png`.

    Where that would be too long for a file system, the end of the name gives way to a hash of it,
    so that different names stay different.
    """
    room = _LONGEST_NAME - len(os.fsencode(ending))
    name = os.fsencode(path.name)
    if len(name) > room:
        mark = "~" + hashlib.sha256(name).hexdigest()[:8]
        kept = name[: max(0, room - len(mark))].decode(errors="ignore")
        return path.with_name(f"{kept}{mark}{ending}")
    return path.with_name(path.name + ending)


def result_name(target: Path, suffix: str, *, number: int = 1, frame: int = 0) -> Path:
    """Name a file: `OUT/girl` → `OUT/girl.png`, `OUT/girl_2.png`, of a frame
    `OUT/girl_2_0001.png`.
    """
    counted = f"_{number}" if number > 1 else ""
    framed = f"_{frame:04d}" if frame else ""
    return named(target, counted + framed + suffix)


def numbered(path: Path, number: int) -> Path:
    """Number a name: `girl.png` → `girl_2.png`; number 1 is the plain name."""
    counted = f"_{number}" if number > 1 else ""
    return named(path.with_name(path.stem), counted + path.suffix)


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
    partials: Sequence[Path],
    names: Callable[[int], Sequence[Path]],
    announce: Callable[[Sequence[Path]], object] = lambda _: None,
) -> list[Path]:
    """Publish files that belong together as `names(1)`, or as `names(2)` if one is taken, and so
    on.

    `announce` is called before each try. All files are there at the end, or none.
    """
    number = 0
    while True:
        number += 1
        targets = names(number)
        if any(os.path.lexists(target) for target in targets):
            continue
        announce(targets)
        done: list[Path] = []
        try:
            for partial, target in zip(partials, targets, strict=True):
                publish(partial, target)
                done.append(target)
        except FileExistsError:  # another process was faster: take ours away and go on
            for target in done:
                target.unlink()
            continue
        except OSError:
            for target in done:
                target.unlink()
            raise
        return done


def publish_as(partial: Path, path: Path, *, overwrite: bool) -> Path:
    """Publish under that name or, unless it may `overwrite`, with a free number.
    Returns the name.
    """
    if overwrite:
        publish(partial, numbered(path, 1), overwrite=True)
        return numbered(path, 1)
    return publish_numbered([partial], lambda number: [numbered(path, number)])[0]


def write_text(path: Path, text: str, *, overwrite: bool) -> Path:
    """Write UTF-8, whole or not at all; see `publish_as`."""
    with partial_file(path.parent) as partial:
        write_whole(partial, lambda stream: stream.write(text.encode()))
        return publish_as(partial, path, overwrite=overwrite)


# ---------------------------------------------------------------- what is said of errors


def cannot_write(folder: Path, error: OSError) -> CannotWrite:
    """Make the error for a folder that takes no files."""
    if error.errno in _FULL:
        return CannotWrite(f"The disk of {folder} is full. Make room, then go on.")
    if error.errno == errno.EROFS:
        got = "it lies on a read-only disk"
    elif error.errno in (errno.EACCES, errno.EPERM):
        got = "this user may not write there"
    elif error.errno == errno.ELOOP:
        got = f"{error.filename} is a link"
    else:
        got = error.strerror or str(error)
    return CannotWrite(f"{folder} must be a folder to write to, but {got}. Choose another folder.")
