"""Run in an environment with a real gradio: build every page, press "Cut out" through gradio.

Prints a line of JSON. Started by test_real_gradio.py; see docs/testing.md.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
FOLDER = Path(tempfile.mkdtemp())
os.environ["GRADIO_TEMP_DIR"] = str(FOLDER)  # where uploads are expected

import gradio as gr  # noqa: E402

from tests.webui import fake_host  # noqa: E402
from tests.webui.pictures import encoded, girl, opened  # noqa: E402

FOURTH = int(gr.__version__.split(".")[0]) >= 4
BUTTON, SOURCE, RESOLUTION = "toonout_tab_start", "toonout_tab_source", "toonout_tab_resolution"


def main() -> dict:
    with fake_host.running(FOLDER, gr) as host:
        with gr.Blocks() as demo:
            for _ in range(2):
                host.script.ToonOutExtras().ui()
            for is_img2img in (False, True):
                host.script.ToonOutGenerate().ui(is_img2img)
            host.call("before_ui")
            (((tab, _, _),),) = host.call("ui_tabs")
            tab.render()
        host.call("ui_settings")
        for info in host.opts.added.values():
            info.component(value=info.default, label=info.label, **(info.arguments or {}))
        ids = [block.elem_id for block in demo.blocks.values() if getattr(block, "elem_id", None)]
        cutout = press(demo)
    return {
        "gradio": gr.__version__,
        "ids": len(ids),
        "twice": sorted({name for name in ids if ids.count(name) > 1}),
        "format": cutout.format,
        "mode": cutout.mode,
        "lowest": cutout.getchannel("A").getextrema()[0],
    }


def press(demo):
    """The picture that the page gets when the button is pressed."""
    index, inputs = event_of(demo, BUTTON)
    payload = [value_of(block) for block in inputs]
    outputs = asyncio.run(process(demo, index, payload))
    if FOURTH:
        from PIL import Image

        return Image.open(outputs[0]["path"] if isinstance(outputs[0], dict) else outputs[0].path)
    return opened(outputs[0].partition(",")[2])


def event_of(demo, elem_id: str):
    """Number and input components of the button's event."""
    button = next(n for n, block in demo.blocks.items() if block.elem_id == elem_id)
    if FOURTH:
        found = next(fn for fn in demo.fns.values() if any(t[0] == button for t in fn.targets))
        return found, found.inputs
    for number, dependency in enumerate(demo.dependencies):
        if any(
            button in (t if isinstance(t, (list, tuple)) else [t]) for t in dependency["targets"]
        ):
            return number, [demo.blocks[n] for n in dependency["inputs"]]
    raise LookupError(elem_id)


def value_of(block):
    """What the page would send for a component."""
    if block.elem_id == RESOLUTION:
        return 64
    if block.elem_id != SOURCE:
        return getattr(block, "value", None)
    if not FOURTH:
        return "data:image/png;base64," + encoded(girl())
    path = FOLDER / "girl.png"
    path.write_bytes(base64.b64decode(encoded(girl())))
    return {"path": str(path), "orig_name": "girl.png", "meta": {"_type": "gradio.FileData"}}


async def process(demo, index, payload):
    if FOURTH:
        from gradio.state_holder import SessionState

        done = await demo.process_api(index, payload, state=SessionState(demo))
    else:
        done = await demo.process_api(index, payload, state={})
    return done["data"]


if __name__ == "__main__":
    print(json.dumps(main()))
