"""A clip through a cut: frames are read and written beside it, and only a few are held."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from ..imaging import Picture
from ..results import Matte
from .clips import pictures_of
from .cutouts import Cut

T = TypeVar("T")

ROOM = 3  # frames that wait to be cut, and as many that wait to be written
_PATIENCE_S = 0.1  # how soon a reader sees that nobody asks any more


def cut_clip(
    clip: Path,
    cut: Cut,
    use: Callable[[int, Matte, Picture], object],
    *,
    wanted: Callable[[int], bool] = lambda number: True,
) -> Generator[int, None, None]:
    """The number of each frame, from 1 on, when it is cut; at the end all are used.

    `use` takes the number, the matte and the frame, in order, in another thread. Frames that are
    not `wanted` are read but not cut. What reading or `use` raise is raised here. Stop by closing.
    """
    waiting: deque[Future[object]] = deque()
    with (
        ThreadPoolExecutor(1, "toonout-encode") as encoder,
        closing(ahead(pictures_of(clip))) as frames,
    ):
        try:
            for number, picture in enumerate(frames, 1):
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
