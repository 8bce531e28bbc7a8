"""A second extension in a real host: does what only code inside of it can, on request.

It also stands in for ADetailer: it turns what it gets in postprocess_image into RGB.
Copied into the host's extensions by server.py; not collected by pytest.
"""

import gc
import inspect
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from types import ModuleType

import torch
from fastapi import Body
from modules import postprocessing, script_callbacks, scripts, shared
from PIL import Image

UPSCALE_OFF = {
    "upscale_enabled": False, "upscale_mode": 0, "upscale_by": 1, "max_side_length": 0,
    "upscale_to_width": 8, "upscale_to_height": 8, "upscale_crop": False,
    "upscaler_1_name": "None", "upscaler_2_name": "None", "upscaler_2_visibility": 0,
}  # fmt: skip


class StandIn(scripts.Script):
    def title(self):
        return "Stand-in for ADetailer"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return []

    def process(self, p, *args):
        p.toonout_test_begin = time.monotonic()

    def postprocess(self, p, processed, *args):
        spans.append(("generate", p.toonout_test_begin, time.monotonic()))

    def postprocess_image(self, p, pp, *args):
        pp.image = pp.image.convert("RGB")


def run_extras(mode, image, folder, out, options):
    """The host's own pipeline for Extras, as its button starts it."""
    args = scripts.scripts_postproc.create_args_for_run(
        {"Upscale": UPSCALE_OFF, "ToonOut": options}
    )
    values = [mode, image, None, folder, out]
    if "video" in inspect.signature(postprocessing.run_postprocessing).parameters:
        values.append(None)
    return postprocessing.run_postprocessing(*values, True, *args, save_output=True)


def extras(body=Body(...)):  # noqa: B008
    changed = {key: getattr(shared.opts, key) for key in body.get("settings", {})}
    shared.opts.data.update(body.get("settings", {}))
    try:
        image = Image.open(body["image"]) if body.get("image") else None
        shown = run_extras(
            0 if image else 2, image, body.get("folder", ""), body.get("out", ""),
            {"enable": True, **body.get("options", {})},
        )  # fmt: skip
        return {"shown": [picture.mode for picture in shown[0]], "text": str(shown[1:])}
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    finally:
        shared.opts.data.update(changed)


def state():
    gc.collect()
    kept = gc.get_objects()
    paths = [getattr(route, "path", "") for route in app_of[-1].routes]
    return {
        "threads": threading.active_count(),
        "routes": paths.count("/toonout/v1/cutout"),
        "loaded": [name for name in sys.modules if name.startswith("toonout_extension")],
        "on_path": [path for path in sys.path if "ToonOut" in path],
        "importable": [name for name in ("toonout_core",) if name in sys.modules],
        "started": len(app_of),
        "alive": sum(
            isinstance(one, ModuleType) and one.__name__.startswith("toonout_extension")
            for one in kept
        ),
        "tensor_bytes": sum(one.nbytes for one in kept if type(one) is torch.Tensor),
    }


def watch():
    """Note when pictures are generated and when ours are cut out."""
    routes = sys.modules["toonout_extension.toonout_core.serving.routes"]
    cut = routes.cut

    def watched(*args):
        with noted("cut"):
            return cut(*args)

    routes.cut = watched
    return {}


@contextmanager
def noted(what):
    begin = time.monotonic()
    try:
        yield
    finally:
        spans.append((what, begin, time.monotonic()))


spans = []


def times():
    return spans


def reload():
    shared.state.request_restart()
    return {}


app_of = []


def on_app_started(demo, app):
    app_of.append(app)
    app.add_api_route("/toonout-test/extras", extras, methods=["POST"])
    app.add_api_route("/toonout-test/state", state, methods=["GET"])
    app.add_api_route("/toonout-test/reload", reload, methods=["POST"])
    app.add_api_route("/toonout-test/watch", watch, methods=["POST"])
    app.add_api_route("/toonout-test/times", times, methods=["GET"])


script_callbacks.on_app_started(on_app_started)
