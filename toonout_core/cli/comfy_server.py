"""The part of ComfyUI's HTTP and websocket interface that a queue of prompts needs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, ToonOutError
from .workflow import Prompt

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

log = logging.getLogger("toonout")

UPLOAD_FOLDER = "toonout"

_ENDS = frozenset({"execution_error", "execution_interrupted"})
_RECONNECT_S = 1.0


class Refused(ToonOutError):
    """ComfyUI does not accept a prompt; `nodes`: the ids of the nodes that it complains about."""

    def __init__(self, message: str, nodes: frozenset[str] = frozenset()) -> None:
        self.nodes = nodes
        super().__init__(message)


@dataclass(frozen=True)
class OutputFile:
    """A file that a node has written on the server."""

    node: str
    filename: str
    subfolder: str
    type: str  # "output", "temp" or "input"


class ComfyServer:
    """One client of a running ComfyUI."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url, self.session = url.rstrip("/"), session
        self.client_id = uuid.uuid4().hex
        self.listening = asyncio.Event()

    @property
    def name(self) -> str:
        """What tells it from others in few letters."""
        return self.url.partition("://")[2]

    async def version(self) -> str:
        """Raises ToonOutError if no ComfyUI answers."""
        from aiohttp import ClientError

        try:
            system = (await self._get_json("/system_stats"))["system"]
        except (ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise ToonOutError(
                f"A ComfyUI must be running at {self.url}, but none answers "
                f"({error or type(error).__name__}). Start it, or name another one with --server."
            ) from error
        return str(system.get("comfyui_version", "unknown"))

    async def upload(self, path: Path) -> str:
        """The picture's name for a LoadImage node; the same picture has the same name for ever."""
        from aiohttp import FormData

        content = await asyncio.to_thread(path.read_bytes)
        name = hashlib.sha256(content).hexdigest()[:32] + path.suffix.lower()
        form = FormData()
        form.add_field("image", content, filename=name, content_type="application/octet-stream")
        for field, value in (("type", "input"), ("subfolder", UPLOAD_FOLDER), ("overwrite", "1")):
            form.add_field(field, value)
        async with self.session.post(f"{self.url}/upload/image", data=form) as response:
            if response.status != 200:
                raise BadInput(
                    "ComfyUI must accept the upload", f"{response.status} {await _text(response)}"
                )
            answer = await response.json()
        return "/".join(part for part in (answer["subfolder"], answer["name"]) if part)

    async def submit(self, prompt: Prompt, prompt_id: str) -> str:
        """Put it at the end of the queue. Raises Refused, also if only some outputs are valid."""
        body = {"prompt": prompt, "client_id": self.client_id, "prompt_id": prompt_id}
        async with self.session.post(f"{self.url}/prompt", json=body) as response:
            try:
                answer = await response.json()
            except ValueError:
                answer = {}
        if response.status == 200 and not answer.get("node_errors"):
            return str(answer["prompt_id"])
        if "prompt_id" in answer:  # it runs the valid outputs: take it back
            await self.cancel([str(answer["prompt_id"])])
        raise _refusal(response.status, answer)

    async def history(self, prompt_id: str) -> Mapping[str, Any] | None:
        """What became of a prompt; None until it has ended."""
        return (await self._get_json(f"/history/{prompt_id}")).get(prompt_id)

    async def queued(self) -> set[str]:
        """Ids of all prompts that run or wait, of any client."""
        running, waiting = await self._queue()
        return running | waiting

    async def cancel(self, prompt_ids: list[str]) -> None:
        """Take prompts out of the queue, and interrupt the one that runs if it is among them."""
        async with self.session.post(f"{self.url}/queue", json={"delete": prompt_ids}):
            pass
        running, _ = await self._queue()
        for prompt_id in running & set(prompt_ids):
            # releases before 0.3.50 interrupt whatever runs, so only after a look at the queue
            async with self.session.post(f"{self.url}/interrupt", json={"prompt_id": prompt_id}):
                pass

    async def withdraw(self, prompt_id: str) -> bool:
        """Take a prompt out of the queue that does not run yet; whether that came in time."""
        async with self.session.post(f"{self.url}/queue", json={"delete": [prompt_id]}):
            pass
        if prompt_id in await self.queued():
            return False
        return await self.history(prompt_id) is None

    async def download(self, file: OutputFile) -> bytes:
        """The content of a result."""
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        async with self.session.get(f"{self.url}/view", params=query) as response:
            if response.status != 200:
                raise BadInput(
                    f"ComfyUI must hand out {file.filename}", f"{response.status} {response.reason}"
                )
            return await response.read()

    async def events(self) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """(type, data) of every message for this client; connects again when cut off."""
        from aiohttp import ClientError, WSMsgType

        url = f"{self.url}/ws?clientId={self.client_id}".replace("http", "ws", 1)
        while True:
            try:
                async with self.session.ws_connect(url, max_msg_size=0, heartbeat=30) as channel:
                    self.listening.set()
                    async for message in channel:
                        if message.type == WSMsgType.TEXT:
                            event = json.loads(message.data)
                            yield str(event.get("type")), event.get("data") or {}
            except (ClientError, OSError, TimeoutError) as error:
                log.debug("websocket: %s", error)
            await asyncio.sleep(_RECONNECT_S)

    async def _queue(self) -> tuple[set[str], set[str]]:
        queue = await self._get_json("/queue")
        running, waiting = (
            {str(item[1]) for item in queue[key]} for key in ("queue_running", "queue_pending")
        )
        return running, waiting

    async def _get_json(self, path: str) -> Any:
        async with self.session.get(f"{self.url}{path}") as response:
            response.raise_for_status()
            return await response.json()


async def _text(response: ClientResponse) -> str:
    return (await response.text())[:300] or str(response.reason)


def ended(kind: str, data: Mapping[str, Any]) -> str | None:
    """The prompt whose end an event tells."""
    last = kind == "executing" and data.get("node") is None
    prompt_id = data.get("prompt_id")
    return str(prompt_id) if prompt_id and (last or kind in _ENDS) else None


def failure(history: Mapping[str, Any]) -> str:
    """Why a prompt that has ended did not succeed; empty if it did."""
    status = history.get("status") or {}
    for kind, data in status.get("messages", []):
        if kind == "execution_error":
            node = f"{data.get('node_type')} #{data.get('node_id')}"
            message = str(data.get("exception_message", "")).strip()
            return f"{node}: {data.get('exception_type')}: {message}"
        if kind == "execution_interrupted":
            return "It was interrupted in ComfyUI."
    return "" if status.get("status_str", "success") == "success" else "It failed in ComfyUI."


def output_files(history: Mapping[str, Any]) -> Iterator[OutputFile]:
    """Everything that the nodes have written, in the order of the nodes' ids."""
    outputs: Mapping[str, Any] = history.get("outputs") or {}
    for node in sorted(outputs, key=lambda node: (len(node), node)):
        for items in outputs[node].values():
            for item in items if isinstance(items, list) else []:
                if isinstance(item, dict) and "filename" in item:
                    yield OutputFile(
                        node,
                        str(item["filename"]),
                        str(item.get("subfolder", "")),
                        str(item.get("type", "output")),
                    )


def _refusal(status: int, answer: Mapping[str, Any]) -> Refused:
    node_errors: Mapping[str, Any] = answer.get("node_errors") or {}
    reasons = [
        f"{details.get('class_type')} #{node}: {error.get('message')} ({error.get('details')})"
        for node, details in node_errors.items()
        for error in details.get("errors", [])
    ]
    error = answer.get("error") or {}
    if not reasons:
        text = error.get("message") if isinstance(error, dict) else error
        reasons = [str(text or f"status {status}")]
    said = "ComfyUI refuses it: " + "; ".join(reasons).rstrip(".") + "."
    return Refused(said, frozenset(node_errors))
