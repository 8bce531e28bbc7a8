"""The folder that results go to: what is there already, and what is never touched."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import BadInput, ToonOutError
from .manifest import Manifest, Record, settings_hash
from .naming import Source
from .publishing import PARTIAL_SUFFIX, Existing, publish, publish_numbered
from .report import NameTaken, Result

log = logging.getLogger("toonout")

_ABANDONED_AFTER_S = 24 * 3600


class Destination:
    """Takes finished files in under the names of their sources.

    `resume` leaves out what the manifest holds as done with the same `settings`, and replaces what
    was done with others. An input is never overwritten, whatever `existing` says. Without a
    `manifest` nothing is remembered.
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

    def prepare(self) -> None:
        """Make the folder, and remove what runs left there that were killed more than a day ago.

        Raises ToonOutError if it cannot be made.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ToonOutError(f"{self.out} must be a folder to write to, but: {error}.") from error
        oldest = time.time() - _ABANDONED_AFTER_S
        for folder in {self.out / source.target.parent for source in self.sources}:
            for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
                try:
                    if path.stat().st_mtime < oldest:
                        path.unlink()
                except OSError:
                    log.debug("%s", path, exc_info=True)

    def folder_of(self, source: Source) -> Path:
        """Where its results go. Raises BadInput if a link leads from there out of OUT."""
        folder = self.out / source.target.parent
        real, root = folder.resolve(), self.out.resolve()
        if real != root and root not in real.parents:
            raise BadInput(
                f"results must stay inside {self.out}", f"a link to {real}", "Remove the link."
            )
        return folder

    def done_before(self, source: Source, names: Sequence[Path]) -> Result | None:
        """A result that makes work needless. `names`: those that count for `existing` "skip"."""
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
        """The state of the source before it is read. Raises OSError."""
        state = source.path.stat()
        return Record(str(source.path), state.st_size, state.st_mtime_ns, self.settings, "failed")

    def publish(
        self,
        source: Source,
        partials: Sequence[Path],
        names: Callable[[int], Sequence[Path]],
    ) -> tuple[tuple[Path, ...], NameTaken]:
        """Give finished files their names: those of `names(1)`, or with the next free number.

        Where names that an earlier run gave are taken over, its further files of that picture go.
        Returns the names, and what was done if they were taken.
        """
        plain = names(1)
        own = self._own_results(source)
        before = self._own_names(own, names)
        if before or (self.existing == "overwrite" and not self._holds_input(plain)):
            chosen = tuple(before or plain)
            replaced = any(path.exists() for path in chosen)
            for partial, path in zip(partials, chosen, strict=True):
                publish(partial, path, overwrite=True)
            if own & set(chosen):
                self._remove(own - set(chosen))
            return chosen, "replaced" if replaced else ""
        outputs = publish_numbered(partials, names)
        return tuple(outputs), "numbered" if outputs != list(plain) else ""

    def remember(self, record: Record, result: Result) -> None:
        """Write down what became of a source. Raises ToonOutError if that cannot be written."""
        if self.manifest is None:
            return
        complete = replace(
            record,
            status="done" if result.status == "done" else "failed",
            outputs=tuple(path.relative_to(self.out).as_posix() for path in result.outputs),
            seconds=result.seconds,
            message=result.message,
            details=result.details,
        )
        try:
            self.manifest.append(complete)
        except OSError as error:
            raise ToonOutError(f"{self.manifest.path} must be writable, but: {error}.") from error

    def _own_results(self, source: Source) -> set[Path]:
        """What an earlier run made of the same picture, where that is to be replaced."""
        replacing = self._resume or self.existing == "overwrite"
        record = self.manifest.last(source.path) if replacing and self.manifest else None
        return {self.out / output for output in record.outputs} if record else set()

    def _own_names(self, own: set[Path], names: Callable[[int], Sequence[Path]]) -> Sequence[Path]:
        """The numbered names that our own results have, unless others have some of them too."""
        number = 1
        while self._resume and own:
            chosen = names(number)
            there = {path for path in chosen if os.path.lexists(path)}
            if own & there and there <= own and not self._holds_input(chosen):
                return chosen
            if not there:
                break
            number += 1
        return []

    def _remove(self, paths: Collection[Path]) -> None:
        for path in paths:
            if not self._holds_input([path]):
                path.unlink(missing_ok=True)

    def _holds_input(self, paths: Sequence[Path]) -> bool:
        return any(_identity(path) in self._inputs for path in paths if path.exists())


def frame_name(path: Path, number: int) -> Path:
    """`girl.png` → `girl_0001.png`."""
    return path.with_name(f"{path.stem}_{number:04d}{path.suffix}")


def raise_if_disk_is_full(error: BaseException, out: Path) -> None:
    """ToonOutError where no further picture could be written either."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS):
        raise ToonOutError(
            f"{out} must be writable and have room left, but: {error.strerror}."
        ) from error


def sentence_of(error: BaseException) -> str:
    """What a report says about it."""
    if isinstance(error, MemoryError):
        return "The picture needs more memory than there is. Make it smaller first."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}." if error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
