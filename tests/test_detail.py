"""Large pictures in parts: edges become finer, nothing is added, nothing shows where tiles meet."""

from __future__ import annotations

import pytest
import torch

from tests.fake_host import FakeHost, StopFromHost
from tests.test_matting import matting
from toonout_core.detail import CELL, held, level_sizes, open_cells, predict_detail, refined, tiles

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


def test_edges_and_hairs_become_finer_and_the_rest_stays():
    flow, image = matting(), girl()
    truth = image[:, :1]
    coarse, fine = flow.predict(image), predict_detail(flow, image)
    assert float((fine - truth).abs().sum()) < 0.3 * float((coarse - truth).abs().sum())
    assert (
        float(fine[0, 0, 60:80, 200:202].mean()) > 0.8 > float(coarse[0, 0, 60:80, 200:202].mean())
    )
    flat = (slice(None), slice(None), slice(130, 210), slice(150, 250))
    assert torch.equal(fine[flat], coarse[flat])
    assert float(fine[..., 280:, 380:].max()) == 0
    assert {size[-2:] for size in flow.loaded.network.sizes} == {(SIDE, SIDE)}


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
def test_tiles_that_see_something_else_change_nothing_much(answer):
    """All is character, or nothing is: a second subject, or a coat that a tile takes for paper."""
    coarse = soft_square()
    image = coarse.expand(-1, 3, -1, -1)
    found = refined(
        image, coarse, 96, lambda tile: torch.full_like(tile[:, :1], answer), lambda count: None
    )
    changed = (found - coarse).abs()
    assert float(changed.max()) < 0.2  # at corners
    assert float(changed.sum()) < 0.005 * float(coarse.sum())


def test_a_closer_look_counts_wholly_where_it_sees_the_same_character():
    coarse = soft_square()
    image = coarse.expand(-1, 3, -1, -1)
    sharp = (coarse > 0.5).float()
    given = dict(look=lambda tile: tile[:, :1], begin=lambda count: None)
    assert torch.equal(refined(image, coarse, 96, closer=sharp, **given), sharp)
    second = sharp.clone()
    second[..., 150:190, 150:190] = 1  # another character
    found = refined(image, coarse, 96, closer=second, **given)
    assert float(found[..., 160:, 160:].max()) < 0.05


def test_only_cells_with_an_edge_may_change():
    coarse = soft_square()
    cells = open_cells(coarse)
    changed = held(coarse, torch.full_like(coarse, 0.01), cells) != coarse
    beside = torch.nn.functional.max_pool2d(cells.float(), 5, 1, 2)  # it fades out
    allowed = torch.nn.functional.interpolate(beside, scale_factor=CELL) > 0
    assert bool(changed.any())
    assert not bool((changed & ~allowed[..., :192, :192]).any())


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


def test_no_seam_where_tiles_that_differ_meet():
    """Each tile is off by something of its own: from pixel to pixel little of it is left."""
    coarse = torch.full((1, 1, 200, 200), 0.5)
    offsets = iter([0.1, -0.1] * 500)
    found = refined(
        coarse.expand(-1, 3, -1, -1), coarse, 100,
        lambda tile: tile[:, :1] + next(offsets), lambda count: None,
    )  # fmt: skip
    inner = found[..., 10:-10, 10:-10]
    assert float(inner.amax() - inner.amin()) > 0.05
    assert float(inner.diff(dim=-1).abs().max()) < 0.02
    assert float(inner.diff(dim=-2).abs().max()) < 0.02


# ---------------------------------------------------------------- hosts


def test_stop_in_the_middle_passes_unchanged():
    host = FakeHost()
    flow = matting(host)
    whole = matting(FakeHost())
    predict_detail(whole, girl())
    host.cancel_at = 5
    with pytest.raises(StopFromHost):
        predict_detail(flow, girl())
    assert len(flow.loaded.network.sizes) < len(whole.loaded.network.sizes)
    assert not host.active


def test_more_frames_than_fit_are_halved():
    flow, image = matting(), girl().repeat(3, 1, 1, 1)
    flow.loaded.network.fails_above = 1
    expected = predict_detail(matting(), image)
    assert torch.equal(predict_detail(flow, image, frames_per_step=3), expected)
