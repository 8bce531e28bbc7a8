"""YOLOv8-seg: names, shapes and results as recorded; boxes and masks from what the network says."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load, save

from tests.goldens import from_uint8, local, shared, shared_file, unpack
from tests.models import formula
from tests.published import yolo_masks_as_published
from toonout_core.errors import CorruptWeights
from toonout_core.models import recognise
from toonout_core.models.yolov8_seg import (
    ARCHITECTURE,
    Candidates,
    Selection,
    YoloV8Seg,
    masks,
    select,
)

PUBLISHED = {
    "n": ((16, 32, 64, 128, 256), (1, 2, 2, 1), 1, 64, 64, 32, 64),
    "s": ((32, 64, 128, 256, 512), (1, 2, 2, 1), 1, 64, 128, 32, 128),
    "m": ((48, 96, 192, 384, 576), (2, 4, 4, 2), 2, 64, 192, 48, 192),
    "m, 80 classes": ((48, 96, 192, 384, 576), (2, 4, 4, 2), 2, 64, 192, 48, 192),
    "l": ((64, 128, 256, 512, 512), (3, 6, 6, 3), 3, 64, 256, 64, 256),
    "x": ((80, 160, 320, 640, 640), (3, 6, 6, 3), 3, 80, 320, 80, 320),
}
NAMES = (
    *("widths", "depths", "neck_depth"),
    *("box_width", "class_width", "mask_width", "prototype_width"),
)
TINY = {
    "widths": (4, 8, 8, 12, 16),
    "classes": 2,
    "coefficients": 4,
    "box_width": 16,
    "class_width": 8,
    "mask_width": 8,
    "prototype_width": 8,
}


def of_size(size: str) -> YoloV8Seg:
    """On meta."""
    arguments = dict(zip(NAMES, PUBLISHED[size], strict=True))
    with torch.device("meta"):
        return YoloV8Seg(**arguments, classes=80 if "80" in size else 1)


def tiny(**changes) -> YoloV8Seg:
    return YoloV8Seg(**(TINY | changes)).train(False)


# ---------------------------------------------------------------- names and shapes


@pytest.mark.parametrize(
    ("size", "parameters", "digest"),
    [
        ("n", 3_263_811, "4c7de760c0f0c8a1"),
        ("s", 11_790_483, "74b825a8b9e115ef"),
        ("m", 27_240_227, "0ca4848ba3bad674"),
        ("m, 80 classes", 27_285_968, "0f4b4599db58bf27"),
    ],
)
def test_names_and_shapes_are_those_of_the_published_files(size, parameters, digest):
    network = of_size(size)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    lines = "\n".join(
        sorted(f"{k} {list(v.shape)} {v.dtype}" for k, v in network.state_dict().items())
    )
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("size", PUBLISHED)
def test_size_is_read_from_the_shapes(size):
    state = of_size(size).state_dict()
    assert recognise(state) is ARCHITECTURE
    with torch.device("meta"):
        again = ARCHITECTURE.build(state).state_dict()
    assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in state.items()}


CHANGES = {
    "as it is": {},
    "classes": {"classes": 5},
    "deep": {"depths": (2, 1, 3, 2), "neck_depth": 2},
    "bins": {"bins": 8},
    "wide": {"widths": (8, 12, 16, 20, 24), "mask_width": 12, "prototype_width": 4},
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_survive_a_file_and_are_recognised(change):
    network = tiny(**CHANGES[change])
    state = load(save(network.state_dict()))
    again = recognise(state).load(state)
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        one, two = network(image), again(image)
    for name in ("boxes_xyxy", "scores", "coefficients", "prototypes"):
        assert torch.equal(getattr(one, name), getattr(two, name))


def test_detector_without_masks_is_named():
    state = {k: v for k, v in tiny().state_dict().items() if "cv4" not in k and "proto" not in k}
    with pytest.raises(CorruptWeights, match="a YOLO that is not YOLOv8-seg"):
        recognise(state)


# ---------------------------------------------------------------- recorded results


def assert_close(got: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def reference():
    """The narrow network that was recorded, the results, and what they are of."""
    recorded = shared("yolov8_seg_tiny.safetensors")
    with safe_open(shared_file("yolov8_seg_tiny.safetensors"), "pt") as file:
        meta = json.loads(file.metadata()["meta"])
    weights = {key[2:]: value for key, value in recorded.items() if key.startswith("w.")}
    return recognise(weights).load(weights), recorded, meta


@pytest.mark.parametrize("name", ["land", "port", "sq"])
def test_network_computes_what_was_recorded(reference, name):
    network, recorded, _ = reference
    image = from_uint8(recorded[f"{name}.letterbox_bgr_u8"], bgr=True)
    with torch.inference_mode():
        raw = network.model["22"].raw(network.features(image))
        found = network(image)
    for level in range(3):
        assert_close(raw[level], recorded[f"{name}.raw{level}"])
    centre, size, rest = recorded[f"{name}.pred"][0].T.split((2, 2, 33), 1)
    boxes = torch.cat((centre - size / 2, centre + size / 2), 1)
    assert (found.boxes_xyxy[0] - boxes).abs().max() < 1e-2
    assert_close(torch.cat((found.scores[0], found.coefficients[0]), 1), rest)
    assert_close(found.prototypes, recorded[f"{name}.proto"])


@pytest.mark.parametrize("name", ["land", "port", "sq"])
def test_instances_are_those_that_were_recorded(reference, name):
    network, recorded, meta = reference
    image = from_uint8(recorded[f"{name}.letterbox_bgr_u8"], bgr=True)
    with torch.inference_mode():
        found = network(image)
    chosen = select(found)
    wanted = recorded[f"{name}.nms"]
    assert len(chosen) == meta[name]["n"]
    assert (chosen.boxes_xyxy - wanted[:, :4]).abs().max() < 1e-2
    assert_close(chosen.scores, wanted[:, 4])
    size_hw = tuple(image.shape[-2:])
    bits = unpack(recorded[f"{name}.masks_letterbox_bits"], size_hw)
    published = yolo_masks_as_published(chosen, found.prototypes[0], size_hw)[:, 0] > 0.5
    assert (published != bits).float().mean() <= 1e-4
    # logits are enlarged in place of probabilities, so the edge moves by fractions of a cell
    clean = masks(chosen, found.prototypes[0], size_hw)[:, 0] > 0.5
    assert (clean != bits).float().mean() < 2e-3


def test_numbers_stay_what_they_were_when_the_network_was_equal_to_the_reference():
    """Recorded with this implementation when the tests above had passed; for those without them."""
    recorded = local("yolov8_seg.safetensors")
    with torch.device("meta"):
        empty = YoloV8Seg(**TINY)
    statistics = {
        f"bn.{key}": torch.full(value.shape, 0.1 if key.endswith("mean") else 1.2)
        for key, value in empty.state_dict().items()
    }
    weights = formula.state(empty, "yolo:", statistics)
    weights["model.22.dfl.conv.weight"] = torch.arange(16.0).view(1, 16, 1, 1)
    image = torch.from_numpy(formula.uniform("image", 3 * 64 * 96).astype(np.float32))
    network = ARCHITECTURE.load(weights)
    with torch.inference_mode():
        found = network(image.view(1, 3, 64, 96))
    for name in ("boxes_xyxy", "scores", "coefficients", "prototypes"):
        assert_close(getattr(found, name), recorded[name])


# ---------------------------------------------------------------- choosing


def candidates(boxes, scores) -> Candidates:
    boxes = torch.tensor(boxes, dtype=torch.float32)[None]
    scores = torch.tensor(scores, dtype=torch.float32)[None]
    count = boxes.shape[1]
    return Candidates(boxes, scores, torch.arange(count)[None, :, None].float(), torch.zeros(1))


def test_best_of_a_heap_is_kept_per_class():
    found = candidates(
        [[0, 0, 10, 10], [1, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10], [0, 0, 9, 9]],
        [[0.5, 0], [0.9, 0.1], [0.2, 0.6], [0.3, 0], [0.2, 0.1]],
    )
    chosen = select(found)
    assert chosen.coefficients[:, 0].tolist() == [1, 2, 3]
    assert chosen.classes.tolist() == [0, 1, 0]
    assert select(found, limit=1).coefficients[:, 0].tolist() == [1]
    assert len(select(found, min_score=0.95)) == 0


@settings(max_examples=40)
@given(data=st.data())
def test_chosen_are_sorted_and_apart(data):
    numbers = st.floats(0, 100, width=32)
    rows = data.draw(st.lists(st.tuples(*[numbers] * 4, st.floats(0, 1, width=32)), max_size=12))
    if not rows:
        return
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d, _ in rows]
    chosen = select(candidates(boxes, [[row[4]] for row in rows]), max_iou=0.5)
    scores = chosen.scores.tolist()
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0.25 for score in scores)
    from torchvision.ops import box_iou

    overlap = box_iou(chosen.boxes_xyxy, chosen.boxes_xyxy).nan_to_num()
    assert (overlap.triu(1) <= 0.5 + 1e-6).all()


@pytest.mark.parametrize("draw", [masks, yolo_masks_as_published])
def test_mask_is_the_weighted_sum_within_the_box(draw):
    prototypes = torch.stack((torch.full((16, 16), 4.0), torch.full((16, 16), -4.0)))
    chosen = Selection(
        torch.ones(2),
        torch.zeros(2, dtype=torch.int64),
        torch.tensor([[8.0, 0, 40, 64], [0, 0, 64, 64]]),
        torch.tensor([[1.0, 0], [0, 1]]),
    )
    soft = draw(chosen, prototypes, (64, 64))
    assert soft.shape == (2, 1, 64, 64)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:, 8:40] = True
    assert torch.equal(soft[0, 0] > 0.5, inside)
    assert not (soft[1] > 0.5).any()
    assert draw(chosen[:0], prototypes, (64, 64)).shape == (0, 1, 64, 64)
