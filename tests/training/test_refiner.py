"""Training the refiner: what it learns, and that nothing depends on interruptions or processes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.training.runs import (
    Stopped,
    StoppingHost,
    assert_same_gradients,
    assert_same_runs,
    curve,
    train_with_two_processes,
)
from tests.training.scene_sets import SIZE, write_scene_set
from toonout_core.errors import BadInput
from toonout_core.host import LocalHost
from toonout_core.models import recognise
from toonout_core.models.isnet import ARCHITECTURE_REFINER, ISNet
from toonout_core.segmentation.refining import load_refiner
from toonout_core.training.instance_config import RefinerConfig
from toonout_core.training.refiner.batches import read_characters
from toonout_core.training.refiner.loop import learning_rate, losses, train_refiner
from toonout_core.training.refiner.network import start_network
from toonout_core.training.refiner.true_mask_encoder import DescribingRefiner, TrueMaskEncoder
from toonout_core.training.refiner.validating import validate

HOST = LocalHost("cpu", quiet=True)
PLAIN = dict(crops=0.0, flip=0.0, turn=0.0, shift=0.0, colours=False)
BOXES = dict(boxes=1.0, grown=0.0)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scene_set(tmp_path_factory.mktemp("scenes"))


def config(scenes, out, **overrides):
    base = RefinerConfig(
        data=str(scenes), out=str(out), width=8, size_px=32, batch=2, epochs=2, encoder_epochs=1,
        workers=0, precision="fp32", device="cpu", validate_every=0, samples=1,
    )  # fmt: skip
    return replace(base, **overrides)


def test_characters_of_synthetic_scenes_are_learnt_from_their_boxes(scenes, tmp_path):
    """The coarse masks are boxes, so that only the picture can say where a character ends."""
    settings = config(
        scenes, tmp_path, size_px=64, batch=4, lr=5e-3, epochs=50, schedule="cosine", features=0.1,
        clip=5.0, validate_every=99, samples=4, **PLAIN, **BOXES,
    )  # fmt: skip
    untrained, _ = validate(start_network(settings, HOST), read_characters(scenes, "val"), settings)
    best = train_refiner(settings)
    refined, coarse = (float(curve(tmp_path, name)[-1]) for name in ("IoU", "coarse_IoU"))
    assert untrained["coarse_IoU"] == pytest.approx(coarse)
    assert coarse < 0.75
    assert refined > 0.78
    assert untrained["IoU"] < 0.5
    boundary, box = (float(curve(tmp_path, name)[-1]) for name in ("BIoU", "coarse_BIoU"))
    assert boundary > 1.3 * box
    # through the pipeline of users, one character
    refiner = load_refiner(best, HOST, precision="fp32", download=False)
    scene = read_characters(scenes, "val")[2]
    truth = scene.truth()
    left, top, right, bottom = truth.boxes_xyxy[0].tolist()
    filled = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    filled[:, top:bottom, left:right] = True
    mask = refiner.refine(scene.picture(), filled, truth.boxes_xyxy, threshold=0.3)
    assert mask.shape == (1, SIZE, SIZE)
    with Image.open(tmp_path / "samples" / "epoch_051.png") as sheet:
        assert sheet.width > 4 * 320


def test_an_interrupted_run_equals_an_uninterrupted_one(scenes, tmp_path):
    """While the encoder learns, and while the refiner does."""
    options = dict(epochs=2, encoder_epochs=2, ema_decay=0.5)
    train_refiner(config(scenes, tmp_path / "whole", **options))
    parts = config(scenes, tmp_path / "parts", **options)
    for after in (3, 3):
        with pytest.raises(Stopped):
            train_refiner(parts, StoppingHost(after))
    assert len(curve(tmp_path / "parts", "maps")) == 2
    train_refiner(replace(parts, workers=1))
    columns = ("encoder", "maps", "features", "gradient_norm")
    assert_same_runs(tmp_path / "whole", tmp_path / "parts", columns)


def test_first_the_encoder_learns_and_then_the_refiner(scenes, tmp_path, caplog):
    with caplog.at_level("INFO", "toonout"):
        train_refiner(config(scenes, tmp_path / "one", epochs=1, encoder_epochs=1))
    told = [text for text in caplog.messages if text.startswith("epoch ")]
    assert "encoder" in told[0] and "maps" in told[1]
    assert not any("nan" in text for text in told)
    state = load_file(tmp_path / "one" / "state.safetensors")
    encoder = [math.isnan(float(value)) for value in curve(tmp_path / "one", "encoder")]
    maps = [math.isnan(float(value)) for value in curve(tmp_path / "one", "maps")]
    assert (encoder, maps) == ([False, True], [True, False])
    train_refiner(config(scenes, tmp_path / "one", epochs=2, encoder_epochs=1))
    later = load_file(tmp_path / "one" / "state.safetensors")
    for key, value in state.items():
        if key.startswith("encoder."):
            assert torch.equal(value, later[key]), key
    assert not torch.equal(state["network.conv_in.weight"], later["network.conv_in.weight"])
    best = load_file(tmp_path / "one" / "best.safetensors")
    assert recognise(best) is ARCHITECTURE_REFINER
    assert not any(key.startswith(("encoder", "gt_encoder")) for key in best)


def test_without_an_encoder(scenes, tmp_path):
    train_refiner(config(scenes, tmp_path, epochs=1, encoder_epochs=0, precision="bf16"))
    assert math.isnan(float(curve(tmp_path, "features")[0]))
    assert float(curve(tmp_path, "maps")[0]) > 0


def test_features_of_both_networks_have_the_same_shapes():
    image, mask = torch.rand(1, 4, 70, 50), torch.rand(1, 1, 70, 50)
    described = DescribingRefiner(ISNet(channels_in=4, width=8))(image)
    encoded = TrueMaskEncoder(width=8)(mask)
    assert [x.shape for x in described[1]] == [x.shape for x in encoded[1]]
    assert [x.shape for x in described[0]] == [x.shape for x in encoded[0]] == [mask.shape] * 6
    settings = RefinerConfig(data="", out="")
    parts = losses(described, encoded, mask, settings)
    assert set(parts) == {"maps", "features"}
    doubled = losses(described, encoded, mask, replace(settings, features=2.0))
    assert doubled["features"].item() == pytest.approx(2 * parts["features"].item())
    finest = losses(described, encoded, mask, replace(settings, finest=1.0))
    assert finest["maps"] < parts["maps"]


def test_the_encoder_of_full_size_has_the_published_tensors():
    """Their number in isnetis.ckpt, beside those of the network itself."""
    with torch.device("meta"):
        encoder = TrueMaskEncoder()
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    assert len(shapes) == 1237 - 798
    assert shapes["conv_in.conv.weight"] == (16, 1, 3, 3)
    assert shapes["stage5.rebnconv4.conv_s1.weight"] == (64, 64, 3, 3)
    assert shapes["side6.weight"] == (1, 512, 3, 3)


def test_a_matting_network_becomes_a_refiner(scenes, tmp_path):
    torch.manual_seed(0)
    matting = ISNet(width=8).train(False)
    save_file(matting.half().state_dict(), tmp_path / "matting.safetensors")
    matting.float()
    settings = config(scenes, tmp_path, init=str(tmp_path / "matting.safetensors"))
    started = start_network(settings, HOST).train(False)
    rgb, coarse = torch.rand(1, 3, 48, 48), torch.rand(1, 1, 48, 48)
    with torch.no_grad():
        expected = matting(rgb)
        got = started(torch.cat((rgb.flip(1), coarse), 1))
    assert torch.allclose(got, expected, atol=1e-5)
    assert all(parameter.requires_grad for parameter in started.parameters())
    assert {parameter.dtype for parameter in started.parameters()} == {torch.float32}


def test_the_recipe():
    recipe = RefinerConfig(data="", out="")
    assert (recipe.lr, recipe.weight_decay, recipe.epochs, recipe.size_px) == (1e-3, 5e-3, 60, 720)
    assert (recipe.boxes, recipe.grown, recipe.finest, recipe.features) == (0.25, 0.5, 5, 1)
    assert learning_rate(recipe, 900, 1000) == 1e-3
    falling = replace(recipe, schedule="cosine")
    assert learning_rate(falling, 1000, 1000) == pytest.approx(1e-5)


def test_what_cannot_work_is_refused(scenes, tmp_path):
    for wrong in (
        {"size_px": 16}, {"width": 6}, {"batch": 1}, {"batch": 5}, {"init": "toonout-mini"},
        {"data": str(tmp_path)},
    ):  # fmt: skip
        with pytest.raises(BadInput):
            train_refiner(config(scenes, tmp_path / "out", **wrong))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoder_epochs", [0, 1])
def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(
    scenes, tmp_path, encoder_epochs
):
    """Of the refiner, and of the encoder."""
    options = dict(PLAIN, norms="kept", clip=1e9, encoder_epochs=encoder_epochs, epochs=1)
    alone, joint = tmp_path / "alone", tmp_path / "joint"
    train_refiner(config(scenes, alone, batch=4, **options))
    train_with_two_processes("refiner", config(scenes, joint, batch=2, **options), tmp_path)
    assert_same_gradients(alone, joint, at_least=200)
    name = "maps" if encoder_epochs == 0 else "encoder"
    assert float(curve(alone, name)[0]) == pytest.approx(float(curve(joint, name)[0]), rel=1e-5)
