"""What the shell says, all of it on stderr: stdout is for pictures and reports."""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from ..errors import BadInput

# control characters but tab and line feed, and bytes of names that are no UTF-8
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
INTERRUPTED = 130  # what a verb returns after Ctrl-C


def say(text: str) -> None:
    """One line that does not break a progress bar; what a file's name holds cannot steer the
    terminal."""
    text = _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr)


def say_failure(source: object, message: str) -> None:
    """One line that names the picture once: many sentences begin with it."""
    said = message if message.startswith(f"{source} ") else f"{source}: {message}"
    say(f"failed: {said}")


class _LogLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def show_log(level: int) -> Iterator[None]:
    """Show what the core logs."""
    log = logging.getLogger("toonout")
    handler, before = _LogLines(level), log.level
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class Signals:
    """SIGTERM and SIGHUP end what runs under it as Ctrl-C does: with a summary, nothing half.

    A second signal ends it at once.
    """

    def __init__(self) -> None:
        self.received = 0

    def exit_code(self, code: int) -> int:
        """Of a verb that was interrupted, by shell custom: 128 and the signal's number."""
        return 128 + self.received if code == INTERRUPTED and self.received else code

    @contextmanager
    def end_as_ctrl_c(self) -> Iterator[None]:
        """In the main thread only: others get no signals. What `nohup` ignores stays so."""
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
                if number not in before and signal.getsignal(number) == signal.SIG_DFL:
                    before[number] = signal.signal(number, self._stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: object) -> None:
        self.received = number
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt


class ProgressBar:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, total: int, label: str, *, quiet: bool = False) -> None:
        self._update: Callable[[float], object] = lambda _: None
        self._describe: Callable[[str], object] = lambda _: None
        self._close: Callable[[], object] = lambda: None
        if quiet or not sys.stderr.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        bar = tqdm(total=total, desc=label, unit="picture", leave=False, dynamic_ncols=True)
        self._update, self._describe, self._close = bar.update, bar.set_postfix_str, bar.close

    def advance(self, count: float = 1) -> None:
        self._update(count)

    def describe(self, text: str) -> None:
        self._describe(text)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()


def require_redirected_stdout() -> None:
    """Raises BadInput where the bytes of a picture would be poured over a terminal."""
    if sys.stdout.isatty():
        raise BadInput(
            "a picture on stdout must go to a file or a program", "a terminal", "Use -o FILE."
        )
