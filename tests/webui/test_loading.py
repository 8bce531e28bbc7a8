"""How the host takes the extension in: names, clones, failures, Reload UI."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.webui import fake_gradio, fake_host

ROOT = fake_host.ROOT


@pytest.fixture
def clone(tmp_path):
    """A copy of what the extension is made of, in a folder that is no module name."""

    def copy(name: str) -> Path:
        target = tmp_path / name
        for folder in ("toonout_core", "toonout_webui", "scripts"):
            shutil.copytree(
                ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
            )
        return target / "scripts" / "toonout.py"

    return copy


def test_both_scripts_are_among_the_names_of_the_file(host):
    from modules import scripts, scripts_postprocessing

    classes = [value for value in vars(host.script).values() if isinstance(value, type)]
    assert [c for c in classes if issubclass(c, scripts.Script)] == [host.script.ToonOutGenerate]
    found = [c for c in classes if issubclass(c, scripts_postprocessing.ScriptPostprocessing)]
    assert found == [host.script.ToonOutExtras]


def test_the_two_scripts_have_different_names(host):
    """The API keeps both under their lower-case names."""
    generate = host.script.ToonOutGenerate()
    assert generate.title().lower() != host.script.ToonOutExtras.name.lower()


def test_nothing_of_ours_gets_a_name_that_others_could_import(start):
    before = {name.split(".")[0] for name in sys.modules}
    with start():
        added = {name.split(".")[0] for name in sys.modules} - before
    assert added <= {"modules", "gradio", "toonout_extension", "fastapi", "starlette", "pydantic",
                     "pydantic_core", "anyio", "sniffio", "idna", "annotated_types",
                     "typing_inspection", "annotated_doc", "multipart", "python_multipart"} | {
        name for name in added if name.startswith("_")
    } | sys.stdlib_module_names  # fmt: skip


@pytest.mark.parametrize("name", ["x-y.z main", "ComfyUI-ToonOut", "猫"])
def test_the_folder_may_have_any_name(tmp_path, clone, name, capsys):
    path = clone(name)
    with fake_host.running(tmp_path, fake_gradio.make("3.41.2")) as host:
        host.call("script_unloaded")
        script = fake_host.load_script(path)
        assert script.ToonOutExtras.name == "ToonOut"
        assert Path(fake_host.part("extras").__file__).is_relative_to(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_second_clone_stays_off_with_one_line(host, clone, capsys):
    script = fake_host.load_script(clone("second"))
    assert not hasattr(script, "ToonOutExtras")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "stays off" in out
    assert len(host.callbacks["ui_tabs"]) == 1


def test_a_core_that_does_not_start_is_one_line_and_no_callbacks(tmp_path, clone, capsys):
    path = clone("broken")
    core = path.parents[1] / "toonout_core" / "__init__.py"
    core.write_text("raise RuntimeError('no such\\nlibrary')", "utf-8")
    with fake_host.running(tmp_path, fake_gradio.make("3.41.2")) as host:
        host.call("script_unloaded")
        host.callbacks = {event: [] for event in host.callbacks}
        script = fake_host.load_script(path)
        assert not hasattr(script, "ToonOutExtras")
        assert not any(host.callbacks.values())
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "ToonOut: cannot start: RuntimeError: no such library." in out


def test_reload_brings_new_code_and_forgets_models(host):
    pipelines = fake_host.part("pipelines")
    pipelines.PIPELINES._kept["a model"] = {False: ("key", _Loaded())}
    before = fake_host.part("extras")
    host.call("script_unloaded")
    assert not [name for name in sys.modules if name.startswith("toonout_extension")]
    assert not pipelines.PIPELINES.names()
    fake_host.load_script()
    assert fake_host.part("extras") is not before


class _Loaded:
    name = "a model"

    class loaded:  # noqa: N801
        class network:  # noqa: N801
            @staticmethod
            def to(device):
                assert device == "cpu"


def test_the_flag_is_declared():
    import argparse

    sys.path.insert(0, str(ROOT))
    try:
        import preload
    finally:
        sys.path.remove(str(ROOT))
    parser = argparse.ArgumentParser()
    preload.preload(parser)
    preload.preload(parser)  # of a second clone
    assert parser.parse_args(["--toonout-models-path", "x"]).toonout_models_path == "x"
    del sys.modules["preload"]


def test_metadata_orders_scripts_and_no_callbacks():
    """A section [callbacks/…] makes hosts print an error for every callback."""
    text = (ROOT / "metadata.ini").read_text("utf-8")
    assert "[callbacks" not in text
    assert "After = adetailer" in text


def test_scripts_holds_one_file():
    """Hosts run every file there at every start."""
    assert [path.name for path in (ROOT / "scripts").glob("*.py")] == ["toonout.py"]
