"""From centres and ways to characters, on maps drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from toonout_core.models.lite_unet.characters import Centres, Certainty
from toonout_core.segmentation.grouping import NOBODY, find_peaks, group

SIZE = 40  # cells; a cell is a pixel of the matte here
SURE = Certainty(1.0, 0.0, 0.0, 0.45)


def maps(*characters, heat=()):
    """`characters`: rows, columns of cells of one; `heat`: of their centres, 0.9 else."""
    logits = torch.full((1, 1, SIZE, SIZE), -9.0)
    ways = torch.zeros(1, 2, SIZE, SIZE)
    sizes = torch.full((1, 1, SIZE, SIZE), 12.0)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    solid = np.zeros((SIZE, SIZE), bool)
    for number, (rows, columns) in enumerate(characters):
        middle_y, middle_x = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
        seen = heat[number] if number < len(heat) else 0.9
        if seen:
            logits[0, 0, middle_y, middle_x] = math.log(seen / (1 - seen))
        ways[0, 0, rows, columns] = (middle_x - x[rows, columns]).float()
        ways[0, 1, rows, columns] = (middle_y - y[rows, columns]).float()
        solid[rows, columns] = True
    return Centres(logits, ways, sizes), solid


LEFT, RIGHT = (slice(10, 30), slice(4, 18)), (slice(10, 30), slice(18, 34))


def grouped(centres, solid, min_score=0.3, certainty=SURE, min_area=0.01):
    return group(centres, solid, certainty, min_score=min_score, min_area=min_area)


def test_two_that_touch_are_two():
    groups = grouped(*maps(LEFT, RIGHT))
    assert len(groups.scores) == 2
    owners = groups.owners
    left, right = owners[20, 10], owners[20, 26]
    assert left != right
    assert (owners[LEFT] == left).mean() > 0.95 and (owners[RIGHT] == right).mean() > 0.95
    # centres are 15 cells apart, and 8 are as sure as e
    sure = 1 / (1 + math.exp(-15 / 8))
    assert groups.raw == pytest.approx([0.9 * sure] * 2, abs=0.03)


def test_weak_centres_go_before_the_matte_is_given_out():
    # a tail whose ways lead to a weak centre of its own: it falls to its character
    tail = (slice(14, 20), slice(18, 30))
    centres, solid = maps(LEFT, tail, heat=(0.9, 0.15))
    groups = grouped(centres, solid)
    assert len(groups.scores) == 1
    assert (groups.owners[solid] == 0).all()
    assert len(grouped(centres, solid, min_score=0.1).scores) == 2


def test_what_is_small_in_the_picture_is_less_sure():
    tail = (slice(14, 20), slice(18, 30))
    careful = Certainty(1.0, 0.0, 1.0, 0.45)
    large, small = maps(LEFT, RIGHT), maps(LEFT, tail)
    assert len(grouped(*large, certainty=careful, min_score=0.0).scores) == 2
    groups = grouped(*small, certainty=careful, min_score=0.0)
    # the odds fall with the share of the picture
    cells = small[1].size
    wanted = [math.log(72 / cells), math.log(280 / cells)]
    assert sorted(groups.shares) == pytest.approx(wanted, abs=0.05)
    for score, raw, share in zip(groups.scores, groups.raw, groups.shares, strict=True):
        assert score / (1 - score) == pytest.approx(raw / (1 - raw) * math.exp(share))


def test_a_region_without_a_centre_is_one_more():
    apart = (slice(10, 30), slice(24, 34))
    centres, solid = maps(LEFT, apart, heat=(0.9, 0))
    # its ways end in itself, far from the only centre
    centres.ways[0, :, apart[0], apart[1]] = 0
    centres.logits[0, 0, 20, 11] = 3
    groups = grouped(centres, solid)
    # the only centre takes all, but another character of that size is none of its parts
    assert len(groups.scores) == 2 and math.isnan(groups.raw[1])
    assert (groups.owners[apart] == 1).all() and (groups.owners[LEFT] == 0).all()
    none = grouped(Centres(torch.full_like(centres.logits, -9), centres.ways, centres.sizes), solid)
    assert len(none.scores) == 2 and none.scores == [0.45, 0.45]
    assert all(math.isnan(raw) for raw in none.raw)
    assert set(np.unique(none.owners[solid])) == {0, 1}


def test_a_small_region_beside_a_character_is_a_part_of_it():
    hat = (slice(2, 7), slice(8, 14))
    centres, solid = maps(LEFT, hat, heat=(0.9, 0))
    groups = grouped(centres, solid)
    assert len(groups.scores) == 1
    assert (groups.owners[solid] == 0).all()


def test_specks_are_nobody():
    speck = (slice(2, 5), slice(30, 35))
    centres, solid = maps(LEFT, speck)
    groups = grouped(centres, solid)  # 15 of 1600 cells
    assert len(groups.scores) == 1
    assert (groups.owners[speck] == NOBODY).all()
    assert len(grouped(centres, solid, min_area=0.005).scores) == 2


def test_unexplained_regions_obey_score_and_area():
    centres, solid = maps(LEFT, heat=(0,))
    assert len(grouped(centres, solid).scores) == 1
    assert len(grouped(centres, solid, min_score=0.5).scores) == 0
    assert len(grouped(centres, solid, min_area=0.5).scores) == 0


def test_an_empty_matte_has_nobody():
    centres, _ = maps(LEFT)
    groups = grouped(centres, np.zeros((SIZE, SIZE), bool))
    assert groups.scores == []


def test_a_better_centre_silences_its_neighbours_by_its_size():
    centres, _ = maps(LEFT)
    centres.logits[0, 0, 20, 14] = 0.0
    large = Centres(centres.logits, centres.ways, torch.full_like(centres.sizes, 30.0))
    assert len(find_peaks(large)) == 1
    small = Centres(centres.logits, centres.ways, torch.full_like(centres.sizes, 1.0))
    assert len(find_peaks(small)) == 1  # three cells apart, at least four are needed
    centres.logits[0, 0, 20, 17] = 0.1
    assert len(find_peaks(small)) == 2


def test_bits_go_back_to_who_is_around_them():
    centres, solid = maps(LEFT, RIGHT)
    # a hand of the left one whose ways lead to the right
    centres.ways[0, 0, 18:21, 6:9] += 16
    groups = grouped(centres, solid)
    assert len(np.unique(groups.owners[LEFT])) == 1


def test_maps_fit_mattes_of_any_size():
    centres, solid = maps(LEFT, RIGHT)
    large = np.kron(solid, np.ones((7, 5), bool))
    groups = grouped(centres, large)
    assert groups.owners.shape == large.shape
    left = groups.owners[20 * 7, 10 * 5]
    assert left != NOBODY
    assert ((groups.owners == left) & large).sum() == pytest.approx(20 * 14 * 35, rel=0.05)
