"""Published weight files, where they are: what they are, patch order, and mattes.

    python3 install.py test -k published --weights --weights-dir FOLDER

Nothing is downloaded. `tests/data/published` holds a matte for every model whose weights were here
when it was recorded; tests/data/README.md says which are missing, and how to add one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.weight_files.edges import edge_agreement
from toonout_core.errors import DownloadFailed
from toonout_core.host import LocalHost, cache_dir
from toonout_core.imaging import read
from toonout_core.loading import find_here, load_network, verify_file
from toonout_core.matting import Matting, load_matting
from toonout_core.weights import WEIGHTS, find

DATA = Path(__file__).parents[1] / "data"
EXAMPLE = Path(__file__).parents[2] / "toonout_core" / "assets" / "example.webp"
RECORDED = sorted(path.stem for path in (DATA / "published").glob("*.png"))
FILES = [row.name for row in WEIGHTS if not row.embedded]
ORDERS = ("channel_first", "channel_last")


@pytest.fixture
def here(request):
    """The host that finds published files; skips for those that are not here."""
    dirs = [Path(folder) for folder in request.config.getoption("--weights-dir")]
    host = LocalHost("auto", [*dirs, cache_dir()], quiet=True)

    def located(name):
        try:
            find_here(name, host)
        except DownloadFailed:
            pytest.skip(f"{name} is not here")
        return host

    return located


def scene(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A drawing of the tests, enlarged, on a soft background, and its own alpha."""
    drawing = read(DATA / "cutouts" / f"{name}.webp")
    size = {"scale_factor": 6, "mode": "bicubic", "antialias": False}
    image, alpha = (F.interpolate(x, **size).clamp(0, 1) for x in (drawing.image, drawing.alpha))
    margin = (96, 96, 48, 48)
    image, alpha = F.pad(image, margin), F.pad(alpha, margin)
    colours = torch.tensor([[0.2, 0.5], [0.8, 0.4], [0.5, 0.7]]).view(1, 3, 1, 2)
    ground = F.interpolate(colours, size=image.shape[-2:], mode="bilinear")
    return image * alpha + ground * (1 - alpha), alpha


# ---------------------------------------------------------------- on published files


@pytest.mark.weights
@pytest.mark.parametrize("name", FILES)
def test_file_is_what_the_table_says(here, name):
    host, row = here(name), find(name)
    path, found = find_here(name, host)
    assert found == row
    verify_file(path, row, host)
    loaded = load_network(name, host, task=None, precision="fp32", download=False)
    assert loaded.architecture.id == row.architecture
    assert loaded.architecture.task == row.task


@pytest.mark.weights
@pytest.mark.parametrize("name", [n for n in FILES if find(n).architecture.startswith("birefnet")])
def test_the_tables_patch_order_wins_by_edge_agreement(here, name):
    host, image = here(name), read(EXAMPLE).image
    agreed = {}
    for order in ORDERS:
        matting = load_matting(name, host=host, patch_order=order, download=False)
        agreed[order] = edge_agreement(image, matting.predict(image).cpu())
        del matting
    assert max(agreed, key=agreed.__getitem__) == find(name).patch_order, agreed


@pytest.mark.weights
@pytest.mark.parametrize("name", [n for n in FILES if find(n).purpose.startswith("anime")])
@pytest.mark.parametrize("drawing", ["mikanixonable_21", "mikanixonable_106"])
def test_models_for_anime_find_what_was_drawn(here, name, drawing):
    if find(name).task != "matting":
        pytest.skip("makes no matte")
    image, truth = scene(drawing)
    alpha = load_matting(name, host=here(name), download=False).predict(image).cpu()
    assert intersection_over_union(alpha, truth) > 0.9


@pytest.mark.weights
@pytest.mark.parametrize("name", [row.name for row in WEIGHTS if row.task == "matting"])
def test_mattes_are_as_recorded(here, name):
    if name not in RECORDED:
        pytest.skip(f"no matte of {name} is recorded, see tests/data/README.md")
    host = LocalHost("cpu", here(name).weight_dirs(), quiet=True)
    assert_as_recorded(load_matting(name, host=host, precision="fp32", download=False))


# ---------------------------------------------------------------- always


def assert_as_recorded(matting: Matting) -> None:
    recorded = read(DATA / "published" / f"{matting.name}.png").image[:, :1]
    alpha = matting.predict(read(EXAMPLE).image)
    levels = (alpha - recorded).abs() * 255
    assert levels.mean() < 0.3  # rounding to whole levels alone is 0.25 at most on average
    assert levels.max() < 4


def intersection_over_union(alpha: torch.Tensor, truth: torch.Tensor) -> float:
    ours, theirs = alpha > 0.5, truth > 0.5
    return float((ours & theirs).sum() / (ours | theirs).sum())


def test_the_built_in_models_matte_is_as_recorded():
    host = LocalHost("cpu", [], quiet=True)
    assert_as_recorded(load_matting("toonout-mini", host=host, precision="fp32"))
    assert "toonout-mini" in RECORDED


def test_what_is_recorded_is_of_the_table():
    assert set(RECORDED) <= {row.name for row in WEIGHTS if row.task == "matting"}


@pytest.mark.parametrize("drawing", ["mikanixonable_21", "mikanixonable_106"])
def test_edges_agree_best_with_the_drawn_matte(drawing):
    """Moved, blurred and patchwise shuffled mattes agree less: what a wrong patch order does."""
    image, truth = scene(drawing)
    best = edge_agreement(image, truth)
    moved = truth.roll((6, 6), (-2, -1))
    blurred = F.avg_pool2d(truth, 13, 1, 6)
    ghost = (truth + 0.3 * F.avg_pool2d(truth.roll(32, -1), 5, 1, 2)).clamp(0, 1)
    for worse in (moved, blurred, ghost, 1 - moved, torch.zeros_like(truth)):
        assert edge_agreement(image, worse) < 0.97 * best
