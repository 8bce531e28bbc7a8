"""Remember what has been done: one JSON line a picture, in the folder of the results.

A result is announced (a record "begun", with size and hash of every file) before its files get
their names, and confirmed ("done") after it. So a run that was killed between the two can be
finished or undone, and a file that somebody has changed since is not mistaken for a result of ours.

The file is data: what it says never makes anybody touch a file outside of its folder.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import CannotWrite
from ..locking import holder, locked
from .publishing import cannot_write, through_to_disk
from .records import Record, content_of, parse_record

log = logging.getLogger("toonout")

FILE_NAME = ".toonout.jsonl"
LOCK_NAME = ".toonout.lock"


class Manifest:
    """The records of one folder; a line that is damaged counts for nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._done: dict[str, Record] = {}  # the newest of each picture
        self._begun: dict[str, Record] = {}  # and what was announced after it
        self._outputs: set[str] = set()
        for record in self._read():
            self._keep(record)

    def _read(self) -> Iterator[Record]:
        try:
            if not stat.S_ISREG(self.path.lstat().st_mode):
                log.warning("%s is no file and is left out", self.path)
                return
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, 1):
            try:
                yield parse_record(json.loads(line))
            except (ValueError, RecursionError):
                log.warning("%s: line %d is damaged and left out", self.path, number)

    def _keep(self, record: Record) -> None:
        if record.status == "done":
            self._done[record.source] = record
        if record.status == "begun":
            self._begun[record.source] = record
        else:
            self._begun.pop(record.source, None)
        self._outputs.update(record.outputs)

    # ------------------------------------------------------------ what it knows

    def outputs(self) -> set[Path]:
        """List every result of every run, by absolute path."""
        folder = Path(os.path.abspath(self.folder))
        return {folder / output for output in self._outputs}

    def last(self, source: Path) -> Record | None:
        """Return what was done last of that picture."""
        return self._done.get(str(source))

    def finished(self, source: Path, settings: str) -> Record | None:
        """Return the record of a picture that need not be done again.

        It must be of the same file, with the same settings, and all its results must still be
        there.
        """
        record = self.last(source)
        if record is None or record.settings != settings:
            return None
        state = source.stat()
        if (record.size, record.mtime_ns) != (state.st_size, state.st_mtime_ns):
            return None
        there = all((self.folder / output).is_file() for output in record.outputs)
        return record if there and (record.outputs or record.details) else None

    def unchanged(self, record: Record) -> set[Path]:
        """List those results that are what we wrote: nobody's work is lost with them."""
        named = zip(record.outputs, record.contents, strict=False)
        return {self.folder / output for output, content in named if self._holds(output, content)}

    def _holds(self, output: str, content: str) -> bool:
        path = self.folder / output
        try:
            if not path.parent.resolve().is_relative_to(self.folder.resolve()):
                return False  # by a link
            state = path.lstat()
            if not stat.S_ISREG(state.st_mode) or content.split(":")[0] != str(state.st_size):
                return False
            return content_of(path) == content
        except OSError:
            return False

    # ------------------------------------------------------------ what is written down

    def append(self, record: Record) -> None:
        """Write a record at once, so that a crash loses nothing finished. Raises OSError.

        A record "begun" is written through to the disk, as all the rest can be told from it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(record)).encode() + b"\n"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self.path, flags, 0o666), "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            try:
                file.write(line)
                file.flush()
                if record.status == "begun":
                    through_to_disk(file)
            except OSError:
                os.ftruncate(file.fileno(), end)  # the disk is full: no half line stays
                raise
        self._keep(record)

    def complete(self, record: Record) -> None:
        """Confirm a result that is there now, and remove what it replaces. Raises OSError."""
        before = self._done.get(record.source)
        if before is not None and record.replaces:
            kept = {self.folder / output for output in record.outputs}
            for path in self.unchanged(before) - kept:
                path.unlink()
        self.append(replace(record, status="done"))

    def recover(self) -> None:
        """Finish what a run had announced that was killed, or undo it where files are missing.

        Nobody else may write to the folder meanwhile. Raises OSError.
        """
        for record in list(self._begun.values()):
            there = self.unchanged(record)
            if record.outputs and len(there) == len(record.outputs):
                self.complete(record)
                continue
            for path in there:
                path.unlink()
            message = "The run was stopped before its files had their names."
            self.append(replace(record, status="failed", outputs=(), contents=(), message=message))


@contextmanager
def claim(folder: Path, *, wait: bool) -> Iterator[Manifest]:
    """Open the manifest of a folder that no other run writes to meanwhile.

    If another run does, this waits until it ends and says so once in the log; or, unless `wait`, it
    raises CannotWrite. Raises CannotWrite also where the folder cannot be made or written to.
    """
    path = folder / LOCK_NAME
    told = False

    def waiting() -> None:
        nonlocal told
        if not wait:
            raise CannotWrite(
                f"{folder} must be free, but another run writes to it: {holder(path)}. "
                "Wait until it has ended, or choose another folder."
            )
        if not told:
            log.warning("waiting, as another run writes to %s: %s", folder, holder(path))
        told = True

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path, waiting))
        except OSError as error:
            raise cannot_write(folder, error) from error
        yield Manifest(folder)
