"""The WebUI as the program that serves the routes: its settings, flags and queue."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch

from ..toonout_core.options import models
from ..toonout_core.serving.program import (
    DEFAULT_MEGABYTES,
    DEFAULT_MEGAPIXELS,
    DEFAULT_MODEL,
    Settings,
)
from . import hosts
from .host import WebUIHost


class WebUIProgram:
    """See `serving.program.Program`."""

    def name(self) -> str:
        return hosts.name()

    def own_models(self) -> str:
        return "models/toonout"

    def say(self, text: str) -> None:
        print(f"ToonOut: {text}")  # noqa: T201 (hosts hide logs of this level)

    def settings(self) -> Settings:
        """The host's settings page."""
        option = hosts.option
        return Settings(
            model=str(option("toonout_model", DEFAULT_MODEL)),
            precision=option("toonout_precision", models.PRECISION.default),
            kept_models=int(option("toonout_kept_models", 1)),
            allow_download=bool(option("toonout_allow_download", True)),
            megabytes=int(option("toonout_api_megabytes", DEFAULT_MEGABYTES)),
            megapixels=int(option("toonout_api_megapixels", DEFAULT_MEGAPIXELS)),
        )

    def host(self, *, on_cpu: bool = False) -> WebUIHost:
        return WebUIHost(on_cpu=on_cpu)

    def device(self, *, on_cpu: bool = False) -> torch.device:
        return self.host(on_cpu=on_cpu).device()

    def job(self) -> AbstractContextManager[None]:
        return hosts.job("ToonOut")

    def building_networks(self) -> AbstractContextManager[None]:
        return hosts.building_networks()

    def collect_garbage(self) -> None:
        hosts.collect_garbage()

    def credentials(self) -> Mapping[str, str]:
        """Of --api-auth; without it of the page: --gradio-auth, in SD.Next --auth."""
        entries: list[str] = []
        for name in ("api_auth", "gradio_auth", "auth"):
            if given := hosts.flag(name):
                entries = _entries(str(given))
                break
        path = hosts.flag("gradio_auth_path") or hosts.flag("auth_file")
        if path and not entries:
            with open(path, encoding="utf-8") as file:
                entries = _entries(file.read().replace("\n", ","))
        return dict(entry.split(":", 1) for entry in entries)


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
