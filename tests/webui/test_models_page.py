"""Downloads from a hub of the tests' own, by the buttons of a real WebUI in a real browser."""

from __future__ import annotations

import random
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.loopback_hub import LoopbackHub
from tests.webui.pictures import QUICK, encoded, girl
from tests.webui.server import install_clone
from tests.webui.test_browser import CHROMIUM, choose, inner, opened_page, shoot, tab
from tests.webui.test_server import start
from toonout_core.weights import WEIGHTS

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(not CHROMIUM, reason="needs TOONOUT_CHROMIUM, see docs/testing.md"),
]

MB = 1_000_000
ROWS = {row.name: row for row in WEIGHTS}
TRUSTED = ROWS["isnet-anime"]  # the hub's own sha256 counts
PINNED = ROWS["lucida"]
CONTENT = random.Random(0).randbytes(TRUSTED.size_bytes // 200) * 200
PIECE = (40 * MB, 0)  # then it waits for the gate; the hub's client reads 10 MB at a time


@pytest.fixture(scope="module")
def hub():
    hub = LoopbackHub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def webui(hub, tmp_path_factory):
    base = tmp_path_factory.mktemp("downloads")
    install_clone(base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        patch.setenv("HF_HOME", str(base / "hf"))
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        with start(base, "--api") as server:
            yield server


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, webui):
    with opened_page(webui, request.param) as page:
        tab(page, "ToonOut")
        inner(page, "Models")
        yield page


def press(page, name: str) -> None:
    page.click(f"#toonout_models_{name}")


def choose_model(page, model: str) -> None:
    choose(page, "#toonout_models_model", model)
    time.sleep(1)


def told(page) -> str:
    return page.inner_text("#toonout_models_status")


def wait_for(page, *words: str) -> str:
    deadline = time.monotonic() + 60
    while not any(word in told(page) for word in words):
        assert time.monotonic() < deadline, told(page)
        time.sleep(0.1)
    return told(page)


def partials(webui) -> list[int]:
    return [path.stat().st_size for path in (webui.base / "models").rglob("*.partial")]


def files(webui) -> list[Path]:
    """What could be loaded; not the folder of unfinished ones beside it."""
    return [path for path in webui.base.glob("models/toonout/*") if path.is_file()]


def test_a_download_is_cancelled_and_goes_on(page, webui, hub):
    shutil.rmtree(webui.base / "models" / "toonout", ignore_errors=True)
    gate = threading.Event()
    hub.serve(TRUSTED.repo, TRUSTED.file, CONTENT, pace=PIECE, gate=gate)
    before = len(hub.gets(TRUSTED.repo))
    choose_model(page, TRUSTED.name)
    press(page, "download")
    wait_for(page, *(f"(MB): {done}/" for done in range(10, 60)))
    shoot(page, "download")
    press(page, "cancel")
    wait_for(page, "Stopped.")
    gate.set()
    shoot(page, "cancelled")
    (have,) = partials(webui)
    assert 10 * MB <= have < 60 * MB
    assert files(webui) == []
    press(page, "download")
    wait_for(page, f"{TRUSTED.name}: ")
    wait_for(page, "toonout/")
    assert partials(webui) == []
    assert hub.gets(TRUSTED.repo)[before:] == ["", f"bytes={have}-"]
    (path,) = files(webui)
    assert path.read_bytes() == CONTENT
    page.locator("#toonout_models_table td", has_text=str(path)).wait_for(timeout=10_000)
    shoot(page, "downloaded")


def test_a_wrong_file_is_refused_before_and_after_it_came(page, webui, hub):
    before = files(webui)
    hub.serve(PINNED.repo, PINNED.file, CONTENT[: 2 * MB])
    choose_model(page, PINNED.name)
    press(page, "download")
    text = wait_for(page, "Nothing was downloaded")
    assert f"must have the sha256 {PINNED.sha256}" in text
    hub.serve(PINNED.repo, PINNED.file, CONTENT[: 2 * MB], sha256=PINNED.sha256)
    press(page, "download")
    text = wait_for(page, "was deleted")
    assert PINNED.sha256 in text
    shoot(page, "refused")
    assert files(webui) == before
    assert partials(webui) == []


def test_a_hub_without_the_file_is_a_sentence(page, webui, hub):
    hub.files.clear()
    press(page, "download")
    text = wait_for(page, "huggingface.co")
    assert PINNED.file in text
    assert str(webui.base / "models" / "toonout") in text


def test_unload(page, webui):
    webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
    press(page, "refresh")
    row = page.locator("#toonout_models_table tr", has_text="toonout-mini").first
    row.locator("td", has_text="yes").wait_for(timeout=30_000)
    press(page, "unload")
    assert wait_for(page, "Unloaded: toonout-mini.")
    row.locator("td", has_text="yes").wait_for(state="detached", timeout=30_000)
    assert webui.get("/toonout/v1/health")["loaded"] == []
    press(page, "unload")
    wait_for(page, "No model was loaded.")
    assert page.failures == []
