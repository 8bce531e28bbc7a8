"""Same numbers on every run, no network, and tests with needs only where these are met."""

from __future__ import annotations

import os
import random
import signal
import socket

import numpy as np
import pytest
import torch
from hypothesis import settings

settings.register_profile("toonout", deadline=None, derandomize=True, database=None)
settings.load_profile("toonout")

# the networks here are tiny: a second thread costs more than it brings
torch.set_num_threads(1)

# A program that runs in the background ignores ctrl-c, and so would those that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OPTIONS = {
    "weights": "published weight files, as far as they are here",
    "gpu": "a CUDA device",
    "slow": "patience",
}


def pytest_addoption(parser):
    for name, need in OPTIONS.items():
        parser.addoption(f"--{name}", action="store_true", help=f"also the tests that need {need}")
    parser.addoption(
        "--weights-dir", action="append", default=[], metavar="DIR",
        help="where those weight files lie, beside the folder of downloads",
    )  # fmt: skip


def pytest_collection_modifyitems(config, items):
    for item in items:
        for name in OPTIONS:
            if item.get_closest_marker(name) and not config.getoption(f"--{name}"):
                item.add_marker(pytest.mark.skip(reason=f"needs the option --{name}"))
        if item.get_closest_marker("comfy") and not os.environ.get("COMFYUI_PATH"):
            item.add_marker(pytest.mark.skip(reason="needs COMFYUI_PATH, see docs/testing.md"))
        if item.get_closest_marker("webui") and not os.environ.get("TOONOUT_WEBUI_DIR"):
            item.add_marker(pytest.mark.skip(reason="needs TOONOUT_WEBUI_DIR, see docs/testing.md"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Several processes hand reports on as UTF-8, which cannot hold every name of a file."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_terminal_summary(terminalreporter):
    if failed := os.environ.get("TOONOUT_FAILED_CHECKS"):
        terminalreporter.section("checks before pytest")
        terminalreporter.line(f"FAILED: {failed} (see above)", red=True)


@pytest.fixture(autouse=True)
def _seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    connect = socket.socket.connect

    def connect_locally(self, address):
        host = address[0] if isinstance(address, tuple) else ""
        here = host in ("::1", "localhost") or host.startswith("127.")
        if self.family != getattr(socket, "AF_UNIX", None) and not here:
            raise AssertionError(f"a test must not reach the network, but connected to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)
