"""`toonout serve`: cut out over HTTP."""

from __future__ import annotations

import argparse
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from socket import create_connection
from typing import TYPE_CHECKING

from ..errors import BadInput, needs
from ..options import models, running
from ..options.serving import SERVING
from .options import add_device_options, open_host
from .parsing import Verbs, add
from .terminal import say

if TYPE_CHECKING:
    from ..serving.local import LocalProgram

EXAMPLES = """\
examples:
  toonout serve
  toonout serve --model toonout --device cuda:0
  toonout serve --no-url --port 8000
  toonout serve --address 0.0.0.0 --megapixels 12

Clients of rembg's server need a new address only: /api/remove has its parameters. The routes of our
own under /toonout/v1 have every option. http://127.0.0.1:7000/docs shows all of them.
Ctrl-C ends the server.
"""

NEEDED = ("fastapi", "uvicorn", "python_multipart", "aiohttp")


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "serve",
        help="cut out over HTTP, also for clients of rembg",
        description="Cut out over HTTP, also for clients of rembg.",
        epilog=EXAMPLES,
    )
    add(parser, *SERVING, title="server")
    add(parser, models.MODEL, title="model")
    add_device_options(parser, "model")
    add(parser, running.QUIET, title="server")


def run(arguments: argparse.Namespace) -> int:
    """Serve until somebody stops it."""
    for package in NEEDED:
        _require(package)
    import uvicorn

    from ..serving.app import is_loopback, make_app

    address, port = arguments.address, arguments.port
    _require_free(address, port)
    app = make_app(_program(arguments), urls=arguments.url, address=address)
    if not arguments.quiet:
        shown = f"[{address}]" if ":" in address else address
        say(f"ToonOut serves at http://{shown}:{port}; all routes: http://{shown}:{port}/docs")
    if not is_loopback(address):
        say(f"Whoever reaches {address} can use this server: it asks for no password.")
    uvicorn.run(
        app, host=address, port=port, limit_concurrency=arguments.waiting,
        log_level="warning" if arguments.quiet else "info",
    )  # fmt: skip
    return 0


def _require(package: str) -> None:
    try:
        import_module(package)
    except ImportError:
        raise needs("toonout serve", package, "serve") from None


def _require_free(address: str, port: int) -> None:
    """Raises BadInput where another program listens there: uvicorn would say it after our lines."""
    if _listens(address, port):
        raise BadInput(
            f"--port must be free at {address}", f"{port}, which another program uses",
            f"Choose another: --port {port + 1 if port < 65535 else port - 1}.",
        )  # fmt: skip


def _listens(address: str, port: int) -> bool:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    with suppress(OSError), create_connection((reached, port), timeout=1):
        return True
    return False


def _program(arguments: argparse.Namespace) -> LocalProgram:
    """A model that is a file is offered by its name, from its folder."""
    from ..chosen import loading_options
    from ..serving.local import LocalProgram
    from ..serving.program import Settings

    model = Path(arguments.model).expanduser()
    if model.is_file():
        arguments.models_dir = [*arguments.models_dir, str(model.parent)]
    settings = Settings(
        model=model.name if model.is_file() else arguments.model,
        precision=loading_options(vars(arguments))["precision"],
        kept_models=arguments.kept_models,
        allow_download=arguments.allow_download,
        megabytes=arguments.megabytes,
        megapixels=arguments.megapixels,
    )
    host = open_host(arguments)
    host.quiet = True  # a bar for each request would tear the lines of the log
    return LocalProgram(host, settings)
