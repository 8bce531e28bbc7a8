import pytest
import torch

from toonout_core.training import losses

CASES = [losses.mse, losses.mae, losses.bce, losses.edge_l1, losses.soft_iou, losses.structure]


def test_values_worked_out_by_hand():
    logits = torch.zeros(1, 1, 1, 2)
    alpha = torch.tensor([[[[1.0, 0.0]]]])
    assert float(losses.mse(logits, alpha)) == pytest.approx(0.25)
    assert float(losses.bce(logits, alpha)) == pytest.approx(0.693147, abs=1e-5)
    assert float(losses.edge_l1(logits, alpha)) == pytest.approx(0.5)
    # Σ p·α = 0.5, Σ(p + α − p·α) = 1.5
    assert float(losses.soft_iou(logits, alpha)) == pytest.approx(1 - 0.5 / 1.5)


@pytest.mark.parametrize("loss", CASES)
def test_a_better_prediction_costs_less_and_the_gradient_points_there(loss):
    alpha = (torch.rand(2, 1, 12, 12) > 0.5).float()
    logits = torch.randn(2, 1, 12, 12, requires_grad=True)
    value = loss(logits, alpha)
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(loss(logits.detach() - 5 * gradient / gradient.abs().max(), alpha)) < value.item()
    assert loss((alpha * 2 - 1) * 50, alpha).item() == pytest.approx(0, abs=1e-4)


def test_edges_weigh_more():
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 16:] = 1
    near, far = (torch.where(alpha > 0, 9.0, -9.0) for _ in range(2))
    near[..., 15] = 9
    far[..., 2] = 9
    assert float(losses.edge_l1(near, alpha)) > 3 * float(losses.edge_l1(far, alpha))


def test_the_separable_window_equals_a_square_one():
    x = torch.rand(2, 1, 17, 13)
    square = torch.nn.functional.max_pool2d(x, 7, 1, 3)
    assert torch.equal(losses._highest(x, 3), square)


def test_parts_take_their_weights_and_zeros_are_left_out():
    logits, alpha = torch.randn(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    parts = losses.weighted_parts(logits, alpha, {"mse": 2.0, "bce": 0.0, "iou": 0.5})
    assert set(parts) == {"mse", "iou"}
    assert torch.equal(parts["mse"], 2 * losses.mse(logits, alpha))
    assert torch.equal(parts["iou"], 0.5 * losses.soft_iou(logits, alpha))


def test_solidity_counts_what_is_deep_inside_and_outside_alone():
    alpha = torch.zeros(1, 1, 40, 60)
    alpha[..., :30] = 1
    sure = torch.where(alpha > 0, 5.0, -5.0)
    assert float(losses.solidity(sure, alpha)) == 0
    near = sure.clone()
    near[..., 24:36] = 0  # within 8 px of the edge: soft edges are free
    assert float(losses.solidity(near, alpha)) == 0
    glass = sure.clone()
    glass[..., 0, 0] = 2.6  # alpha 0.93
    deep = 2 * 40 * 22
    assert float(losses.solidity(glass, alpha)) == pytest.approx(2.0 / deep, rel=1e-5)
