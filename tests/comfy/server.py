"""A real ComfyUI on the loopback: start it, queue graphs, listen to what it says."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.comfy.luma import write_luma_model

ROOT = Path(__file__).resolve().parents[2]
PACK, PROBE = "toonout", "toonout-probe"
BRIGHT, DARK, BACK = 230, 40, (200, 120, 40)


class ComfyError(Exception):
    """What the server refused, or what went wrong in a node; `kind`: the error's class there."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Run:
    """All that a client gets to know of one prompt."""

    prompt_id: str
    executed: list[str] = field(default_factory=list)  # node ids in order
    cached: list[str] = field(default_factory=list)
    progress: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    previews: list[tuple[dict[str, Any], Image.Image]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)


class ComfyServer:
    """Context manager around one process; its log is in `log`."""

    def __init__(self, path: Path, python: str, base: Path, options: Sequence[str] = ()) -> None:
        self.path, self.python, self.base, self.options = path, python, base, list(options)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ComfyServer:
        command = [
            self.python, "-u", "main.py", "--cpu", "--listen", "127.0.0.1",
            "--port", str(self.port), "--base-directory", str(self.base),
            "--database-url", "sqlite:///:memory:", "--disable-api-nodes",
            "--disable-auto-launch", "--preview-method", "auto", *self.options,
        ]  # fmt: skip
        self._log = (self.base / "comfy.log").open("wb")
        self.process = subprocess.Popen(
            command, cwd=self.path, stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 300
        while True:
            if self.process.poll() is not None:
                self._log.close()
                raise ComfyError(f"ComfyUI stopped at its start:\n{self.log()[-4000:]}")
            with suppress(OSError):
                self.get("/system_stats")
                return self
            if time.monotonic() > deadline:
                self.__exit__()
                raise ComfyError(f"ComfyUI did not answer:\n{self.log()[-4000:]}")
            time.sleep(0.3)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def log(self) -> str:
        return (self.base / "comfy.log").read_text("utf-8", "replace")

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.get("/system_stats")["system"]["comfyui_version"].split(".")))

    # ------------------------------------------------------------ HTTP

    def bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()

    def get(self, path: str) -> Any:
        return json.loads(self.bytes(path) or b"null")

    def post(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ComfyError(error.read().decode()) from None

    def picture(self, item: dict[str, str]) -> Image.Image:
        """A file that a node said it had saved."""
        where = {key: item[key] for key in ("filename", "subfolder", "type")}
        return Image.open(io.BytesIO(self.bytes("/view?" + urllib.parse.urlencode(where))))

    # ------------------------------------------------------------ prompts

    def run(
        self,
        graph: dict[str, Any],
        *,
        on_progress: Callable[[int, int], None] | None = None,
        extra: dict[str, Any] | None = None,
        timeout_s: float = 900,
    ) -> Run:
        """Queue an API-format graph and wait for its end. Raises ComfyError for refused outputs,
        which the server reports beside success, for errors and for interruption."""
        work = self._run(graph, on_progress, extra or {})
        return asyncio.run(asyncio.wait_for(work, timeout_s))

    async def _run(self, graph: Any, on_progress: Any, extra: dict[str, Any]) -> Run:
        import aiohttp

        client = uuid.uuid4().hex
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.url}/ws?clientId={client}", max_msg_size=0) as socket_,
        ):
            await socket_.send_json(
                {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
            )
            body = {"prompt": graph, "client_id": client, "extra_data": extra}
            async with session.post(self.url + "/prompt", json=body) as answer:
                answered = await answer.json()
                if answer.status != 200 or answered.get("node_errors"):
                    raise ComfyError(json.dumps(answered, indent=1, ensure_ascii=False))
            run = Run(answered["prompt_id"])
            async for message in socket_:
                if message.type == aiohttp.WSMsgType.BINARY:
                    self._preview(run, message.data)
                    continue
                event = json.loads(message.data)
                if self._event(run, event["type"], event["data"], on_progress):
                    break
        history = await asyncio.to_thread(self.get, f"/history/{run.prompt_id}")
        run.outputs = history[run.prompt_id]["outputs"]
        return run

    @staticmethod
    def _event(run: Run, kind: str, data: Any, on_progress: Any) -> bool:
        """Whether that was the last event of this prompt."""
        if data.get("prompt_id", run.prompt_id) != run.prompt_id:
            return False
        if kind == "progress":
            run.progress.setdefault(data["node"], []).append((data["value"], data["max"]))
            if on_progress:
                on_progress(data["value"], data["max"])
        elif kind == "execution_cached":
            run.cached += data["nodes"]
        elif kind == "executing" and data.get("node"):
            run.executed.append(data["node"])
        elif kind == "execution_error":
            text = f"{data['node_type']}: {data['exception_message']}"
            raise ComfyError(text, data["exception_type"])
        elif kind == "execution_interrupted":
            raise ComfyError(f"interrupted in {data['node_type']}")
        return kind == "executing" and data.get("node") is None

    @staticmethod
    def _preview(run: Run, data: bytes) -> None:
        (kind,) = struct.unpack(">I", data[:4])
        if kind == 4:
            (size,) = struct.unpack(">I", data[4:8])
            picture = Image.open(io.BytesIO(data[8 + size :]))
            run.previews.append((json.loads(data[8 : 8 + size]), picture))

    def pictures(self, run: Run, node: str) -> list[Image.Image]:
        return [self.picture(item) for item in run.outputs[node]["images"]]


def prepare(base: Path) -> list[str]:
    """Folders, models and pictures that the tests use; returns the server's options."""
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / PACK).symlink_to(ROOT, target_is_directory=True)
    probe = Path(__file__).parent / "probe_pack"
    (base / "custom_nodes" / PROBE).symlink_to(probe, target_is_directory=True)
    packs = [PACK, PROBE]
    if impact := os.environ.get("IMPACT_PACK_PATH"):
        packs.append(Path(impact).name)
        (base / "custom_nodes" / packs[-1]).symlink_to(impact, target_is_directory=True)
    write_luma_model(base / "models" / "background_removal" / "luma.safetensors")
    write_luma_model(base / "elsewhere" / "mattes" / "shared.pth")
    (base / "models" / "background_removal" / "broken.safetensors").write_bytes(b"\x08nothing")
    (base / "paths.yaml").write_text(
        f"tests:\n  base_path: {base / 'elsewhere'}\n  background_removal: mattes\n", "utf-8"
    )
    picture = np.full((96, 128, 3), DARK, np.uint8)
    picture[20:80, 30:90] = BRIGHT
    Image.fromarray(picture).save(base / "input" / "girl.png")
    Image.new("RGB", (64, 48), BACK).save(base / "input" / "background.png")
    folder = base / "input" / "characters"
    folder.mkdir()
    for number, side in ((1, 96), (2, 64), (10, 128)):
        frame = np.full((side, side, 3), DARK, np.uint8)
        frame[side // 4 : -side // 4, side // 4 : -side // 4] = BRIGHT
        Image.fromarray(frame).save(folder / f"frame_{number}.png")
    return [
        "--disable-all-custom-nodes",
        "--whitelist-custom-nodes", *packs,
        "--extra-model-paths-config", str(base / "paths.yaml"),
    ]  # fmt: skip


def write_random_checkpoints(folder: Path, *kinds: str) -> None:
    """random-KIND.safetensors of each kind, made by ComfyUI's own networks."""
    folder.mkdir(parents=True, exist_ok=True)
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("random_checkpoint.py")
    path = os.environ["COMFYUI_PATH"]
    subprocess.run([python, str(script), str(folder), *kinds], cwd=path, check=True)
