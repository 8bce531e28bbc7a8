"""Manage the folder that results go to: what is there already, and what is never touched."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ..errors import BadInput
from .manifest import Manifest
from .naming import Source
from .publishing import (
    LOCKED_SUFFIX,
    PARTIAL_SUFFIX,
    Existing,
    Told,
    cannot_write,
    partial_file,
    publish,
    publish_numbered,
    write_whole,
)
from .records import Record, content_of, relative_names, settings_hash
from .report import NameTaken, Result

log = logging.getLogger("toonout")

_ABANDONED_AFTER_S = 24 * 3600
_CONCERNS_ALL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS}


class Destination:
    """Takes finished files in, under the names of their sources.

    `resume` leaves out what the manifest holds as done with the same `settings`. It replaces what
    was done with others, unless somebody has changed that file since. An input is never
    overwritten, whatever `existing` says. Without a `manifest` nothing is remembered; with one, its
    folder must be claimed (see `manifest.claim`).
    """

    def __init__(
        self,
        out: Path,
        sources: Sequence[Source],
        *,
        settings: Mapping[str, Any],
        existing: Existing = "number",
        resume: bool = False,
        manifest: Manifest | None = None,
    ) -> None:
        self.out, self.sources = out, sources
        self.existing: Existing = existing
        self.settings = settings_hash(settings)
        self.manifest = manifest
        self._resume = resume and manifest is not None
        self._inputs = {_identity(source.path) for source in sources}

    @property
    def resumes(self) -> bool:
        """Whether what was done before is left out."""
        return self._resume

    def prepare(self) -> None:
        """Make the folder, and clear up after runs that were killed.

        What they had begun is finished or undone, and their partial files are removed; those of
        others only after a day. Raises CannotWrite.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if self.manifest is not None:
                self.manifest.recover()
        except OSError as error:
            raise cannot_write(self.out, error) from error
        oldest = time.time() - _ABANDONED_AFTER_S
        for folder in {self.out / source.target.parent for source in self.sources}:
            for path in folder.glob(f".*{PARTIAL_SUFFIX}*"):
                ours = self.manifest is not None and path.name.endswith(LOCKED_SUFFIX)
                try:
                    if ours or path.lstat().st_mtime < oldest:
                        path.unlink()
                except OSError:
                    log.debug("%s", path, exc_info=True)

    def folder_of(self, source: Source) -> Path:
        """Return the folder of a source's results. Raises BadInput if a link leads from there out
        of OUT.
        """
        folder = self.out / source.target.parent
        real, root = folder.resolve(), self.out.resolve()
        if real != root and root not in real.parents:
            raise BadInput(
                f"results must stay inside {self.out}", f"a link to {real}", "Remove the link."
            )
        return folder

    def done_before(self, source: Source, names: Sequence[Path]) -> Result | None:
        """Return a result that makes work needless. `names`: those that count for
        `existing` "skip".
        """
        if self._resume and self.manifest is not None:
            try:
                record = self.manifest.finished(source.path, self.settings)
            except OSError:
                record = None
            if record is not None:
                outputs = tuple(self.out / output for output in record.outputs)
                return Result(source.path, "resumed", outputs, details=record.details)
        there = tuple(path for path in names if path.exists()) if self.existing == "skip" else ()
        return Result(source.path, "skipped", there) if there else None

    def begin(self, source: Source) -> Record:
        """Note the state of the source before it is read. Raises OSError."""
        state = source.path.stat()
        return Record(str(source.path), state.st_size, state.st_mtime_ns, self.settings, "failed")

    def partial(self, source: Source) -> AbstractContextManager[Path]:
        """Make a file to write to; see `partial_file`. Raises BadInput as `folder_of` does."""
        return partial_file(self.folder_of(source), locked=self.manifest is not None)

    def write(self, partial: Path, encode: Callable[[IO[bytes]], Told]) -> Told:
        """Write a file; see `write_whole`. What is remembered must outlive a loss of power."""
        return write_whole(partial, encode, durable=self.manifest is not None)

    def publish(
        self,
        source: Source,
        partials: Sequence[Path],
        names: Callable[[int], Sequence[Path]],
        record: Record,
    ) -> tuple[tuple[Path, ...], NameTaken]:
        """Give finished files their names: those of `names(1)`, or with the next free number.

        Where names are reused that an earlier run gave, its further files of that picture are
        removed. `record`: what is to be remembered, see `begin`. Returns the names, and what was
        done if they were taken. Raises OSError.
        """
        plain = names(1)
        own = self._own_results(source)
        chosen = tuple(self._own_names(own, names))
        if not chosen and self.existing == "overwrite" and not self.holds_input(plain):
            chosen = tuple(plain)
        contents = tuple(map(content_of, partials))
        begun = replace(record, status="begun", contents=contents, replaces=bool(own & {*chosen}))

        def announce(outputs: Sequence[Path]) -> None:
            nonlocal begun
            begun = replace(begun, outputs=relative_names(outputs, self.out))
            if self.manifest is not None:
                self.manifest.append(begun)

        if chosen:
            replaced = any(map(os.path.lexists, chosen))
            announce(chosen)
            for partial, path in zip(partials, chosen, strict=True):
                publish(partial, path, overwrite=True)
            taken: NameTaken = "replaced" if replaced else ""
        else:
            chosen = tuple(publish_numbered(partials, names, announce))
            taken = "numbered" if chosen != tuple(plain) else ""
        if self.manifest is not None:
            self.manifest.complete(begun)
        return chosen, taken

    def remember_failure(self, record: Record, result: Result) -> None:
        """Write down why there is no result. Raises CannotWrite."""
        if self.manifest is None:
            return
        failed = replace(record, status="failed", seconds=result.seconds, message=result.message)
        try:
            self.manifest.append(failed)
        except OSError as error:
            raise cannot_write(self.out, error) from error

    def _own_results(self, source: Source) -> set[Path]:
        """List what an earlier run made of the same picture and nobody has changed, where that is
        to be replaced.
        """
        replacing = self._resume or self.existing == "overwrite"
        record = self.manifest.last(source.path) if replacing and self.manifest else None
        return self.manifest.unchanged(record) if record and self.manifest else set()

    def _own_names(self, own: set[Path], names: Callable[[int], Sequence[Path]]) -> Sequence[Path]:
        """List the numbered names that our own results have, unless others have some
        of them too.
        """
        number = 1
        while own and (self._resume or self.holds_input(names(1))):
            chosen = names(number)
            there = {path for path in chosen if os.path.lexists(path)}
            if own & there and there <= own and not self.holds_input(chosen):
                return chosen
            if not there:
                break
            number += 1
        return []

    def holds_input(self, paths: Sequence[Path]) -> bool:
        """Whether one of the files is a source: those are never overwritten."""
        return any(_identity(path) in self._inputs for path in paths if path.exists())


def raise_if_disk_is_full(error: BaseException, out: Path) -> None:
    """Raise CannotWrite where no further picture could be written either."""
    if isinstance(error, OSError) and error.errno in _CONCERNS_ALL:
        raise cannot_write(out, error) from error


def sentence_of(error: BaseException) -> str:
    """Spell what a report says about the error."""
    if isinstance(error, MemoryError):
        return "The picture needs more memory than there is. Make it smaller first."
    if isinstance(error, OSError) and error.strerror:
        name = error.filename2 or error.filename
        if name and PARTIAL_SUFFIX in str(name):  # a name that means nothing to anybody
            name = Path(name).parent
        return f"{error.strerror}: {name}." if name else f"{error.strerror}."
    return str(error) or type(error).__name__


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
