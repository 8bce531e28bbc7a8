"""Models: what is there, where files lie, download with progress, unload."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from ..toonout_core import WEIGHTS, Cancelled, ToonOutError, Weights
from ..toonout_core.host import Step
from ..toonout_core.weight_files.downloading import download
from ..toonout_core.weight_files.locating import find_file
from . import hosts, previews
from .host import WebUIHost, weight_dirs
from .pipelines import PIPELINES

POLL_SECONDS = 0.5
BETTER = next(row for row in WEIGHTS if row.name == "toonout")


def elem_id(name: str) -> str:
    """Of a component of this tab."""
    return f"toonout_models_{name}"


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    status = gr.HTML(elem_id=elem_id("status"))
    with gr.Row():
        model = gr.Dropdown(
            choices=[row.name for row in WEIGHTS if not row.embedded],
            value="toonout", label="Model", elem_id=elem_id("model"),
        )  # fmt: skip
        fetch = gr.Button("Download", variant="primary", elem_id=elem_id("download"))
        cancel = gr.Button("Cancel", elem_id=elem_id("cancel"))
        unload = gr.Button("Unload all", elem_id=elem_id("unload"))
        refresh = gr.Button("Refresh", elem_id=elem_id("refresh"))
    shown = gr.HTML(overview, elem_id=elem_id("table"))
    download_ = _Download()
    fetch.click(download_.run, [model], [status, shown])
    cancel.click(download_.cancel, [], [], queue=False)
    unload.click(forget, [], [status, shown])
    refresh.click(overview, [], [shown])


def overview() -> str:
    """A table of all models, and the folders that are searched."""
    host = WebUIHost()
    loaded = PIPELINES.names()
    rows = [_row(row, find_file(row, host), row.name in loaded) for row in WEIGHTS]
    folders = "\n".join(str(folder) for folder in weight_dirs())
    advice = (
        f"{BETTER.name} ({BETTER.size_bytes / 1e6:.0f} MB) is the best one for anime. toonout-mini "
        "comes with it, and is the fastest."
    )
    table = previews.sentence(advice) + previews.table(
        ("name", "purpose", "licence", "size", "here", "in memory"), rows
    )
    return table + previews.sentence(
        "Weight files are searched in these folders, downloads go to the first:\n" + folders
    )


def _row(row: Weights, path: Path | None, loaded: bool) -> tuple[str, ...]:
    here = "comes with it" if row.embedded else "no" if path is None else str(path)
    size = f"{(row.size_bytes if path is None else path.stat().st_size) / 1e6:.0f} MB"
    return row.name, row.purpose, row.licence, size, here, "yes" if loaded else ""


def forget() -> tuple[str, str]:
    """Unload all models."""
    with hosts.job("ToonOut"):
        names = PIPELINES.unload()
    told = f"Unloaded: {', '.join(names)}." if names else "No model was loaded."
    return previews.sentence(told, "good"), overview()


class _Download:
    """One at a time; the page polls."""

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._turn = threading.Lock()

    def cancel(self) -> None:
        self._cancel.set()

    def run(self, name: str | None) -> Iterator[tuple[Any, Any]]:
        """Status and table, again and again until the file is there."""
        row = next((row for row in WEIGHTS if row.name == name), None)
        if row is None:
            yield previews.sentence("Choose one of the models first.", "bad"), gr.update()
            return
        if not self._turn.acquire(blocking=False):
            yield previews.sentence("Another download is under way.", "bad"), gr.update()
            return
        try:
            self._cancel.clear()
            yield from self._fetch(row)
        finally:
            self._turn.release()

    def _fetch(self, row: Weights) -> Iterator[tuple[Any, Any]]:
        host = _ReportingHost(self._cancel)
        outcome: Future[Path] = Future()

        def work() -> None:
            try:
                outcome.set_result(download(row, host))
            except BaseException as error:  # noqa: BLE001 (carried over to the waiting thread)
                outcome.set_exception(error)

        threading.Thread(target=work, name="toonout-models-tab", daemon=True).start()
        while not outcome.done():
            wait([outcome], POLL_SECONDS)
            yield previews.sentence(host.told), gr.update()
        try:
            path = outcome.result()
        except ToonOutError as error:
            yield previews.sentence(str(error), "bad"), overview()
        else:
            yield previews.sentence(f"{row.name}: {path}", "good"), overview()


class _ReportingHost(WebUIHost):
    """Tells progress to the page instead of the host's bar, which belongs to generation."""

    def __init__(self, cancel: threading.Event) -> None:
        super().__init__()
        self.told = "Waiting …"
        self._cancel = cancel

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Step]:
        done = 0

        def step(count: int = 1, *, preview: Any = None) -> None:
            nonlocal done
            done += count
            self.told = f"{label}: {done}/{total}"
            if self._cancel.is_set():
                raise Cancelled("Stopped. Start the download again and it goes on.")

        yield step
