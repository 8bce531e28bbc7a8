"""What others rely on: node ids, sockets and widgets, help, translations, a quick import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.options.tables import every

ROOT = Path(__file__).resolve().parents[2]
STORED = Path(__file__).parent / "schema.json"

LISTED = ROOT / "node_list.json"
LANGUAGES = sorted(path.parent.name for path in (ROOT / "locales").glob("*/nodeDefs.json"))
# Graphs on users' disks name these. An id is never changed or taken away.
NODE_IDS = list(json.loads(STORED.read_text("utf-8")))

# a text that only another node can give: a socket, no choice of a user
SOCKETS = {
    "The tags of each crop, from a tagger: a list, or one text with lines or [SEP]. "
    "Cleaned: blanks for underscores, no doubles, escaped parentheses."
}

# menus that list what is on a machine or in the weights table
MENUS = {"folder", "picture", "model", "detector", "refiner", "segment_anything", "bvh"}


def described(node: Any) -> dict[str, Any]:
    """Everything of a node that a stored graph depends on."""
    schema = node.define_schema()
    return {
        "inputs": [
            {
                "id": item.id,
                "type": item.io_type,
                "optional": bool(item.optional),
                "default": getattr(item, "default", None),
                "options": None if item.id in MENUS else getattr(item, "options", None),
                "force_input": bool(getattr(item, "force_input", False)),
            }
            for item in schema.inputs
        ],
        "outputs": [
            {"type": item.io_type, "name": item.display_name, "list": bool(item.is_output_list)}
            for item in schema.outputs
        ],
        "is_input_list": schema.is_input_list,
        "is_output_node": schema.is_output_node,
    }


def test_node_ids_are_the_stored_ones(nodes):
    """After adding a node or an input: TOONOUT_STORE_SCHEMA=1 pytest tests/comfy/test_pack.py"""
    now = {name: described(node) for name, node in nodes.items()}
    assert list(now)[: len(NODE_IDS)] == NODE_IDS
    if os.environ.get("TOONOUT_STORE_SCHEMA"):
        STORED.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", "utf-8")
        LISTED.write_text(json.dumps(listed(nodes), indent=2, ensure_ascii=False) + "\n", "utf-8")
    assert list(now) == list(json.loads(STORED.read_text("utf-8")))


def listed(nodes: Any) -> dict[str, str]:
    """Id → name, for the Manager."""
    return {name: node.define_schema().display_name for name, node in nodes.items()}


def test_nodes_only_grow(nodes):
    """Stored graphs keep widget values by position: inputs may be appended, nothing else."""
    now = {name: described(node) for name, node in nodes.items()}
    stored = json.loads(STORED.read_text("utf-8"))
    for name, node in stored.items():
        grown = now[name]
        assert grown["inputs"][: len(node["inputs"])] == node["inputs"], name
        assert grown["outputs"][: len(node["outputs"])] == node["outputs"], name
        assert grown["is_output_node"] == node["is_output_node"], name
        for added in grown["inputs"][len(node["inputs"]) :]:
            assert added["optional"], f"{name}.{added['id']}: a later input must be optional"


WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


def test_every_widget_is_an_option_of_the_table(nodes):
    """Name, default, limits, step and help stand in `toonout_core.options`, and nowhere else."""
    tables = list(every().values())
    for name, node in nodes.items():
        for item in node.define_schema().inputs:
            if item.io_type not in WIDGETS or item.tooltip in SOCKETS:
                continue
            limits = [getattr(item, key, None) for key in ("min", "max", "step")]
            assert any(
                (item.id, item.tooltip) == (option.name, option.help)
                and getattr(item, "default", None) == option.default
                and limits in ([None] * 3, [option.least, option.most, option.step])
                and (not option.choices or item.options == list(option.choices))
                for option in tables
            ), f"{name}.{item.id} is not in the table"


def test_everything_is_explained(nodes):
    for name, node in nodes.items():
        schema = node.define_schema()
        assert schema.display_name.endswith("(ToonOut)"), name
        assert len(schema.description) > 40, name
        assert schema.category.split("/")[0] == "toonout", name
        for item in [*schema.inputs, *schema.outputs]:
            assert item.tooltip, f"{name}: a tooltip for {item.display_name or item.id}"


def test_every_mask_says_its_polarity(nodes):
    for name, node in nodes.items():
        schema = node.define_schema()
        for item in [*schema.inputs, *schema.outputs]:
            if item.io_type == "MASK":
                tip = item.tooltip.lower()
                told = "white = character" in tip or "white = background" in tip
                assert told, f"{name}: {item.display_name}"


def test_every_node_has_a_help_page_that_names_its_sockets(nodes):
    for name, node in nodes.items():
        page = (ROOT / "web" / "docs" / f"{name}.md").read_text("utf-8")
        schema = node.define_schema()
        assert page.startswith(f"# {schema.display_name}\n")
        for item in schema.inputs:
            assert f"**{item.id}**" in page, f"{name}: {item.id}"


def test_the_readme_names_every_node(nodes):
    readme = (ROOT / "README.md").read_text("utf-8")
    names = [title.removesuffix(" (ToonOut)") for title in listed(nodes).values()]
    assert [name for name in names if f"**{name}**" not in readme] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_follow_the_nodes(nodes, language):
    translated = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    assert list(translated) == list(nodes)
    for name, node in nodes.items():
        schema, entry = node.define_schema(), translated[name]
        assert entry["display_name"].endswith("(ToonOut)")
        assert list(entry["inputs"]) == [item.id for item in schema.inputs], name
        assert list(entry["outputs"]) == [str(i) for i in range(len(schema.outputs))], name


def test_the_manager_finds_the_nodes_without_running_them(nodes):
    assert json.loads(LISTED.read_text("utf-8")) == listed(nodes)


def test_newer_hosts_get_what_they_know_more(nodes, host):
    """Search aliases and folded-away widgets arrive where the API has them, and only there."""
    import dataclasses

    types = sys.modules[nodes["ToonOut_Matte"].__module__.rsplit(".", 1)[0] + ".types"]

    @dataclasses.dataclass
    class NewSchema(types.io.Schema):
        search_aliases: list[str] = dataclasses.field(default_factory=list)

    class NewInput:
        def __init__(self, id, default=None, advanced=None, tooltip=None):
            self.id, self.advanced = id, advanced

    types.io.Schema = NewSchema
    new_int = type("Int", (), {"Input": NewInput})
    assert types.schema(node_id="x", search_aliases=["a"]).search_aliases == ["a"]
    assert types.schema(node_id="x", no_such_key=1).node_id == "x"
    assert types.known_input(new_int, "x", advanced=True, no_such_option=1).advanced is True


IMPORT = """
import sys, time, asyncio, tempfile
from pathlib import Path
import torch, torchvision, numpy, PIL.Image, PIL.ImageOps, PIL.PngImagePlugin, safetensors.torch
sys.path.insert(0, {root!r})
from tests.comfy.fake_comfy import FakeComfy, load_pack
sys.modules.update(FakeComfy(Path(tempfile.mkdtemp())).modules())
sys.modules["cv2"] = sys.modules["huggingface_hub"] = None  # importing either is an error
before = set(sys.modules)
started = time.process_time()
asyncio.run(asyncio.run(load_pack().comfy_entrypoint()).get_node_list())
print(time.process_time() - started)
print(*{{name.split(".")[0] for name in set(sys.modules) - before if sys.modules[name]}})
"""


def test_import_is_quick_and_needs_neither_opencv_nor_the_hub(tmp_path):
    """ComfyUI prints every pack's import time; what it has imported itself does not count, nor does
    the compiling of the first start."""
    command = [sys.executable, "-c", IMPORT.format(root=str(ROOT))]
    kept = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(2):
        out = subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
        assert out.returncode == 0, out.stderr
    seconds, modules = out.stdout.splitlines()
    assert float(seconds) < 0.3
    heavy = {"transformers", "timm", "scipy", "torchaudio", "onnxruntime", "kornia", "aiohttp"}
    assert not heavy & set(modules.split())
