"""The modules of AUTOMATIC1111 that an extension meets, as far as ours uses them.

They show what the host would do with us, not what is peculiar to a real one: see test_server.py.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "toonout.py"

EVENTS = (
    "before_image_saved", "image_grid", "before_ui", "ui_settings", "app_started", "ui_tabs",
    "script_unloaded", "after_component",
)  # fmt: skip


class Options:
    """shared.opts: what is in `data`, then defaults of what was added."""

    def __init__(self):
        self.data = {"samples_save": True, "outdir_samples": "", "outdir_extras_samples": "out"}
        self.added = {}

    def __getattr__(self, name):
        if name in self.data:
            return self.data[name]
        if name in self.added:
            return self.added[name].default
        raise AttributeError(name)

    def add_option(self, key, info):
        self.added[key] = info


class OptionInfo:
    def __init__(self, default, label, component, arguments=None, section=None):
        self.default, self.label, self.component = default, label, component
        self.arguments, self.section, self.told = arguments, section, ""

    def info(self, text):
        self.told = text
        return self

    def needs_reload_ui(self):
        return self


class State:
    """shared.state."""

    def __init__(self):
        self.interrupted = self.skipped = self.stopping_generation = False
        self.job, self.job_count = "", 0
        self.sampling_step = self.sampling_steps = 0
        self.textinfo = None
        self.jobs = []

    def begin(self, job="(unknown)"):
        self.job, self.interrupted, self.skipped = job, False, False
        self.jobs.append(job)

    def end(self):
        self.job = ""

    def interrupt(self):
        self.interrupted = True


class PostprocessedImage:
    def __init__(self, image):
        self.image, self.info, self.extra_images, self.nametags = image, {}, [], []
        self.disable_processing = False

    def create_copy(self, image, *, nametags=None, disable_processing=False):
        copy = PostprocessedImage(image)
        copy.nametags, copy.disable_processing = nametags, disable_processing
        return copy


class FakeHost:
    """Modules by name, and what they were asked for."""

    def __init__(self, folder: Path, gradio: ModuleType, flags: dict):
        self.folder, self.gradio = folder, gradio
        self.opts, self.state, self.saved = Options(), State(), []
        self.callbacks = {event: [] for event in EVENTS}
        self.cmd_opts = SimpleNamespace(**{"api": True, "use_cpu": ["all"], **flags})
        self.queue_lock = threading.Lock()  # not reentrant, as the host's
        self.stealth = ""

    def modules(self) -> dict[str, ModuleType]:
        made = {"modules": ModuleType("modules"), "gradio": self.gradio}
        made["modules"].__path__ = []

        def add(name, **content):
            module = ModuleType(f"modules.{name}")
            module.__dict__.update(content)
            made[f"modules.{name}"] = module
            setattr(made["modules"], name, module)

        add(
            "shared", opts=self.opts, cmd_opts=self.cmd_opts, state=self.state,
            OptionInfo=OptionInfo, __file__=str(self.folder / "modules" / "shared.py"),
        )  # fmt: skip
        add("devices", get_device_for=lambda task: torch.device("cpu"), torch_gc=lambda: None)
        add("call_queue", queue_lock=self.queue_lock)
        add("paths_internal", models_path=str(self.folder / "models"))
        add("script_callbacks", **{f"on_{event}": self._register(event) for event in EVENTS})
        add("scripts_postprocessing", ScriptPostprocessing=type("ScriptPostprocessing", (), {}))
        if hasattr(self.gradio, "made"):  # with the real gradio ours has to do
            add("ui_components", InputAccordion=self._accordion)
        add("images", save_image=self.save_image)
        add("infotext_utils", register_paste_params_button=lambda binding: None, paste_fields={})
        add("scripts", Script=_Script, AlwaysVisible=object(), scripts_data=[])
        return made

    def _register(self, event):
        return lambda callback: self.callbacks[event].append(callback)

    def _accordion(self, value, **arguments):
        return self.gradio.Checkbox(value, **arguments)

    def call(self, event, *arguments):
        return [callback(*arguments) for callback in self.callbacks[event]]

    def save_image(self, image, path, basename, seed, prompt, extension, info=None, **options):
        """As the host: callbacks first, then the file in the format of its name."""
        name = f"{path}/{seed}{options.get('suffix', '')}.{extension}"
        params = SimpleNamespace(image=image, filename=name, pnginfo={"parameters": info})
        if self.stealth == "Alpha" and extension == "png":  # Forge, as it comes
            params.image.putalpha(255)
        if self.stealth == "RGB" and extension == "png":
            _, _, blue = params.image.getpixel((0, 0))
            params.image.putpixel((0, 0), (1, 1, blue))
        self.call("before_image_saved", params)
        self.saved.append((params.filename, params.image, info))


class _Script:
    def postprocess_image_after_composite(self, p, pp, *args):
        """Its presence tells that the host has this hook."""

    def elem_id(self, name):
        return name


@contextmanager
def running(folder: Path, gradio: ModuleType, **flags):
    """A host with the extension loaded as hosts load it: yields the host and the script."""
    host = FakeHost(folder, gradio, flags)
    before = dict(sys.modules)
    sys.modules.update(host.modules())
    try:
        host.script = load_script()
        yield host
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
        sys.modules.update({k: v for k, v in before.items() if k.split(".")[0] in OURS})


OURS = {"modules", "gradio", "toonout_extension"}


def load_script(path: Path = SCRIPT) -> ModuleType:
    """By spec_from_file_location under the file's name, which is what hosts do."""
    spec = importlib.util.spec_from_file_location(path.name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(name: str) -> ModuleType:
    """A module of the running extension."""
    return sys.modules[f"toonout_extension.toonout_webui.{name}"]


def core(name: str) -> ModuleType:
    """A module of its core."""
    return sys.modules[f"toonout_extension.toonout_core.{name}"]
