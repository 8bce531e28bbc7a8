"""The losses of RTMDet-Ins against recorded ones, and what must hold of any."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.goldens import Tensors, local, shared, unpack
from tests.models.test_rtmdet_ins import tiny_network
from toonout_core.models.rtmdet_ins.head import RawDetections
from toonout_core.training.rtmdet.assignment import TrueInstances, assign, centres_of_mass
from toonout_core.training.rtmdet.losses import (
    InstanceLossWeights,
    cell_losses,
    dice,
    instance_losses,
    join_levels,
    quality_focal,
)

FILE = "rtmdet_losses.safetensors"
SIDE = 160
NAMES = ("score", "box", "mask")


def recorded_truths(golden: Tensors) -> list[TrueInstances]:
    truths = []
    for i in range(2):
        masks = unpack(golden[f"img{i}.masks"], (SIDE, SIDE))
        boxes, known = golden[f"img{i}.boxes_xyxy"], ~golden[f"img{i}.mask_ignored"]
        truths.append(TrueInstances(boxes, masks, torch.zeros(len(masks)).long(), known))
    return truths


def recorded_output(golden: Tensors) -> RawDetections:
    """Kernels are stored of the assigned cells only: zeros elsewhere."""
    kernels = torch.zeros(2, 169, 400 + 100 + 25)
    for i in range(2):
        kernels[i][:, golden[f"img{i}.cells"]] = golden[f"img{i}.kernels"]
    levels = kernels.split((400, 100, 25), 2)
    return RawDetections(
        tuple(golden[f"logits{level}"].clone().requires_grad_() for level in range(3)),
        tuple(golden[f"distances{level}"].clone().requires_grad_() for level in range(3)),
        tuple(
            level.reshape(2, 169, side, side)
            for level, side in zip(levels, (20, 10, 5), strict=True)
        ),
        golden["prototypes"].clone().requires_grad_(),
    )


def test_the_recorded_cells_are_assigned():
    golden = local(FILE)
    cells = join_levels(recorded_output(golden))
    for i, truth in enumerate(recorded_truths(golden)):
        got = assign(cells.logits[i], cells.boxes_xyxy[i], cells.priors, truth)
        assert torch.equal(got.cells, golden[f"img{i}.cells"])
        assert torch.equal(got.instances, golden[f"img{i}.instances"])
        assert torch.allclose(got.ious, golden["ious"][i][got.cells], rtol=0, atol=1e-6)
        assert len(got.cells) == golden["ious"][i].count_nonzero()


@pytest.mark.parametrize("stride", [2, 4])
def test_the_recorded_losses(stride):
    golden = local(FILE)
    weights = InstanceLossWeights(mask_stride=stride)
    got = instance_losses(recorded_output(golden), recorded_truths(golden), weights)
    for name in NAMES:
        expected = golden[f"stride{stride}.{name}"].sum().item()
        assert got[name].item() == pytest.approx(expected, rel=1e-6), name


def test_the_recorded_losses_of_every_level():
    golden = local(FILE)
    cells, truths = join_levels(recorded_output(golden)), recorded_truths(golden)
    assigned = [
        assign(cells.logits[i], cells.boxes_xyxy[i], cells.priors, truth)
        for i, truth in enumerate(truths)
    ]
    quality = golden["ious"].sum().clamp_min(1)
    losses = cell_losses(cells, truths, assigned)
    for name, weight, loss in zip(NAMES, (1, 2), losses, strict=False):
        levels = [level.sum() for level in loss.split((400, 100, 25), 1)]
        got = weight * torch.stack(levels) / quality
        assert torch.allclose(got, golden[f"stride2.{name}"], rtol=2e-6, atol=1e-7), name


def test_losses_of_the_whole_recorded_network():
    golden = shared("rtmdet_train_losses.safetensors")
    network = tiny_network(shared("rtmdet_ins_tiny.safetensors"))
    with torch.inference_mode():
        raw = network(golden["in"].flip(1))
    got = instance_losses(raw, recorded_truths(local(FILE)), InstanceLossWeights())
    for name, theirs in zip(NAMES, ("cls", "bbox", "mask"), strict=True):
        expected = golden[f"loss.stride2.loss_{theirs}"].sum().item()
        assert got[name].item() == pytest.approx(expected, rel=1e-5), name


def test_a_step_against_the_gradient_makes_all_parts_smaller():
    golden = local(FILE)
    raw, truths = recorded_output(golden), recorded_truths(golden)
    before = instance_losses(raw, truths, InstanceLossWeights())
    torch.stack(list(before.values())).sum().backward()

    def stepped(tensor):
        return tensor.detach() - 1e-3 * tensor.grad

    after = instance_losses(
        RawDetections(
            tuple(map(stepped, raw.logits)),
            tuple(map(stepped, raw.distances)),
            raw.kernels,
            stepped(raw.prototypes),
        ),
        truths,
        InstanceLossWeights(),
    )
    assert all(after[name] < before[name] for name in NAMES)


def test_a_mask_that_is_not_known_teaches_no_mask():
    golden = local(FILE)
    raw = recorded_output(golden)
    truths = recorded_truths(golden)
    full = instance_losses(raw, truths, InstanceLossWeights())
    none = [
        TrueInstances(t.boxes_xyxy, t.masks, t.classes, torch.zeros(len(t)).bool()) for t in truths
    ]
    got = instance_losses(raw, none, InstanceLossWeights())
    assert got["mask"] == 0
    assert got["score"] == full["score"]
    assert got["box"] == full["box"]


def test_pictures_without_instances_teach_the_scores_only():
    raw = recorded_output(local(FILE))
    empty = TrueInstances(
        torch.zeros(0, 4),
        torch.zeros(0, SIDE, SIDE).bool(),
        torch.zeros(0).long(),
        torch.ones(0).bool(),
    )
    got = instance_losses(raw, [empty, empty], InstanceLossWeights())
    assert got["score"] > 0
    assert got["box"] == got["mask"] == 0
    torch.stack(list(got.values())).sum().backward()


def random_case(seed: int, classes: int):
    """Random predictions for random boxes of 64×64 whose masks are their lower halves."""
    random = torch.Generator().manual_seed(seed)
    count = int(torch.randint(1, 6, (1,), generator=random))
    corner = torch.rand(count, 2, generator=random) * 40
    boxes = torch.cat((corner, corner + 4 + torch.rand(count, 2, generator=random) * 20), 1)
    masks = torch.zeros(count, 64, 64, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[(top + bottom) // 2 : bottom, left:right] = True
    labels = torch.randint(classes, (count,), generator=random)
    raw = RawDetections(
        tuple(torch.randn(1, classes, s, s, generator=random) for s in (8, 4, 2)),
        tuple(torch.rand(1, 4, s, s, generator=random) * 20 for s in (8, 4, 2)),
        tuple(torch.randn(1, 169, s, s, generator=random) for s in (8, 4, 2)),
        torch.randn(1, 8, 8, 8, generator=random),
    )
    return raw, TrueInstances(boxes, masks, labels, torch.ones(count).bool())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_laws_of_assignments(seed, classes):
    raw, truth = random_case(seed, classes)
    cells = join_levels(raw)
    got = assign(cells.logits[0], cells.boxes_xyxy[0], cells.priors, truth)
    assert got.cells.tolist() == sorted(set(got.cells.tolist()))
    points = cells.priors[got.cells][:, None, :2]
    boxes = truth.boxes_xyxy
    in_any = ((points > boxes[:, :2]) & (points < boxes[:, 2:])).all(2).any(1)
    assert in_any.all()
    assert len(got.cells) <= 13 * len(truth)
    # the order of the instances does not matter
    turned = torch.arange(len(truth)).flip(0)
    other = TrueInstances(
        boxes[turned], truth.masks[turned], truth.classes[turned], truth.mask_known
    )
    again = assign(cells.logits[0], cells.boxes_xyxy[0], cells.priors, other)
    assert torch.equal(again.cells, got.cells)
    assert torch.equal(turned[again.instances], got.instances)
    losses = instance_losses(raw, [truth], InstanceLossWeights())
    swapped = instance_losses(raw, [other], InstanceLossWeights())
    for name, loss in losses.items():
        assert loss.isfinite()
        assert loss >= 0
        assert swapped[name].item() == pytest.approx(loss.item(), rel=1e-5)


def test_quality_focal_is_nothing_where_the_score_is_the_label():
    label = torch.tensor([0.1, 0.3, 0.9])
    assert torch.allclose(quality_focal(label.logit(), label), torch.zeros(3), atol=1e-7)
    logits = torch.randn(3, requires_grad=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(quality_focal, (logits, label.double()))


def test_dice_of_equal_and_of_disjoint_masks():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, 2:5, 1:7] = True
    sure = torch.where(mask, 50.0, -50.0)
    assert dice(sure, mask).item() == pytest.approx(0, abs=1e-6)
    assert dice(-sure, mask).item() == pytest.approx(1)
    half = torch.where(mask, 0.0, -50.0)  # p = 1/2 inside: 1 − 2·(n/2) / (n/4 + n)
    assert dice(half, mask).item() == pytest.approx(0.2, abs=1e-5)


def test_centre_of_mass():
    mask = torch.zeros(2, 10, 20, dtype=torch.bool)
    mask[0, 2:5, 4:11] = True
    assert centres_of_mass(mask).tolist() == [[7.0, 3.0], [0.0, 0.0]]
