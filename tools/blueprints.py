"""Make the blueprints in `subgraphs/` out of the example graphs: `python tools/blueprints.py`.

A blueprint is the inside of an example as one node. What is left out (the picture's loader, the
checkpoint, what shows and saves) is what its user connects.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.comfy.graphs import (  # noqa: E402
    DECORATION,
    example,
    known_nodes,
    widget_types,
)
from tools.layout import bounds  # noqa: E402

FOLDER = ROOT / "subgraphs"
CATEGORY = "ToonOut"
INPUT, OUTPUT = -10, -20  # how subgraphs call their two sides
_SPACE = uuid.UUID("6f1b7a52-0000-4c1e-9d55-70ad0c0ffee5")
_SIDE_PX, _ROW_PX = 150, 20

Graph = dict[str, Any]


@dataclass(frozen=True)
class Blueprint:
    """`out`: types of nodes of the example that stay outside; `widgets`: node type and name of what
    is shown on the blueprint itself; `outputs`: node type and name of what it gives too."""

    name: str
    source: str
    description: str
    out: frozenset[str]
    widgets: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


_LOADERS = frozenset(
    {"LoadImage", "ToonOut_ExamplePicture", "CheckpointLoaderSimple", "SaveImage", "PreviewImage"}
)
_MATTE = "ToonOut_Matte"
_CALLED = {"IMAGE": "image", "MODEL": "model", "CLIP": "clip", "VAE": "vae", "VIDEO": "video"}

BLUEPRINTS = (
    Blueprint(
        "Cut Out (ToonOut)", "01 Cut out a picture",
        "Cuts the characters out with soft edges and clean colours, by the built-in model.",
        _LOADERS | {"ToonOut_SaveCutout"},
        ((_MATTE, "detail"), (_MATTE, "grow_px"), (_MATTE, "feather_px")),
        ((_MATTE, "foreground"), (_MATTE, "mask (white = character)")),
    ),
    Blueprint(
        "Clip with Alpha (ToonOut)", "10 Clip with transparency",
        "Cuts out every frame of a clip and saves it as WebM, which keeps transparency.",
        frozenset({"LoadVideo"}), (("SaveWEBM", "filename_prefix"), ("SaveWEBM", "crf")),
        ((_MATTE, "cutout"),),
    ),
    Blueprint(
        "Replace Background (ToonOut)", "05 New background",
        "Puts the character of a picture before another picture or a colour, without a halo.",
        _LOADERS, (("ToonOut_Compose", "colour"), ("ToonOut_Compose", "fit")),
    ),
    Blueprint(
        "Redraw One Character (ToonOut)", "03 Redraw one character",
        "Finds every character, redraws the one of your number, and leaves the rest as it was.",
        _LOADERS,
        (("ToonOut_SelectInstances", "numbers"), ("CLIPTextEncode", "text"), ("KSampler", "seed"),
         ("KSampler", "denoise")),
    ),
    Blueprint(
        "Style per Character (ToonOut)", "04c New style without ControlNet",
        "Redraws every character with its own prompt, and the background as one more.",
        _LOADERS | {"PreviewAny"},
        (("ToonOut_JoinPrompts", "style"), ("ToonOut_JoinPrompts", "lines"),
         ("ToonOut_JoinPrompts", "background"), ("KSamplerAdvanced", "noise_seed")),
    ),
    Blueprint(
        "Prompts per Character (ToonOut)", "08 Prompts per character",
        "Draws a picture anew with one sampler, and says something else of each character.",
        _LOADERS | {"PreviewAny"},
        (("ToonOut_PromptCharacters", "style"), ("ToonOut_PromptCharacters", "lines"),
         ("ToonOut_PromptCharacters", "background"), ("KSampler", "denoise")),
    ),
    Blueprint(
        "Picture to Layers (ToonOut)", "09 Layers to PSD",
        "Takes a drawing apart: its background, and a layer for each character. Saves PSD or ORA.",
        _LOADERS, (("ToonOut_SaveLayers", "filename_prefix"), ("ToonOut_SaveLayers", "format")),
    ),
)  # fmt: skip


def blueprint(plan: Blueprint, known: dict[str, Graph]) -> Graph:
    """The file's content. `known`: nodes as in /object_info."""
    return _Inside(plan, known).content()


class _Inside:
    """The inner graph while it is being made."""

    def __init__(self, plan: Blueprint, known: dict[str, Graph]) -> None:
        self.plan, self.known = plan, known
        graph = example(plan.source)
        away = plan.out | DECORATION
        self.outer = {n["id"]: n for n in graph["nodes"] if n["type"] in away}
        self.nodes = [_copied(n) for n in graph["nodes"] if n["type"] not in away]
        self.by_id = {node["id"]: node for node in self.nodes}
        self.inputs: list[Graph] = []
        self.outputs: list[Graph] = []
        self.links: list[Graph] = []
        for link in graph["links"]:
            self._link(*link)
        self.last = max(link[0] for link in graph["links"])
        for kind, name in plan.outputs:
            self._give(kind, name)
        self.shown = [self._show(kind, name) for kind, name in plan.widgets]
        for node in self.nodes:
            _keep_links(node, {link["id"] for link in self.links})

    def _link(self, number: int, source: int, out: int, target: int, into: int, kind: str) -> None:
        if source in self.outer and target in self.outer:
            return
        ends = [source, out, target, into]
        if source in self.outer:
            ends[:2] = [INPUT, self._side(self.inputs, (source, out), self._called(source, out))]
            self.inputs[ends[1]]["linkIds"].append(number)
        elif target in self.outer:
            socket = str(self.by_id[source]["outputs"][out]["name"])
            called = (_CALLED.get(socket, socket), kind)
            ends[2:] = [OUTPUT, self._side(self.outputs, (source, out), called)]
            if self.outputs[ends[3]]["linkIds"]:
                return  # shown and saved: one socket is enough
            self.outputs[ends[3]]["linkIds"].append(number)
        self.links.append(_link(number, ends, kind))

    def _called(self, source: int, out: int) -> tuple[str, str]:
        socket: dict[str, str] = self.outer[source]["outputs"][out]
        same = [one for one in self.inputs if one["type"] == socket["type"]]
        name = _CALLED.get(socket["type"], socket["name"])
        return ("background" if same else name), socket["type"]

    def _side(self, side: list[Graph], key: tuple[int, int], called: tuple[str, str]) -> int:
        for index, one in enumerate(side):
            if one["key"] == key:
                return index
        name, kind = called
        side.append({"key": key, "name": name, "type": kind, "linkIds": []})
        return len(side) - 1

    def _give(self, kind: str, name: str) -> None:
        """Lead an output that nothing outside was connected to out of the blueprint."""
        node = next(node for node in self.nodes if node["type"] == kind)
        out = next(i for i, socket in enumerate(node["outputs"]) if socket["name"] == name)
        socket = node["outputs"][out]
        self.last += 1
        socket["links"] = [*(socket["links"] or []), self.last]
        index = self._side(self.outputs, (node["id"], out), (name, socket["type"]))
        self.outputs[index]["linkIds"].append(self.last)
        ends = [node["id"], out, OUTPUT, index]
        self.links.append(_link(self.last, ends, socket["type"]))

    def _show(self, kind: str, name: str) -> list[str]:
        """Lead a widget of the first such node to the outside."""
        node = next(node for node in self.nodes if node["type"] == kind)
        widget = widget_types(self.known[kind])[name]
        self.last += 1
        node["inputs"].append(
            {"name": name, "type": widget, "link": self.last, "widget": {"name": name}}
        )
        index = self._side(self.inputs, (node["id"], -len(node["inputs"])), (name, widget))
        self.inputs[index]["linkIds"].append(self.last)
        ends = [INPUT, index, node["id"], len(node["inputs"]) - 1]
        self.links.append(_link(self.last, ends, widget))
        return [str(node["id"]), name]

    def content(self) -> Graph:
        key = str(uuid.uuid5(_SPACE, self.plan.name))
        left, top, right, _ = bounds(self.nodes, dict.fromkeys(self.by_id, 0))
        inner = {
            "id": key,
            "version": 1,
            "state": {
                "lastGroupId": 0, "lastNodeId": max(self.by_id), "lastLinkId": self.last,
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": self.plan.name,
            "description": self.plan.description,
            "inputNode": {"id": INPUT, "bounding": _box(left - 2 * _SIDE_PX, top, self.inputs)},
            "outputNode": {"id": OUTPUT, "bounding": _box(right + _SIDE_PX, top, self.outputs)},
            "inputs": list(self._sockets(self.inputs, left - _SIDE_PX, top)),
            "outputs": list(self._sockets(self.outputs, right + _SIDE_PX, top)),
            "widgets": [],
            "nodes": self.nodes,
            "groups": [],
            "links": self.links,
            "extra": {},
            "category": CATEGORY,
        }  # fmt: skip
        return {
            "revision": 0,
            "last_node_id": 1,
            "last_link_id": 0,
            "nodes": [self._outside(key)],
            "links": [],
            "version": 0.4,
            "definitions": {"subgraphs": [inner]},
            "extra": {},
        }

    def _sockets(self, side: list[Graph], x: int, top: int) -> Iterator[Graph]:
        for index, one in enumerate(side):
            kept = {name: one[name] for name in ("name", "type", "linkIds")}
            place = {"pos": [x, top + _ROW_PX * (index + 1)]}
            yield {"id": str(uuid.uuid5(_SPACE, f"{self.plan.name} {one['key']}")), **kept, **place}

    def _outside(self, key: str) -> Graph:
        """The one node that a user sees."""
        shown = {name for _, name in self.shown}
        inputs: list[Graph] = []
        for one in self.inputs:
            socket: Graph = {"name": one["name"], "type": one["type"], "link": None}
            if one["name"] in shown and one["key"][1] < 0:
                socket["widget"] = {"name": one["name"]}
            inputs.append(socket)
        return {
            "id": 1,
            "type": key,
            "pos": [0, 0],
            "size": [360, 60 + 24 * len(inputs) + 24 * len(self.shown)],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": inputs,
            "outputs": [{"name": o["name"], "type": o["type"], "links": []} for o in self.outputs],
            "properties": {"proxyWidgets": self.shown},
            "widgets_values": [],
            "title": self.plan.name,
        }


def _copied(node: Graph) -> Graph:
    return json.loads(json.dumps(node))


def _keep_links(node: Graph, links: set[int]) -> None:
    for socket in node["inputs"]:
        if socket["link"] not in links:
            socket["link"] = None
    for socket in node["outputs"]:
        socket["links"] = [number for number in socket["links"] or [] if number in links]


def _link(number: int, ends: list[int], kind: str) -> Graph:
    names = ("origin_id", "origin_slot", "target_id", "target_slot")
    return {"id": number, **dict(zip(names, ends, strict=True)), "type": kind}


def _box(x: int, top: int, side: list[Graph]) -> list[int]:
    return [x, top, _SIDE_PX, 2 * _ROW_PX + _ROW_PX * len(side)]


def main() -> int:
    known = known_nodes()
    FOLDER.mkdir(exist_ok=True)
    for plan in BLUEPRINTS:
        text = json.dumps(blueprint(plan, known), indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{plan.name}.json").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
