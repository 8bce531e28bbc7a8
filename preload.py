"""Flags of the WebUI's command line. Runs in the launcher too: standard library only."""

from __future__ import annotations

import argparse
from contextlib import suppress


def preload(parser: argparse.ArgumentParser) -> None:
    """Called by the WebUI before it reads its command line."""
    with suppress(argparse.ArgumentError):  # a second clone has declared it already
        parser.add_argument(
            "--toonout-models-path",
            type=str,
            default=None,
            help="folder with ToonOut's weight files, searched first; downloads go there",
        )
