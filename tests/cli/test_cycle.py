"""The whole way in small: made pictures, split, a fine-tuned network, a report on it."""

from __future__ import annotations

import csv
import html
import json
import re

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.art import draw_background, draw_figure
from tests.models.birefnet_recipe import TINY
from toonout_core.evaluation.matting_metrics import score_matte
from toonout_core.evaluation.pairing import read_matte
from toonout_core.models.birefnet import BiRefNet

METRICS = "PA,BIoU,BIoU_soft,MAE,SAD,F"


@pytest.fixture
def run(toonout):
    def call(*arguments):
        shell = toonout(*arguments)
        assert shell.code == 0, shell.stderr
        return shell

    return call


@pytest.fixture
def start(tmp_path):
    """A new network of the smallest sensible size."""
    torch.manual_seed(1)
    tiny = {**TINY, "depths": (1, 1, 1, 1), "dim": 8, "heads": (1, 1, 2, 2)}
    save_file(BiRefNet(**tiny).state_dict(), tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


@pytest.fixture
def art(tmp_path):
    """Twelve figures, nobody in a split yet."""
    (tmp_path / "art" / "fg" / "all").mkdir(parents=True)
    (tmp_path / "art" / "bg").mkdir()
    for index in range(12):
        draw_figure(index).save(tmp_path / "art" / "fg" / "all" / f"figure {index}x.png")
        draw_background(index).save(tmp_path / "art" / "bg" / f"{index}.png")
    return tmp_path / "art"


def test_synthesize_split_train_evaluate_report(run, tmp_path, art, start):
    made, data, report = tmp_path / "made", tmp_path / "data", tmp_path / "report"
    run(
        "synthesize", "pairs", "--data", art, "--split", "all", "-o", made, "--kind", "simple",
        "--count", 30, "--size-px", 96, "--workers", 1, "--mattes",
    )  # fmt: skip
    run("dataset", "split", made / "mattes" / "all", "-o", data)
    assert nobody_is_in_two_splits(data / "split.csv")
    assert "Nothing stands in the way" in run("dataset", "check", data).stderr
    run(
        "train", "birefnet", "--data", data, "--init", start, "--out", tmp_path / "run",
        "--size-px", 64, "--epochs", 10, "--batch", 4, "--lr", 3e-3, "--workers", 0,
        "--device", "cpu", "--precision", "fp32",
    )  # fmt: skip
    best = tmp_path / "run" / "best.safetensors"
    run(
        "evaluate", "--model", start, "--model", best, data / "test" / "im", data / "test" / "gt",
        "-o", report, "--metrics", METRICS, "--resolution", 64, "--device", "cpu", "-q",
    )  # fmt: skip
    before, after = json.loads((report / "scores.json").read_text("utf-8"))["methods"]
    assert after["mean"]["MAE_soft"] < 0.75 * before["mean"]["MAE_soft"]
    check_figures(after, report / "mattes" / "best", data / "test" / "gt")
    check_page((report / "report.html").read_text("utf-8"), [before, after])


def nobody_is_in_two_splits(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    splits = {row["split"] for row in rows}
    pairs = {(row["character"], row["split"]) for row in rows}
    assert splits == {"train", "validation", "test"}
    assert all(row["character"].startswith("figure") for row in rows)
    return len(pairs) == len({character for character, _ in pairs})


def check_figures(method, mattes, truths):
    """The means are those of the mattes that were written."""
    names = [row["picture"] for row in method["rows"]]
    assert len(names) == len(list(truths.iterdir())) > 1
    scores = [
        score_matte(read_matte(mattes / f"{name}.png"), read_matte(truths / f"{name}.png"))
        for name in names
    ]
    for column in ("PA_clipped", "BIoU_soft", "MAE_soft", "SAD"):
        values = [score.values[column] for score in scores]
        assert method["mean"][column] == pytest.approx(sum(values) / len(values))


def check_page(page, methods):
    """Tables, bars, curves and the gallery say what the figures say."""
    text = html.unescape(re.sub(r"<[^>]*>", "\n", page))
    for method in methods:
        assert f"{100 * method['mean']['PA_clipped']:.1f}" in text
        assert f"{method['mean']['MAE_soft']:.4f}" in text
    bars = re.search(r'aria-label="soft MAE[^"]*"(.*?)</svg>', page, re.DOTALL)
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', bars[1])]
    before, after = (method["mean"]["MAE_soft"] for method in methods)
    assert widths[1] / widths[0] == pytest.approx(after / before, abs=0.01)
    assert page.count("<polyline") == 4  # two models, F and boundary IoU by threshold
    pictures = len(methods[0]["rows"])
    # picture and truth, and for each model its cutout and its errors
    assert page.count('src="data:image/webp') == min(pictures, 12) * 6
    assert "peak memory (MiB)" in text and "s a picture" in text
    assert "http" not in page.replace("http://www.w3.org", "")


def test_from_frames_before_a_screen_to_a_sound_data_set(run, tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(12):
        ground = Image.new("RGBA", (288, 288), (0, 230, 40, 255))
        ground.alpha_composite(draw_figure(index, (230, 270)), (29, 9))
        ground.convert("RGB").save(tmp_path / "frames" / f"who{index}x.png")
    frames = sorted((tmp_path / "frames").iterdir())
    run("synthesize", "keyed", *frames, "-o", tmp_path / "cutouts" / "pose")
    run("dataset", "split", tmp_path / "cutouts", "-o", tmp_path / "data")
    assert "Nothing stands in the way" in run("dataset", "check", tmp_path / "data").stderr
