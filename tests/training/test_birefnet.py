"""Fine-tuning BiRefNet: what it learns, and that nothing depends on interruptions or processes."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.art import draw_figure
from tests.goldens import DATA
from tests.models.birefnet_recipe import TINY, uniform
from tests.training.runs import (
    assert_same_gradients,
    assert_same_runs,
    curve,
    train_with_two_processes,
)
from toonout_core.errors import BadInput
from toonout_core.host import LocalHost
from toonout_core.models import recognise
from toonout_core.models.birefnet import ARCHITECTURE, BiRefNet
from toonout_core.training.birefnet import loop
from toonout_core.training.birefnet.loop import learning_rate, train_birefnet
from toonout_core.training.birefnet.losses import LossWeights, birefnet_losses
from toonout_core.training.birefnet.network import compute_again, configure, start_network
from toonout_core.training.config import BiRefNetConfig, read_record, write_record
from toonout_core.training.dataset.truths import write_mattes
from toonout_core.training.norms import set_mode

SMALL = {**TINY, "depths": (1, 1, 1, 1), "dim": 8, "heads": (1, 1, 2, 2)}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A new network of the smallest sensible size, as its authors would begin."""
    torch.manual_seed(1)
    network = BiRefNet(**SMALL)
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Four figures on a colour, in `im` and `gt`, and two to validate with."""
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 4), ("validation", 2)):
        for role in ("im", "gt"):
            (root / split / role).mkdir(parents=True)
        for index in range(count):
            figure = draw_figure(index + 10 * len(split), (64, 64))
            ground = Image.new("RGBA", figure.size, (230, 235, 240, 255))
            picture = Image.alpha_composite(ground, figure).convert("RGB")
            picture.save(root / split / "im" / f"{index}.png")
            figure.getchannel("A").save(root / split / "gt" / f"{index}.png")
    return root


def config(pictures, start, out, **overrides):
    base = BiRefNetConfig(
        data=str(pictures), out=str(out), init=str(start), size_px=64, workers=0, epochs=2,
        lr=1e-3, precision="fp32", device="cpu", samples=1, milestones=(1,),
    )  # fmt: skip
    return replace(base, **overrides)


PLAIN = dict(flip=0.0, rotate=0.0, enhance=False, pepper=0.0, dropout=0.0, drop_path=0.0)


def test_a_resumed_run_equals_an_uninterrupted_one(pictures, start, tmp_path):
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    train_birefnet(config(pictures, start, whole, ema_decay=0.5, epochs=3))
    for epochs in (1, 3):
        train_birefnet(config(pictures, start, parts, ema_decay=0.5, epochs=epochs))
    assert_same_runs(whole, parts, ("loss", "gradient_norm", "PA", "MAE"))
    assert len(curve(whole)) == 3
    assert any(key.startswith("averaged.") for key in load_file(whole / "state.safetensors"))


def test_other_settings_in_the_same_folder_are_said(tmp_path, caplog):
    record = BiRefNetConfig("data", "out", epochs=3)
    write_record(record, tmp_path / "config.json")
    write_record(replace(record, epochs=6, data="elsewhere"), tmp_path / "config.json")
    assert caplog.messages == []
    write_record(replace(record, size_px=96), tmp_path / "config.json")
    assert caplog.messages == ["the run had other settings until now: size_px 1024, now 96"]


def test_a_run_leaves_weights_table_curves_and_samples(pictures, start, tmp_path):
    best = train_birefnet(config(pictures, start, tmp_path, epochs=1, precision="bf16"))
    state = load_file(best)
    assert recognise(state) is ARCHITECTURE
    ARCHITECTURE.load(state)
    assert best.stat().st_mode == (tmp_path / "curve.csv").stat().st_mode  # others may read it
    assert read_record(tmp_path / "config.json", BiRefNetConfig).precision == "bf16"
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        "best.safetensors", "last.safetensors", "state.safetensors", "config.json", "curve.csv",
        "curve.png", "samples/epoch_001.png",
    }  # fmt: skip
    with Image.open(tmp_path / "samples" / "epoch_001.png") as sheet:
        assert sheet.width > 4 * 256


def test_four_pictures_are_learned_by_heart(start, tmp_path):
    """Drawn by people, on colours and patterns; validated on themselves."""
    for split in ("train", "val"):
        assert write_mattes(DATA / "cutouts", tmp_path / split)[-1] == []
    options = dict(PLAIN, epochs=28, batch=4, lr=1e-2, milestones=(20, 25), samples=0)
    train_birefnet(config(tmp_path, start, tmp_path / "out", **options))
    loss, error = ([float(v) for v in curve(tmp_path / "out", name)] for name in ("loss", "MAE"))
    assert loss[-1] < 0.33 * loss[0]
    assert error[-1] < 0.1


def test_the_rate_is_halved_at_each_milestone():
    recipe = BiRefNetConfig(data="", out="")
    assert [learning_rate(recipe, epoch) for epoch in (0, 19, 20, 39, 40, 45)] == [
        1e-5, 1e-5, 5e-6, 5e-6, 2.5e-6, 2.5e-6,
    ]  # fmt: skip


def test_what_cannot_work_is_refused(pictures, start, tmp_path):
    for wrong in ({"size_px": 100}, {"batch": 1}, {"epochs": 0}, {"batch": 5}, {"init": ""}):
        with pytest.raises(BadInput):
            train_birefnet(config(pictures, start, tmp_path, **wrong))
    assert not list(tmp_path.iterdir())


def test_pictures_are_looked_for_before_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "start_network", lambda *_: pytest.fail("weights came first"))
    with pytest.raises(BadInput, match="must hold a folder train with pictures"):
        train_birefnet(config(tmp_path / "none", "toonout", tmp_path))


def gradients(network, image, alpha, norms):
    """After one backward pass; the network's own copy of what BatchNorm counted."""
    set_mode(network, norms)
    torch.manual_seed(5)
    parts = birefnet_losses(network(image), alpha, LossWeights())
    torch.stack(list(parts.values())).sum().backward()
    return {name: weight.grad for name, weight in network.named_parameters()}


@pytest.mark.parametrize("norms", ["batch", "kept"])
def test_computing_again_changes_neither_gradients_nor_statistics(start, norms):
    image, alpha = uniform(1, (2, 3, 64, 64)), uniform(2, (2, 1, 64, 64), 0, 1)
    results = []
    for checkpointing in (False, True):
        network = ARCHITECTURE.load(load_file(start)).requires_grad_(True)
        settings = BiRefNetConfig(data="", out="", checkpointing=checkpointing, norms=norms)
        network = configure(network, settings)
        results.append((gradients(network, image, alpha, norms=norms), network.state_dict()))
    for first, second in zip(*results, strict=True):
        assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first)


def test_computing_again_keeps_less():
    held = []
    for again in (False, True):
        network = BiRefNet(**SMALL).train()
        if again:
            for block in network.modules():
                if type(block).__name__ in ("SwinBlock", "ASPPDeformable"):
                    compute_again(block)
        kept = {}

        def pack(tensor, kept=kept):
            kept[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(uniform(1, (2, 3, 64, 64)))
        held.append(sum(kept.values()))
    assert held[1] < 0.7 * held[0]


def test_as_published_shows_validation_to_the_norms(pictures, start, tmp_path, monkeypatch):
    monkeypatch.setattr("toonout_core.training.birefnet.loop.PUBLISHED_VALIDATION_STEPS", 2)
    states = []
    for published in (False, True):
        out = tmp_path / str(published)
        options = dict(PLAIN, lr=0.0, weight_decay=0.0, epochs=1, samples=0)
        train_birefnet(config(pictures, start, out, as_published=published, **options))
        states.append(load_file(out / "last.safetensors"))
    differing = {key for key in states[0] if not torch.equal(states[0][key], states[1][key])}
    assert differing
    assert all(key.rpartition(".")[2].startswith("running_") for key in differing)


@pytest.mark.parametrize("gradient", [1.0, 0.0])
def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(
    pictures, start, tmp_path, gradient
):
    """After two steps, so small that the second has the first one's weights; nothing learns from
    gradient maps that weigh nothing."""
    options = dict(PLAIN, epochs=1, norms="kept", samples=0, clip=1e9, lr=1e-9, gradient=gradient)
    alone, joint = tmp_path / "alone", tmp_path / "joint"
    train_birefnet(config(pictures, start, alone, batch=2, **options))
    train_with_two_processes(
        "birefnet", config(pictures, start, joint, batch=1, **options), tmp_path
    )
    assert_same_gradients(alone, joint, at_least=100)
    assert float(curve(alone)[0]) == pytest.approx(float(curve(joint)[0]), rel=1e-5)
    assert json.loads((joint / "config.json").read_text())["batch"] == 1


def test_a_run_starts_from_half_precision(pictures, start, tmp_path):
    half = tmp_path / "half.safetensors"
    save_file({key: value.half() for key, value in load_file(start).items()
               if value.is_floating_point()}, half)  # fmt: skip
    network = start_network(config(pictures, half, tmp_path), LocalHost("cpu", quiet=True)).network
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert all(value.requires_grad for value in network.parameters())


def test_a_copy_computes_again_with_its_own_weights(start):
    network = configure(
        ARCHITECTURE.load(load_file(start)).requires_grad_(True),
        BiRefNetConfig(data="", out="", checkpointing=True),
    ).eval()
    copied = deepcopy(network)
    image = uniform(1, (1, 3, 64, 64))
    before = copied(image)
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
    assert torch.equal(copied(image), before)
