"""`toonout watch`: cut out what comes into a folder, until somebody says stop."""

from __future__ import annotations

import argparse
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import running
from .cutting import add_cutting_options, cutout_settings, make_cut, output_of
from .folder_run import conclude, note, require_folder, shrink_to
from .parsing import Verbs, add
from .rembg_words import in_our_words
from .terminal import ProgressBar, say_failure

if TYPE_CHECKING:
    from ..output.manifest import Manifest
    from ..output.naming import Found, Source
    from ..output.report import Report, Result

EXAMPLES = """\
examples:
  toonout watch drawings -o cutouts
  toonout watch drawings -o cutouts --recursive --model toonout
  toonout watch drawings -o cutouts --pause 10                      a folder on a slow network

A file is taken once it has not changed between two looks. What OUT/.toonout.jsonl holds as done is
left out, so a second watch goes on where the first one ended. A picture that changes is cut out
again, and its result is replaced unless somebody has changed it.
A file called stop.txt in the folder ends the watch, after what is there. So does Ctrl-C.

exit codes: 0 ended by stop.txt, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""

STOP = "stop.txt"
_LAST_LOOKS = 2  # a file that is there when somebody says stop may still be whole


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "watch",
        help="cut out what comes into a folder",
        description="Cut characters out of every picture that comes into a folder.",
        epilog=EXAMPLES,
    )
    parser.add_argument("folder", metavar="IN", help="the folder to watch")
    add(parser, running.OUT, required=True)
    add(parser, running.PAUSE)
    add_cutting_options(parser)
    add(parser, running.RECURSIVE, running.ON_EXISTS, title="files")
    add(parser, running.REPORT, running.QUIET, title="files")
    parser.set_defaults(steady=False)
    parser.translate = in_our_words


def run(arguments: argparse.Namespace) -> int:
    """Watch until there is a stop.txt."""
    from ..output.manifest import claim

    arguments.paths = [arguments.folder]
    folder, out = Path(arguments.folder), Path(arguments.out)
    if not folder.is_dir():
        raise BadInput("IN must be a folder", str(folder), "Make it, or name another one.")
    require_folder(out)
    with claim(out, wait=True) as manifest:
        watch = Watch(arguments, folder, out, manifest)
        note(arguments, f"Watching {folder}. A file {STOP} in it, or Ctrl-C, ends this.")
        try:
            watch.run()
        except KeyboardInterrupt:
            watch.report.interrupted = True
        conclude(arguments, watch.report, watch.found, out)
        return watch.report.exit_code


State = tuple[int, int]  # size and time of a file


class Watch:
    """Looks at a folder again and again. `found`: all that the last look has seen."""

    found: Found
    report: Report

    def __init__(
        self, arguments: argparse.Namespace, folder: Path, out: Path, manifest: Manifest
    ) -> None:
        from ..output.naming import Found
        from ..output.report import Report

        self.arguments, self.folder, self.out, self.manifest = arguments, folder, out, manifest
        self.found, self.report = Found(), Report()
        self._output, self._settings = output_of(arguments), cutout_settings(arguments)
        self._make_cut = cache(lambda: make_cut(arguments))
        self._seen: dict[Path, State] = {}
        self._tried: dict[Path, State] = {}

    def run(self) -> None:
        """Raises ToonOutError where no further picture could be cut out either."""
        left = _LAST_LOOKS
        while left:
            if (self.folder / STOP).exists():
                left -= 1
            if whole := self._look():
                self._work(whole)
            if left:
                time.sleep(self.arguments.pause)

    def _look(self) -> list[Source]:
        """What is whole and was not tried in this state."""
        from ..output.naming import find_sources

        self.found = find_sources(
            [self.folder],
            recursive=self.arguments.recursive,
            out=self.out,
            results=self.manifest.outputs(),
        )
        self.report.not_read = [p for p in self.found.not_pictures if p.name != STOP]
        before, self._seen = self._seen, _states(self.found.sources)
        return [
            source
            for source in self.found.sources
            if (state := self._seen.get(source.path)) is not None
            and state == before.get(source.path)
            and state != self._tried.get(source.path)
        ]

    def _work(self, whole: list[Source]) -> None:
        from ..output.batch import Batch
        from ..output.destination import Destination

        destination = Destination(
            self.out,
            self.found.sources,  # none of them is ever overwritten
            settings=self._settings,
            existing=self.arguments.on_exists,
            resume=True,
            manifest=self.manifest,
        )
        destination.sources = whole
        batch: Batch[Any] = Batch(
            destination, self._make_cut, self._output, shrink_to=shrink_to(self.arguments)
        )
        with ProgressBar(len(batch), "watch", quiet=self.arguments.quiet) as bar:
            for result in batch.run():
                self._tried[result.source] = self._seen[result.source]
                bar.advance(text=result.source.name)
                self._keep(result)

    def _keep(self, result: Result) -> None:
        self.report.results.append(result)
        if result.status == "failed":
            say_failure(result.source, result.message)
        for path in result.outputs if result.status == "done" else ():
            note(self.arguments, f"{result.source} → {path}")


def _states(sources: list[Source]) -> dict[Path, State]:
    """Of the files that hold something."""
    found: dict[Path, State] = {}
    for source in sources:
        try:
            state = source.path.stat()
        except OSError:
            continue  # it has gone again
        if state.st_size:
            found[source.path] = (state.st_size, state.st_mtime_ns)
    return found
