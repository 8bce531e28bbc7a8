"""Pairs that touch, on rectangles."""

import torch

from toonout_core.evaluation.touching import Pairs, count_pairs


def box(left, right):
    mask = torch.zeros(90, 180, dtype=torch.bool)
    mask[20:70, left:right] = True
    return mask


TWO = torch.stack((box(20, 60), box(60, 100)))
THREE = torch.cat((TWO, box(120, 160)[None]))


def test_who_stands_apart_is_no_pair():
    assert count_pairs(THREE, list(THREE)) == Pairs(1, 1, 0)
    assert count_pairs(THREE[:0], []) == Pairs()
    assert count_pairs(THREE[[0, 2]], list(THREE)) == Pairs()


def test_one_instance_for_both_is_a_merger():
    assert count_pairs(TWO, [box(20, 100)]) == Pairs(1, 0, 1)
    # it may fit one of them well: the other is swallowed all the same
    assert count_pairs(TWO, [box(20, 85)]) == Pairs(1, 0, 1)


def test_who_is_missed_is_neither():
    assert count_pairs(TWO, [TWO[0]]) == Pairs(1, 0, 0)
    assert count_pairs(TWO, []) == Pairs(1, 0, 0)


def test_pairs_add_up():
    assert Pairs(2, 1, 1) + Pairs(3, 2, 0) == Pairs(5, 3, 1)
