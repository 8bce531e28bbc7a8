"""What a weight file states of how its network is fed: read strictly, and it wins."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from tests.small_weight_files import TINY_BIREFNET, published, set_table, unet, write
from toonout_core.converting import average, convert
from toonout_core.errors import BadInput, CorruptWeights
from toonout_core.loading import load_network
from toonout_core.matting import Matting
from toonout_core.models.birefnet import BiRefNet
from toonout_core.models.isnet import ISNet
from toonout_core.weight_files.feeding import NOTHING_STATED, Feeding, read_feeding
from toonout_core.words import NetworkInput

STATED = {"mean": "0.1,0.2,0.3", "std": "0.4,0.5,0.6", "fit": "pad", "size": "96x64"}


def metadata(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


def test_everything_that_can_be_stated_survives_a_round():
    mean, std = (0.0, 1.0, 1 / 3), (0.001, 2.0, 128 / 255)
    feeding = Feeding(mean, std, "squash", (64, 96), "channel_last")
    assert read_feeding(feeding.stated()) == feeding
    assert feeding.stated()["size"] == "96x64"
    assert read_feeding({}) == NOTHING_STATED
    assert NOTHING_STATED.stated() == {}
    assert read_feeding({"size": "1024", "format": "pt"}) == Feeding(size=(1024, 1024))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mean", "123.675,116.28,103.53"),  # of pictures from 0 to 255
        ("mean", "0.5"),
        ("mean", "0.5,0.5,0.5,0.5"),
        ("mean", "nan,0,0"),
        ("mean", "-0.1,0,0"),
        ("mean", ""),
        ("mean", "[" * 5000),
        ("mean", "0,0," + "9" * 5000),
        ("std", "0,1,1"),
        ("std", "1e999,1,1"),
        ("std", "58.4,57.1,57.4"),
        ("fit", "crop"),
        ("fit", "Pad"),
        ("size", "0"),
        ("size", "31"),
        ("size", "4097"),
        ("size", "99999999999999999999"),
        ("size", "1024x"),
        ("size", "1024.0"),
        ("size", "-64"),
        ("size", "٣٢٠"),
        ("patch_order", "new"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(host, tmp_path, key, text):
    with pytest.raises(BadInput, match=f"{key} must be "):
        read_feeding({key: text})
    path = write(unet(), tmp_path / "odd.safetensors", **{key: text})
    with pytest.raises(CorruptWeights, match=rf"odd\.safetensors: what the file states .*{key} "):
        load_network(path, host)


def test_what_a_file_states_wins_over_the_architecture(host, tmp_path):
    loaded = load_network(write(unet(), tmp_path / "a.safetensors", **STATED), host)
    assert loaded.input.mean == (0.1, 0.2, 0.3)
    assert loaded.input.std == (0.4, 0.5, 0.6)
    assert (loaded.input.fit, loaded.input.size_hw) == ("pad", (64, 96))
    plain = load_network(write(unet(), tmp_path / "b.safetensors"), host)
    assert plain.input == plain.architecture.input


def test_and_over_the_table(monkeypatch, host, tmp_path):
    path = write(unet(), tmp_path / "a.safetensors", std="1,1,1")
    set_table(monkeypatch, published(path, input=NetworkInput(mean=(0.3, 0.3, 0.3))))
    loaded = load_network(path, host)
    assert (loaded.name, loaded.input.mean, loaded.input.std) == (
        "published",
        (0.3,) * 3,
        (1.0, 1.0, 1.0),
    )


def test_the_network_sees_what_is_stated(host, tmp_path):
    """The same weights, once with the mean in the file and once in the picture."""
    network = unet()
    stated = write(network, tmp_path / "a.safetensors", mean="0.25,0.25,0.25", std="2,2,2")
    neutral = write(network, tmp_path / "b.safetensors", mean="0,0,0", std="1,1,1")
    image = torch.rand(1, 3, 64, 64) / 2 + 0.25
    shifted = (image - 0.25) / 2
    ours, theirs = (
        Matting(load_network(path, host), host, resolution=64).predict(seen)
        for path, seen in ((stated, image), (neutral, shifted))
    )
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


def test_patch_order_is_the_users_then_the_files(host, tmp_path):
    network = BiRefNet(**TINY_BIREFNET).train(False)
    path = write(network, tmp_path / "a.safetensors", patch_order="channel_last")
    assert load_network(path, host).network.patch_order == "channel_last"
    chosen = load_network(path, host, patch_order="channel_first")
    assert chosen.network.patch_order == "channel_first"


@pytest.mark.parametrize(
    ("network", "notes", "unused"),
    [
        (unet(), {"patch_order": "channel_first"}, "patch_order"),
        (ISNet(channels_in=4, width=8), {"mean": "0,0,0", "fit": "pad"}, "mean, fit"),
    ],
)
def test_what_a_network_never_asks_for_is_refused(host, tmp_path, network, notes, unused):
    path = write(network.train(False), tmp_path / "a.safetensors", **notes)
    with pytest.raises(CorruptWeights, match=f"may state .* only, but got {unused} too"):
        load_network(path, host, task=None)


def test_refiner_sees_squares(host, tmp_path):
    network = ISNet(channels_in=4, width=8).train(False)
    wide = write(network, tmp_path / "a.safetensors", size="96x64")
    with pytest.raises(CorruptWeights, match="size must be that of a square"):
        load_network(wide, host, task="refine")
    square = write(network, tmp_path / "b.safetensors", size="96")
    assert load_network(square, host, task="refine").input.size_hw == (96, 96)


def test_conversion_writes_and_keeps_what_is_stated(host, tmp_path):
    source = write(unet(), tmp_path / "a.safetensors", fit="pad", mean="oops")
    with pytest.raises(CorruptWeights, match=r"a\.safetensors: .*mean must be three numbers"):
        convert(source, tmp_path / "b.safetensors", host)
    target = tmp_path / "b.safetensors"
    convert(source, target, host, feeding=Feeding(mean=(0.5, 0.5, 0.5)))
    assert metadata(target) == {"format": "pt", "fit": "pad", "mean": "0.5,0.5,0.5"}
    again = tmp_path / "c.safetensors"
    convert(target, again, host, dtype="fp16")
    assert metadata(again) == metadata(target)
    assert load_network(again, host).input.mean == (0.5, 0.5, 0.5)
    with pytest.raises(BadInput, match="may state mean, std, fit, size only"):
        wrong = Feeding(patch_order="channel_last")
        convert(source, tmp_path / "d.safetensors", host, feeding=wrong)
    assert not (tmp_path / "d.safetensors").exists()


def test_average_is_of_files_that_state_the_same(host, tmp_path):
    paths = [write(unet(), tmp_path / f"{i}.safetensors", mean="0,0,0") for i in range(2)]
    average(paths, tmp_path / "mean.safetensors", host)
    assert metadata(tmp_path / "mean.safetensors")["mean"] == "0,0,0"
    other = write(unet(), tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match=r"state the same mean, which is 0,0,0, .*other\.safe"):
        average([*paths, other], tmp_path / "no.safetensors", host)
