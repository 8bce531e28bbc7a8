"""The whole network against results recorded from the reference, and against its definition."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from toonout_core.errors import BadInput
from toonout_core.models import recognise
from toonout_core.models.birefnet import ARCHITECTURE, ARCHITECTURE_EP480, TrainingOutput, build
from toonout_core.models.birefnet.decoder import laplacian
from toonout_core.models.birefnet.patches import image_patches

from .birefnet_recipe import (
    PICTURES,
    TINY,
    empty_state,
    published_keys,
    random_state,
    recorded,
    tiny_network,
    tiny_picture,
    tiny_state,
    uniform,
)


def difference(a, b):
    return (a - b).abs().max().item()


@pytest.fixture(scope="module")
def network():
    return tiny_network()


# ---------------------------------------------------------------- names, shapes, building


@pytest.mark.parametrize(
    ("file", "architecture", "heads", "window"),
    [
        ("birefnet", ARCHITECTURE, [6, 12, 24, 48], 12),
        ("birefnet_lite", ARCHITECTURE, [3, 6, 12, 24], 7),
        ("birefnet_ep480", ARCHITECTURE_EP480, [6, 12, 24, 48], 12),
    ],
)
def test_names_and_shapes_equal_the_published_files(file, architecture, heads, window):
    state = empty_state(file)
    assert recognise(state) is architecture
    with torch.device("meta"):
        network = build(state)
    made = {
        key: ("f" if value.is_floating_point() else "i") + "x".join(map(str, value.shape))
        for key, value in network.state_dict().items()
    }
    assert made == published_keys()[file]
    first = [stage.blocks[0].attn for stage in network.bb.layers]
    assert [attention.heads for attention in first] == heads
    assert {attention.window for attention in first} == {window}


def test_loads_a_file_without_counters_and_indices_and_leaves_nothing_on_meta():
    state = tiny_state()
    assert not any(key.endswith(("_index", "_tracked")) for key in state)
    network = ARCHITECTURE.load(dict(state))
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    weight = network.get_parameter("decoder.conv_out1.0.weight")
    assert weight.data_ptr() == state["decoder.conv_out1.0.weight"].data_ptr(), "copied"


def test_a_half_matching_file_is_refused():
    state = dict(tiny_state())
    del state["decoder.lateral_block3.conv.bias"]
    with pytest.raises(Exception, match="lateral_block3"):
        ARCHITECTURE.load(state)


# ---------------------------------------------------------------- parity


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_logits(network, name, mode):
    with mode():
        logits = network(tiny_picture(name))
    assert logits.dtype == torch.float32
    assert difference(logits, recorded()[f"tiny.{name}.logits"]) < 1e-5


def test_logits_in_double_precision():
    network = tiny_network().double()
    logits = network(tiny_picture("B").double())
    assert difference(logits, recorded()["tiny.B.logits64"]) < 1e-8


def test_patch_order_can_be_set(network):
    expected = recorded()["tiny.A.logits_channel_last"]
    assert difference(network(tiny_picture("A")), expected) > 0.1
    network.patch_order = "channel_last"
    try:
        assert difference(network(tiny_picture("A")), expected) < 1e-5
    finally:
        network.patch_order = "channel_first"


def test_older_layout():
    older = {"kernels": (3,), "image_at_coarsest": False, "gates": (3, 2)}
    wide = {"inner": 64, "branch": 256, "image_inner": 64}
    from toonout_core.models.birefnet import BiRefNet

    with torch.device("meta"):
        names = BiRefNet(**{**TINY, **older, **wide}).state_dict()
    state = random_state(names, 480)
    assert recognise(state) is ARCHITECTURE_EP480
    network = ARCHITECTURE_EP480.load(state)
    assert network.patch_order == "channel_last"
    logits = network(uniform(22, (1, 3, 96, 64)))
    assert difference(logits, recorded()["tiny_ep480.logits"]) < 1e-5


@pytest.mark.parametrize("order", ["channel_first", "channel_last"])
def test_image_patches_are_exact(order):
    image = torch.arange(2 * 3 * 8 * 12, dtype=torch.float32).view(2, 3, 8, 12)
    assert torch.equal(image_patches(image, (2, 3), order), recorded()[f"patches.{order}"])


def test_laplacian():
    assert difference(laplacian(uniform(10, (1, 3, 9, 11))), recorded()["laplacian.out"]) < 1e-6


def test_a_size_that_cannot_be_halved_five_times_is_refused(network):
    with pytest.raises(BadInput, match="multiples of 32, but got 64×48"):
        network(torch.zeros(1, 3, 48, 64))


@pytest.mark.skipif("TOONOUT_SHARED" not in os.environ, reason="needs TOONOUT_SHARED")
@pytest.mark.parametrize(("file", "letter"), [("birefnet_lite", "t"), ("birefnet", "l")])
def test_published_sizes(file, letter):
    shared = Path(os.environ["TOONOUT_SHARED"]) / "parity" / "birefnet"
    expected = load_file(shared / f"seeded_swin_{letter}_256.safetensors")["logits"]
    network = ARCHITECTURE.load(random_state(empty_state(file), 4242))
    with torch.inference_mode():
        assert difference(network(uniform(21, (1, 3, 256, 256))), expected) < 5e-5


# ---------------------------------------------------------------- training


def training_network():
    """Training outputs, but fixed norms and no dropout, so that results repeat."""
    network = tiny_network().requires_grad_(True)
    network.training = network.decoder.training = True
    return network


def test_training_outputs():
    output = training_network()(tiny_picture("C"))
    assert isinstance(output, TrainingOutput)
    assert difference(output.logits, recorded()["tiny.C.logits"]) < 1e-5
    for index, level in enumerate((4, 3, 2)):
        assert difference(output.side_logits[index], recorded()[f"train.C.side_{level}"]) < 1e-5
        expected = recorded()[f"train.C.gradient_{level}"]
        assert difference(output.gradient_logits[index], expected) < 1e-5
    assert difference(output.gradient_labels[2], recorded()["train.C.label_2"]) < 1e-5


def test_everything_in_training_mode_gets_a_gradient():
    network = tiny_network().requires_grad_(True).train()
    output = network(uniform(5, (2, 3, 64, 64)))
    parts = [output.logits, *output.side_logits, *output.gradient_logits, *output.gradient_labels]
    torch.stack([part.square().mean() for part in parts]).sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.parametrize(
    "name",
    [
        "bb.layers.2.blocks.1.attn.relative_position_bias_table",
        "bb.layers.0.blocks.1.attn.qkv.bias",
        "decoder.conv_out1.0.weight",
        "decoder.ipt_blk1.conv1.weight",
        "decoder.lateral_block2.conv.weight",
        "squeeze_module.0.bn_in.weight",
    ],
)
def test_gradients_agree_with_differences(name):
    network = training_network().double()
    picture = uniform(6, (1, 3, 64, 32)).double()
    with torch.inference_mode():
        network(picture)  # leaves caches behind
    weight = network.get_parameter(name)
    weights = uniform(7, (1, 1, 64, 32)).double()
    (network(picture).logits * weights).sum().backward()
    direction = torch.randn_like(weight)
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight += step * direction
            values.append((network(picture).logits * weights).sum())
            weight -= step * direction
    numeric = (values[0] - values[1]) / 2e-5
    torch.testing.assert_close((weight.grad * direction).sum(), numeric, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- memory, precision


class WidestFullSize(TorchDispatchMode):
    """The largest channel count among results at the size of the picture."""

    def __init__(self, size_hw):
        super().__init__()
        self.size_hw = tuple(size_hw)
        self.channels = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor) and tuple(tensor.shape[-2:]) == self.size_hw:
                self.channels = max(self.channels, tensor.shape[1])
        return result


@pytest.mark.parametrize("training", [False, True])
def test_the_picture_is_never_widened_at_full_size(training):
    network = training_network() if training else tiny_network()
    network.decoder.ipt_blk1.requires_grad_(training)
    picture = uniform(3, (1, 3, 224, 160))
    with WidestFullSize(picture.shape[-2:]) as widest:
        network(picture)
    assert 1 <= widest.channels <= 3


def test_bfloat16_on_the_cpu(network):
    expected = network(tiny_picture("C")).sigmoid()
    half = tiny_network().bfloat16()
    with torch.inference_mode():
        logits = half(tiny_picture("C").bfloat16())
    assert logits.dtype == torch.float32
    assert difference(logits.sigmoid(), expected) < 0.03
    assert (logits.sigmoid() - expected).abs().mean() < 0.004
