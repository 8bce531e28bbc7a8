"""Networks in half precision: folded before they are cast, and in fp32 when that fails."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.comfy.luma import luma_state
from tests.fake_host import FakeHost
from toonout_core import BadInput, host, load_matting
from toonout_core.chosen import loading_options, matting_options
from toonout_core.loading import choose_dtype, load_network
from toonout_core.models import birefnet, isnet
from toonout_core.models.isnet import ISNet
from toonout_core.models.norms import fold_norms_
from toonout_core.models.unet import UNet


class HalfHost(FakeHost):
    """Claims to have a GPU; its networks run on the CPU all the same."""

    def on_device(self, model, working_memory):
        if isinstance(model, nn.Identity):
            return nullcontext(torch.device("cuda"))
        return super().on_device(model, working_memory)


def write(state, path):
    save_file(state, path)
    return path


@pytest.fixture
def image():
    torch.manual_seed(1)
    return torch.rand(1, 3, 64, 64)


# ---------------------------------------------------------------- BatchNorm


def large_variances(as_stored=torch.float16):
    """The light-is-character network with convolutions ×316 and variances 1e5: the same function.

    Weights in `as_stored`, statistics in fp32, as mixed training leaves them.
    """
    state = luma_state()
    for key, value in state.items():
        if key.endswith(".running_var"):
            value[:] = 1e5
        elif ".0.weight" in key:
            value *= 1e5**0.5
    return {
        key: value if ".running_" in key or not value.is_floating_point() else value.to(as_stored)
        for key, value in state.items()
    }


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_variances_beyond_fp16_are_folded_before_anything_is_cast(tmp_path, image, precision):
    path = write(large_variances(), tmp_path / "large.safetensors")
    half = load_matting(path, host=HalfHost([tmp_path]), precision=precision, resolution=64)
    full = load_matting(path, host=HalfHost([tmp_path]), precision="fp32", resolution=64)
    assert half.loaded.dtype != torch.float32
    error = (half.predict(image) - full.predict(image)).abs()
    assert float(error.max()) < (0.02 if precision == "fp16" else 0.12)
    assert half.loaded.dtype != torch.float32  # not by falling back


@pytest.mark.parametrize(
    "build", [lambda: UNet(widths=(4, 6)), lambda: ISNet(channels_in=3, width=4)]
)
def test_folded_networks_are_the_same_function(build):
    torch.manual_seed(2)
    network = build().train(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(1e-4, 9)
            nn.init.uniform_(module.weight, 0.2, 2)
            nn.init.normal_(module.bias)
    given = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network(given)
        keys = {key: value.shape for key, value in network.state_dict().items()}
        fold_norms_(network)
        torch.testing.assert_close(network(given), before, rtol=1e-3, atol=1e-3)
    assert {key: value.shape for key, value in network.state_dict().items()} == keys


def test_fp32_is_left_as_it_is(tmp_path):
    state = luma_state()
    path = write(state, tmp_path / "a.safetensors")
    loaded = load_network(path, FakeHost([tmp_path]), precision="fp32").network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


# ---------------------------------------------------------------- no numbers


def overflowing():
    """Right in fp32; in fp16 the first convolution passes 65504."""
    state = luma_state()
    state["stem.weight"] *= 1e6
    state["encoder.0.conv1.0.weight"] *= 1e-6
    return state


def test_a_network_without_numbers_in_half_precision_runs_in_fp32_from_then_on(
    tmp_path, image, caplog
):
    path = write(overflowing(), tmp_path / "over.safetensors")
    full = load_matting(path, host=FakeHost([tmp_path]), precision="fp32", resolution=64)
    half = load_matting(path, host=HalfHost([tmp_path]), precision="fp16", resolution=64)
    for shown in (image, image.flip(-1)):
        expected = full.predict(shown.expand(3, -1, -1, -1))
        assert 0.1 < float(expected.mean()) < 0.9
        assert torch.equal(half.predict(shown.expand(3, -1, -1, -1)), expected)
    assert half.loaded.dtype == torch.float32
    assert caplog.text.count("over gave no numbers in float16: it runs in fp32 now") == 1
    wanted = full.loaded.network.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in half.loaded.network.state_dict().items())


def test_more_memory_is_asked_for_in_fp32(tmp_path, image):
    path = write(overflowing(), tmp_path / "over.safetensors")
    fake = HalfHost([tmp_path])
    half = load_matting(path, host=fake, precision="fp16", resolution=64)
    for shown in (image, image.flip(-1)):
        half.predict(shown)
    before, after = fake.visits
    assert after == 2 * before


def test_who_shares_such_a_network_goes_on_in_fp32_too(tmp_path, image):
    path = write(overflowing(), tmp_path / "over.safetensors")
    hosts = [HalfHost([tmp_path]) for _ in range(2)]
    first, second = (
        load_matting(path, host=host, precision="fp16", resolution=64) for host in hosts
    )
    assert first.loaded is second.loaded
    expected = first.predict(image)
    assert torch.equal(second.predict(image.flip(-1)).flip(-1), expected)
    assert second.loaded.dtype == torch.float32


def test_a_file_that_is_gone_by_then_is_no_reason_to_fail(tmp_path, image):
    state = overflowing()
    path = write(state, tmp_path / "over.safetensors")
    half = load_matting(path, host=HalfHost([tmp_path]), precision="bf16", resolution=64)
    half.loaded.network.head.register_forward_hook(
        lambda head, given, answer: answer / 0 if head.weight.dtype == torch.bfloat16 else answer
    )
    path.unlink()
    assert float(half.predict(image).isfinite().float().min()) == 1


def test_no_numbers_in_fp32_either_is_a_sentence(tmp_path, image):
    state = luma_state()
    state["head.bias"][0] = float("nan")
    path = write(state, tmp_path / "broken.safetensors")
    for host_class, precision in ((FakeHost, "fp32"), (HalfHost, "fp16")):
        tool = load_matting(path, host=host_class([tmp_path]), precision=precision, resolution=64)
        with pytest.raises(BadInput, match="broken must answer with a number everywhere"):
            tool.predict(image)


# ---------------------------------------------------------------- which precision


def test_fp16_on_a_processor_is_refused_with_the_reason(tmp_path):
    path = write(luma_state(), tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match=r"fp32 on a processor, but got fp16.* 7 times slower"):
        load_network(path, FakeHost([tmp_path]), precision="fp16")


@pytest.mark.parametrize(
    ("name", "capability", "sound"),
    [
        ("NVIDIA H200", (9, 0), True),
        ("NVIDIA GeForce RTX 3060", (8, 6), True),
        ("NVIDIA GeForce RTX 2060", (7, 5), True),
        ("Quadro RTX 4000", (7, 5), True),
        ("Tesla T4", (7, 5), True),
        ("Tesla V100-SXM2-16GB", (7, 0), True),
        ("NVIDIA GeForce GTX 1660 Ti", (7, 5), False),
        ("NVIDIA GeForce GTX 1650", (7, 5), False),
        ("NVIDIA T1000 8GB", (7, 5), False),
        ("NVIDIA GeForce MX450", (7, 5), False),
        ("NVIDIA GeForce GTX 1080 Ti", (6, 1), False),
    ],
)
def test_half_precision_where_it_is_sound_and_fast(monkeypatch, name, capability, sound):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    expected = torch.float16 if sound else None
    assert host.fast_half(torch.device("cuda")) is expected
    assert host.fast_half(torch.device("cpu")) is None
    assert host.fast_half(torch.device("mps")) is None


def test_auto_asks_the_host(tmp_path):
    path = write(luma_state(), tmp_path / "a.safetensors")
    fake = HalfHost([tmp_path])
    assert load_network(path, fake).dtype == torch.float16
    fake.half = lambda device: None  # as with --no-half
    assert load_network(path, fake).dtype == torch.float32


@pytest.mark.parametrize("hardware", [False, True])
@pytest.mark.parametrize("test", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_fast_is_bf16_where_a_processor_has_it(monkeypatch, hardware, test):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        supported = hardware and name == test
        monkeypatch.setattr(torch.cpu, name, lambda supported=supported: supported, raising=False)
    expected = torch.bfloat16 if hardware else torch.float32
    assert choose_dtype("fast", birefnet.ARCHITECTURE, FakeHost([])) == expected
    assert choose_dtype("auto", birefnet.ARCHITECTURE, FakeHost([])) == torch.float32
    assert choose_dtype("fast", birefnet.ARCHITECTURE, HalfHost([])) == torch.float16
    assert choose_dtype("fast", isnet.ARCHITECTURE, FakeHost([])) == torch.float32


def test_fast_changes_auto_only():
    def told(precision, fast):
        return loading_options({"precision": precision, "fast": fast})["precision"]

    assert told("auto", True) == "fast"
    assert [told(one, True) for one in ("fp32", "fp16", "bf16")] == ["fp32", "fp16", "bf16"]
    assert told("auto", False) == "auto"


def test_what_a_matting_model_is_told():
    nothing = {"precision": "auto", "download": True, "resolution": None, "patch_order": None}
    assert matting_options({}) == nothing
    chosen = {"resolution": 512, "patch_order": "old", "allow_download": False}
    expected = {"resolution": 512, "patch_order": "channel_last", "download": False}
    assert matting_options(chosen) == nothing | expected


def test_a_network_is_moved_only_where_it_is_not_yet(monkeypatch):
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    moves = []
    inner = nn.Module.to
    monkeypatch.setattr(nn.Module, "to", lambda self, *to: moves.append(to) or inner(self, *to))
    local = host.LocalHost("cpu")
    with local.on_device(network, 0) as device:
        assert device == torch.device("cpu")
    assert not moves
    local.device = torch.device("meta")
    network[0].to("meta")
    moves.clear()
    with local.on_device(network, 0):
        assert network[1].running_mean.device.type == "meta"
    assert len(moves) == 1
