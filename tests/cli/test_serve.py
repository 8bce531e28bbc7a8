"""`toonout serve` up to the point where the server listens; tests/serving has the rest."""

from __future__ import annotations

import socket
import sys

import pytest

from toonout_core.cli import serve

uvicorn = pytest.importorskip("uvicorn")
LISTENS = serve._listens


@pytest.fixture
def served(monkeypatch):
    """What the server was started with."""
    found = {}
    monkeypatch.setattr(serve, "_listens", lambda *_: False)
    monkeypatch.setattr(uvicorn, "run", lambda app, **how: found.update(how, app=app))
    return found


def test_it_listens_on_this_machine_only_unless_told(toonout, served, light):
    shell = toonout("serve", "--model", light)
    assert shell.code == 0
    assert (served["host"], served["port"]) == ("127.0.0.1", 7000)
    assert "http://127.0.0.1:7000/docs" in shell.stderr
    assert "no password" not in shell.stderr


def test_it_says_who_else_can_reach_it(toonout, served, light):
    shell = toonout("serve", "--model", light, "--address", "0.0.0.0", "--port", "80")
    assert served["port"] == 80
    assert "it asks for no password" in shell.stderr


def test_a_file_is_the_model_of_requests_that_name_none(toonout, served, light):
    from fastapi.testclient import TestClient

    toonout("serve", "--model", light, "--quiet", "--device", "cpu")
    client = TestClient(served["app"], base_url="http://127.0.0.1")
    models = client.get("/toonout/v1/models").json()
    assert models["default"] == light.name
    assert models["default"] in [row["name"] for row in models["models"]]


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_what_is_not_installed_is_said(toonout, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    shell = toonout("serve")
    assert shell.code == 2
    assert f"needs the package {package}" in shell.stderr
    assert 'python -m pip install -e ".[serve]"' in shell.stderr


def test_a_port_that_is_taken_is_said_first(toonout, served, light, monkeypatch):
    monkeypatch.setattr(serve, "_listens", LISTENS)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        shell = toonout("serve", "--model", light, "--port", port)
    assert shell.code == 2
    assert f"--port must be free at 127.0.0.1, but got {port}, which another" in shell.stderr
    assert "serves at" not in shell.stderr
    assert not served
