"""A real WebUI on the loopback and on the CPU, with our extension in a folder of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLONE = "ComfyUI-ToonOut v1.2 main"
SHIPPED = (
    "toonout_core", "toonout_webui", "scripts", "localizations", "install.py", "preload.py",
    "metadata.ini", "style.css", "__init__.py", "nodes.py",
)  # fmt: skip
FLAGS = [
    "--skip-torch-cuda-test", "--skip-prepare-environment", "--skip-python-version-check",
    "--no-download-sd-model", "--skip-version-check", "--disable-nan-check",
]  # fmt: skip
# what differs: the processor, and which folders a page may show
FLAGS_OF = {
    "a1111": [*FLAGS, "--do-not-download-clip", "--use-cpu", "all", "--no-half"],
    "forge": [*FLAGS, "--do-not-download-clip", "--always-cpu"],
    "reforge": [*FLAGS, "--skip-install", "--always-cpu"],
    "classic": [*FLAGS, "--skip-install", "--always-cpu"],
    "sdnext": ["--skip-all", "--skip-git", "--skip-torch", "--experimental", "--use-cpu", "all"],
}


def kind_of(path: Path) -> str:
    """Which of the WebUI's relatives lies there."""
    marks = {
        "sdnext": "installer.py",
        "forge": "backend",
        "reforge": "extensions-builtin/mahiro_reforge",
        "classic": "ldm_patched",
    }
    return next((kind for kind, mark in marks.items() if (path / mark).exists()), "a1111")


def install_clone(base: Path, name: str = CLONE) -> Path:
    """Copy what a clone has into the host's extensions."""
    target = base / "extensions" / name
    for part in SHIPPED:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / part, ignore=ignored)
        elif source.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / part)
    return target


def install_probe(base: Path) -> None:
    """The extension of the tests: its name sorts after ours, as adetailer's does."""
    target = base / "extensions" / "adetailer" / "scripts"
    target.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("probe.py"), target / "!adetailer.py")


class WebUIServer:
    """Context manager around one process."""

    def __init__(self, path: Path, python: str, base: Path, *flags: str) -> None:
        self.path, self.python, self.base = path, python, base
        self.kind = kind_of(path)
        self.is_forge = self.kind == "forge"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = [*FLAGS_OF[self.kind], "--port", str(self.port), "--data-dir", str(base)]
        # with another data folder gradio 4 would not serve the host's own scripts
        allowed = "--allowed-paths" if self.kind == "sdnext" else "--gradio-allowed-path"
        self.flags += [*flags, allowed, str(path)]
        if checkpoint := os.environ.get("TOONOUT_WEBUI_CHECKPOINT"):
            self.flags += ["--ckpt", self._known(Path(checkpoint))]

    def _known(self, checkpoint: Path) -> str:
        """SD.Next wants a folder of diffusers among the others, and takes its name."""
        if not checkpoint.is_dir():
            return str(checkpoint)
        others = self.base / "models" / "Diffusers"
        others.mkdir(parents=True)
        (others / checkpoint.name).symlink_to(checkpoint)
        return checkpoint.name

    def __enter__(self) -> WebUIServer:
        self._log = (self.base / "webui.log").open("wb")
        environment = {
            "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False", "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "PIP_NO_INDEX": "1",
            "COLUMNS": "400", **os.environ,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [self.python, "launch.py", *self.flags], cwd=self.path, env=environment,
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self, route: str = "/toonout/v1/health", starts: int = 1) -> None:
        """Until a route answers after so many starts of the page.

        AUTOMATIC1111 dies of a request that comes before it has added its middleware: nobody
        knocks before it says how long its start took.
        """
        begin = time.monotonic()
        while True:
            waited = time.monotonic() - begin
            if self.process.poll() is not None or waited > 400:
                raise RuntimeError(f"the WebUI does not answer:\n{self.log()[-4000:]}")
            if self.starts() >= starts or waited > 240:
                with suppress(OSError):
                    if self.status(route) in (200, 401):
                        return
            time.sleep(0.5)

    def starts(self) -> int:
        """How often its page was made: once, and at every Reload UI."""
        return self.log().count("Startup time")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def pictures(self) -> list[Path]:
        """Files of generated pictures, oldest first. SD.Next writes in a thread of its own."""
        time.sleep(1 if self.kind == "sdnext" else 0)
        others = ("grid", "extras")
        found = [path for path in self.base.glob("output*/**/*.*") if path.is_file()]
        kept = [path for path in found if not any(word in str(path.parent) for word in others)]
        return sorted(kept, key=lambda path: path.stat().st_mtime_ns)

    def ours(self) -> list[str]:
        """Lines of ours on the console, where SD.Next puts a time and the script's name first."""
        lines = [line.partition("ToonOut: ") for line in self.log().splitlines()]
        return [
            (name + text).strip()
            for before, name, text in lines
            if name and (not before or "Extension: script=" in before)
        ]

    def log(self) -> str:
        return (self.base / "webui.log").read_text("utf-8", "replace")

    def rss_mb(self) -> float:
        """Memory of the process; Linux only."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1000

    # ------------------------------------------------------------ HTTP

    def request(self, path: str, body: Any = None, auth: str = "") -> tuple[int, bytes]:
        # hosts close connections after errors
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=600) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def status(self, path: str, body: Any = None, auth: str = "") -> int:
        return self.request(path, body, auth)[0]

    def get(self, path: str) -> Any:
        return json.loads(self.request(path)[1])

    def post(self, path: str, body: Any) -> Any:
        status, content = self.request(path, body)
        assert status == 200, (status, content[:500], self.log()[-1500:])
        return json.loads(content)
