"""Cut out many pictures, one after the other, into a folder: the engine of shell and WebUI."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Generic, Protocol, TypeVar

from ..errors import (
    BadInput,
    Cancelled,
    CannotWrite,
    CorruptWeights,
    DownloadFailed,
    ToonOutError,
    UnknownModel,
)
from ..imaging import Picture, read_frames, verify
from .destination import Destination, raise_if_disk_is_full, sentence_of
from .naming import Source
from .publishing import Join, Part, result_name
from .records import Record
from .report import Result

log = logging.getLogger("toonout")

Made = TypeVar("Made")
Shown = TypeVar("Shown", contravariant=True)


class Form(Protocol[Shown]):
    """Decides which files are written for one frame; `output.Output` is the one for mattes."""

    def suffixes(self) -> Sequence[str]:
        """List the endings that may follow the picture's name. Where one of those files exists, the
        picture counts as done.
        """
        ...

    def parts(self, made: Shown, picture: Picture) -> Sequence[Part]:
        """List the files of the frame, which are not written yet."""
        ...

    def join(self) -> Join[Any] | None:
        """How an animation's frames become one file; None: each has files of its own."""
        ...

    def notes(self, made: Shown) -> list[str]:
        """Tell what is worth knowing, beside what encoding the parts tells."""
        ...

    def details(self, made: Shown) -> dict[str, Any]:
        """Return what is to be remembered beside the files, as JSON; empty if nothing."""
        ...


class Batch(Generic[Made]):
    """Sends every source of a destination through `cut`. A result is whole and recorded, or not
    there.

    `make_cut` makes `cut` when the first picture needs it, so that a run with nothing to do loads
    no network. `shrink_to`: the number of pixels that larger pictures are reduced to.
    """

    def __init__(
        self,
        destination: Destination,
        make_cut: Callable[[], Callable[[Picture], Made]],
        output: Form[Made],
        *,
        shrink_to: int | None = None,
    ) -> None:
        self.destination, self.output, self.shrink_to = destination, output, shrink_to
        self.inferences = 0
        self._make_cut = make_cut
        self._cut: Callable[[Picture], Made] | None = None
        self._loading = False

    def __len__(self) -> int:
        return len(self.destination.sources)

    def run(self) -> Iterator[Result]:
        """Yield one result a picture, in order. To stop, do not ask for the next one.

        A picture is encoded while the next one is cut.
        """
        self.destination.prepare()
        pending: _Work | None = None
        with ThreadPoolExecutor(1, "toonout-encode") as encoder:
            try:
                for source in self.destination.sources:
                    begun = self._begin(source, encoder)
                    previous, pending = pending, begun if isinstance(begun, _Work) else None
                    if previous is not None:
                        yield self._finish(previous)
                    if isinstance(begun, Result):
                        yield begun
                if pending is not None:
                    previous, pending = pending, None
                    yield self._finish(previous)
            # whatever ends the run, what was finished before it stays
            except (KeyboardInterrupt, Exception):
                if pending is not None:
                    previous, pending = pending, None
                    yield self._finish(previous)
                raise
            finally:
                if pending is not None:
                    pending.drop()

    def _begin(self, source: Source, encoder: Executor) -> _Work | Result:
        self._require_out()
        target = self.destination.out / source.target
        suffixes = self.output.suffixes()
        taken = [
            result_name(target, suffix, frame=frame) for frame in (0, 1) for suffix in suffixes
        ]
        if (before := self.destination.done_before(source, taken)) is not None:
            return before
        try:
            work = _Work(source, target, self.destination.begin(source))
        except OSError as error:
            return Result(source.path, "failed", message=sentence_of(error))
        whole = False
        try:
            self._cut_frames(work, encoder)
            whole = True
        except Exception as error:  # noqa: BLE001 (one picture's failure, whatever it is)
            return self._failed(work, error)
        finally:
            if not whole:
                work.drop()
        return work

    def _cut_frames(self, work: _Work, encoder: Executor) -> None:
        pictures = read_frames(work.source.path, shrink_to=self.shrink_to)
        first = list(islice(pictures, 2))
        join = self.output.join() if len(first) > 1 and first[0].seconds > 0 else None
        pictures = chain(first, pictures)
        del first
        if join is not None:
            self._cut_animation(work, pictures, join)
            return
        for picture in pictures:
            made = self._make(picture)
            if work.encodings:  # no more than one frame waits
                work.encodings[-1].result()
            work.notes += [*picture.notes, *self.output.notes(made)]
            work.details.append(self.output.details(made))
            parts = self.output.parts(made, picture)
            work.suffixes.append([part.suffix for part in parts])
            for part in parts:
                partial = work.stack.enter_context(self.destination.partial(work.source))
                work.partials.append(partial)
                work.checks.append(part.check or verify)
                work.encodings.append(encoder.submit(self.destination.write, partial, part.encode))
        if not work.suffixes:
            raise BadInput(f"{work.source.path} must hold a picture", "none")

    def _cut_animation(self, work: _Work, pictures: Iterator[Picture], join: Join[Made]) -> None:
        """All frames into one file, each as soon as it is cut."""
        partial = work.stack.enter_context(self.destination.partial(work.source))

        def encode(stream: IO[bytes]) -> list[str]:
            return join(stream, ((self._make(picture), picture) for picture in pictures))

        work.notes += self.destination.write(partial, encode)
        work.suffixes.append(list(self.output.suffixes()[:1]))
        work.partials.append(partial)
        work.checks.append(verify)

    def _make(self, picture: Picture) -> Made:
        if self._cut is None:
            self._loading = True
            self._cut = self._make_cut()
            self._loading = False
        self.inferences += 1
        return self._cut(picture)

    def _finish(self, work: _Work) -> Result:
        try:
            notes = work.notes + [note for done in work.encodings for note in done.result()]
            for partial, check in zip(work.partials, work.checks, strict=True):
                check(partial)
            details = tuple(details for details in work.details if details)
            record = replace(work.record, seconds=work.seconds, details=details)
            outputs, taken = self.destination.publish(
                work.source, work.partials, work.names, record
            )
        except Exception as error:  # noqa: BLE001 (one picture's failure, whatever it is)
            return self._failed(work, error)
        finally:
            work.drop()
        if len(work.suffixes) > 1:
            notes.append(f"{len(work.suffixes)} frames")
        return Result(
            work.source.path,
            "done",
            outputs,
            seconds=record.seconds,
            notes=tuple(dict.fromkeys(notes)),
            taken=taken,
            details=details,
        )

    def _require_out(self) -> None:
        if not self.destination.out.is_dir():
            raise ToonOutError(f"{self.destination.out} must stay a folder, but has gone.")

    def _failed(self, work: _Work, error: Exception) -> Result:
        """Make a result of a failure. Raises it again where it concerns all pictures: the model,
        the folder, memory, a stop.
        """
        if isinstance(error, _CONCERNS_ALL) or self._loading:
            raise error
        if isinstance(error, MemoryError):
            raise ToonOutError(f"{work.source.path}: {sentence_of(error)}") from error
        raise_if_disk_is_full(error, self.destination.out)
        self._require_out()
        log.debug("%s", work.source.path, exc_info=error)
        message = sentence_of(error)
        result = Result(work.source.path, "failed", seconds=work.seconds, message=message)
        self.destination.remember_failure(work.record, result)
        return result


_CONCERNS_ALL = (CannotWrite, UnknownModel, CorruptWeights, DownloadFailed, Cancelled)


@dataclass
class _Work:
    """A picture on its way from its pixels to its files."""

    source: Source
    target: Path  # without anything that follows
    record: Record
    stack: ExitStack = field(default_factory=ExitStack)
    suffixes: list[list[str]] = field(default_factory=list[list[str]])  # of each frame
    details: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # of each frame
    notes: list[str] = field(default_factory=list[str])
    partials: list[Path] = field(default_factory=list[Path])  # of all frames, in that order
    checks: list[Callable[[Path], object]] = field(
        default_factory=list[Callable[[Path], object]]
    )  # of each of them
    encodings: list[Future[list[str]]] = field(default_factory=list[Future[list[str]]])
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)

    def names(self, number: int) -> list[Path]:
        """Return where the files go, by the `number`-th choice of names."""
        names: list[Path] = []
        for frame, suffixes in enumerate(self.suffixes, int(len(self.suffixes) > 1)):
            names += [
                result_name(self.target, suffix, number=number, frame=frame) for suffix in suffixes
            ]
        return names

    def drop(self) -> None:
        """Remove what has not been published. No file is written to any more after it."""
        for encoding in self.encodings:
            encoding.cancel()
        wait(self.encodings)
        self.stack.close()
