"""Measure Matte and Compare Mattes, run as ComfyUI runs them, on a fake host."""

from __future__ import annotations

import json

import pytest
import torch

from tests.comfy.characters import Runner, error_class

SIZE_HW = (48, 64)


@pytest.fixture
def run(nodes):
    return Runner(nodes)


def character():
    mask = torch.zeros(1, *SIZE_HW)
    mask[:, 12:36, 16:48] = 1
    return mask


def test_a_perfect_matte(run):
    found = run("MeasureMatte", mask=character(), truth=character())
    assert (found["MAE"], found["soft BIoU"], found["PA"]) == (0, 1, 1)
    assert found["text"].startswith("1 picture\n") and "SAD: 0.0000 k px" in found["text"]
    assert json.loads(found["numbers"])["mean"]["PSNR"] == 60
    assert found["errors"].shape == (1, *SIZE_HW, 3)
    assert len(found["errors"][0].flatten(0, 1).unique(dim=0)) == 2  # black and grey


def test_errors_are_seen_over_the_picture_and_the_worse_matte_scores_worse(run, host):
    mattes = character().repeat(2, 1, 1)
    mattes[0, :, :4] = 1
    mattes[1, 12:36, 16:32] = 0
    image = torch.rand(1, *SIZE_HW, 3)
    found = run("MeasureMatte", mask=mattes, truth=character(), image=image, figures="all")
    rows = json.loads(found["numbers"])["pictures"]
    assert len(rows) == 2 and rows[0]["IoU"] < 1 and rows[1]["IoU"] == 0.5
    assert {"HCE", "WF", "S", "Conn"} <= rows[0].keys()
    cyan, red = found["errors"][0, 5, 2], found["errors"][1, 20, 20]
    assert cyan[0] < 0.1 and cyan[2] > 0.9
    assert red[0] > 0.9 and red[2] < 0.3
    assert host.progress[-1] == (2, 2)


def test_published_figures_and_what_is_not_defined(run):
    empty = torch.zeros(1, *SIZE_HW)
    found = run("MeasureMatte", mask=empty, truth=empty, figures="as published")
    mean = json.loads(found["numbers"])["mean"]
    assert mean["PA"] is None and mean["PA_clipped"] == 1
    assert "PA: not defined" in found["text"] and "Grad" not in mean


def test_a_matte_of_another_size_gets_a_sentence(run):
    with pytest.raises(error_class(), match="64×64"):
        run("MeasureMatte", mask=character(), truth=torch.zeros(1, 64, 64))
    with pytest.raises(error_class(), match="batches must have equal length"):
        run("MeasureMatte", mask=character().repeat(2, 1, 1), truth=character().repeat(3, 1, 1))


def compared(run, **options):
    given = {"image": torch.full((1, *SIZE_HW, 3), 0.5), "matte_1": character(), "cell_px": 64}
    return run("CompareMattes", **(given | options))["sheet"]


def test_a_sheet_grows_with_mattes_and_rows(run):
    other = torch.ones(1, *SIZE_HW)
    one, two, plain = (
        compared(run, **options)
        for options in ({}, {"matte_2": other}, {"matte_2": other, "edges": "as they are"})
    )
    assert one.shape[0] == 1 and one.shape[3] == 3
    assert two.shape[1] > one.shape[1] == plain.shape[1]
    assert two.shape[2] > one.shape[2]  # a column for where they differ


def test_names_may_be_fewer_than_mattes_and_belong_to_their_sockets(run):
    other = torch.ones(1, *SIZE_HW)
    unnamed, one, gap, both = (
        compared(run, matte_3=other, names=names)
        for names in ("", "mini", "mini, big", "mini, big, x")
    )
    assert not torch.equal(unnamed, one)
    assert torch.equal(one, gap)  # nothing is connected where "big" belongs
    assert not torch.equal(one, both)


def test_a_batch_makes_sheets_of_one_size(run):
    images = torch.rand(2, *SIZE_HW, 3)
    second = torch.cat((character(), torch.ones(1, *SIZE_HW)))  # the first agrees
    assert compared(run, image=images, matte_2=second).shape[0] == 2


def test_wrong_colours_get_a_sentence(run):
    for colours, sentence in (("white, sky", "a colour must be"), (" ,", "at least one")):
        with pytest.raises(error_class(), match=sentence):
            compared(run, colours=colours)
