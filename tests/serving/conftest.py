"""A model that takes what is light for character, and real servers on the loopback."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from PIL import Image

pytest.importorskip("uvicorn")

import uvicorn

from tests.light import write_light_model
from toonout_core.host import LocalHost
from toonout_core.serving.app import make_app
from toonout_core.serving.local import LocalProgram
from toonout_core.serving.program import Settings

MODEL = "light.safetensors"


@contextmanager
def running(app, host="127.0.0.1", **options):
    """The address of a server that answers with `app`."""
    config = uvicorn.Config(app, host=host, port=0, log_level="warning", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_light_model(folder / MODEL)
    return folder


def make(weights, *, urls=True, address="127.0.0.1", **settings):
    """The application with that model; `settings`: see `Settings`."""
    program = LocalProgram(LocalHost("cpu", [weights], quiet=True), Settings(MODEL, **settings))
    return make_app(program, urls=urls, address=address)


@pytest.fixture(scope="session")
def server(weights):
    """The address of `toonout serve`, as it comes."""
    with running(make(weights)) as address:
        yield address


def lit(size=(40, 30)):
    """A white square before black."""
    picture = Image.new("RGB", size, "black")
    picture.paste("white", (10, 5, 30, 25))
    return picture
