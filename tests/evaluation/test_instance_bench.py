"""The bench on drawn characters: perfect, hopeless and imperfect segmenters."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from tests.art import write_library
from toonout_core.errors import BadInput
from toonout_core.evaluation.instance_bench import BenchOptions, bench_instances, markdown
from toonout_core.evaluation.single_characters import describe, find_singles
from toonout_core.host import LocalHost
from toonout_core.instances import Instances
from toonout_core.synthesis.cutouts import read_library
from toonout_core.synthesis.instance_scenes import coarse_masks

pytest.importorskip("faster_coco_eval")
OPTIONS = BenchOptions(scenes=6, size_px=96, seed=3)


class Told:
    """Segmenter and matting model that know the scene: `look` is shown it beforehand."""

    name = "told"

    def __init__(self, alphas, change=lambda masks: masks):
        self.alphas, self.change = iter(alphas), change

    def segment(self, image, options):
        self.now = next(self.alphas)
        return [self.change(Instances.from_masks(self.now > 0.5))]

    def predict(self, image):
        return self.now.sum(0).clamp(0, 1)[None, None]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return read_library(write_library(tmp_path_factory.mktemp("art")), "test")


@pytest.fixture(scope="module")
def alphas(library):
    seen = []

    class Nothing:
        name = "nothing"

        def segment(self, image, options):
            return [Instances.none(tuple(image.shape[-2:]))]

        def predict(self, image):
            return image[:, :1] * 0

    report = run(Nothing(), library, lambda number, scene, *_: seen.append(scene.alphas))
    assert report.figures["matched"] == 0
    assert report.figures["mask"]["ap"] == 0
    assert report.figures["sad_thousands"]["shared"] is None
    assert "| – |" in markdown(report)
    return seen


def run(both, library, looked=None):
    host = LocalHost("cpu", [], quiet=True)
    return bench_instances(both, both, library, host, OPTIONS, looked=looked)


def test_perfect_masks_and_mattes(library, alphas):
    report = run(Told(alphas), library)
    figures = report.figures
    assert figures["characters"] == figures["matched"] == sum(len(own) for own in alphas)
    assert [figures[kind]["ap"] for kind in ("box", "mask", "boundary")] == [1, 1, 1]
    sad = figures["sad_thousands"]
    assert 0 <= sad["shared"] < sad["hard"]
    assert figures["calibration_error"] == pytest.approx(0, abs=1e-6)  # scores are 1, all are right
    pairs = figures["pairs"]
    assert pairs["touching"] == pairs["separated"] > 0 == pairs["merged"]
    assert set(report.seconds) == {"segment", "matte", "share"}


def test_worn_masks_score_less_and_half_of_them_half(library, alphas):
    worn = run(
        Told(alphas, lambda own: own.with_masks(coarse_masks(own.masks.float(), 1))), library
    )
    assert 0 < worn.figures["boundary"]["ap"] < 1
    joined = run(
        Told(alphas, lambda own: Instances.from_masks(own.masks.any(0, keepdim=True))), library
    )
    assert joined.figures["pairs"]["merged"] == joined.figures["pairs"]["touching"]
    assert joined.figures["pairs"]["separated"] == 0
    few = run(Told(alphas, lambda own: own[:1]), library)
    assert few.figures["matched"] == len(alphas)
    assert few.figures["mask"]["precision"] == 1
    assert few.figures["mask"]["recall"] == pytest.approx(
        len(alphas) / sum(len(own) for own in alphas)
    )


def test_the_same_figures_again(library, alphas):
    class Flat:
        name = "flat"

        def predict(self, image):
            return torch.full_like(image[:, :1], 0.5)

    host = LocalHost("cpu", [], quiet=True)
    first, second = (bench_instances(None, Flat(), library, host, OPTIONS) for _ in range(2))
    assert first.figures == second.figures
    assert first.settings == second.settings
    assert first.settings["segmenter"] == "truth"
    exact = bench_instances(None, None, library, host, OPTIONS).figures["sad_thousands"]
    wrong = first.figures["sad_thousands"]
    assert exact["hard"] == wrong["hard"]
    assert exact["shared"] < wrong["trusting"] < wrong["shared"]
    assert exact["shared"] < exact["hard"]


def test_single_characters_are_counted(tmp_path):
    image = Image.new("RGB", (40, 30))
    for name, mask in (("one", (5, 5, 25, 25)), ("two", (0, 0, 40, 15))):
        image.save(tmp_path / f"{name}.webp", lossless=True)
        drawn = Image.new("L", (40, 30))
        ImageDraw.Draw(drawn).rectangle((mask[0], mask[1], mask[2] - 1, mask[3] - 1), fill=255)
        drawn.save(tmp_path / f"{name}_mask.png")

    class Fixed:
        def segment(self, image, options):
            masks = torch.zeros(2, 30, 40, dtype=torch.bool)
            masks[0, 5:25, 5:25], masks[1, 0:5, 0:5] = True, True
            return [Instances.from_masks(masks[: next(counts)])]

    counts = iter((1, 2))
    singles = find_singles(Fixed(), tmp_path)
    assert [(single.name, single.found) for single in singles] == [("one", 1), ("two", 2)]
    assert singles[0].best_iou == 1
    assert singles[1].best_iou == pytest.approx(10 * 20 / (400 + 600 - 200))
    assert "exactly one instance in 1, none in 0" in describe(singles)
    with pytest.raises(BadInput, match="_mask"):
        find_singles(Fixed(), tmp_path / "nothing")


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [*sys.path])
    tool = Path(__file__).resolve().parents[2] / "tools" / "bench_instances.py"
    main = runpy.run_path(str(tool), run_name="tool")["main"]
    write_library(tmp_path / "art")
    given = ["--split", "val", "--scenes", 2, "--size", 96, "--detector", "toonout-mini"]
    given += ["--device", "cpu", "--quiet", "--data", tmp_path / "art"]
    given += ["--json", tmp_path / "figures.json", "--pictures", tmp_path / "pictures"]
    monkeypatch.setattr(sys, "argv", ["tool", *map(str, given)])
    assert main() == 0
    assert "| boundary |" in capsys.readouterr().out
    document = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert document["settings"]["detector"] == "toonout-mini"
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    monkeypatch.setattr(sys, "argv", ["tool", "--data", str(tmp_path / "nowhere")])
    assert main() == 2
    assert "must hold RGBA pictures" in capsys.readouterr().err
