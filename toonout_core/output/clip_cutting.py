"""A clip through a cut: frames are read and written beside it, and only a few are held."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from ..imaging import Picture
from ..results import Matte
from .clip_writers import new_clip
from .cutouts import Cut, Output, layers

T = TypeVar("T")

ROOM = 3  # frames that wait to be cut, and as many that wait to be written
_PATIENCE_S = 0.1  # how soon a reader sees that nobody asks any more


def cut_to_clip(
    out: Path,
    frames: Iterator[Picture],
    cut: Cut,
    output: Output,
    report: Callable[[int], object],
    *,
    rate: float,
    sound: Path | None = None,
    sound_from: float = 0.0,
    texts: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the cut frames into a clip, and return what it is called; see `new_clip`.

    `report` is told the number of each frame that was cut. Nothing is left if it raises.
    """

    def write(_: int, matte: Matte, picture: Picture) -> None:
        image, alpha = layers(matte, output)
        writer.add(image.expand(-1, 3, -1, -1), alpha, picture.seconds or None)

    with (
        new_clip(
            out, rate=rate, sound=sound, sound_from=sound_from, texts=texts,
            quality=output.quality, overwrite=overwrite,
        ) as writer,
        closing(cut_clip(frames, cut, write)) as cutting,
    ):  # fmt: skip
        for number in cutting:
            report(number)
    return writer.path


def cut_clip(
    frames: Iterator[Picture],
    cut: Cut,
    use: Callable[[int, Matte, Picture], object],
    *,
    wanted: Callable[[int], bool] = lambda number: True,
) -> Generator[int, None, None]:
    """The number of each frame, from 1 on, when it is cut; at the end all are used.

    `frames` are asked for in another thread. `use` takes the number, the matte and the frame, in
    order, in a third one. Frames that are not `wanted` are read but not cut. What reading or `use`
    raise is raised here. Stop by closing.
    """
    waiting: deque[Future[object]] = deque()
    with (
        ThreadPoolExecutor(1, "toonout-encode") as encoder,
        closing(ahead(frames)) as pictures,
    ):
        try:
            for number, picture in enumerate(pictures, 1):
                if not wanted(number):
                    continue
                matte = cut(picture)
                while len(waiting) >= ROOM:
                    waiting.popleft().result()
                waiting.append(encoder.submit(use, number, matte, picture))
                del matte, picture
                yield number
            while waiting:
                waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def ahead(items: Iterator[T], room: int = ROOM) -> Generator[T, None, None]:
    """The same, made in another thread, at most `room` before they are asked for."""
    made: queue.Queue[tuple[bool, Any]] = queue.Queue(room)
    stopped = threading.Event()

    def put(more: bool, item: Any) -> bool:
        while not stopped.is_set():
            try:
                made.put((more, item), timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            while True:
                item = next(items, made)
                if item is made or not put(True, item):
                    break
                del item
        except BaseException as raised:  # noqa: BLE001 (it is raised where items are asked for)
            error = raised
        finally:
            if callable(close := getattr(items, "close", None)):
                close()
        put(False, error)

    thread = threading.Thread(target=work, name="toonout-decode", daemon=True)
    thread.start()
    try:
        while True:
            more, item = made.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
            del item
    finally:
        stopped.set()
        thread.join()
