"""Who owns the device's memory, and when. No device is needed: models are stand-ins."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tests.counting import count_work
from tests.webui.fake_host import PostprocessedImage, core, part
from tests.webui.pictures import QUICK, encoded, girl

CUDA = torch.device("cuda")
CORE = "toonout_extension.toonout_core"


class Model:
    """Notes where it is sent."""

    def __init__(self, events):
        self.events = events

    def to(self, device):
        self.events.append(f"to {torch.device(device).type}")

    def parameters(self):
        return [torch.zeros(10)]

    def buffers(self):
        return []


@pytest.fixture
def events(host, monkeypatch):
    noted = []
    hosts = part("hosts")
    monkeypatch.setattr(hosts, "device", lambda: CUDA)
    monkeypatch.setattr(hosts, "free_memory", lambda size, _: noted.append(f"free {size}"))
    monkeypatch.setattr(hosts, "collect_garbage", lambda: noted.append("collect"))
    return noted


def test_room_is_made_first_and_the_model_leaves_afterwards(host, events):
    with part("host").WebUIHost().on_device(Model(events), 100) as device:
        events.append("work")
    assert device == CUDA
    assert events == ["free 140", "to cuda", "work", "to cpu", "collect"]


def test_it_leaves_after_a_failure_too(host, events):
    with (
        pytest.raises(ZeroDivisionError),
        part("host").WebUIHost().on_device(Model(events), 0),
    ):
        raise ZeroDivisionError
    assert events[-2:] == ["to cpu", "collect"]


def test_the_settings_can_keep_it(host, events):
    host.opts.data["toonout_keep_in_vram"] = True
    with part("host").WebUIHost().on_device(Model(events), 0):
        pass
    assert events == ["free 40", "to cuda"]


def test_a_pipeline_for_the_cpu_stays_there(host, events):
    with part("host").WebUIHost(on_cpu=True).on_device(Model(events), 0) as device:
        pass
    assert device.type == "cpu"
    assert events == ["to cpu"]


def test_too_little_memory_is_another_try_on_the_cpu_and_told(host, monkeypatch):
    pipelines, hosts = core("serving.pipelines"), part("hosts")
    load = pipelines.load_matting

    def loading(name, *, host, **options):
        matting = load(name, host=host, **options)
        if not host._on_cpu:
            matting.predict = refusing
        return matting

    def refusing(*arguments, **options):
        errors = sys.modules["toonout_extension.toonout_core.errors"]
        raise errors.OutOfMemory("needs more memory than there is")

    monkeypatch.setattr(pipelines, "load_matting", loading)
    monkeypatch.setattr(hosts, "device", lambda: torch.device("cpu"))
    pp = PostprocessedImage(girl())
    host.script.ToonOutExtras().process(pp, enable=True, **QUICK)
    assert pp.image.mode == "RGBA"
    assert pp.info["ToonOut"].endswith("the device had too little memory")


def test_the_device_is_told_once(host, capsys):
    for _ in range(2):
        host.script.ToonOutExtras().process(PostprocessedImage(girl()), enable=True, **QUICK)
        part("pipelines").PIPELINES.unload()
    assert capsys.readouterr().out == "ToonOut: models run on cpu.\n"


def test_nothing_holds_a_model_that_was_unloaded(host):
    host.script.ToonOutExtras().process(PostprocessedImage(girl()), enable=True, **QUICK)
    pipelines = part("pipelines").PIPELINES
    matting = pipelines.get(core("serving.options").CutoutOptions())
    network = weakref.ref(matting.loaded.network)
    del matting
    pipelines.unload()
    gc.collect()
    assert network() is None


def wish(**values):
    return core("serving.options").CutoutOptions.of(values)


def test_two_copies_of_a_model_never_push_each_other_out(host, monkeypatch):
    """Each picture that has no room on the device is tried there first, then on the processor."""
    host.opts.data["toonout_precision"] = "bf16"
    pipelines, work = part("pipelines").PIPELINES, count_work(monkeypatch, CORE)
    copies = {pipelines.get(wish(), on_cpu=on_cpu) for on_cpu in (False, True) * 3}
    assert len(copies) == work.loads == 2
    assert pipelines.names() == ["toonout-mini"]
    assert pipelines.unload() == ["toonout-mini"]
    assert not pipelines.names()


def test_on_the_processor_alone_both_are_one(host, monkeypatch):
    pipelines, work = part("pipelines").PIPELINES, count_work(monkeypatch, CORE)
    first, second = (pipelines.get(wish(), on_cpu=on_cpu) for on_cpu in (False, True))
    assert first.loaded is second.loaded
    assert work.loads == 1


def test_a_model_in_another_precision_takes_the_place_of_the_first(host):
    pipelines = part("pipelines").PIPELINES
    first = weakref.ref(pipelines.get(wish()))
    assert pipelines.get(wish(precision="bf16")).loaded.dtype == torch.bfloat16
    gc.collect()
    assert first() is None
    assert pipelines.names() == ["toonout-mini"]


def test_fast_changes_auto_only(host):
    precision_of = part("pipelines").PIPELINES.precision_of
    assert precision_of(wish(fast=True)) == "fast"
    assert precision_of(wish(fast=True, precision="fp32")) == "fp32"
    assert precision_of(wish(fast=True), on_cpu=True) == "fp32"
    host.opts.data["toonout_precision"] = "fp16"
    assert precision_of(wish(fast=True)) == "fp16"


def test_a_model_that_cannot_be_loaded_leaves_nothing(host):
    pipelines = part("pipelines")
    with pytest.raises(core("errors").UnknownModel):
        pipelines.PIPELINES.get(wish(model="gone.safetensors"))
    assert not pipelines.PIPELINES.names()


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_characters_of_one_model_load_once_and_run_once(host, monkeypatch, precision):
    host.opts.data["toonout_precision"] = precision
    work, characters = count_work(monkeypatch, CORE), part("characters")
    for _ in range(2):
        found = characters.find(girl(), "toonout-mini-regions", wish())
        assert len(found) == 1
    assert (work.loads, work.inferences) == (1, 1)
    part("pipelines").PIPELINES.unload()
    characters.find(girl(), "toonout-mini-regions", wish())
    assert (work.loads, work.inferences) == (2, 2)


OUT_OF_MEMORY = {
    "cuda": torch.cuda.OutOfMemoryError("CUDA out of memory."),
    "mps": RuntimeError("MPS backend out of memory"),
    "cudnn": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0."),
    "numpy": MemoryError("Unable to allocate 9 GiB"),
}


@pytest.mark.parametrize("step", ["predict", "adjust", "colours", "crop"])
@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
def test_routes_answer_507_with_a_sentence_wherever_memory_ends(client, monkeypatch, step, error):
    def fail(*arguments, **options):
        raise error

    place, name = {
        "predict": (core("matting").Matting, "_alpha"),
        "adjust": (core("flow"), "adjusted"),
        "colours": (core("flow"), "estimate_foreground"),
        "crop": (core("serving.cutting"), "cropped"),
    }[step]
    monkeypatch.setattr(place, name, fail)
    options = {"drop_specks_px": 1, "crop": True, **QUICK}
    reply = client.post("/toonout/v1/cutout", json={"image": encoded(girl()), **options})
    assert reply.status_code == 507
    assert "memory" in reply.json()["detail"]


def test_work_without_a_network_has_room_made_too(host, events):
    with part("host").WebUIHost().workspace(100) as device:
        events.append("work")
    assert device == CUDA
    assert events == ["free 100", "work", "collect"]
    with part("host").WebUIHost(on_cpu=True).workspace(100) as device:
        assert device.type == "cpu"
    assert len(events) == 3


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [({}, True), ({"no_half": True}, False), ({"precision": "full"}, False)],
)
def test_half_precision_unless_the_host_was_told_otherwise(start, monkeypatch, flags, allowed):
    with start(**flags):
        monkeypatch.setattr(part("host"), "fast_half", lambda device: torch.float16)
        assert part("host").WebUIHost().half(CUDA) is (torch.float16 if allowed else None)


def test_half_precision_where_the_host_computes_in_it(host, monkeypatch):
    """SD.Next has no flag for it: what it computes in tells."""
    from modules import devices

    monkeypatch.setattr(part("host"), "fast_half", lambda device: torch.float16)
    for dtype, expected in ((torch.float32, None), (torch.float16, torch.float16)):
        monkeypatch.setattr(devices, "dtype", dtype, raising=False)
        assert part("host").WebUIHost().half(CUDA) is expected


# ---------------------------------------------------------------- the hosts' own managers


def test_automatic1111_decides_by_its_flags(host):
    assert part("hosts").device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "module"),
    [("forge", "backend.memory_management"), ("reforge", "ldm_patched.modules.model_management")],
)
def test_hosts_that_manage_memory_are_asked(host, monkeypatch, name, module):
    asked = []
    management = ModuleType(module)
    management.get_torch_device = lambda: CUDA
    management.free_memory = lambda size, device: asked.append((size, device))
    management.should_use_fp16 = lambda device: device == torch.device("cuda:1")
    monkeypatch.setitem(sys.modules, module, management)
    monkeypatch.setattr("importlib.import_module", lambda wanted: sys.modules[wanted])
    hosts = part("hosts")
    assert hosts.name() == name
    assert hosts.device() == CUDA
    hosts.free_memory(7, CUDA)
    hosts.free_memory(7, torch.device("cpu"))
    assert asked == [(7, CUDA)]
    assert [hosts.allows_half(torch.device(name)) for name in ("cuda:0", "cuda:1")] == [False, True]


def test_sdnext_tells_its_device_and_a_relative_folder(host, monkeypatch, tmp_path):
    from modules import devices, paths_internal

    (tmp_path / "installer.py").touch()
    monkeypatch.setattr(devices, "device", torch.device("cpu"), raising=False)
    monkeypatch.setattr(paths_internal, "models_path", "models")
    hosts = part("hosts")
    assert hosts.name() == "sdnext"
    assert hosts.device() == torch.device("cpu")
    assert hosts.models_folder().is_absolute()
    assert part("routes").serves()


def test_a_host_without_the_late_hook_is_seen(host, monkeypatch):
    from modules import scripts

    assert part("hosts").has_composite_hook()
    monkeypatch.setattr(scripts, "Script", SimpleNamespace)
    assert not part("hosts").has_composite_hook()


def test_networks_are_built_while_the_host_reads_no_checkpoint(host, monkeypatch):
    """AUTOMATIC1111 has replaced load_state_dict then, in a thread of its own."""
    lock = threading.Lock()
    module = ModuleType("modules.sd_models")
    module.model_data = SimpleNamespace(lock=lock)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    pipelines, seen = core("serving.pipelines"), []
    load = pipelines.load_matting

    def loading(*arguments, **options):
        seen.append(lock.locked())
        return load(*arguments, **options)

    monkeypatch.setattr(pipelines, "load_matting", loading)
    pp = PostprocessedImage(girl())
    host.script.ToonOutExtras().process(pp, enable=True, **QUICK)
    assert seen == [True]
    assert not lock.locked()
