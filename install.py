"""Alone, makes ready and runs: `python3 install.py demo | test [arguments for pytest]`.

In the WebUI, which runs this file at every start, it adds what is missing and changes nothing else.
Standard library only; nothing here runs when ComfyUI loads the pack.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
EXAMPLE = ROOT / "toonout_core" / "assets" / "example.webp"
DEMO_OUT = ROOT / "runs" / "demo"

USAGE = """\
python3 install.py demo    cut out the example picture and print where the result is
python3 install.py test    lint, type check and test; further arguments go to pytest
Both make .venv beside this file the first time (PyTorch is a download of some GB on Linux)."""

# import name -> package; torch, torchvision, numpy and pillow belong to the WebUI
WEBUI_NEEDS = {
    "cv2": "opencv-python",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface-hub",
}

# GB of disk that a new .venv takes: 6.5 with torch 2.14 and CUDA's libraries, which pip brings on
# Linux for x86-64; elsewhere it is an estimate
SPACE_GB, SMALLER_SPACE_GB = 7, 2

# "Downloading torch-2.9.0-cp311-cp311-linux.whl (540.1 MB)": files of less than 1 MB are left out
DOWNLOAD = re.compile(r"\s*Downloading ([^-\s]+-[^-\s]+)\S* \((\d[\d.]* [MG]B)\)")


class Failed(Exception):
    """Ends the program with a sentence."""


# ---------------------------------------------------------------- alone


def stamp(extra: str) -> str:
    """What an up-to-date .venv with this extra was made of."""
    parts = [sys.version, str(ROOT), extra]
    parts += [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "requirements.txt")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def prepare(extra: str) -> None:
    """Make .venv hold the package, what it needs and the `extra`; quick if it does already."""
    if sys.version_info < (3, 10):  # noqa: UP036
        raise Failed(
            "Python must be 3.10 or newer, but this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}. Start install.py with a newer one."
        )
    if not PYTHON.exists():
        make_venv()
    if is_ready(extra) or is_ready("dev"):  # dev has everything
        return
    if not has_pytorch():
        require_space()
        tell_of_the_smaller_pytorch()
    say("installing into .venv (the first time this takes minutes) ...")
    pip("pip>=21.3")
    pip("--editable", f"{ROOT}[{extra}]" if extra else str(ROOT))
    record(extra).write_text(stamp(extra))


def record(extra: str) -> Path:
    """Where the stamp is kept."""
    return VENV / f"ready-{extra or 'plain'}"


def is_ready(extra: str) -> bool:
    return record(extra).exists() and record(extra).read_text() == stamp(extra)


def has_pytorch() -> bool:
    places = ("lib*/python*/site-packages/torch", "Lib/site-packages/torch")
    return any(found for place in places for found in VENV.glob(place))


def require_space() -> None:
    """Refuse a disk that is too small before pip has worked for minutes."""
    with_cuda = sys.platform == "linux" and platform.machine() == "x86_64"
    needed = SPACE_GB if with_cuda else SMALLER_SPACE_GB
    free = shutil.disk_usage(ROOT).free / 1e9
    if free >= needed:
        return
    smaller = " Or take PyTorch for CPUs, see docs/install.md." if with_cuda else ""
    raise Failed(
        f"Installing into {VENV} needs {needed} GB of free space, but there are {free:.1f}. "
        f"Make room, then run this again.{smaller}"
    )


def tell_of_the_smaller_pytorch() -> None:
    """On Linux pip brings PyTorch with CUDA, which is of no use without such a card."""
    if sys.platform != "linux" or shutil.which("nvidia-smi"):
        return
    say(
        "no NVIDIA card was found. PyTorch for CPUs is smaller by some GB. For it, press Ctrl-C, "
        "and see docs/install.md; then start again."
    )


def make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        raise Failed(
            "This Python has no venv module with pip, which making .venv needs. "
            f"On Debian and Ubuntu: apt install python{version}-venv, then run this again."
        )
    say(f"making {VENV} with Python {sys.version.split()[0]} ...")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        raise Failed(f"The virtual environment {VENV} could not be made; see above.")


def pip(*arguments: str) -> None:
    """Run pip in .venv, passing on the lines that say how far it is."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    with subprocess.Popen(
        [*command, "--progress-bar", "off", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = Told()
        threading.Thread(target=told.again_and_again, daemon=True).start()
        for line in process.stdout:
            news = pip_news(line)
            if news:
                told.now(news)
        told.over.set()
    if process.returncode:
        raise Failed(
            "pip could not install everything; see above. Check the network and the free space, "
            "then run this again: it goes on where it stopped."
        )


class Told:
    """What was said last. Every minute of silence says so."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.news = "looking for packages"
        self.minutes = 0

    def now(self, news: str) -> None:
        self.news, self.minutes = news, 0
        print("  " + news, flush=True)

    def again_and_again(self) -> None:
        while not self.over.wait(60):
            self.minutes += 1
            print(f"  still {self.news.removesuffix(' ...')}, {self.minutes} min", flush=True)


def pip_news(line: str) -> str:
    """What a line of pip's says to somebody who waits; empty if nothing."""
    download = DOWNLOAD.match(line)
    if download:
        return f"downloading {download[1]} ({download[2]})"
    return "unpacking ..." if line.startswith("Installing collected packages") else ""


def demo() -> int:
    prepare("")
    say(f"cutting out {EXAMPLE.relative_to(ROOT)} with the model that is shipped ...")
    command = [str(PYTHON), "-m", "toonout_core", "cutout", str(EXAMPLE), "-o", str(DEMO_OUT)]
    code = subprocess.call(
        [*command, "--model", "toonout-mini", "--overwrite", "--quiet"], cwd=ROOT
    )
    if code == 0:
        say("the result:")
        for path in sorted(DEMO_OUT.glob("*.png")):
            print(path)
    return code


def test(arguments: list[str]) -> int:
    """Everything that CI runs. pytest is last, and reports the failures before it as well."""
    prepare("dev")
    run = [str(PYTHON), "-m"]
    checks = {
        "ruff check": [*run, "ruff", "check", "."],
        "ruff format": [*run, "ruff", "format", "--check", "."],
        "pyright": [*run, "pyright", "--pythonpath", str(PYTHON)],
    }
    failed: list[str] = []
    for name, command in checks.items():
        say(name)
        if subprocess.call(command, cwd=ROOT):
            failed.append(name)
    # without arguments everything runs, files shared out to the cores; a process takes up to 3 GB
    shared_out = [] if arguments else ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    say("pytest")
    environment = {**os.environ, "TOONOUT_FAILED_CHECKS": ", ".join(failed)}
    code = subprocess.call([*run, "pytest", *shared_out, *arguments], cwd=ROOT, env=environment)
    return code or len(failed)


def say(text: str) -> None:
    print(f"ToonOut: {text}", flush=True)


# ---------------------------------------------------------------- in the WebUI


def in_webui() -> bool:
    """True if the WebUI's launcher started this file, and installed what was missing."""
    try:
        import launch  # pyright: ignore
    except ImportError:
        return False
    if not hasattr(launch, "run_pip"):
        return False
    missing = missing_in_webui()
    if missing and not getattr(getattr(launch, "args", None), "skip_install", False):
        add_to_webui(launch, missing)
    return True


def missing_in_webui() -> list[str]:
    """Packages to add; any of OpenCV's will do. Nothing here is imported: that takes seconds."""
    importlib.invalidate_caches()
    return [p for name, p in WEBUI_NEEDS.items() if importlib.util.find_spec(name) is None]


def add_to_webui(launch: object, packages: list[str]) -> None:
    """Let the host's pip add `packages` with every version that is there already held fast.

    Some hosts do not install what they are asked for and say that they did.
    """
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(installed_versions()), "utf-8")
        with suppress(RuntimeError):
            launch.run_pip(  # pyright: ignore
                f'install {" ".join(packages)} -c "{constraints}"', "what ToonOut needs"
            )
    left = missing_in_webui()
    if left:
        print(
            f"ToonOut: {', '.join(left)} could not be installed and some functions will be "
            "missing. Install by hand into the WebUI's venv, without changing numpy."
        )


def installed_versions() -> list[str]:
    """`name==version` of everything in this environment."""
    from importlib.metadata import distributions

    found = {d.metadata["Name"]: d.version for d in distributions()}
    return sorted(f"{name}=={version}" for name, version in found.items() if name and version)


def main(arguments: list[str]) -> int:
    if not arguments and in_webui():
        return 0
    try:
        if arguments == ["demo"]:
            return demo()
        if arguments and arguments[0] == "test":
            return test(arguments[1:])
    except KeyboardInterrupt:
        print("ToonOut: stopped. Start it again to go on.", file=sys.stderr)
        return 130
    except Failed as failure:
        print(f"ToonOut: {failure}", file=sys.stderr)
        return 1
    print(USAGE)
    return 0 if not arguments or arguments[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
