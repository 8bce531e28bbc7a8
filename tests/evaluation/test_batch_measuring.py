"""A batch of mattes against its truths, as text, as JSON and as pictures."""

from __future__ import annotations

import json

import pytest
import torch

from toonout_core.evaluation.batch_measuring import ALWAYS, measure_batch


def square(*rows):
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., slice(*rows), 10:30] = 1
    return mask


def measured(figures="for soft mattes", image=None):
    steps = []
    found, truth = torch.cat((square(10, 30), square(10, 20))), square(10, 30).expand(2, -1, -1, -1)
    scores = measure_batch(found, truth, image, figures, lambda n, preview=None: steps.append(n))
    assert steps == [1, 1]
    return scores


def test_rows_and_their_mean():
    scores = measured()
    assert [row.values["IoU"] for row in scores.rows] == [1, 0.5]
    assert scores.mean.values["IoU"] == 0.75
    content = json.loads(scores.json())
    assert content["mean"]["IoU"] == 0.75 and len(content["pictures"]) == 2
    assert scores.text().startswith("2 pictures\n")
    assert "IoU: 75.00 % (IoU at 0.5; higher is better)" in scores.text()


def test_errors_are_drawn_where_they_are():
    errors = measured(image=torch.full((2, 3, 40, 40), 0.5)).errors
    assert errors.shape == (2, 3, 40, 40)
    red, grey = errors[1, :, 25, 20], errors[0, :, 25, 20]
    assert red[0] > 0.9 and red[2] < 0.3
    assert len(grey.unique()) == 1


@pytest.mark.parametrize("figures", ["for soft mattes", "as published", "all"])
def test_what_nodes_show_is_always_measured(figures):
    values = measured(figures).mean.values
    assert {"MAE_soft", "BIoU_soft", "PA_clipped"} <= values.keys()
    assert {*ALWAYS} <= values.keys()
    assert ("HCE" in values) == (figures == "all")
    assert ("WF" in values) == (figures != "for soft mattes")
