"""The shell as a host: one bar at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from ..host import LocalHost, Step
from .terminal import ProgressBar, open_bar

_WORTH_TELLING = 20  # units: what has fewer is done soon


class ShellHost(LocalHost):
    """Shows steps in a bar of their own, but under a bar over files only as its text: long ones,
    such as a download."""

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        outer = open_bar()
        if self.quiet or total <= 1 or (outer is not None and total < _WORTH_TELLING):
            yield lambda count=1, *, preview=None: None
            return
        if outer is not None:
            yield _told_in(outer, total, label)
            return
        with ProgressBar(total, label) as bar:

            def step(count: int = 1, *, preview: Tensor | None = None) -> None:
                bar.advance(count)

            yield step


def _told_in(outer: ProgressBar, total: int, label: str) -> Step:
    done = 0

    def step(count: int = 1, *, preview: Tensor | None = None) -> None:
        nonlocal done
        done += count
        if count:
            outer.describe(f"{label} {done}/{total}")

    return step
