"""Training RTMDet-Ins: what it learns, and that nothing depends on interruptions or processes."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.models.test_rtmdet_ins import TINY
from tests.training.runs import (
    Stopped,
    StoppingHost,
    assert_same_gradients,
    assert_same_runs,
    curve,
    train_with_two_processes,
)
from tests.training.scene_sets import SIZE, write_scene_set
from toonout_core import load_segmenter
from toonout_core.errors import BadInput, ToonOutError
from toonout_core.evaluation.instance_metrics import mask_iou
from toonout_core.host import LocalHost
from toonout_core.models import recognise
from toonout_core.models.rtmdet_ins import ARCHITECTURE, RTMDetIns
from toonout_core.training.checkpoints import save_weights
from toonout_core.training.config import read_record
from toonout_core.training.instance_config import RTMDetConfig
from toonout_core.training.labelled_scenes import read_scenes
from toonout_core.training.processes import Processes
from toonout_core.training.rtmdet.loop import RTMDetTraining, ema_decay, learning_rate, train_rtmdet
from toonout_core.training.rtmdet.network import new_network, parameter_groups, start_network
from toonout_core.training.run import averaged_of

HOST = LocalHost("cpu", quiet=True)
NARROW = dict(width=0.125, depth=0.167)
PLAIN = dict(mosaic=0.0, mixup=0.0, scales=(1.0, 1.0), flip=0.0, colours=False)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scene_set(tmp_path_factory.mktemp("scenes"))


def config(scenes, out, **overrides):
    base = RTMDetConfig(
        data=str(scenes), out=str(out), size_px=64, batch=2, epochs=2, plain_epochs=1, workers=0,
        lr=1e-3, lr_pictures=0, precision="fp32", device="cpu", validate_every=0, samples=1,
        **NARROW,
    )  # fmt: skip
    return replace(base, **overrides)


def found_of_truth(weights, scenes):
    """For every character the best IoU with what is found, through the pipeline of users."""
    segmenter = load_segmenter(weights, None, host=HOST)
    ious = []
    for scene in read_scenes(scenes, "train"):
        found = segmenter.segment(scene.picture())[0]
        ious += [
            max([mask_iou(mask, other) for other in found.masks], default=0.0)
            for mask in scene.truth().masks
        ]
    return torch.tensor(ious)


def test_synthetic_scenes_are_learnt_by_heart(scenes, tmp_path):
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval")
    options = dict(PLAIN, size_px=SIZE, batch=4, lr=8e-3, epochs=80, warmup_steps=8, ema_decay=0.0)
    settings = config(scenes, tmp_path / "run", validate_every=80, samples=4, **options)
    save_weights(new_network(settings), tmp_path / "untrained.safetensors", ARCHITECTURE.id)
    best = train_rtmdet(settings)
    ious = found_of_truth(best, scenes)
    assert len(ious) == 8
    assert (ious > 0.5).sum() >= 7
    assert ious.mean() > 0.7
    assert float(curve(best.parent, "mask_AP50")[-1]) > 0.7
    assert found_of_truth(tmp_path / "untrained.safetensors", scenes).max() < 0.3
    with Image.open(best.parent / "samples" / "epoch_080.png") as sheet:
        assert sheet.width > 3 * 320


def test_an_interrupted_run_equals_an_uninterrupted_one(scenes, tmp_path):
    """Whoever reads the pictures."""
    whole, parts = (config(scenes, tmp_path / n, epochs=3) for n in ("whole", "parts"))
    train_rtmdet(whole)
    with pytest.raises(Stopped):
        train_rtmdet(parts, StoppingHost(after=3))
    assert len(curve(tmp_path / "parts")) == 1
    train_rtmdet(replace(parts, workers=1))
    columns = ("loss", "score", "box", "mask", "gradient_norm", "lr")
    assert_same_runs(tmp_path / "whole", tmp_path / "parts", columns)


def test_a_run_leaves_weights_that_know_their_side(scenes, tmp_path):
    best = train_rtmdet(config(scenes, tmp_path, epochs=1, precision="bf16"))
    assert recognise(load_file(best)) is ARCHITECTURE
    network = load_segmenter(best, None, host=HOST).loaded.network
    assert network.side_px == 64
    assert network.bbox_head.cls_convs is network.bbox_head.reg_convs
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        "best.safetensors", "last.safetensors", "state.safetensors", "config.json", "curve.csv",
        "curve.png",
    }  # fmt: skip
    assert read_record(tmp_path / "config.json", RTMDetConfig).precision == "bf16"


def test_a_run_starts_from_a_file_whatever_its_classes(scenes, tmp_path):
    torch.manual_seed(0)
    network = RTMDetIns(**TINY, classes=3)
    path = tmp_path / "coco.safetensors"
    halves = {key: value.half() for key, value in network.state_dict().items()}
    save_file(halves, path)
    started = start_network(config(scenes, tmp_path, init=str(path)), HOST)
    own, theirs = started.bbox_head.rtm_cls[1], network.bbox_head.rtm_cls[1]
    assert torch.equal(own.weight, theirs.weight[:1].half().float())
    stem = "backbone.stem.0.conv.weight"
    assert torch.equal(started.get_parameter(stem), halves[stem].float())
    assert all(parameter.requires_grad for parameter in started.parameters())
    assert {parameter.dtype for parameter in started.parameters()} == {torch.float32}
    best = train_rtmdet(config(scenes, tmp_path / "run", init=str(path), epochs=1))
    assert load_file(best)["bbox_head.rtm_cls.0.weight"].shape[0] == 1
    # what a run starts from is not written into
    bias = "bbox_head.rtm_cls.0.bias"
    assert torch.equal(load_file(path)[bias], halves[bias])


def test_the_recipe():
    recipe = RTMDetConfig(data="", out="")
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (60, 16, 4e-3, 0.05)
    assert (recipe.score, recipe.box, recipe.mask, recipe.size_px) == (1, 2, 2, 640)
    rates = [learning_rate(recipe, step, 20_000, 64) for step in range(20_000)]
    assert rates[499] == pytest.approx(2e-3)
    assert set(rates[999:10_001]) == {4e-3}
    assert all(a >= b for a, b in pairwise(rates[10_000:]))
    assert rates[-1] == pytest.approx(0.05 * 4e-3, rel=1e-3)
    assert learning_rate(recipe, 9_000, 20_000, 4) == pytest.approx(4e-3 / 16)
    # short runs do not warm up for ever
    assert learning_rate(recipe, 9, 100, 64) == pytest.approx(4e-3)
    assert ema_decay(recipe, 0) < 0.001
    assert ema_decay(recipe, 10**6) == pytest.approx(0.9998)


def test_norms_and_biases_do_not_decay():
    network = RTMDetIns(**TINY)
    decaying, others = parameter_groups(network, 0.05)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    names = {id(value): name for name, value in network.named_parameters()}
    assert all(names[id(value)].endswith("weight") for value in decaying["params"])
    left = {names[id(value)].rpartition(".")[2] for value in others["params"]}
    assert left == {"weight", "bias"}  # weights of norms
    assert len(decaying["params"]) + len(others["params"]) == len(names)


def test_tensors_of_several_names_are_averaged_once(scenes, tmp_path):
    settings = config(scenes, tmp_path, ema_decay=0.5, ema_steps=0)
    training = RTMDetTraining(settings, Processes(torch.device("cpu")), HOST)
    network = training.kept["network"]
    averaged = averaged_of(network, training)
    before = network.bbox_head.cls_convs[0][0].conv.weight.clone()
    with torch.no_grad():
        for value in network.parameters():
            value += 1
    averaged.update_parameters(network)
    kept = ema_decay(settings, 0)
    assert 0 < kept < 1
    after = averaged.module.bbox_head.reg_convs[2][0].conv.weight
    assert after is averaged.module.bbox_head.cls_convs[2][0].conv.weight
    assert torch.allclose(
        after - network.bbox_head.cls_convs[2][0].conv.weight, torch.tensor(-kept)
    )
    assert torch.allclose(averaged.module.bbox_head.cls_convs[0][0].conv.weight, before + 1 - kept)


def test_what_cannot_work_is_refused(scenes, tmp_path, monkeypatch):
    for wrong in (
        {"size_px": 100}, {"batch": 5}, {"scales": (0.0, 1.0)}, {"mask_stride": 3}, {"epochs": 0},
        {"data": str(tmp_path)}, {"init": "toonout-mini"},
    ):  # fmt: skip
        with pytest.raises(BadInput):
            train_rtmdet(config(scenes, tmp_path / "out", **wrong))
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ToonOutError, match="--validate-every 0"):
        train_rtmdet(config(scenes, tmp_path / "out", validate_every=1))
    assert not (tmp_path / "out").exists()


def test_the_best_epoch_is_that_of_the_best_mask_ap(scenes, tmp_path, monkeypatch):
    aps = iter([0.25, 0.5, 0.125])

    def validate(network, *_, **__):
        return {"mask_AP": next(aps), "mask_AP50": 0.0, "box_AP": 0.0, "box_AP50": 0.0}, None

    monkeypatch.setattr("toonout_core.training.rtmdet.loop.validate", validate)
    monkeypatch.setattr("toonout_core.training.rtmdet.loop.require_metrics", lambda every: None)
    train_rtmdet(config(scenes, tmp_path, epochs=6, validate_every=2))
    assert [math.isnan(float(ap)) for ap in curve(tmp_path, "mask_AP")] == [True, False] * 3
    best, last = (load_file(tmp_path / f"{name}.safetensors") for name in ("best", "last"))
    assert any(not torch.equal(best[key], last[key]) for key in best)


def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(scenes, tmp_path):
    options = dict(PLAIN, epochs=1, norms="kept", clip=1e9)
    alone, joint = tmp_path / "alone", tmp_path / "joint"
    train_rtmdet(config(scenes, alone, batch=4, **options))
    train_with_two_processes("rtmdet", config(scenes, joint, batch=2, **options), tmp_path)
    assert_same_gradients(alone, joint, at_least=100)
    assert float(curve(alone)[0]) == pytest.approx(float(curve(joint)[0]), rel=1e-5)
