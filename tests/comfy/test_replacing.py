"""Graphs of ComfyUI-RMBG and ComfyUI_BiRefNet_ll open with our nodes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.comfy.characters import pack
from tests.comfy.luma import write_luma_model


class NodeReplace:
    def __init__(self, new_node_id, old_node_id, old_widget_ids, input_mapping, output_mapping):
        self.new, self.old, self.widgets = new_node_id, old_node_id, old_widget_ids
        self.inputs, self.outputs = input_mapping, output_mapping


@pytest.fixture
def registered(nodes, monkeypatch):
    """What a host that can replace nodes is told."""
    told = []

    class ComfyAPI:
        NodeReplacement = object

        def __init__(self):
            self.node_replacement = SimpleNamespace(register=self.register)

        async def register(self, entry):
            told.append(entry)

    replacing = pack("comfy_nodes.replacing")
    monkeypatch.setattr(replacing.io, "NodeReplace", NodeReplace, raising=False)
    monkeypatch.setattr(replacing.api, "ComfyAPI", ComfyAPI, raising=False)
    asyncio.run(pack("nodes").extension().on_load())
    return told


def test_every_entry_fits_our_nodes(nodes, registered):
    assert len(registered) >= 6
    assert len({entry.old for entry in registered}) == len(registered)
    for entry in registered:
        schema = nodes[entry.new].define_schema()
        ours = {item.id: item for item in schema.inputs}
        named = {mapped["new_id"] for mapped in entry.inputs}
        assert named <= ours.keys(), entry.old
        for mapped in entry.inputs:
            options = getattr(ours[mapped["new_id"]], "options", None)
            assert "set_value" not in mapped or not options or mapped["set_value"] in options
        for mapped in entry.outputs:
            assert mapped["new_idx"] < len(schema.outputs)
        assert {"image", "model"} & named, entry.old


def test_a_graph_of_the_other_pack_becomes_one_of_ours(nodes, registered):
    """As the host does it: values by name, outputs by number."""
    (entry,) = (entry for entry in registered if entry.old == "RembgByBiRefNetAdvanced")
    old = {"model": ["1", 0], "images": ["2", 0], "width": 1024, "height": 1024,
           "upscale_method": "bilinear", "blur_size": 91, "blur_size_two": 7,
           "fill_color": False, "color": 0, "mask_threshold": 0.0}  # fmt: skip
    assert [name for name in old if name not in ("model", "images")] == entry.widgets
    new = {
        mapped["new_id"]: mapped.get("set_value", old.get(mapped.get("old_id")))
        for mapped in entry.inputs
    }
    taken = {
        "model": ["1", 0], "image": ["2", 0], "radius_px": 91, "refine_radius_px": 7,
        "resolution": 1024, "foreground_method": "blur-fusion",
    }  # fmt: skip
    assert taken.items() <= new.items()
    needed = [item for item in nodes["ToonOut_Matte"].define_schema().inputs if not item.optional]
    assert {item.id for item in needed} <= new.keys(), "a graph in API format is complete"
    assert (new["fit"], new["clean_colours"]) == ("auto", True)
    outputs = nodes["ToonOut_Matte"].define_schema().outputs
    assert [outputs[mapped["new_idx"]].io_type for mapped in entry.outputs] == ["IMAGE", "MASK"]


def test_hosts_that_cannot_replace_nodes_are_left_alone(nodes):
    assert not hasattr(pack("comfy_nodes.replacing").io, "NodeReplace")
    asyncio.run(pack("nodes").extension().on_load())


def test_the_other_packs_names_of_models_are_known(nodes):
    menus, table = pack("comfy_nodes.menus"), pack("toonout_core.weights")
    loader = nodes["ToonOut_LoadMatting"]
    for name, own in pack("comfy_nodes.replacing").MODELS.items():
        assert table.find(own) is not None
        assert menus.ours(name) == own
        assert loader.validate_inputs(name) is True


def test_a_bare_file_name_is_found_in_the_other_packs_folder(nodes, host):
    path = write_luma_model(host.models / "BiRefNet" / "General-Lite.safetensors")
    assert pack("comfy_nodes.menus").matting_file("General-Lite.safetensors") == path
    assert nodes["ToonOut_LoadMatting"].validate_inputs("General-Lite.safetensors") is True
