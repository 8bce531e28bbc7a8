"""install.py in its two faces; nothing is installed here (CI itself does that in a fresh clone)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTALL = ROOT / "install.py"


@pytest.fixture
def install(tmp_path, monkeypatch) -> ModuleType:
    """The file as a module, with a .venv of its own."""
    spec = importlib.util.spec_from_file_location("toonout_install", INSTALL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "PYTHON", venv / "bin" / "python")
    set_free(module, monkeypatch, 1e12)
    return module


def set_free(module: ModuleType, monkeypatch, free_bytes: float) -> None:
    usage = shutil.disk_usage(ROOT)._replace(free=int(free_bytes))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)


# ---------------------------------------------------------------- in the WebUI

LAUNCHER = """
import sys
{missing}
class args:
    skip_install = {skip_install}
def run_pip(command, desc=None, live=False):
    open({log!r}, "a").write(command + "\\n")
    constraints = command.split('"')[1]
    open({log!r}, "a").write(open(constraints).read())
    {fails}
"""


@pytest.fixture
def webui(tmp_path):
    """Run install.py as the WebUI does, with a launcher that records what pip is asked for."""
    log = tmp_path / "pip.txt"

    def run(missing=(), skip_install=False, fails=False):
        launcher = LAUNCHER.format(
            missing="\n".join(f"sys.modules[{name!r}] = None" for name in missing),
            skip_install=skip_install,
            log=str(log),
            fails="raise RuntimeError('no network')" if fails else "",
        )
        (tmp_path / "launch.py").write_text(launcher, "utf-8")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(INSTALL)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        done.seconds = time.perf_counter() - started
        done.asked = log.read_text("utf-8") if log.exists() else ""
        return done

    return run


def test_in_the_webui_nothing_happens_when_all_is_there(webui):
    done = webui()
    assert (done.returncode, done.stdout, done.stderr, done.asked) == (0, "", "", "")
    # the WebUI's own bound is 1 s; a busy machine must not fail the test
    assert min(done.seconds, webui().seconds, webui().seconds) < 1.0


def test_in_the_webui_what_is_missing_is_added_and_all_else_held(webui):
    import numpy

    done = webui(missing=["cv2"])
    command, *constraints = done.asked.splitlines()
    assert done.returncode == 0
    assert command.startswith("install opencv-python -c ")
    assert f"numpy=={numpy.__version__}" in constraints
    assert any(line.startswith("torch==") for line in constraints)
    assert not {"-U", "--upgrade", "--force-reinstall"} & set(command.split())


def test_in_the_webui_skip_install_is_obeyed(webui):
    assert webui(missing=["cv2"], skip_install=True).asked == ""


def test_in_the_webui_a_failing_pip_is_one_line(webui):
    done = webui(missing=["cv2", "huggingface_hub"], fails=True)
    assert done.returncode == 0
    assert "opencv-python, huggingface-hub could not be installed" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_in_the_webui_a_pip_that_only_says_that_it_installed_is_seen(webui):
    """SD.Next's answers True for opencv-python and installs nothing."""
    done = webui(missing=["cv2"])
    assert "opencv-python could not be installed" in done.stdout


def test_another_module_named_launch_is_not_the_webui(tmp_path):
    (tmp_path / "launch.py").write_text("class LaunchDescription: ...", "utf-8")
    done = subprocess.run(
        [sys.executable, str(INSTALL)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("python3 install.py demo")


# ---------------------------------------------------------------- alone


def fake_calls(install, monkeypatch, code=0):
    """Replace the running of programs by a list of what would have been run."""
    calls = []

    def call(command, **options):
        calls.append([str(part) for part in command])
        if "venv" in command:
            install.PYTHON.parent.mkdir(parents=True)
            install.PYTHON.touch()
        return code

    monkeypatch.setattr(install.subprocess, "call", call)
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(["pip", *arguments]))
    return calls


def test_the_first_run_makes_the_environment_and_the_second_reuses_it(install, monkeypatch):
    calls = fake_calls(install, monkeypatch)
    install.prepare("dev")
    assert [call[0] for call in calls] == [sys.executable, "pip", "pip"]
    assert calls[2][-1].endswith("[dev]")
    calls.clear()
    install.prepare("dev")
    assert calls == []


def test_the_demo_runs_in_the_environment_of_the_tests(install, monkeypatch):
    calls = fake_calls(install, monkeypatch)
    install.prepare("dev")
    calls.clear()
    install.prepare("")
    assert calls == []


def test_changed_requirements_are_installed_again(install, monkeypatch):
    calls = fake_calls(install, monkeypatch)
    install.prepare("")
    calls.clear()
    monkeypatch.setattr(install, "stamp", lambda extra: "another")
    install.prepare("")
    assert [call[0] for call in calls] == ["pip", "pip"]


def test_a_failed_installation_is_not_taken_for_done(install, monkeypatch):
    calls = fake_calls(install, monkeypatch)

    def fail(*arguments):
        raise install.Failed("no network")

    monkeypatch.setattr(install, "pip", fail)
    with pytest.raises(install.Failed):
        install.prepare("dev")
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(["pip", *arguments]))
    install.prepare("dev")
    assert calls[-1][0] == "pip"


def test_a_failing_check_fails_the_run_and_pytest_is_last(install, monkeypatch):
    ran = []

    def call(command, **options):
        ran.append((command[2], options.get("env", {}).get("TOONOUT_FAILED_CHECKS")))
        return 1 if command[2] == "pyright" else 0

    monkeypatch.setattr(install, "prepare", lambda extra: None)
    monkeypatch.setattr(install.subprocess, "call", call)
    assert install.main(["test", "-k", "x"]) != 0
    assert [name for name, _ in ran] == ["ruff", "ruff", "pyright", "pytest"]
    assert ran[-1] == ("pytest", "pyright")


def test_arguments_reach_pytest(install, monkeypatch):
    ran = []
    monkeypatch.setattr(install, "prepare", lambda extra: None)
    monkeypatch.setattr(install.subprocess, "call", lambda command, **_: ran.append(command) or 0)
    assert install.main(["test", "-k", "hygiene"]) == 0
    assert ran[-1][2:] == ["pytest", "-k", "hygiene"]


def test_the_whole_suite_is_shared_out_to_the_cores(install, monkeypatch):
    ran = []
    monkeypatch.setattr(install, "prepare", lambda extra: None)
    monkeypatch.setattr(install.subprocess, "call", lambda command, **_: ran.append(command) or 0)
    assert install.main(["test"]) == 0
    assert ran[-1][2:5] == ["pytest", "-n", "auto"]


def test_an_old_python_gets_a_sentence(install, monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 1, "final", 0))
    assert install.main(["demo"]) == 1
    assert "must be 3.10 or newer, but this is 3.9" in capsys.readouterr().err


def test_a_python_without_venv_gets_a_sentence(install, monkeypatch, capsys):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    assert install.main(["demo"]) == 1
    assert "-venv, then run this again" in capsys.readouterr().err


def test_a_failing_pip_gets_a_sentence(install, monkeypatch, capsys):
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    with pytest.raises(install.Failed, match="pip could not install everything"):
        install.pip("--no-index", "--quiet", "a-package-that-does-not-exist-anywhere")


@pytest.mark.parametrize(
    ("line", "news"),
    [
        (
            "  Downloading torch-2.9.0-cp311-linux.whl (539.1 MB)\n",
            "downloading torch-2.9.0 (539.1 MB)",
        ),
        (
            "Downloading nvidia_nccl-2.30.7-py3-none.whl (1.2 GB)",
            "downloading nvidia_nccl-2.30.7 (1.2 GB)",
        ),
        ("  Downloading pluggy-1.7.0-py3-none-any.whl (27 kB)", ""),
        ("Collecting torch (from toonout==0.1.0)", ""),
        ("Installing collected packages: torch, numpy", "unpacking ..."),
    ],
)
def test_pip_is_cut_short(install, line, news):
    assert install.pip_news(line) == news


def test_long_silence_is_broken(install, capsys):
    told = install.Told()
    silence = iter([False, False, True])
    told.over.wait = lambda seconds: next(silence)
    told.now("unpacking ...")
    told.again_and_again()
    assert capsys.readouterr().out.splitlines() == [
        "  unpacking ...", "  still unpacking, 1 min", "  still unpacking, 2 min",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("system", "card", "is_said"),
    [
        ("linux", None, True),
        ("linux", "/usr/bin/nvidia-smi", False),
        ("darwin", None, False),
        ("win32", None, False),
    ],
)
def test_without_a_card_the_smaller_pytorch_is_named(
    install, monkeypatch, capsys, system, card, is_said
):
    monkeypatch.setattr(install.sys, "platform", system)
    monkeypatch.setattr(install.shutil, "which", lambda name: card)
    install.tell_of_the_smaller_pytorch()
    said = capsys.readouterr().out
    assert bool(said) == is_said
    if is_said:
        assert "docs/install.md" in said
        assert "--index-url" in (ROOT / "docs" / "install.md").read_text("utf-8")


@pytest.fixture
def steps(install, monkeypatch) -> list[str]:
    """What `prepare` says and does, where .venv is there and 6.9 GB are free."""
    steps: list[str] = []
    install.PYTHON.parent.mkdir(parents=True)
    install.PYTHON.touch()
    set_free(install, monkeypatch, 6.9e9)
    monkeypatch.setattr(install, "say", steps.append)
    monkeypatch.setattr(install, "pip", lambda *arguments: steps.append("pip"))
    return steps


def test_a_disk_that_is_too_small_is_told_before_pip_works(install, monkeypatch, steps):
    monkeypatch.setattr(install.sys, "platform", "linux")
    monkeypatch.setattr(install.platform, "machine", lambda: "x86_64")
    with pytest.raises(install.Failed, match=r"needs 7 GB of free space, but there are 6\.9"):
        install.prepare("dev")
    assert not steps


@pytest.mark.parametrize("place", ["lib/python3.12/site-packages", "Lib/site-packages"])
def test_with_pytorch_there_no_space_is_asked_for(install, monkeypatch, steps, place):
    monkeypatch.setattr(install.sys, "platform", "linux")
    (install.VENV / place / "torch").mkdir(parents=True)
    install.prepare("dev")
    assert steps[-2:] == ["pip", "pip"]
    assert not any("card" in step for step in steps)


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "aarch64")]
)
def test_pytorch_without_cuda_needs_less_space(install, monkeypatch, steps, system, machine):
    monkeypatch.setattr(install.sys, "platform", system)
    monkeypatch.setattr(install.platform, "machine", lambda: machine)
    install.prepare("dev")
    assert "pip" in steps


def test_ctrl_c_is_a_sentence(install, monkeypatch, capsys):
    def stop(extra):
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "prepare", stop)
    assert install.main(["demo"]) == 130
    assert "Start it again" in capsys.readouterr().err


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert script.splitlines()[-1] == "python3 install.py test"
    assert "python3 install.py test" in (ROOT / "README.md").read_text("utf-8")
