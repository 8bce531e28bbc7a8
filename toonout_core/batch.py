"""Cut out many pictures, one after the other, into a folder: the engine of shell and WebUI."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from .destination import Destination, frame_name, raise_if_disk_is_full, sentence_of
from .errors import Cancelled, CorruptWeights, DownloadFailed, ToonOutError, UnknownModel
from .imaging import Picture, read_frames
from .naming import Source
from .output import Cut, Output, encode_matte
from .publishing import numbered, partial_file
from .report import Result
from .writing import FORMATS

log = logging.getLogger("toonout")


class Batch:
    """Every source of a destination through `cut`: each result is whole and recorded, or not there.

    `cut` is made by `make_cut` when the first picture needs it, so that a run with nothing to do
    loads no network. `shrink_to`: pixels that larger pictures are reduced to.
    """

    def __init__(
        self,
        destination: Destination,
        make_cut: Callable[[], Cut],
        output: Output,
        *,
        shrink_to: int | None = None,
    ) -> None:
        self.destination, self.output, self.shrink_to = destination, output, shrink_to
        self.inferences = 0
        self._make_cut = make_cut
        self._cut: Cut | None = None
        self._loading = False

    def __len__(self) -> int:
        return len(self.destination.sources)

    def run(self) -> Iterator[Result]:
        """One result a picture, in order. Stop by not asking for the next one."""
        self.destination.prepare()
        for source in self.destination.sources:
            target = self._target(source)
            names = [target, frame_name(target, 1)]
            yield self.destination.done_before(source, names) or self._try(source, target)

    def _target(self, source: Source) -> Path:
        suffix = self.output.suffix or FORMATS[self.output.format].suffixes[0]
        return self.destination.out / source.target.with_name(source.target.name + suffix)

    def _try(self, source: Source, target: Path) -> Result:
        started = time.monotonic()
        try:
            record = self.destination.begin(source)
        except OSError as error:
            return Result(source.path, "failed", message=sentence_of(error))
        try:
            result = self._one(source, target)
        except (UnknownModel, CorruptWeights, DownloadFailed, Cancelled):
            raise
        except (ToonOutError, OSError, RuntimeError, ValueError, MemoryError) as error:
            if self._loading:  # what is wrong with the model concerns all pictures
                raise
            raise_if_disk_is_full(error, self.destination.out)
            log.debug("%s", source.path, exc_info=True)
            result = Result(source.path, "failed", message=sentence_of(error))
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        self.destination.remember(record, result)
        return result

    def _one(self, source: Source, target: Path) -> Result:
        folder = self.destination.folder_of(source)
        notes: list[str] = []
        written: list[Path] = []
        with ExitStack() as partials:
            for picture in read_frames(source.path, shrink_to=self.shrink_to):
                partial = partials.enter_context(partial_file(folder))
                notes += self._write(picture, partial)
                written.append(partial)

            def names(number: int) -> list[Path]:
                plain = numbered(target, number)
                if len(written) == 1:
                    return [plain]
                return [frame_name(plain, index) for index in range(1, len(written) + 1)]

            outputs, renamed = self.destination.publish(source, written, names)
        if len(written) > 1:
            notes.append(f"{len(written)} frames")
        return Result(
            source.path, "done", outputs, notes=tuple(dict.fromkeys(notes)), renamed=renamed
        )

    def _write(self, picture: Picture, partial: Path) -> list[str]:
        if self._cut is None:
            self._loading = True
            self._cut = self._make_cut()
            self._loading = False
        matte = self._cut(picture)
        self.inferences += 1
        with partial.open("xb") as stream:
            return encode_matte(stream, matte, picture, self.output)
