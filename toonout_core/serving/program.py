"""What the routes ask of the program that serves them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch

from ..host import Host
from ..options import models
from ..words import Precision

DEFAULT_MODEL: str = models.MODEL.default
DEFAULT_MEGABYTES = 64
DEFAULT_MEGAPIXELS = 25


@dataclass(frozen=True)
class Settings:
    """What whoever runs the program has chosen for all requests.

    `kept_models`: how many stay in main memory; 0: none after a picture. `megabytes` of a request
    and `megapixels` of a picture are the most that is accepted.
    """

    model: str = DEFAULT_MODEL
    precision: Precision = "auto"
    kept_models: int = 1
    allow_download: bool = True
    megabytes: int = DEFAULT_MEGABYTES
    megapixels: int = DEFAULT_MEGAPIXELS


class Program(Protocol):
    """The WebUI, or the shell."""

    def name(self) -> str:
        """Of the program, as /health tells it."""
        ...

    def own_models(self) -> str:
        """Where weight files of one's own belong, in words that may be told to anybody."""
        ...

    def say(self, text: str) -> None:
        """One line for whoever runs the program."""
        ...

    def settings(self) -> Settings:
        """As they are at this moment."""
        ...

    def host(self, *, on_cpu: bool = False) -> Host:
        """Folders, memory and progress. `on_cpu`: where the device has too little memory."""
        ...

    def device(self, *, on_cpu: bool = False) -> torch.device:
        """Where networks run."""
        ...

    def job(self) -> AbstractContextManager[None]:
        """A turn at the device, after the work that waits already."""
        ...

    def building_networks(self) -> AbstractContextManager[None]:
        """A time in which nobody else changes how networks are built."""
        ...

    def collect_garbage(self) -> None:
        """Give freed memory of the device back."""
        ...

    def credentials(self) -> Mapping[str, str]:
        """User → password; empty: everybody may use the routes."""
        ...
