"""Let one process at a time work: a lock on a file, which the system frees when its owner dies.

The package `filelock`, which huggingface-hub brings, does not serve here. Where the lock's name is
a link, its releases up to 3.19 empty the file that the link leads to (tried with 3.12 and 3.19). On
a file system without locks its older releases wait for ever. Hosts have any of them installed.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.1
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_LONGEST_NOTE = 200


@contextmanager
def locked(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold `path`'s lock. `waiting` is called again and again until the lock is free, and may
    raise.

    The file says who holds the lock, and is removed at the end. Raises OSError where the file
    cannot be made, or is a link.
    """
    file = _acquire(path, waiting)
    try:
        with suppress(OSError):  # a full disk
            file.truncate(0)
            file.write(_own_note().encode())
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file: it stays, and harms nobody
            path.unlink()
        _unlock(file)
        file.close()


def holder(path: Path) -> str:
    """Say who holds the lock: the process, its machine, and since when."""
    try:
        text = path.read_bytes()[:_LONGEST_NOTE].decode(errors="replace")
    except OSError:
        text = ""
    return "".join(filter(str.isprintable, text)) or "another process"


def _own_note() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {platform.node()}, since {since}"


def _acquire(path: Path, waiting: Callable[[], object]) -> IO[bytes]:
    while True:
        file = os.fdopen(os.open(path, _FLAGS, 0o666), "r+b", buffering=0)
        try:
            while not _try_lock(file):
                waiting()
                time.sleep(_POLL_SECONDS)
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its owner has taken the name away meanwhile


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    _BEHIND_THE_NOTE = 1 << 20  # nobody can read a byte that is locked

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(_BEHIND_THE_NOTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            file.seek(0)
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(_BEHIND_THE_NOTE)
        with suppress(OSError):
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: work must go on there, too
            return True
        return True

    def _unlock(file: IO[bytes]) -> None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
