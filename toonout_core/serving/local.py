"""The shell as the program that serves the routes."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from ..host import LocalHost
from .program import Settings

log = logging.getLogger("toonout")


class LocalProgram:
    """See `program.Program`. One request computes at a time."""

    def __init__(self, host: LocalHost, settings: Settings) -> None:
        self._host, self._settings = host, settings
        self._on_cpu = LocalHost("cpu", host.weight_dirs(), quiet=host.quiet)
        self._turn = threading.Lock()

    def name(self) -> str:
        return "toonout serve"

    def own_models(self) -> str:
        return "the first folder of --models-dir"

    def say(self, text: str) -> None:
        log.info("%s", text)

    def settings(self) -> Settings:
        return self._settings

    def host(self, *, on_cpu: bool = False) -> LocalHost:
        return self._on_cpu if on_cpu else self._host

    def device(self, *, on_cpu: bool = False) -> torch.device:
        return self.host(on_cpu=on_cpu).device

    @contextmanager
    def job(self) -> Iterator[None]:
        with self._turn:
            yield

    def building_networks(self) -> AbstractContextManager[None]:
        return nullcontext()

    def collect_garbage(self) -> None:
        gc.collect()
        if self._host.device.type == "cuda":
            torch.cuda.empty_cache()

    def credentials(self) -> Mapping[str, str]:
        return {}
