"""A fake host with the extension in it."""

from __future__ import annotations

import pytest

from tests.webui import fake_gradio, fake_host


@pytest.fixture
def start(tmp_path):
    """start(gradio version, **flags of the command line) → context manager of a fake host."""

    def begin(version="3.41.2", **flags):
        return fake_host.running(tmp_path, fake_gradio.make(version), **flags)

    return begin


@pytest.fixture
def host(start):
    """AUTOMATIC1111's, so to say."""
    with start() as running:
        yield running


@pytest.fixture
def client(host):
    """HTTP to the routes."""
    from fastapi.testclient import TestClient

    return TestClient(served(host))


def served(host):
    """The application as a host hands it over without a page."""
    from fastapi import FastAPI

    app = FastAPI()
    host.call("app_started", None, app)
    return app
