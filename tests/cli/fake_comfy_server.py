"""A ComfyUI of the tests' own on the loopback: upload, queue, websocket, history, view."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


@dataclass
class FakeServer:
    """What it does is set by the fields; what was asked of it is counted in them."""

    url: str = ""
    seconds: float = 0.0  # of work a prompt
    files_of: dict[str, list[str]] = field(default_factory=lambda: {"2": ["x_00001_.png"]})
    file_type: str = "output"
    refuse: dict[str, Any] | None = None  # the answer to /prompt, with status 400
    node_errors: dict[str, Any] | None = None  # in an answer of status 200
    fails_on: bytes = b"\0never"  # content of a picture that breaks its prompt
    deaf: bool = False  # tells nothing over the websocket
    cuts: int = 0  # websockets to cut at their first event
    forgets: bool = False  # drops the queue after the first prompt is accepted
    own_ids: bool = False  # names prompts itself

    uploads: dict[str, bytes] = field(default_factory=dict)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    most_at_once: int = 0
    history: dict[str, Any] = field(default_factory=dict)
    interrupts: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**24)
        app.add_routes(
            [
                web.get("/system_stats", self.system_stats),
                web.post("/upload/image", self.upload),
                web.post("/prompt", self.prompt),
                web.get("/queue", self.get_queue),
                web.post("/queue", self.post_queue),
                web.post("/interrupt", self.interrupt),
                web.get("/history/{id}", self.get_history),
                web.get("/view", self.view),
                web.get("/ws", self.ws),
            ]
        )
        return app

    async def system_stats(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": "0.0.fake"}, "devices": []})

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        assert form["type"] == "input"
        name = f"{form['subfolder']}/{image.filename}"
        self.uploads[name] = image.file.read()
        return web.json_response(
            {"name": image.filename, "subfolder": form["subfolder"], "type": "input"}
        )

    async def prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.refuse is not None:
            return web.json_response(self.refuse, status=400)
        prompt_id = f"own-{len(self.prompts)}" if self.own_ids else body["prompt_id"]
        self.prompts.append(body)
        if not self.forgets:
            self.waiting.append(prompt_id)
            self.most_at_once = max(self.most_at_once, len(self.waiting) + len(self.running))
            task = asyncio.create_task(self.work(prompt_id, body))
            task.add_done_callback(lambda task: task.cancelled() or task.result())
        answer = {"prompt_id": prompt_id, "number": 1, "node_errors": self.node_errors or {}}
        return web.json_response(answer)

    async def work(self, prompt_id: str, body: dict[str, Any]) -> None:
        while self.running or (self.waiting and self.waiting[0] != prompt_id):
            await asyncio.sleep(0.005)
            if prompt_id not in self.waiting:
                return
        self.waiting.remove(prompt_id)
        self.running.append(prompt_id)
        await self.tell("execution_start", {"prompt_id": prompt_id})
        for step in range(4):
            data = {"value": step, "max": 4, "node": "1", "prompt_id": prompt_id}
            await self.tell("progress", data)
            await asyncio.sleep(self.seconds / 4)
            if prompt_id in self.interrupts:
                await self.end(prompt_id, "execution_interrupted", {})
                return
        picture = self.uploads[body["prompt"]["1"]["inputs"]["image"]]
        if picture == self.fails_on:
            error = {
                "node_id": "1", "node_type": "LoadImage", "exception_type": "ValueError",
                "exception_message": "cannot read it\n",
            }  # fmt: skip
            await self.end(prompt_id, "execution_error", error)
            return
        outputs = {
            node: {
                "images": [
                    {"filename": name, "subfolder": prompt_id, "type": self.file_type}
                    for name in files
                ],
                "animated": [False],
            }
            for node, files in self.files_of.items()
        }
        self.history[prompt_id] = {"picture": picture, "outputs": outputs}
        await self.end(prompt_id, "execution_success", {})

    async def end(self, prompt_id: str, kind: str, data: dict[str, Any]) -> None:
        data = data | {"prompt_id": prompt_id}
        await self.tell(kind, data)
        await asyncio.sleep(0.02)  # history comes after the event, as in the original
        entry = self.history.setdefault(prompt_id, {"outputs": {}})
        good = kind == "execution_success"
        entry["status"] = {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": [["execution_start", {}], [kind, data]],
        }
        self.running.remove(prompt_id)
        await self.tell("executing", {"node": None, "prompt_id": prompt_id})

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        if self.deaf:
            return
        for socket in list(self.sockets):
            if self.cuts:
                self.cuts -= 1
                await socket.close()
            elif not socket.closed:
                await socket.send_str(json.dumps({"type": kind, "data": data}))
                await socket.send_bytes(b"\0\0\0\1preview")

    async def get_queue(self, _: web.Request) -> web.Response:
        items = {"queue_running": self.running, "queue_pending": self.waiting}
        return web.json_response({key: [[0, i, {}, {}, []] for i in v] for key, v in items.items()})

    async def post_queue(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json())["delete"]:
            if prompt_id in self.waiting:
                self.waiting.remove(prompt_id)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        self.interrupts.append((await request.json()).get("prompt_id") or "everything")
        return web.Response()

    async def get_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        entry = self.history.get(prompt_id)
        if entry is None or "status" not in entry:
            return web.json_response({})
        shown = {key: entry[key] for key in ("outputs", "status")}
        return web.json_response({prompt_id: shown})

    async def view(self, request: web.Request) -> web.Response:
        picture = self.history[request.query["subfolder"]]["picture"]
        name = request.query["filename"]
        return web.Response(body=f"result {name} of ".encode() + picture)

    async def ws(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["clientId"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for _ in socket:
            pass
        self.sockets.remove(socket)
        return socket

    async def listen(self) -> web.AppRunner:
        """From now on; `url` tells where."""
        runner = web.AppRunner(self.app(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


@contextmanager
def fake_server(**options: Any) -> Iterator[FakeServer]:
    """A server in a thread of its own."""
    server = FakeServer(**options)
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner = await server.listen()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def server_process(**options: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that can be killed: its address and its process."""
    command = [sys.executable, __file__, json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


async def _serve_for_ever(server: FakeServer) -> None:
    await server.listen()
    print(server.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_for_ever(FakeServer(**json.loads(sys.argv[1]))))
