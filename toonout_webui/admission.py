"""Who may use the routes, and how much they may send.

Hosts protect their own routes only: those of extensions are open unless they ask themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, HTTPException, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from . import hosts

THROWN_AWAY = 2_000_000_000  # bytes
DEFAULT_MEGAPIXELS = 25


class LimitedRoute(APIRoute):
    """Refuses a body that is too large, and keeps nothing of it: known by its length, or where it
    does not tell that, as soon as too much has come."""

    def get_route_handler(self) -> Callable[..., Any]:
        handle = super().get_route_handler()

        async def limited(request: Request) -> Any:
            length = request.headers.get("content-length", "0")
            try:
                require_size(_whole(length))
            except HTTPException:
                await _throw_away(request)
                raise
            return await handle(Request(request.scope, _counted(request)))

        return limited


def _counted(request: Request) -> Callable[[], Awaitable[Any]]:
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        require_size(received)
        return message

    return receive


async def _throw_away(request: Request) -> None:
    """Most clients send everything before they listen, and would see a broken connection instead
    of an answer. Nobody may send for ever, though."""
    thrown_away = 0
    while thrown_away < THROWN_AWAY:
        message = await request.receive()
        thrown_away += len(message.get("body", b""))
        if not message.get("more_body"):
            break


def require_size(length: int) -> None:
    """413 above the limit of the settings."""
    limit_mb = int(hosts.option("toonout_api_megabytes", 64))
    if length > limit_mb * 1_000_000:
        raise HTTPException(
            413, f"A request must have at most {limit_mb} MB, but has {length / 1e6:.1f} MB."
        )


def require_pixels(size_hw: tuple[int, int], name: str) -> None:
    """413 for a picture above the limit of the settings, before it is decoded."""
    limit = int(hosts.option("toonout_api_megapixels", DEFAULT_MEGAPIXELS))
    height, width = size_hw
    if height * width > limit * 1_000_000:
        raise HTTPException(
            413, f"{name} must have at most {limit} megapixels, but has {width}×{height}. "
            "Make it smaller, or raise the limit in the settings."
        )  # fmt: skip


def _whole(text: str) -> int:
    """A length that a client tells; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def credentials() -> dict[str, str]:
    """User → password of --api-auth; without it of the page: --gradio-auth, in SD.Next --auth."""
    entries: list[str] = []
    for name in ("api_auth", "gradio_auth", "auth"):
        if given := hosts.flag(name):
            entries = [entry.strip() for entry in str(given).split(",") if entry.strip()]
            break
    path = hosts.flag("gradio_auth_path") or hosts.flag("auth_file")
    if path and not entries:
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("\n", ",")
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return dict(entry.split(":", 1) for entry in entries)


def dependencies() -> list[Any]:
    """For a router: ask for the credentials, if there are any."""
    known = credentials()
    if not known:
        return []

    def check(given: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        password = known.get(given.username)
        right = secrets.compare_digest(
            given.password.encode(), (password if password is not None else "").encode()
        )
        if password is None or not right:
            raise HTTPException(
                401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"}
            )

    return [Depends(check)]
