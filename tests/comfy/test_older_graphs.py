"""Graphs of an older revision: they still fit the nodes, and run in a real ComfyUI.

TOONOUT_OLDER names the revision whose examples are opened. Tests need the history of the
repository.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.comfy.graphs import EXAMPLES, IMPACT, ids_of, misfits, to_api
from tests.comfy.test_workflows import CORE, our_nodes

REVISION = os.environ.get("TOONOUT_OLDER", "77286fe")  # the end of the first storey
LUMA, REGIONS = "luma.safetensors", "toonout-mini-regions"


def git(*words: str) -> str:
    command = ["git", "-C", str(EXAMPLES), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names() -> list[str]:
    try:
        listed = git("ls-tree", "--name-only", REVISION, "./").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []  # no history, or no git
    return sorted(Path(name).stem for name in listed if name.endswith(".json"))


NAMES = names()
needs_history = pytest.mark.skipif(not NAMES, reason=f"needs the history with {REVISION}")


def older(name):
    return json.loads(git("show", f"{REVISION}:./{name}.json"))


@needs_history
@pytest.mark.parametrize("release", list(CORE))
@pytest.mark.parametrize("name", NAMES)
def test_every_node_input_and_value_still_fits(nodes, name, release):
    prompt = to_api(older(name), CORE[release] | IMPACT | our_nodes(nodes))
    ours = [node for node in prompt.values() if node["class_type"].startswith("ToonOut_")]
    assert ours
    for node in ours:
        schema = nodes[node["class_type"]].define_schema()
        assert {item.id for item in schema.inputs if not item.optional} <= {*node["inputs"]}
        assert {*node["inputs"]} <= {item.id for item in schema.inputs}
        assert misfits(node["inputs"], nodes[node["class_type"]]) == []


# ---------------------------------------------------------------- in a real ComfyUI

SMALL = {
    "CheckpointLoaderSimple": {"ckpt_name": "random-tiny.safetensors"},
    "ControlNetLoader": {"control_net_name": "random-tiny-control.safetensors"},
    "EmptyLatentImage": {"width": 128, "height": 192},
    "KSampler": {"steps": 2},
    "LoadImage": {"image": "small.png"},
    "ToonOut_LoadMatting": {"model": LUMA, "allow_download": False},
    # drawn dolls without faces: who is who is measured elsewhere, here three shall be three
    "ToonOut_LoadSegmenter": {"detector": REGIONS, "allow_download": False},
    "ToonOut_CropInstances": {"resolution": 64, "padding_px": 16},
    "DetailerForEach": {"guide_size": 64.0, "max_size": 128.0},
}


def prepared(graph, known):
    """With models and pictures that are here. Nodes of packs that are not, and what follows them,
    are left out; SEGS are then read by a node of the tests."""
    prompt = to_api(graph, IMPACT | known)
    missing = {key for key, node in prompt.items() if node["class_type"] not in known}
    while True:
        after = {
            key
            for key, node in prompt.items()
            if any(isinstance(v, list) and v[0] in missing for v in node["inputs"].values())
        }
        if after <= missing:
            break
        missing |= after
    prompt = {key: node for key, node in prompt.items() if key not in missing}
    for kind, values in SMALL.items():
        for key in ids_of(prompt, kind):
            prompt[key]["inputs"] |= values
    if missing:
        (image,) = ids_of(prompt, "LoadImage")
        for key in ids_of(prompt, "ToonOut_InstancesToSEGS"):
            inputs = {"segs": [key, 0], "image": [image, 0]}
            prompt |= {
                f"segs {key}": {"class_type": "Probe_Segs", "inputs": inputs},
                f"seen {key}": {
                    "class_type": "PreviewImage", "inputs": {"images": [f"segs {key}", 0]},
                },
            }  # fmt: skip
    return prompt


@pytest.fixture(scope="module")
def studio(comfy):
    """The server with small random models, and a picture of three dolls."""
    from tests.comfy.crowds import crowd
    from tests.comfy.server import write_random_checkpoints

    models = comfy.base / "models"
    checkpoints, control = models / "checkpoints", "random-tiny-control.safetensors"
    write_random_checkpoints(checkpoints, "tiny", "tiny-inpaint", "tiny-control")
    (models / "controlnet").mkdir(exist_ok=True)
    (checkpoints / control).rename(models / "controlnet" / control)
    crowd(3, 772, 259).resize((309, 104)).save(comfy.base / "input" / "small.png")
    return comfy


@pytest.mark.comfy
@needs_history
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_to_its_end(studio, name):
    prompt = prepared(older(name), studio.get("/object_info"))
    if "INPAINT" in json.dumps(older(name)):
        for key in ids_of(prompt, "CheckpointLoaderSimple"):
            prompt[key]["inputs"]["ckpt_name"] = "random-tiny-inpaint.safetensors"
    ends = [key for key, node in prompt.items() if node["class_type"].startswith(ENDS)]
    finished = studio.run(prompt, timeout_s=900)
    ours = {key for key, node in prompt.items() if node["class_type"].startswith("ToonOut_")}
    assert ours <= {*finished.executed, *finished.cached}
    assert ends
    for key in ends:
        assert studio.pictures(finished, key), f"{prompt[key]['class_type']} shows nothing"


ENDS = ("PreviewImage", "SaveImage", "ToonOut_SaveCutout")
