"""What the shell says, all of it on stderr: stdout is for pictures and reports."""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
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
    text = _printable(text)
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr)


def _printable(text: str) -> str:
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


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


_PLAIN_S = 15.0  # between two lines where there is no terminal
_LONGEST = 40  # letters of a name in the bar
_open_bars: list[ProgressBar] = []


def open_bar() -> ProgressBar | None:
    """The bar over files that runs; steps inside of a file get no bar of their own under it."""
    return _open_bars[-1] if _open_bars else None


class ProgressBar:
    """`3/9 girl.png`: one bar on a terminal, elsewhere a plain line now and then.

    Nothing for a single file, which is there before a bar says anything.
    """

    def __init__(self, total: int, label: str, *, quiet: bool = False) -> None:
        self.total, self.done, self.text = total, 0.0, label
        self._shown = not quiet and total != 1
        self._told_at = time.monotonic()
        self._bar = _terminal_bar(total, label) if self._shown else None

    def advance(self, count: float = 1, text: str = "") -> None:
        """So many files more are done; `text`: the last one's name."""
        self.done += count
        self._name(text)
        if self._bar is not None:
            self._bar.update(count)
        self._tell()

    def describe(self, text: str) -> None:
        """Say what is being done."""
        self._name(text)
        if self._bar is not None:
            self._bar.refresh()
        self._tell()

    def _name(self, text: str) -> None:
        if text:
            self.text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        if self._bar is not None:
            self._bar.set_description_str(_printable(self.text), refresh=False)

    def _tell(self) -> None:
        """A log gets a line as long as there is no bar."""
        now = time.monotonic()
        if self._shown and self._bar is None and now - self._told_at >= _PLAIN_S:
            self._told_at = now
            say(f"{self.done:.6g}/{self.total or '?'} {self.text}")

    def __enter__(self) -> ProgressBar:
        if self.total != 1:
            _open_bars.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self in _open_bars:
            _open_bars.remove(self)
        if self._bar is not None:
            self._bar.close()


def _terminal_bar(total: int, label: str) -> Any:
    """None where there is no terminal, or no tqdm."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    form = "{n:.6g}/{total_fmt} {desc} |{bar}| {elapsed}<{remaining}"
    return tqdm(total=total or None, desc=label, leave=False, dynamic_ncols=True, bar_format=form)


def require_redirected_stdout() -> None:
    """Raises BadInput where the bytes of a picture would be poured over a terminal."""
    if sys.stdout.isatty():
        raise BadInput(
            "a picture on stdout must go to a file or a program", "a terminal", "Use -o FILE."
        )
