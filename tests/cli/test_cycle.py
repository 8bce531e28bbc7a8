"""From a clip before a green screen to a fine-tuned network and a report on it."""

from __future__ import annotations

import csv

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.art import draw_figure
from tests.models.birefnet_recipe import TINY
from toonout_core.models.birefnet import BiRefNet


@pytest.fixture
def start(tmp_path):
    """A new network of the smallest sensible size."""
    torch.manual_seed(1)
    tiny = {**TINY, "depths": (1, 1, 1, 1), "dim": 8, "heads": (1, 1, 2, 2)}
    save_file(BiRefNet(**tiny).state_dict(), tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


def test_key_split_check_train_measure(toonout, tmp_path, start):
    frames, cutouts, data = tmp_path / "frames", tmp_path / "cutouts", tmp_path / "data"
    frames.mkdir()
    for index in range(20):
        ground = Image.new("RGBA", (288, 288), (0, 230, 40, 255))
        figure = draw_figure(index, (230, 270))
        ground.alpha_composite(figure, (29, 9))
        ground.convert("RGB").save(frames / f"who{index}x.png")

    def run(*arguments, code=0):
        shell = toonout(*arguments)
        assert shell.code == code, shell.stderr
        return shell

    run("synthesize", "keyed", *sorted(frames.iterdir()), "-o", cutouts / "pose")
    run("dataset", "split", cutouts, "-o", data)
    assert "Nothing stands in the way" in run("dataset", "check", data).stderr
    run(
        "train", "birefnet", "--data", data, "--init", start, "--out", tmp_path / "run",
        "--size-px", 64, "--epochs", 2, "--batch", 4, "--lr", 1e-2, "--workers", 0,
        "--device", "cpu", "--precision", "fp32",
    )  # fmt: skip
    with (tmp_path / "run" / "curve.csv").open() as file:
        loss = [float(row["loss"]) for row in csv.DictReader(file)]
    assert loss[1] < loss[0]
    run("dataset", "mattes", data / "test", "-o", tmp_path / "truth")
    truth = tmp_path / "truth" / "pose"
    run(
        "evaluate", "--model", tmp_path / "run" / "best.safetensors", truth / "im", truth / "gt",
        "-o", tmp_path / "report", "--metrics", "PA,BIoU,MAE", "--resolution", 64,
        "--device", "cpu", "-q",
    )  # fmt: skip
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "PA" in page
    assert page.count("data:image") >= 2
