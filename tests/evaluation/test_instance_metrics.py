"""AP, precision and recall against recorded figures and against what can be counted by hand."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from tests.goldens import DATA, shared_file
from toonout_core.errors import ToonOutError
from toonout_core.evaluation.instance_metrics import (
    average_precision,
    best_operating_point,
    boundary,
    boundary_iou,
    mask_iou,
)
from toonout_core.instances import Instances
from toonout_core.output.coco import dataset, decode_mask, to_annotations

RECORDED = json.loads((DATA / "instance_metrics.json").read_text("utf-8"))
THEIR_NAMES = {"box": "bbox", "mask": "segm", "boundary": "boundary"}


def check_average_precision(cases):
    for case in cases.values():
        for kind, name in THEIR_NAMES.items():
            ours, theirs = average_precision(case["gt"], case["dt"], kind), case["expected"][name]
            assert ours.stats == pytest.approx(theirs["stats"], abs=1e-12)
            assert ours.by_iou == pytest.approx(theirs["ap_per_iou_thr"], abs=1e-12)
            assert ours.ap == pytest.approx(sum(ours.by_iou) / 10)
            assert (ours.ap50, ours.ap75) == pytest.approx((ours.by_iou[0], ours.by_iou[5]))


def test_average_precision_as_recorded():
    pytest.importorskip("faster_coco_eval")
    before = json.dumps(RECORDED)
    check_average_precision(RECORDED["average_precision"])
    assert json.dumps(RECORDED) == before


def test_all_of_average_precision_as_recorded():
    path = shared_file("ap_cases.json")
    pytest.importorskip("faster_coco_eval")
    check_average_precision(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("case", RECORDED["boundaries"])
def test_boundaries_as_recorded(case):
    mask, other = decode_mask(case["mask"]), decode_mask(case["pred"])
    assert torch.equal(boundary(mask), decode_mask(case["boundary"]))
    assert mask_iou(mask, other) == pytest.approx(case["miou"], abs=1e-12)
    assert boundary_iou(mask, other) == pytest.approx(case["biou"], abs=1e-12)


def test_a_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ToonOutError, match=r'faster-coco-eval, .*install -e "\.\[eval\]"'):
        average_precision(dataset([]), [], "box")


def squares(*lefts, size=40, scores=None):
    masks = torch.zeros(len(lefts), 60, 200, dtype=torch.bool)
    for mask, left in zip(masks, lefts, strict=True):
        mask[10 : 10 + size, left : left + size] = True
    return Instances.from_masks(masks, torch.tensor(scores) if scores else None)


def results(*pictures):
    return [
        {"image_id": number, **annotation}
        for number, found in enumerate(pictures, 1)
        for annotation in to_annotations(found)
    ]


@pytest.mark.parametrize("kind", ["box", "mask", "boundary"])
def test_the_best_operating_point_by_hand(kind):
    truth = dataset(
        (name, (60, 200), to_annotations(squares(*lefts)))
        for name, lefts in (("a", (0, 60, 120)), ("b", (10,)), ("c", ()))
    )
    found = results(
        squares(0, 60, 0, 160, scores=[0.9, 0.8, 0.7, 0.2]),  # the third finds the first again
        squares(10, 100, scores=[0.6, 0.3]),
        squares(5, scores=[0.1]),
    )
    point = best_operating_point(truth, found, kind)
    assert (point.precision, point.recall) == (3 / 4, 3 / 4)
    assert point.score == pytest.approx(0.6)
    worst = best_operating_point(truth, results(squares(150, scores=[0.5])), kind)
    assert (worst.precision, worst.recall) == (0, 0)
    assert best_operating_point(truth, [], kind).recall == 0


def test_equal_scores_stand_or_fall_together():
    truth = dataset([("a", (60, 200), to_annotations(squares(0)))])
    found = results(squares(0, 60, 120, scores=[0.5, 0.5, 0.5]))
    assert best_operating_point(truth, found, "mask").precision == pytest.approx(1 / 3)


def test_nothing_found_and_nothing_to_find():
    pytest.importorskip("faster_coco_eval")
    truth = dataset([("a", (60, 200), to_annotations(squares(0)))])
    assert average_precision(truth, [], "mask").ap == 0
    assert average_precision(dataset([("a", (60, 200), [])]), [], "mask").ap == -1


def test_a_shifted_edge_costs_more_at_the_boundary():
    pytest.importorskip("faster_coco_eval")
    truth = dataset([("a", (60, 200), to_annotations(squares(60)))])
    found = results(squares(61, scores=[0.9]))
    aps = [average_precision(truth, found, kind).ap for kind in ("box", "mask", "boundary")]
    assert aps[0] == aps[1] > aps[2] > 0
