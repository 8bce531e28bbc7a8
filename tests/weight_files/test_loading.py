"""Files into networks: every good form loads and equals."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from tests.counting import count_work
from tests.fake_host import FakeHost
from tests.small_weight_files import (
    TINY_BIREFNET,
    cloned,
    logits,
    unet,
    write,
)
from toonout_core.errors import BadInput, UnknownModel
from toonout_core.loading import load_network, share_network
from toonout_core.models import recognise
from toonout_core.models.birefnet import BiRefNet


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"separable": False}, {"patch": 1}, {"widths": (4, 6, 8)}],
    ids=["small", "plain", "pixels", "deep"],
)
def test_saved_network_loads_as_itself(host, tmp_path, suffix, changes):
    network = unet(**changes)
    loaded = load_network(write(network, tmp_path / f"mine{suffix}"), host)
    assert torch.equal(logits(loaded.network), logits(network))
    assert (loaded.name, loaded.licence, loaded.weights) == ("mine", "unknown", None)
    assert loaded.architecture.id == "unet"
    assert not loaded.network.training
    assert not any(p.requires_grad or p.is_meta for p in loaded.network.parameters())


def test_birefnet_loads_in_both_patch_orders(host, tmp_path):
    path = write(BiRefNet(**TINY_BIREFNET).train(False), tmp_path / "birefnet.safetensors")
    default = load_network(path, host)
    assert default.architecture.id == "birefnet"
    orders = {
        order: logits(load_network(path, host, patch_order=order).network)
        for order in ("channel_first", "channel_last")
    }
    assert torch.equal(logits(default.network), orders["channel_first"])
    assert not torch.allclose(*orders.values())


@pytest.mark.parametrize(
    ("prefix", "wrapper"),
    [
        ("module.", None),
        ("_orig_mod.", "state_dict"),
        ("module._orig_mod.", None),
        ("_orig_mod.module.", "model"),
        ("", "averaged"),
    ],
)
def test_wrappers_and_prefixes_are_seen_through(host, tmp_path, prefix, wrapper):
    network = unet()
    state = OrderedDict((prefix + key, value) for key, value in network.state_dict().items())
    content = {"epoch": 3, "lr": 1e-4, wrapper: state} if wrapper else state
    torch.save(content, tmp_path / "wrapped.pth")
    loaded = load_network(tmp_path / "wrapped.pth", host)
    assert torch.equal(logits(loaded.network), logits(network))


def test_old_pickles_load_too(host, tmp_path):
    network = unet()
    path = tmp_path / "old.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    assert torch.equal(logits(load_network(path, host).network), logits(network))


def test_format_is_seen_in_the_content_not_in_the_name(host, tmp_path):
    network = unet()
    misnamed = write(network, tmp_path / "really.pth").rename(tmp_path / "called.safetensors")
    assert torch.equal(logits(load_network(misnamed, host).network), logits(network))


def test_what_follows_from_the_rest_may_be_missing(host, tmp_path):
    network = BiRefNet(**TINY_BIREFNET).train(False)
    state = cloned(network)
    derived = ("num_batches_tracked", "relative_position_index")
    lean = {key: value for key, value in state.items() if not key.endswith(derived)}
    assert len(lean) < len(state) - 4
    save_file(lean, tmp_path / "lean.safetensors")
    loaded = load_network(tmp_path / "lean.safetensors", host).network
    restored = loaded.state_dict()
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[key], state[key]) for key in state if "tracked" not in key)
    assert torch.allclose(logits(loaded), logits(network), atol=1e-5)


def test_indices_that_were_halved_are_whole_again(host, tmp_path):
    network = BiRefNet(**TINY_BIREFNET).train(False).half()
    careless = {key: value.half() for key, value in cloned(network).items()}
    save_file(careless, tmp_path / "careless.safetensors")
    loaded = load_network(tmp_path / "careless.safetensors", host).network.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(loaded[key], value.float() if value.is_floating_point() else value)
        assert loaded[key].is_floating_point() == value.is_floating_point()


def test_tensors_are_taken_over_not_copied():
    state = cloned(unet())
    network = recognise(state).load(state)
    assert {k: v.data_ptr() for k, v in network.state_dict().items()} == {
        k: v.data_ptr() for k, v in state.items()
    }


# ---------------------------------------------------------------- precision


class CudaHost(FakeHost):
    def on_device(self, model, working_memory):
        from contextlib import nullcontext

        return nullcontext(torch.device("cuda"))


@pytest.mark.parametrize(
    ("precision", "kind", "dtype"),
    [
        ("auto", FakeHost, torch.float32),
        ("auto", CudaHost, torch.float16),
        ("fp32", CudaHost, torch.float32),
        ("fp16", CudaHost, torch.float16),
        ("bf16", FakeHost, torch.bfloat16),
    ],
)
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_precision(tmp_path, precision, kind, dtype, stored):
    path = write(unet(), tmp_path / "a.safetensors", stored)
    loaded = load_network(path, kind([tmp_path]), precision=precision)
    assert loaded.dtype == dtype
    floats = [p for p in loaded.network.state_dict().values() if p.is_floating_point()]
    assert {p.dtype for p in floats} == {dtype}
    counters = [v for k, v in loaded.network.state_dict().items() if "tracked" in k]
    assert {v.dtype for v in counters} == {torch.int64}


def test_unknown_precision_is_refused(host, tmp_path):
    with pytest.raises(BadInput, match="precision must be auto, fast, fp32, fp16 or bf16"):
        load_network(write(unet(), tmp_path / "a.safetensors"), host, precision="fp8")


# ---------------------------------------------------------------- one copy for all


def test_a_network_in_use_is_shared(host, tmp_path, monkeypatch):
    path = write(unet(), tmp_path / "a.safetensors")
    work = count_work(monkeypatch)
    first = share_network(path, host)
    assert share_network(str(path), FakeHost([])) is first
    assert share_network(path, host, precision="fp32", task=None) is first
    assert work.loads == 1
    assert share_network(path, host, precision="bf16").dtype == torch.bfloat16
    assert load_network(path, host).network is not first.network  # to be trained, perhaps
    assert work.loads == 3


def test_a_changed_file_is_not_what_is_in_use(host, tmp_path):
    path = write(unet(), tmp_path / "a.safetensors")
    first = share_network(path, host)
    write(unet(), tmp_path / "b.safetensors").replace(path)
    second = share_network(path, host)
    assert second is not first
    assert not torch.equal(logits(second.network), logits(first.network))


def test_another_patch_order_is_another_network(host, tmp_path):
    path = write(BiRefNet(**TINY_BIREFNET).train(False), tmp_path / "a.safetensors")
    first = share_network(path, host)
    other = share_network(path, host, patch_order="channel_last")
    assert (first.network.patch_order, other.network.patch_order) == (
        "channel_first",
        "channel_last",
    )


def test_what_is_shared_still_must_be_of_the_task(host, tmp_path):
    path = write(unet(), tmp_path / "a.safetensors")
    kept = share_network(path, host)
    with pytest.raises(UnknownModel, match="one for refine"):
        share_network(path, host, task="refine")
    assert kept.architecture.task == "matting"


def test_nothing_keeps_what_nobody_uses(host, tmp_path):
    loaded = share_network(write(unet(), tmp_path / "a.safetensors"), host)
    network = weakref.ref(loaded.network)
    del loaded
    gc.collect()
    assert network() is None
