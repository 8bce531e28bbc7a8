"""The application of `toonout serve`: our own routes, those of rembg, and the page about them."""

from __future__ import annotations

import ipaddress

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from .. import __version__
from .characters import Detectors
from .pipelines import Pipelines
from .program import Program
from .rembg import make_rembg_router
from .routes import make_router

_LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]"]


def make_app(program: Program, *, urls: bool, address: str) -> FastAPI:
    """`urls`: whether public addresses are fetched. `address`: where the server listens.

    A server of this machine alone answers under its own names only: a page of a stranger, whose
    name leads to this machine, is told nothing.
    """
    app = FastAPI(title="ToonOut", version=__version__, redoc_url=None)
    pipelines = Pipelines(program)
    app.include_router(make_rembg_router(pipelines, urls=urls))
    app.include_router(make_router(Detectors(pipelines)))
    for path in ("/", "/api"):
        app.add_api_route(path, to_docs, methods=["GET"], include_in_schema=False)
    if is_loopback(address):
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK, address])
    return app


def to_docs() -> RedirectResponse:
    """The page that shows all routes."""
    return RedirectResponse("/docs")


def is_loopback(address: str) -> bool:
    """Whether other machines cannot reach it."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
