"""`toonout train` and `toonout evaluate`: from art to weights to figures."""

from __future__ import annotations

import json

import pytest

from tests.art import write_library
from toonout_core.cli import build_parser
from toonout_core.cli.train import read_fields
from toonout_core.errors import BadInput
from toonout_core.training.config import BiRefNetConfig, UNetConfig


def parsed(*options: str) -> UNetConfig:
    return read_fields(build_parser().parse_args(["train", "unet", *options]))


def test_defaults_are_those_of_the_record():
    assert parsed("--data", "a", "--out", "b") == UNetConfig(data="a", out="b")


def test_every_field_is_an_option():
    config = parsed(
        "--data", "a", "--out", "b", "--seed", "3", "--widths", "4", "6", "--separable",
        "--betas", "0.9", "0.99", "--lr", "1e-3", "--schedule", "constant", "--sizes-px", "64",
    )  # fmt: skip
    assert config == UNetConfig(
        data="a", out="b", seed=3, widths=(4, 6), separable=True, betas=(0.9, 0.99), lr=1e-3,
        schedule="constant", sizes_px=(64,),
    )  # fmt: skip


def test_options_win_over_the_file(tmp_path):
    UNetConfig(data="a", out="b", steps=7, separable=True, lr=0.5).write(tmp_path / "config.json")
    config = parsed("--config", str(tmp_path / "config.json"), "--lr", "0.25", "--no-separable")
    assert config == UNetConfig(data="a", out="b", steps=7, lr=0.25)


def test_a_file_may_leave_out_what_the_options_say(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 7}')
    config = parsed("--config", str(tmp_path / "config.json"), "--data", "a", "--out", "b")
    assert config == UNetConfig(data="a", out="b", steps=7)
    with pytest.raises(BadInput, match="no --data and no --out"):
        parsed("--config", str(tmp_path / "config.json"))


def test_a_wrong_choice_is_code_2(toonout):
    shell = toonout("train", "unet", "--data", "a", "--out", "b", "--schedule", "stairs")
    assert shell.code == 2
    assert "'constant'" in shell.stderr


def test_art_to_weights_to_figures(toonout, tmp_path):
    data, run = write_library(tmp_path / "art", figures=2, backgrounds=2), tmp_path / "run"
    options = [
        "--widths", 4, 6, "--batch", 2, "--sizes-px", 64, "--workers", 0, "--device", "cpu",
        "--precision", "fp32", "--validate-every", 2, "--checkpoint-every", 2,
    ]  # fmt: skip
    shell = toonout("train", "unet", "--data", data, "--out", run, "--steps", 2, *options)
    assert shell.code == 0, shell.stderr
    assert str(run / "best.safetensors") in shell.stderr
    # the same run goes on
    shell = toonout("train", "unet", "--config", run / "config.json", "--steps", 4)
    assert shell.code == 0, shell.stderr
    assert "resumed after step 2" in shell.stderr
    shell = toonout(
        "evaluate", "--data", data, "--split", "val", "--model", run / "best.safetensors",
        "--device", "cpu", "--size", 64, "--grabcut", "--at-size", "-q", "--per-figure", 1,
        "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    assert "| method | background |" in shell.stdout
    rows = json.loads((tmp_path / "figures.json").read_text())
    assert {(row["method"], row["kind"]) for row in rows} == {
        (method, kind) for method in ("best", "GrabCut") for kind in ("flat", "scene", "line")
    }  # fmt: skip


def test_missing_art_is_code_2(toonout, tmp_path):
    shell = toonout("train", "unet", "--data", tmp_path, "--out", tmp_path / "run", "--steps", 1)
    assert shell.code == 2
    assert "must hold RGBA pictures" in shell.stderr


def test_the_recipe_of_toonout_is_the_default_and_every_part_an_option():
    def parsed_too(*options: str) -> BiRefNetConfig:
        return read_fields(build_parser().parse_args(["train", "birefnet", *options]))

    paths = ("--data", "a", "--out", "b", "--init", "toonout")
    recipe = BiRefNetConfig(data="a", out="b", init="toonout")
    assert parsed_too(*paths) == recipe
    assert (recipe.lr, recipe.milestones, recipe.clip, recipe.batch) == (1e-5, (20, 40), 100, 2)
    assert (recipe.ssim, recipe.mae, recipe.iou, recipe.precision) == (10, 90, 0.25, "bf16")
    changed = parsed_too(
        *paths, "--milestones", "3", "5", "7", "--no-enhance", "--as-published", "--norms", "kept",
        "--checkpointing", "--ema-decay", "0.99", "--bce", "30",
    )  # fmt: skip
    assert changed == BiRefNetConfig(
        data="a", out="b", init="toonout", milestones=(3, 5, 7), enhance=False, as_published=True,
        norms="kept", checkpointing=True, ema_decay=0.99, bce=30.0,
    )  # fmt: skip


def test_art_to_scenes_to_both_instance_networks_to_characters(toonout, tmp_path):
    art, data = write_library(tmp_path / "art", figures=2, backgrounds=2), tmp_path / "set"
    for split, count in (("train", 4), ("val", 1)):
        options = ("--split", split, "--count", count, "--size-px", 64, "--workers", 1)
        shell = toonout("synthesize", "scenes", "--data", art, "-o", data, *options)
        assert shell.code == 0, shell.stderr
    fast = (
        "--data", data, "--batch", 2, "--epochs", 1, "--workers", 0, "--device", "cpu",
        "--precision", "fp32", "--size-px", 64,
    )  # fmt: skip
    detector, refiner = tmp_path / "detector", tmp_path / "refiner"
    small = ("--width", 0.125, "--depth", 0.167, "--validate-every", 0)
    shell = toonout("train", "rtmdet", "--out", detector, *fast, *small)
    assert shell.code == 0, shell.stderr
    assert str(detector / "best.safetensors") in shell.stderr
    small = ("--width", 8, "--encoder-epochs", 1)
    shell = toonout("train", "refiner", "--out", refiner, *fast, *small)
    assert shell.code == 0, shell.stderr
    assert (refiner / "samples" / "epoch_002.png").is_file()
    # the same run goes on
    shell = toonout("train", "refiner", "--config", refiner / "config.json", "--epochs", 2)
    assert shell.code == 0, shell.stderr
    assert "resumed after epoch 2" in shell.stderr
    shell = toonout(
        "instances", data / "images" / "val" / "000000.jpg", "-o", tmp_path / "characters",
        "--detector", detector / "best.safetensors", "--refiner", refiner / "best.safetensors",
        "--save", "coco", "--device", "cpu", "--min-score", 0.009, "--limit", 1,
    )  # fmt: skip
    assert shell.code == 0, shell.stderr
    assert (tmp_path / "characters" / "instances.json").is_file()


def test_a_data_set_that_is_missing_is_code_2(toonout, tmp_path):
    for network in ("rtmdet", "refiner"):
        options = ("--validate-every", 0, "--device", "cpu")
        shell = toonout("train", network, "--data", tmp_path, "--out", tmp_path / "run", *options)
        assert shell.code == 2
        assert "instances_train.json must be a COCO file" in shell.stderr
