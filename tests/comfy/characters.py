"""Drawn characters, and nodes called as the interface calls them."""

from __future__ import annotations

import sys

import torch

from tests.comfy.fake_comfy import PACK

DARK, LIGHT = 0.1, 0.9
SIZE_HW = (96, 160)
LEFT, MIDDLE, RIGHT = (10, 20, 40, 80), (60, 30, 90, 90), (110, 10, 150, 70)  # x0, y0, x1, y1


def pack(name):
    return sys.modules[f"{PACK}.{name}"]


def error_class():
    return pack("toonout_core.errors").ToonOutError


def drawn(*boxes, frames=1, channels=3):
    """Light rectangles on dark ground: characters for a model that takes light for one."""
    image = torch.full((frames, *SIZE_HW, channels), DARK)
    for x0, y0, x1, y1 in boxes:
        image[:, y0:y1, x0:x1, :3] = LIGHT
    return image


def rectangle(box):
    x0, y0, x1, y1 = box
    mask = torch.zeros(SIZE_HW)
    mask[y0:y1, x0:x1] = 1
    return mask


class Runner:
    """Calls nodes by their ids with the defaults of their widgets, as the interface does."""

    def __init__(self, nodes):
        self.nodes = nodes

    def __call__(self, name, **inputs):
        node = self.nodes[f"ToonOut_{name}"]
        schema = node.define_schema()
        given = {
            item.id: item.options[0] if item.default is None else item.default
            for item in schema.inputs
            if hasattr(item, "default") and not getattr(item, "force_input", False)
        } | inputs
        if schema.is_input_list:
            given = {key: v if isinstance(v, list) else [v] for key, v in given.items()}
        result = node.execute(**given).result
        assert len(result) == len(schema.outputs)
        for value, output in zip(result, schema.outputs, strict=True):
            assert isinstance(value, list) or not output.is_output_list
        return dict(zip([output.display_name for output in schema.outputs], result, strict=True))


def at_places(node, *values, **named):
    """Run a node with values in the order of its inputs, as stored graphs hold them."""
    names = [item.id for item in node.define_schema().inputs]
    return node.execute(**dict(zip(names, values, strict=False)), **named)


def masks_of(*boxes):
    return torch.stack([rectangle(box) for box in boxes])


def instances_of(run, *boxes):
    return run("InstancesFromMasks", masks=[masks_of(*boxes)])["instances"]


def near(found, expected, tolerance_px=3):
    return (torch.tensor(found) - torch.tensor(expected)).abs().max() <= tolerance_px
