"""Which architecture a state dict belongs to: always one, whatever else is known."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from tests.fake_host import FakeHost
from toonout_core.converting import convert
from toonout_core.errors import CorruptWeights
from toonout_core.loading import load_network
from toonout_core.models import ARCHITECTURES, recognise
from toonout_core.models.birefnet import BiRefNet
from toonout_core.models.isnet import ISNet
from toonout_core.models.lite_unet import LiteUNet
from toonout_core.models.lite_unet.encoder import Stage
from toonout_core.models.rtmdet_ins import RTMDetIns
from toonout_core.models.unet import UNet
from toonout_core.models.yolov8_seg import YoloV8Seg
from toonout_core.weight_files.reading import read_state

SMALL_BIREFNET = {"dim": 4, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "window": 3}
NETWORKS = {
    "birefnet": lambda: BiRefNet(**SMALL_BIREFNET),
    "birefnet_ep480": lambda: BiRefNet(**SMALL_BIREFNET, image_at_coarsest=False, gates=(4, 3)),
    "isnet": lambda: ISNet(width=8),
    "isnet_refiner": lambda: ISNet(channels_in=4, width=8),
    "rtmdet_ins": lambda: RTMDetIns(widths=(8, 16, 32, 64, 128), depths=(1, 1, 1, 1)),
    "yolov8_seg": lambda: YoloV8Seg(widths=(4, 8, 8, 12, 16)),
    "lite-unet": lambda: LiteUNet(
        4, [Stage(4, 1, 3, 1)] + [Stage(4, 2, 3, 2)] * 6, (4, 4, 4, 4, 4)
    ),
    "unet": lambda: UNet(widths=(4, 8), patch=2, separable=True),
}
# ep480 has nothing that its successor lacks: the order of ARCHITECTURES tells them apart
ALSO = {"birefnet": {"birefnet_ep480"}}


def test_every_architecture_is_tested_here():
    assert set(NETWORKS) == {architecture.id for architecture in ARCHITECTURES}


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_is_claimed_once(name):
    state = load(save({k: v.clone() for k, v in NETWORKS[name]().state_dict().items()}))
    claims = {architecture.id for architecture in ARCHITECTURES if architecture.matches(state)}
    assert claims == {name, *ALSO.get(name, ())}
    assert recognise(state).id == name


@pytest.mark.parametrize(
    "keys",
    [
        (
            "netImageOne.netMain.0.weight",
            "netImageTwo.netMain.0.weight",
            "netImageThr.netMain.0.weight",
        ),
        ("netContext.0.weight", "netInput.netMain.0.weight", "0x0 - 0x1.netMain.0.weight"),
        ("netImage.weight", "netSemantics.weight", "0x0 - 0x1.netMain.0.weight"),
    ],
)
def test_weights_that_must_not_be_used_are_refused_with_the_reason(keys):
    with pytest.raises(CorruptWeights, match="non-commercial use only") as caught:
        recognise(dict.fromkeys(keys, torch.zeros(1)))
    assert "connect the depth or the inpainted picture of another model" in str(caught.value)


# ---------------------------------------------------------------- toonout weights convert


def as_lightning_writes(network: torch.nn.Module):
    named = {f"net.{key}": value for key, value in network.state_dict().items()}
    return {"epoch": 3, "state_dict": {**named, "gt_encoder.side1.weight": torch.zeros(1)}}


WRITTEN = {
    "isnet": lambda network: as_lightning_writes(network),
    "isnet_refiner": lambda network: network.state_dict(),
    "rtmdet_ins": lambda network: {"meta": {"cfg": "a = 1"}, "state_dict": network.state_dict()},
    "yolov8_seg": lambda network: {"epoch": -1, "model": network.half(), "ema": None},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_published_forms_are_converted(tmp_path, name):
    """Whole modules too: of ours none is a class that a reader of weights knows."""
    network = NETWORKS[name]().train(False)
    source, target = tmp_path / "published.ckpt", tmp_path / "converted.safetensors"
    torch.save(WRITTEN[name](network), source)
    host = FakeHost([tmp_path])
    convert(source, target, host, dtype="fp32")
    converted, _ = read_state(target)
    wanted = network.float().state_dict()
    assert set(converted) == set(wanted)
    assert all(torch.equal(converted[key], value) for key, value in wanted.items())
    loaded = load_network(target, host, task=None)
    assert loaded.architecture.id == name
