"""Weight files into others: conversion and averages."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.small_weight_files import (
    TINY_BIREFNET,
    cloned,
    published,
    set_table,
    unet,
    write,
)
from toonout_core.converting import average, convert
from toonout_core.errors import BadInput, CorruptWeights, ToonOutError
from toonout_core.loading import load_network
from toonout_core.models.birefnet import BiRefNet
from toonout_core.models.unet import UNet
from toonout_core.weight_files.locating import WEIGHTS_KEY


@pytest.mark.parametrize("dtype", [None, "fp32", "fp16", "bf16"])
def test_conversion_writes_every_tensor_under_bare_names(host, tmp_path, dtype):
    network = BiRefNet(**TINY_BIREFNET).train(False)
    state = {"module._orig_mod." + key: value for key, value in cloned(network).items()}
    lean = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(lean, tmp_path / "raw.pth")
    target = tmp_path / "new" / "converted.safetensors"
    convert(tmp_path / "raw.pth", target, host, dtype=dtype)
    written = load_file(target)
    assert written.keys() == network.state_dict().keys()
    kinds = {None: torch.float32, "fp32": torch.float32, "fp16": torch.float16}
    wanted = kinds.get(dtype, torch.bfloat16)
    for key, value in network.state_dict().items():
        expected = value.to(wanted) if value.is_floating_point() else value
        assert torch.equal(written[key], expected), key
    assert [path.name for path in target.parent.iterdir()] == ["converted.safetensors"]
    assert target.stat().st_mode == (tmp_path / "raw.pth").stat().st_mode
    load_network(target, host, verify=True)


def test_converted_file_knows_what_it_was(monkeypatch, host, folder, tmp_path):
    source = write(unet(), tmp_path / "source.pth")
    set_table(monkeypatch, published(source))
    target = folder / "any name.safetensors"
    convert(source, target, host, dtype="fp16")
    loaded = load_network(target, host)
    assert (loaded.name, loaded.input.size_hw) == ("published", (96, 64))
    source.unlink()
    assert load_network("published", host, download=False).path == target


def test_conversion_never_overwrites_unasked(host, tmp_path):
    source = write(unet(), tmp_path / "a.safetensors")
    before = source.read_bytes()
    with pytest.raises(BadInput, match="exists"):
        convert(source, source, host, dtype="fp16")
    assert source.read_bytes() == before
    convert(source, source, host, dtype="fp16", force=True)
    assert source.stat().st_size < len(before)
    load_network(source, host, verify=True)
    with pytest.raises(BadInput, match=r"must end in \.safetensors"):
        convert(source, tmp_path / "a.pth", host)


def test_conversion_of_rubbish_leaves_nothing(host, tmp_path):
    source = tmp_path / "bad.pth"
    source.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(CorruptWeights):
        convert(source, tmp_path / "out.safetensors", host)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


def test_claim_in_the_metadata_is_only_a_name(host, tmp_path):
    """Whatever a file says about itself, the tensors decide."""
    path = write(unet(), tmp_path / "liar.safetensors", **{WEIGHTS_KEY: "toonout"})
    with pytest.raises(CorruptWeights, match="must be birefnet, as toonout is, but are unet"):
        load_network(path, host)
    header = json.dumps({WEIGHTS_KEY: "no such row"})
    path = write(unet(), tmp_path / "odd.safetensors", **{WEIGHTS_KEY: header})
    assert load_network(path, host).weights is None


def test_average_is_the_weighted_mean_of_every_tensor(host, tmp_path):
    networks = [unet(), unet()]
    for value in networks[1].state_dict().values():
        value.add_(1)
    paths = [write(network, tmp_path / f"{i}.safetensors") for i, network in enumerate(networks)]
    before = [path.read_bytes() for path in paths]
    average(paths, tmp_path / "mean.safetensors", host, shares=[1, 3])
    written = load_file(tmp_path / "mean.safetensors")
    first, second = (network.state_dict() for network in networks)
    assert written.keys() == first.keys()
    for key, value in written.items():
        assert value.dtype == first[key].dtype
        if value.is_floating_point():
            torch.testing.assert_close(value, first[key] * 0.25 + second[key] * 0.75)
        else:
            assert torch.equal(value, second[key])
    assert [path.read_bytes() for path in paths] == before
    load_network(tmp_path / "mean.safetensors", host, verify=True)


def test_average_refuses_what_has_no_mean(host, tmp_path):
    source = write(unet(), tmp_path / "a.safetensors")
    other = write(BiRefNet(**TINY_BIREFNET), tmp_path / "b.safetensors")
    target = tmp_path / "mean.safetensors"
    with pytest.raises(BadInput, match="same network"):
        average([source, other], target, host)
    for sources, shares in (([source], None), ([source, source], [1]), ([source, source], [1, -1])):
        with pytest.raises(BadInput, match="a share each"):
            average(sources, target, host, shares=shares)
    assert not target.exists()


def test_a_full_disk_is_a_sentence_and_leaves_nothing(host, tmp_path, monkeypatch):
    import safetensors.torch

    def full(*_):
        raise safetensors.SafetensorError("I/O error: No space left on device")

    source = write(unet(), tmp_path / "tiny.safetensors")
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(ToonOutError, match="room left, but: I/O error: No space left on device"):
        convert(source, tmp_path / "new" / "x.safetensors", host)
    assert list((tmp_path / "new").iterdir()) == []


def test_what_fp16_cannot_hold_stays_as_it_is(tmp_path, host):
    """A variance of 1e5 would become infinity, and its channel a constant."""
    wide = "encoder.0.conv1.1.running_var"
    state = UNet(widths=(4, 6)).state_dict()
    state[wide][0] = 1e5
    save_file(state, tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", host, dtype="fp16")
    written = load_file(tmp_path / "b.safetensors")
    assert torch.equal(written[wide], state[wide])
    floats = {key for key, value in written.items() if value.dtype == torch.float32}
    assert floats == {wide}
