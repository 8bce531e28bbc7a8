"""A tiny RTMDet-Ins learns two drawn pictures by heart."""

from __future__ import annotations

import torch

from tests.models.test_rtmdet_ins import TINY
from toonout_core.models.rtmdet_ins import RTMDetIns
from toonout_core.training.rtmdet.assignment import TrueInstances
from toonout_core.training.rtmdet.losses import InstanceLossWeights, instance_losses


def drawn(boxes_xyxy: list[list[int]]) -> tuple[torch.Tensor, TrueInstances]:
    """Bright ellipses on grey, 96×96."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    masks = torch.stack(
        [
            ((x - (l + r) / 2) / ((r - l) / 2)) ** 2 + ((y - (t + b) / 2) / ((b - t) / 2)) ** 2 < 1
            for l, t, r, b in boxes_xyxy  # noqa: E741
        ]
    )
    count = len(masks)
    picture = masks.any(0).float().expand(3, -1, -1) * 2 - 1
    classes, known = torch.zeros(count).long(), torch.ones(count).bool()
    return picture, TrueInstances(torch.tensor(boxes_xyxy).float(), masks, classes, known)


def test_two_pictures_are_learnt():
    torch.manual_seed(0)
    network = RTMDetIns(**TINY)
    pictures, truths = zip(
        drawn([[6, 8, 44, 50], [52, 40, 90, 92]]), drawn([[20, 20, 70, 80]]), strict=True
    )
    for layer in network.bbox_head.rtm_reg:
        torch.nn.init.constant_(layer.bias, 2.0)  # a distance below 0 gets no gradient
    batch = torch.stack(pictures)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    totals = []
    for _ in range(150):
        parts = instance_losses(network(batch), truths, InstanceLossWeights())
        total = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 35)
        optimizer.step()
        totals.append({name: part.item() for name, part in parts.items()})
    assert totals[-1]["box"] < 0.3 * totals[0]["box"]
    assert totals[-1]["mask"] < 0.3 * totals[0]["mask"]
    assert totals[-1]["score"] < 0.3 * totals[0]["score"]
