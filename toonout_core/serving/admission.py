"""Who may use the routes, and how much they may send.

Hosts protect their own routes only: those of extensions are open unless they ask themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Depends, HTTPException, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from .program import Program, Settings

_WHERE = "in the WebUI's settings, or with options of toonout serve"
THROWN_AWAY = 2_000_000_000  # bytes


def limited_route(program: Program) -> type[APIRoute]:
    """Refuses a body that is too large, and keeps nothing of it: known by its length, or where it
    does not tell that, as soon as too much has come."""

    class LimitedRoute(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            handle = super().get_route_handler()

            async def limited(request: Request) -> Any:
                limits = program.settings()
                try:
                    require_size(_whole(request.headers.get("content-length", "0")), limits)
                except HTTPException:
                    await _throw_away(request)
                    raise
                return await handle(Request(request.scope, _counted(request, limits)))

            return limited

    return LimitedRoute


def _counted(request: Request, limits: Settings) -> Callable[[], Awaitable[Any]]:
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        require_size(received, limits)
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


def require_size(length: int, limits: Settings) -> None:
    """413 above the limit of the settings."""
    if length > limits.megabytes * 1_000_000:
        raise HTTPException(
            413,
            f"A request must have at most {limits.megabytes} MB, but has {length / 1e6:.1f} MB. "
            f"Send less, or raise the limit: {_WHERE}.",
        )


def require_pixels(size_hw: tuple[int, int], name: str, limits: Settings) -> None:
    """413 for a picture above the limit of the settings, before it is decoded."""
    height, width = size_hw
    if height * width > limits.megapixels * 1_000_000:
        raise HTTPException(
            413, f"{name} must have at most {limits.megapixels} megapixels, but has "
            f"{width}×{height}. Make it smaller, or raise the limit: {_WHERE}."
        )  # fmt: skip


def _whole(text: str) -> int:
    """A length that a client tells; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def dependencies(known: Mapping[str, str]) -> list[Any]:
    """For a router: ask for the credentials, if there are any; `known`: user → password."""
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
