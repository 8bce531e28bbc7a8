import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.evaluation.alpha_metrics import PSNR_LIMIT_DB, mean_scores, score_alpha


def test_values_worked_out_by_hand():
    truth = torch.tensor([[1.0, 1, 0, 0]])
    prediction = torch.tensor([[1.0, 0.4, 0.6, 0]])
    score = score_alpha(prediction, truth)
    assert score.pa == 0.5
    assert score.iou == pytest.approx(1 / 3)
    assert score.mae == pytest.approx(0.3)
    assert score.psnr == pytest.approx(-10 * math.log10((0.36 + 0.36) / 4))


def test_a_perfect_and_an_empty_matte():
    truth = torch.rand(1, 1, 8, 8)
    perfect = score_alpha(truth, truth)
    assert (perfect.pa, perfect.iou, perfect.psnr) == (1.0, 1.0, PSNR_LIMIT_DB)
    assert score_alpha(torch.zeros(4, 4), torch.zeros(4, 4)).iou == 1.0
    assert score_alpha(torch.zeros(4, 4), torch.ones(4, 4)).iou == 0.0


@given(st.integers(0, 10**6))
def test_more_error_never_scores_better(seed):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(1, 1, 9, 9, generator=generator)
    noise = torch.rand(1, 1, 9, 9, generator=generator) - 0.5
    near, far = (score_alpha((truth + k * noise), truth) for k in (0.3, 0.9))
    assert near.psnr >= far.psnr and near.mae <= far.mae and near.pa >= far.pa


def test_the_mean_is_taken_metric_by_metric():
    scores = [score_alpha(torch.full((2, 2), v), torch.ones(2, 2)) for v in (1.0, 0.0)]
    assert mean_scores(scores).iou == 0.5


def test_glass_and_haze_are_counted_far_from_the_edge_alone():
    truth = torch.zeros(1, 1, 100, 100)
    truth[..., :50] = 1
    prediction = truth.clone()
    prediction[..., 0, 0] = 0.97  # deep inside
    prediction[..., 1, 40] = 0.5  # near the edge: no fault of this kind
    prediction[..., 0:2, 99] = 0.03
    score = score_alpha(prediction, truth)
    # columns 0 to 29 are more than 20 px away from the nearest pixel outside, 70 to 99 likewise
    assert score.glass == pytest.approx(1 / (30 * 100))
    assert score.haze == pytest.approx(2 / (30 * 100))


def test_a_picture_without_a_character_is_all_outside():
    score = score_alpha(torch.full((30, 30), 0.1), torch.zeros(30, 30))
    assert (score.glass, score.haze) == (0.0, 1.0)


def test_a_matte_without_a_truth_shows_its_own_haze():
    from toonout_core.evaluation.alpha_metrics import is_hazy, own_haze

    alpha = torch.zeros(1, 1, 200, 200)
    alpha[..., 50:150, 50:150] = 1
    assert own_haze(alpha) == (0, 0)
    assert not is_hazy(alpha)
    film = alpha.clone()
    film[..., 90:110, 90:110] = 0.9  # a grey film inside
    assert own_haze(film)[0] > 0.05
    assert is_hazy(film)
    mist = alpha.clone()
    mist[..., :20, :] = 0.1
    assert own_haze(mist)[1] > 0.05
    assert is_hazy(mist)
    soft = alpha.clone()
    soft[..., 45:50, 50:150] = 0.5  # an edge that is soft over 5 px
    assert not is_hazy(soft)
