"""The fake host for the tests that always run, and a real server where there is a ComfyUI."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import torch

from tests.comfy.characters import LEFT, MIDDLE, RIGHT, Runner, drawn
from tests.comfy.fake_comfy import PACK, FakeComfy, load_pack
from tests.comfy.luma import write_luma_model


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A fresh fake ComfyUI; pack modules are imported anew with it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny pictures: threads would only wait for each other
    fake = FakeComfy(tmp_path / "comfy")
    for name, module in fake.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    yield fake
    for name in [name for name in sys.modules if name.split(".")[0] == PACK]:
        del sys.modules[name]
    torch.set_num_threads(threads)


@pytest.fixture
def nodes(host):
    """Node classes by id, as ComfyUI would register them."""
    extension = asyncio.run(load_pack().comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    return {cls.define_schema().node_id: cls for cls in classes}


@pytest.fixture
def run(nodes):
    return Runner(nodes)


@pytest.fixture
def segmenter(run, host):
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    out = run("LoadSegmenter", detector="luma.safetensors", allow_download=False)
    return out["segmenter"]


@pytest.fixture
def three(run, segmenter):
    return run("SegmentInstances", segmenter=segmenter, image=drawn(LEFT, MIDDLE, RIGHT))


@pytest.fixture(scope="session")
def comfy(tmp_path_factory):
    """A running ComfyUI with the pack in it; tests that ask for it are marked `comfy`."""
    path = os.environ.get("COMFYUI_PATH")
    if not path:
        pytest.skip("needs COMFYUI_PATH, see docs/testing.md")
    pytest.importorskip("aiohttp")
    from tests.comfy.server import ComfyServer, prepare

    base = tmp_path_factory.mktemp("comfy")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    with ComfyServer(Path(path), python, base, prepare(base)) as server:
        yield server
