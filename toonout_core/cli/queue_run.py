"""Pictures through the queue of one ComfyUI, of those that wait for any of them."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from .comfy_server import ComfyServer, OutputFile, Refused, ended, failure, output_files
from .terminal import ProgressBar
from .workflow import Workflow

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.naming import Source
    from ..output.records import Record
    from ..output.report import Report, Result

_GLANCE_S = 0.1  # between looks for a history, which is written a moment after the last event
_LOOK_S = 5.0  # between looks at the queue, in case that an event was lost


class Backlog:
    """The pictures that wait for a server. A picture is at one server at a time."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._waiting = deque(sources)
        self._out = 0  # at a server
        self._changed = asyncio.Event()
        self.runs: list[ServerRun] = []

    async def take(self, run: ServerRun) -> Source | None:
        """The next picture; None when all are done. Waits as long as some may come back."""
        while True:
            changed = self._changed
            if self._waiting:
                self._out += 1
                return self._waiting.popleft()
            if not self._out:
                return None
            if (source := await self._taken_over(run)) is not None:
                return source
            await changed.wait()

    def finish(self) -> None:
        """A picture is done, or has failed."""
        self._out -= 1
        self._wake()

    def give_back(self, source: Source) -> None:
        """Its server cannot do it."""
        self._waiting.appendleft(source)
        self.finish()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _taken_over(self, run: ServerRun) -> Source | None:
        """For a server that has nothing to do: what waits at the one with the most to do."""
        if run.at_work:
            return None
        run.at_work += 1  # while it asks
        try:
            for other in sorted(self.runs, key=lambda other: -other.at_work):
                if other is not run and (source := await other.release()) is not None:
                    return source
        finally:
            run.at_work -= 1
        return None


@dataclass
class _Sent:
    """A prompt of ours, from before it is sent."""

    source: Source
    end: asyncio.Event = field(default_factory=asyncio.Event)
    accepted: bool = False
    started: bool = False
    released: bool = False  # to another server


class ServerRun:
    """Keeps a few prompts in the queue of a server until all pictures are done."""

    def __init__(
        self,
        server: ComfyServer,
        workflow: Workflow,
        destination: Destination,
        output_nodes: Sequence[str],
        report: Report,
        bar: ProgressBar,
        backlog: Backlog,
    ) -> None:
        self.server, self.workflow, self.destination = server, workflow, destination
        self.output_nodes, self.report, self.bar = output_nodes, report, bar
        self.backlog = backlog
        self.at_work = self.done = 0  # pictures
        self._sent: dict[str, _Sent] = {}
        backlog.runs.append(self)

    async def run(self, in_flight: int) -> None:
        """Raises ToonOutError if the workflow is wrong, and ClientError or TimeoutError where the
        server does not answer; takes back what is queued."""
        listening = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]
        workers = [asyncio.create_task(self._work()) for _ in range(max(1, in_flight))]
        try:
            while working := [task for task in workers if not task.done()]:
                done, _ = await asyncio.wait(
                    [*working, *listening], return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
        finally:
            self.backlog.runs.remove(self)
            for task in (*workers, *listening):
                task.cancel()
            await asyncio.gather(*workers, *listening, return_exceptions=True)
            await self._take_back()

    async def _work(self) -> None:
        while (source := await self.backlog.take(self)) is not None:
            self.at_work += 1
            try:
                result = await self._one(source)
            except BaseException:
                if not self._is_elsewhere(source):
                    self.backlog.give_back(source)
                raise
            finally:
                self.at_work -= 1
            if result is None:  # another server has it now
                continue
            self.done += result.status == "done"
            self.report.results.append(result)
            self.bar.advance(text=source.path.name)
            self.backlog.finish()

    def _is_elsewhere(self, source: Source) -> bool:
        return any(
            sent.source is source and sent.released and sent.end.is_set()
            for sent in self._sent.values()
        )

    async def _take_back(self) -> None:
        from aiohttp import ClientError

        unfinished = [key for key, sent in self._sent.items() if not sent.end.is_set()]
        if unfinished:
            with suppress(ClientError, TimeoutError):  # a server that is gone does nothing either
                await self.server.cancel(unfinished)

    async def release(self) -> Source | None:
        """A picture that waits in this server's queue, taken out for another server."""
        from aiohttp import ClientError

        waiting = [
            (key, sent)
            for key, sent in self._sent.items()
            if sent.accepted and not (sent.started or sent.end.is_set() or sent.released)
        ]
        if len(waiting) + any(sent.started for sent in self._sent.values()) < 2:
            return None  # it would be idle itself
        key, sent = waiting[-1]
        sent.released = True
        try:
            sent.released = await self.server.withdraw(key)
        except (ClientError, TimeoutError):
            sent.released = False  # whoever works with it will see that
        if not sent.released:
            return None
        sent.end.set()
        return sent.source

    async def _one(self, source: Source) -> Result | None:
        """What became of a picture; None: another server has taken it over."""
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
        if result is None:
            return None
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        if result.status == "failed":
            self.destination.remember_failure(record, result)
        return result

    async def _process(self, source: Source, record: Record) -> Result | None:
        from ..output.report import Result

        self.destination.folder_of(source)
        name = await self.server.upload(source.path)
        prompt_id = str(uuid.uuid4())
        sent = self._sent[prompt_id] = _Sent(source)
        try:
            accepted = await self.server.submit(self.workflow.with_picture(name), prompt_id)
        except Refused:
            del self._sent[prompt_id]
            raise
        self._sent[accepted] = self._sent.pop(prompt_id)  # a server may name prompts itself
        sent.accepted = True
        await sent.end.wait()
        del self._sent[accepted]
        if sent.released:
            return None
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
            sent = self._sent.get(str(data.get("prompt_id")))
            if ended(kind, data) is not None and sent is not None:
                sent.end.set()
            elif kind == "execution_start" and sent is not None:
                sent.started = True
            elif kind == "progress":
                self.bar.describe(f"{self.server.name} {data.get('value')}/{data.get('max')}")

    async def _look(self) -> None:
        """Find prompts whose end was not heard of: lost events, a queue that somebody cleared."""
        while True:
            await asyncio.sleep(_LOOK_S)
            waiting = {
                key: sent
                for key, sent in self._sent.items()
                if sent.accepted and not (sent.end.is_set() or sent.released)
            }
            queued = await self.server.queued() if waiting else set[str]()
            for prompt_id, sent in waiting.items():
                if prompt_id not in queued and not sent.released:
                    sent.end.set()


def _results_called(target: Path) -> list[Path]:
    """Files of that name with any ending: the workflow alone knows which one it writes."""
    return [path for path in target.parent.glob("*") if path.stem == target.name]
