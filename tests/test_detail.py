"""Large pictures in parts: edges become finer, nothing is added, nothing shows where tiles meet."""

from __future__ import annotations

import pytest
import torch

from tests.fake_host import FakeHost, StopFromHost
from tests.test_matting import matting
from toonout_core.detail import level_sizes, predict_detail, refined, tiles
from toonout_core.edges import EdgeDrawer
from toonout_core.ops.looks import CELL

SIDE = 64  # of the network in `matting`


def girl(height=300, width=410):
    """A red square with a soft hair of two pixels, on black."""
    image = torch.zeros(1, 3, height, width)
    image[:, 0, 90:250, 110:300] = 1
    image[:, 0, 30:90, 200:202] = 1
    return image


def plain(mask, size_hw):
    return torch.nn.functional.interpolate(mask, size_hw, mode="bilinear", align_corners=False)


@pytest.mark.parametrize(
    ("size_hw", "sizes"),
    [
        ((64, 64), []),
        ((79, 33), []),  # hardly larger
        ((100, 50), [(100, 50)]),
        (
            (2304, 4096),
            [(72, 128), (144, 256), (288, 512), (576, 1024), (1152, 2048), (2304, 4096)],
        ),
        ((150, 1), [(150, 1)]),
    ],
)
def test_levels_double_and_end_with_the_picture(size_hw, sizes):
    assert level_sizes(size_hw, SIDE) == sizes


def large_girl():
    """1×3×700×900: a red body with a hair of five pixels, on teal."""
    image = torch.tensor([0.0, 0.35, 0.45]).view(1, 3, 1, 1).repeat(1, 1, 700, 900)
    image[:, 0, 220:600, 250:650] = 1
    image[:, 0, 60:220, 450:455] = 1
    return image


def test_hairs_become_finer_and_the_rest_stays():
    flow, image = matting(resolution=256), large_girl()
    coarse, fine = flow.predict(image), predict_detail(flow, image)
    hair = (0, 0, slice(80, 200), slice(450, 455))
    assert float(fine[hair].mean()) > 0.8 > float(coarse[hair].mean())
    flat = (slice(None), slice(None), slice(280, 540), slice(310, 590))
    assert torch.equal(fine[flat], coarse[flat])
    assert float(fine[..., 660:, 720:].max()) == 0
    assert [size[-2:] for size in flow.loaded.network.sizes] == [(256, 256)]  # the whole only


def test_blurred_edges_are_drawn_where_the_picture_has_them():
    image = large_girl()
    truth = image[:, :1]
    coarse = plain(torch.nn.functional.avg_pool2d(truth, 4), (700, 900))
    drawer = EdgeDrawer(FakeHost())
    fine = refined(image, coarse, 300, drawer.draw, lambda count: None)
    errors = [float((alpha - truth).abs().sum()) for alpha in (coarse, fine)]
    assert errors[1] < 0.6 * errors[0]


def test_parts_of_any_size_are_drawn():
    drawer = EdgeDrawer(FakeHost())
    for height, width in ((1, 1), (31, 512), (33, 70)):
        drawn = drawer.draw(torch.rand(1, 3, height, width), torch.rand(1, 1, height, width))
        assert drawn.shape == (1, 1, height, width)
        assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_matte_takes_it_as_an_option():
    flow, image = matting(), girl()
    expected = predict_detail(matting(), image)
    assert torch.equal(flow.matte(image, foreground=None, detail=True).alpha, expected)
    assert not torch.equal(flow.matte(image, foreground=None).alpha, expected)


@pytest.mark.parametrize("size_hw", [(1, 500), (333, 65), (701, 130), (64, 81), (200, 199)])
def test_odd_sizes(size_hw):
    alpha = predict_detail(matting(), torch.rand(2, 3, *size_hw))
    assert alpha.shape == (2, 1, *size_hw)
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


def test_a_small_picture_is_looked_at_once():
    flow = matting()
    image = girl()[..., 80:144, 100:164]
    assert torch.equal(predict_detail(flow, image), flow.predict(image))
    assert len(flow.loaded.network.sizes) == 1


# ---------------------------------------------------------------- held to the look at the whole


def soft_square():
    """A square as a network sees it that saw the whole at half the size."""
    small = torch.zeros(1, 1, 96, 96)
    small[..., 30:70, 30:70] = 1
    return plain(small, (192, 192))


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_what_is_drawn_far_from_the_matte_changes_nothing_much(answer):
    """All is character, or nothing is: a second subject, or a coat that is taken for paper."""
    coarse = soft_square()
    image = coarse.expand(-1, 3, -1, -1)

    def draw(part, known):
        return torch.full_like(known, answer)

    found = refined(image, coarse, 96, draw, lambda count: None)
    changed = (found - coarse).abs()
    assert float(changed.max()) < 0.2  # at corners
    assert float(changed.sum()) < 0.005 * float(coarse.sum())


# ---------------------------------------------------------------- tiles


def test_every_open_cell_lies_in_a_tile_that_counts_there():
    torch.manual_seed(3)
    cells = torch.rand(1, 1, 41, 53) < 0.05
    size_hw = (41 * CELL - 3, 53 * CELL - 5)
    covered = torch.zeros(size_hw, dtype=torch.bool)
    places = list(tiles(cells, size_hw, SIDE))
    for rows, columns in places:
        assert rows.stop - rows.start == columns.stop - columns.start == SIDE
        covered[rows, columns] = True
    for row, column in cells[0, 0].nonzero().tolist():
        assert bool(
            covered[row * CELL : row * CELL + CELL, column * CELL : column * CELL + CELL].all()
        )
    assert len({(rows.start, columns.start) for rows, columns in places}) == len(places)


def test_no_seam_where_tiles_that_differ_meet(monkeypatch):
    """Each tile is off by something of its own: from pixel to pixel little of it is left."""
    monkeypatch.setattr("toonout_core.detail.SIDE_PX", 100)
    coarse = torch.full((1, 1, 200, 200), 0.5)
    offsets = iter([0.1, -0.1] * 500)
    found = refined(
        coarse.expand(-1, 3, -1, -1), coarse, 100,
        lambda part, known: known + next(offsets), lambda count: None,
    )  # fmt: skip
    inner = found[..., 10:-10, 10:-10]
    assert float(inner.amax() - inner.amin()) > 0.05
    assert float(inner.diff(dim=-1).abs().max()) < 0.02
    assert float(inner.diff(dim=-2).abs().max()) < 0.02


# ---------------------------------------------------------------- hosts


def test_stop_in_the_middle_passes_unchanged():
    host = FakeHost()
    flow = matting(host)
    host.cancel_at = 3
    with pytest.raises(StopFromHost):
        predict_detail(flow, girl())
    assert not host.active


def test_more_frames_than_fit_are_halved():
    flow, image = matting(), girl().repeat(3, 1, 1, 1)
    flow.loaded.network.fails_above = 1
    expected = predict_detail(matting(), image)
    assert torch.equal(predict_detail(flow, image, frames_per_step=3), expected)
