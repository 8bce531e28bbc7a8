"""`toonout cutout --engine ray`: the same run on a Ray cluster, an actor for each GPU or CPU.

This side reads the pictures, publishes the results and writes the manifest, so a run can be resumed
by either engine. Ray places the actors, and starts them again where a machine is lost.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, CannotWrite, ToonOutError, needs
from .ray_worker import Answer, Asked, Cutter

if TYPE_CHECKING:
    from ..output.cutouts import Output
    from ..output.destination import Destination
    from ..output.naming import Source
    from ..output.records import Record
    from ..output.report import Result

_AHEAD = 2  # tasks an actor has at a time: the next one lies there when it has finished one
_TRIES = 3  # of a picture whose worker has died
_PATIENCE_S = 600.0
_NAMED_FILES = ("model", "background")  # options that may name a file of this machine

Begun = tuple["Source", "Record"]


def require_ray(arguments: argparse.Namespace) -> None:
    """Raises BadInput for what goes only in one process, and ToonOutError without Ray."""
    if arguments.steady:
        raise BadInput("--steady must be left out with --engine ray", "--steady")
    try:
        import ray  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
    except ImportError:
        raise needs("--engine ray", "ray", "ray") from None


class RayBatch:
    """As `output.batch.Batch`, on a cluster; results come in the order in which they are done."""

    def __init__(
        self, arguments: argparse.Namespace, destination: Destination, output: Output
    ) -> None:
        self.arguments, self.destination, self.output = arguments, destination, output

    def __len__(self) -> int:
        return len(self.destination.sources)

    def run(self) -> Iterator[Result]:
        """Yield one result a picture. To stop, do not ask for the next one."""
        from ..output.publishing import result_name

        self.destination.prepare()
        left: list[Source] = []
        for source in self.destination.sources:
            target = self.destination.out / source.target
            suffixes = self.output.suffixes()
            taken = [result_name(target, s, frame=frame) for frame in (0, 1) for s in suffixes]
            if (before := self.destination.done_before(source, taken)) is not None:
                yield before
            else:
                left.append(source)
        if left:
            with _connected(self.arguments) as ray:
                yield from self._cut(ray, left)

    def _cut(self, ray: Any, sources: Sequence[Source]) -> Iterator[Result]:
        size = self.arguments.files_per_task
        waiting = deque(list(sources[at : at + size]) for at in range(0, len(sources), size))
        crew = _Crew(ray, self.arguments, len(waiting))
        tries: Counter[Source] = Counter()
        try:
            while waiting or crew.busy:
                while waiting and crew.free:
                    begun, asked, failed = self._begun(waiting.popleft())
                    yield from failed
                    if begun:
                        crew.give(begun, asked)
                if not crew.busy and crew.free:
                    continue
                begun, answers, error = crew.next_done()
                if error is None:
                    for (source, record), answer in zip(begun, answers, strict=True):
                        yield self._taken_in(source, record, answer)
                    continue
                tries.update(source for source, _ in begun)
                for source, record in begun:  # alone: one of them may be to blame
                    if tries[source] < _TRIES:
                        waiting.append([source])
                    else:
                        yield self._taken_in(source, record, Answer(message=_of_worker(error)))
        finally:
            crew.end()

    def _begun(self, sources: Sequence[Source]) -> tuple[list[Begun], list[Asked], list[Result]]:
        from ..output.destination import sentence_of
        from ..output.report import Result

        begun: list[Begun] = []
        asked: list[Asked] = []
        failed: list[Result] = []
        for source in sources:
            try:
                record = self.destination.begin(source)
                asked.append(Asked(str(source.path), source.path.read_bytes()))
            except OSError as error:
                failed.append(Result(source.path, "failed", message=sentence_of(error)))
            else:
                begun.append((source, record))
        return begun, asked, failed

    def _taken_in(self, source: Source, record: Record, answer: Answer) -> Result:
        """Publish what came back. Raises ToonOutError where it concerns all pictures."""
        from ..output.destination import raise_if_disk_is_full, sentence_of
        from ..output.report import Result

        if answer.fatal:
            raise ToonOutError(answer.fatal)
        message = answer.message
        if not message:
            record = replace(record, seconds=answer.seconds, details=answer.details)
            try:
                outputs, taken = self._publish(source, record, answer)
                return Result(
                    source.path, "done", outputs, seconds=answer.seconds, notes=answer.notes,
                    taken=taken, details=answer.details,
                )  # fmt: skip
            except CannotWrite:
                raise
            except (ToonOutError, OSError) as error:
                raise_if_disk_is_full(error, self.destination.out)
                message = sentence_of(error)
        result = Result(source.path, "failed", message=message, seconds=answer.seconds)
        self.destination.remember_failure(record, result)
        return result

    def _publish(self, source: Source, record: Record, answer: Answer) -> Any:
        from ..output.publishing import named

        with ExitStack() as stack:
            partials: list[Path] = []
            for _, content in answer.files:
                partials.append(stack.enter_context(self.destination.partial(source)))
                self.destination.write(partials[-1], methodcaller("write", content))

            def names(number: int) -> list[Path]:
                counted = f"_{number}" if number > 1 else ""
                target = self.destination.out / source.target
                return [named(target, counted + ending) for ending, _ in answer.files]

            return self.destination.publish(source, partials, names, record)


@contextmanager
def _connected(arguments: argparse.Namespace) -> Iterator[Any]:
    """Ray, with this very package on all machines."""
    import ray  # pyright: ignore[reportMissingImports]

    own = not ray.is_initialized()
    if own:
        package = Path(__file__).resolve().parents[1]
        ray.init(
            address=arguments.ray_address or None,
            runtime_env={"py_modules": [str(package)]},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


class _Crew:
    """The actors: one for each GPU of the cluster, or for each CPU if there is no GPU.

    Ray starts an actor again that was lost, as soon as there is room for it. Until then its work
    goes to the others.
    """

    def __init__(self, ray: Any, arguments: argparse.Namespace, tasks: int) -> None:
        self.ray = ray
        slots = ray.cluster_resources()
        gpus = int(slots.get("GPU", 0)) if arguments.device in ("auto", "cuda") else 0
        count = min(gpus or int(slots.get("CPU", 1)) or 1, tasks)
        needs = {"num_gpus": 1, "num_cpus": 0} if gpus else {"num_cpus": 1}
        options = {name: value for name, value in vars(arguments).items() if name != "host"}
        self._files = _files(ray, options)  # they must stay here for actors that start again
        kind = ray.remote(Cutter).options(max_restarts=-1, **needs)
        self._actors = [kind.remote(options, self._files) for _ in range(count)]
        self.free: deque[Any] = deque(self._actors * _AHEAD)
        self._running: dict[Any, tuple[Any, list[Begun]]] = {}
        self._lost: dict[Any, Any] = {}  # a call that ends when the actor is there again → actor

    @property
    def busy(self) -> bool:
        return bool(self._running or (self._lost and not self.free))

    def give(self, begun: list[Begun], asked: list[Asked]) -> None:
        """To whoever is free."""
        actor = self.free.popleft()
        self._running[actor.cut.remote(asked)] = (actor, begun)

    def next_done(self) -> tuple[list[Begun], list[Answer], Exception | None]:
        """The pictures that came back, and the answers, or why there are none. Raises ToonOutError
        where no actor comes back."""
        calls = [*self._running, *self._lost]
        done = self.ray.wait(calls, num_returns=1, timeout=_PATIENCE_S)[0] if calls else []
        if not done:
            raise ToonOutError(
                "The Ray cluster must have a free GPU or CPU, but none came back. What is done is "
                "kept; go on with --resume."
            )
        ref = done[0]
        if ref in self._lost:
            self._returned(ref)
            return [], [], None
        actor, begun = self._running.pop(ref)
        try:
            answers = self.ray.get(ref)
        except self.ray.exceptions.RayActorError as error:
            self._miss(actor)
            return begun, [], error
        except self.ray.exceptions.RayError as error:
            self.free.append(actor)
            return begun, [], error
        self.free.append(actor)
        return begun, answers, None

    def _miss(self, actor: Any) -> None:
        self.free = deque(other for other in self.free if other is not actor)
        if actor not in self._lost.values():
            self._lost[actor.ready.options(max_task_retries=-1).remote()] = actor

    def _returned(self, ref: Any) -> None:
        actor = self._lost.pop(ref)
        try:
            self.ray.get(ref)
        except self.ray.exceptions.RayError:
            return  # it never comes back
        self.free.extend([actor] * _AHEAD)

    def end(self) -> None:
        """Give the cluster's machines back."""
        for actor in self._actors:
            self.ray.kill(actor)


def _files(ray: Any, options: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """What options name of this machine's files: name, and where Ray keeps the content."""
    found = {name: Path(options[name]) for name in _NAMED_FILES if options.get(name)}
    return {
        name: (path.name, ray.put(path.read_bytes()))
        for name, path in found.items()
        if path.is_file()
    }


def _of_worker(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    said = str(cause).strip().splitlines() or [""]
    return f"A worker of the cluster failed with it ({type(cause).__name__}: {said[0]})."
