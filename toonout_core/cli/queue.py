"""`toonout queue`: one prompt a picture into the queue of a running ComfyUI."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, ToonOutError
from ..options import running
from .comfy_server import (
    ComfyServer,
    OutputFile,
    Refused,
    ended,
    failure,
    output_files,
)
from .folder_run import conclude, exit_code, open_folder
from .options import add_file_options
from .parsing import Verbs, add
from .terminal import ProgressBar, say
from .workflow import Workflow, read_workflow

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.naming import Found, Source
    from ..output.records import Record
    from ..output.report import Report, Result

EXAMPLES = """\
examples:
  toonout queue drawings --workflow cutout.json -o results
  toonout queue drawings --workflow cutout.json -o results --resume
  toonout queue '*.png' --workflow two_inputs.json --input 12.image -o results
  toonout queue drawings --workflow all.json --output 9 --server http://192.168.0.5:8188 -o results

WORKFLOW is what ComfyUI's menu "Export (API)" writes. Each picture is uploaded to the server's
input folder "toonout" and put into the LoadImage node. Of the results, those of Save nodes are
fetched (those of Preview nodes if there is no Save node) and called like the picture:
girl.png, with several files girl_0001.png, girl_0002.png, with several nodes girl_9.png, ...
Ctrl-C takes what is left out of the queue; other people's prompts stay.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""

_PATIENCE_S = 30.0  # for a connection
_GLANCE_S = 0.1  # between looks for a history, which is written a moment after the last event
_LOOK_S = 5.0  # between looks at the queue, in case that an event was lost


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "queue",
        help="run a workflow of a running ComfyUI over pictures",
        description="Put one prompt a picture into the queue of a running ComfyUI.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="picture, folder or pattern ('*.png')"
    )
    add(parser, running.QUEUE_OUT)
    add(parser, running.WORKFLOW, required=True)
    add(parser, running.SERVER, running.INPUT)
    add(parser, running.OUTPUT, several=True)
    add(parser, running.IN_FLIGHT)
    add_file_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Queue everything that was named."""
    try:
        import aiohttp  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise ToonOutError(
            "toonout queue needs the package aiohttp, which is not installed. "
            "Install it with pip, by its name or as `.[queue]` of this package."
        ) from None
    workflow = read_workflow(Path(arguments.workflow), arguments.input)
    settings = {"workflow": workflow.graph, "input": arguments.input, "out": arguments.output}
    with open_folder(arguments, Path(arguments.out), settings) as (destination, found):
        return _queue_all(arguments, workflow, destination, found)


def _queue_all(
    arguments: argparse.Namespace, workflow: Workflow, destination: Destination, found: Found
) -> int:
    from ..output.report import Report, Result

    report = Report([Result(Path(name), "failed", message=text) for name, text in found.problems])
    try:
        with ProgressBar(len(found.sources), "queue", quiet=arguments.quiet) as bar:
            if found.sources:
                asyncio.run(_run(arguments, workflow, destination, report, bar))
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if report.results or report.interrupted or not found.sources:
            conclude(arguments, report, found, destination.out)
    return exit_code(report, found)


# ---------------------------------------------------------------- running


async def _run(
    arguments: argparse.Namespace,
    workflow: Workflow,
    destination: Destination,
    report: Report,
    bar: ProgressBar,
) -> None:
    from aiohttp import ClientError, ClientSession, ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_PATIENCE_S)
    async with ClientSession(timeout=timeout) as session:
        server = ComfyServer(arguments.server, session)
        version = await server.version()
        if not arguments.quiet:
            say(f"ComfyUI {version} at {server.url}")
        run = QueueRun(server, workflow, destination, arguments.output, report, bar)
        try:
            await run.run(arguments.in_flight)
        except (ClientError, TimeoutError) as error:
            raise ToonOutError(
                f"ComfyUI at {server.url} must keep answering, but: "
                f"{error or type(error).__name__}. What is done is kept; go on with --resume."
            ) from error


class QueueRun:
    """Keeps a few prompts in the queue until all pictures are done."""

    def __init__(
        self,
        server: ComfyServer,
        workflow: Workflow,
        destination: Destination,
        output_nodes: Sequence[str],
        report: Report,
        bar: ProgressBar,
    ) -> None:
        self.server, self.workflow, self.destination = server, workflow, destination
        self.output_nodes, self.report, self.bar = output_nodes, report, bar
        self._ends: dict[str, asyncio.Event] = {}  # of our prompts, from before they are sent
        self._queued: set[str] = set()  # those that the server has accepted

    async def run(self, in_flight: int) -> None:
        """Raises ToonOutError if the workflow is wrong; takes back what is queued when stopped."""
        self.destination.prepare()
        sources = iter(self.destination.sources)

        async def work() -> None:
            for source in sources:
                self.report.results.append(await self._one(source))
                self.bar.advance()

        listening = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]
        workers = [asyncio.create_task(work()) for _ in range(max(1, in_flight))]
        try:
            while working := [task for task in workers if not task.done()]:
                done, _ = await asyncio.wait(
                    [*working, *listening], return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
        finally:
            for task in (*workers, *listening):
                task.cancel()
            await asyncio.gather(*workers, *listening, return_exceptions=True)
            unfinished = [key for key, end in self._ends.items() if not end.is_set()]
            if unfinished:
                await self.server.cancel(unfinished)

    async def _one(self, source: Source) -> Result:
        from ..output.destination import raise_if_disk_is_full, sentence_of
        from ..output.report import Result

        target = self.destination.out / source.target
        taken = _results_called(target) if self.destination.existing == "skip" else []
        if (before := self.destination.done_before(source, taken)) is not None:
            return before
        started = time.monotonic()
        try:
            record = self.destination.begin(source)
        except OSError as error:
            return Result(source.path, "failed", message=sentence_of(error))
        try:
            result = await self._process(source, record)
        except Refused as error:
            if error.nodes != {self.workflow.node}:  # no other picture would fare better
                raise
            result = Result(source.path, "failed", message=str(error))
        except (BadInput, OSError) as error:
            from aiohttp import ClientError

            if isinstance(error, ClientError | TimeoutError):
                raise
            raise_if_disk_is_full(error, self.destination.out)
            result = Result(source.path, "failed", message=sentence_of(error))
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        if result.status == "failed":
            self.destination.remember_failure(record, result)
        return result

    async def _process(self, source: Source, record: Record) -> Result:
        from ..output.report import Result

        self.destination.folder_of(source)
        name = await self.server.upload(source.path)
        prompt_id = str(uuid.uuid4())
        end = self._ends[prompt_id] = asyncio.Event()
        try:
            accepted = await self.server.submit(self.workflow.with_picture(name), prompt_id)
        except Refused:
            end.set()
            raise
        self._ends[accepted] = self._ends.pop(prompt_id)  # a server may name prompts itself
        self._queued.add(accepted)
        await end.wait()
        history = await self._history(accepted)
        if message := failure(history):
            return Result(source.path, "failed", message=message)
        return await self._collect(source, record, history)

    async def _history(self, prompt_id: str) -> Mapping[str, Any]:
        """Raises BadInput if the prompt has gone without one."""
        while True:
            queued = await self.server.queued()
            if (history := await self.server.history(prompt_id)) is not None:
                return history
            if prompt_id not in queued:
                break
            await asyncio.sleep(_GLANCE_S)
        raise BadInput("the prompt must stay in ComfyUI's queue until it is done", "it taken out")

    async def _collect(self, source: Source, record: Record, history: Mapping[str, Any]) -> Result:
        from ..output.report import Result

        files = self._chosen(history)
        if not files:
            return Result(source.path, "failed", message="The workflow has written no file for it.")
        with ExitStack() as partials:
            written: list[Path] = []
            for file in files:
                write = methodcaller("write", await self.server.download(file))
                written.append(partials.enter_context(self.destination.partial(source)))
                self.destination.write(written[-1], write)
            outputs, taken = self.destination.publish(
                source, written, lambda number: self._result_names(source, files, number), record
            )
        return Result(source.path, "done", outputs, taken=taken)

    def _chosen(self, history: Mapping[str, Any]) -> list[OutputFile]:
        files = list(output_files(history))
        if self.output_nodes:
            return [file for file in files if file.node in self.output_nodes]
        return [file for file in files if file.type == "output"] or files

    def _result_names(self, source: Source, files: Sequence[OutputFile], number: int) -> list[Path]:
        from ..output.publishing import named

        counted = f"_{number}" if number > 1 else ""
        several_nodes = len({file.node for file in files}) > 1
        counts: dict[str, int] = {}
        names: list[Path] = []
        for file in files:
            counts[file.node] = counts.get(file.node, 0) + 1
            tag = "_" + re.sub(r"[^\w.]", "-", file.node) if several_nodes else ""
            several_files = sum(other.node == file.node for other in files) > 1
            framed = f"_{counts[file.node]:04d}" if several_files else ""
            ending = tag + counted + framed + Path(file.filename).suffix
            names.append(named(self.destination.out / source.target, ending))
        return names

    # ------------------------------------------------------------ what the server tells

    async def _listen(self) -> None:
        async for kind, data in self.server.events():
            if (prompt_id := ended(kind, data)) is not None and prompt_id in self._ends:
                self._ends[prompt_id].set()
            elif kind == "progress":
                self.bar.describe(f"{data.get('value')}/{data.get('max')}")

    async def _look(self) -> None:
        """Find prompts whose end was not heard of: lost events, a queue that somebody cleared."""
        while True:
            await asyncio.sleep(_LOOK_S)
            waiting = [key for key in self._queued if not self._ends[key].is_set()]
            queued = await self.server.queued() if waiting else set[str]()
            for prompt_id in waiting:
                if prompt_id not in queued:
                    self._ends[prompt_id].set()


def _results_called(target: Path) -> list[Path]:
    """Files of that name with any ending: the workflow alone knows which one it writes."""
    return [path for path in target.parent.glob("*") if path.stem == target.name]
