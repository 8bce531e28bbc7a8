"""The example workflows: from what a user sees (UI format) to what a server runs (API format).

IMPACT: sockets of the Impact Pack's nodes that 04b uses, recorded from its release 7.10.6, for
tests without that pack.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "example_workflows"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))
# drawn by the frontend alone
DECORATION = {"Note", "MarkdownNote"}
IMPACT = json.loads((Path(__file__).parent / "impact_nodes.json").read_text("utf-8"))
CORE = json.loads((Path(__file__).parent / "core_nodes.json").read_text("utf-8"))
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


def example(name: str) -> dict[str, Any]:
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def our_nodes(nodes: dict[str, Any]) -> dict[str, Any]:
    """As /object_info would tell it; `texts`, `advanced`: how many widgets have several lines, and
    how many Nodes 2.0 hides behind a button."""
    known: dict[str, Any] = {}
    for name, node in nodes.items():
        schema = node.define_schema()
        inputs: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for item in schema.inputs:
            option = {"forceInput": bool(getattr(item, "force_input", False))}
            inputs["optional" if item.optional else "required"][item.id] = [item.io_type, option]
        known[name] = {
            "input": inputs,
            "output": [item.io_type for item in schema.outputs],
            "output_name": [item.display_name for item in schema.outputs],
            "texts": sum(bool(getattr(item, "multiline", False)) for item in schema.inputs),
            "advanced": sum(bool(getattr(item, "advanced", False)) for item in schema.inputs),
        }
    return known


def node_classes() -> dict[str, Any]:
    """Our nodes by their ids, with the fake host in the place of the real one; for tools."""
    from tests.comfy.fake_comfy import FakeComfy, load_pack

    sys.modules.update(FakeComfy(Path(tempfile.mkdtemp())).modules())
    extension = asyncio.run(load_pack().comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    return {cls.define_schema().node_id: cls for cls in classes}


def known_nodes() -> dict[str, Any]:
    """Ours, core's as recorded from its newest release, the Impact Pack's; for tools."""
    newest = max(CORE, key=lambda release: tuple(map(int, release.split("."))))
    return CORE[newest] | IMPACT | our_nodes(node_classes())


def widget_types(info: dict[str, Any]) -> dict[str, str]:
    """Widget → its type."""
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    return {name: str(inputs[name][0]) for name in widget_names(info) if name}


def widget_names(info: dict[str, Any]) -> list[str]:
    """Widgets of a node as stored by position; "" for what the frontend adds by itself."""
    names: list[str] = []
    for group in ("required", "optional"):
        for name, (kind, *options) in info["input"].get(group, {}).items():
            option = options[0] if options else {}
            if not isinstance(kind, list) and (kind not in WIDGETS or option.get("forceInput")):
                continue
            names.append(name)
            # by its name alone in packs that are older than the option
            seed = option.get("control_after_generate") or name in ("seed", "noise_seed")
            if seed or option.get("image_upload") or option.get("video_upload"):
                names.append("")
    return names


def to_api(graph: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """What the frontend would send. Raises KeyError for nodes that the server does not know and
    AssertionError for stored values or sockets that do not fit it."""
    sources = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    prompt: dict[str, Any] = {}
    for node in graph["nodes"]:
        if node["type"] in DECORATION:
            continue
        info = object_info[node["type"]]
        names, values = widget_names(info), node["widgets_values"]
        later = set(names[len(values) :])  # widgets that a newer release has appended
        assert len(names) >= len(values), f"{node['type']}: {names}"
        assert later <= set(info["input"].get("optional", {})), f"{node['type']}: {names}"
        inputs = {name: value for name, value in zip(names, values, strict=False) if name}
        known = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        for socket in node["inputs"]:
            name = socket["name"]
            if name not in known:  # a pack's script adds segs2 behind segs1
                name = name.rstrip("23456789") + "1"
            assert known[name][0] == socket["type"], f"{node['type']}.{socket['name']}"
            if socket["link"] is not None:
                inputs[socket["name"]] = sources[socket["link"]]
        stored = [(item["name"], item["type"]) for item in node["outputs"]]
        there = list(zip(info["output_name"], info["output"], strict=True))
        assert stored == there[: len(stored)], f"{node['type']}: {stored}"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def own_picture(prompt: dict[str, Any], *names: str) -> dict[str, Any]:
    """The prompt with Load Image in the place of each Example Picture, as its note says."""
    for key, name in zip(ids_of(prompt, "ToonOut_ExamplePicture"), names, strict=True):
        prompt[key] = {"class_type": "LoadImage", "inputs": {"image": name}}
    return prompt


def misfits(inputs: dict[str, Any], node: Any) -> list[str]:
    """What ComfyUI would refuse of the values that a stored graph has for a node of ours."""
    schema, check = node.define_schema(), getattr(node, "validate_inputs", None)
    # ComfyUI leaves those to the node that it has asked for in its own check
    own = {*inspect.signature(check).parameters} & {*inputs} if check else set()
    wrong = []
    if own and (told := check(**{name: inputs[name] for name in own})) is not True:
        wrong.append(f"{schema.node_id}: {told}")
    for item in schema.inputs:
        if item.io_type not in WIDGETS or item.id not in {*inputs} - own:
            continue
        value = inputs[item.id]
        if not isinstance(value, list) and not _fits(value, item):  # a list is a link
            wrong.append(f"{schema.node_id}.{item.id}: {value!r}")
    return wrong


def _fits(value: Any, item: Any) -> bool:
    if item.io_type == "COMBO":
        return value in item.options
    if item.io_type in ("BOOLEAN", "STRING"):
        return isinstance(value, bool if item.io_type == "BOOLEAN" else str)
    if isinstance(value, bool):
        return False
    if isinstance(value, str):  # multiple_of was a menu of texts once; ComfyUI makes numbers of it
        value = float(value) if value.isdigit() else math.nan
    whole = item.io_type == "FLOAT" or value == value // 1
    return whole and item.min <= value <= item.max


def ids_of(prompt: dict[str, Any], kind: str) -> list[str]:
    return [key for key, node in prompt.items() if node["class_type"] == kind]
