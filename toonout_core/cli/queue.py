"""`toonout queue`: one prompt a picture into the queues of running ComfyUIs."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import needs
from ..options import running
from .comfy_server import ComfyServer
from .folder_run import conclude, exit_code, open_folder
from .options import add_file_options
from .parsing import Verbs, add
from .queue_run import Backlog, ServerRun
from .queue_servers import answering, spread
from .terminal import ProgressBar
from .workflow import Workflow, read_workflow

if TYPE_CHECKING:
    from ..output.destination import Destination
    from ..output.naming import Found
    from ..output.report import Report

EXAMPLES = """\
examples:
  toonout queue drawings --workflow cutout.json -o results
  toonout queue drawings --workflow cutout.json -o results --resume
  toonout queue "*.png" --workflow two_inputs.json --input 12.image -o results
  toonout queue drawings --workflow all.json --output 9 --server http://192.168.0.5:8188 -o results
  toonout queue art --workflow w.json -o out --server http://a:8188 --server http://b:8188

WORKFLOW is what ComfyUI's menu "Export (API)" writes. Each picture is uploaded to the server's
input folder "toonout" and put into the LoadImage node. Of the results, those of Save nodes are
fetched (those of Preview nodes if there is no Save node) and called like the picture:
girl.png, with several files girl_0001.png, girl_0002.png, with several nodes girl_9.png, ...
With several servers, whichever is free takes the next picture, and takes over what still waits at
another one. The pictures of a server that stops answering go to the others.
Ctrl-C takes what is left out of the queue; prompts of others stay.

exit codes: 0 all done, 1 some pictures failed, 2 nothing could be done, 130 interrupted,
  143 ended by SIGTERM
"""

_PATIENCE_S = 30.0  # for a connection
_SILENCE_S = 120.0  # of a server in the middle of an answer


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "queue",
        help="run a workflow of a running ComfyUI over pictures",
        description="Put one prompt a picture into the queues of one or more running ComfyUIs.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help='picture, folder or pattern ("*.png")'
    )
    add(parser, running.QUEUE_OUT)
    add(parser, running.WORKFLOW, required=True)
    add(parser, running.SERVER, several=True)
    add(parser, running.INPUT)
    add(parser, running.OUTPUT, several=True)
    add(parser, running.IN_FLIGHT)
    add_file_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Queue everything that was named."""
    try:
        import aiohttp  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise needs("toonout queue", "aiohttp", "queue") from None
    workflow = read_workflow(Path(arguments.workflow), arguments.input)
    settings = {"workflow": workflow.graph, "input": arguments.input, "out": arguments.output}
    with open_folder(arguments, Path(arguments.out), settings) as (destination, found):
        return _queue_all(arguments, workflow, destination, found)


def _queue_all(
    arguments: argparse.Namespace, workflow: Workflow, destination: Destination, found: Found
) -> int:
    from ..output.report import Report, Result

    report = Report([Result(Path(name), "failed", message=text) for name, text in found.problems])
    try:
        with ProgressBar(len(found.sources), "queue", quiet=arguments.quiet) as bar:
            if found.sources:
                asyncio.run(_run(arguments, workflow, destination, report, bar))
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if report.results or report.interrupted or not found.sources:
            conclude(arguments, report, found, destination.out)
    return exit_code(report, found)


async def _run(
    arguments: argparse.Namespace,
    workflow: Workflow,
    destination: Destination,
    report: Report,
    bar: ProgressBar,
) -> None:
    from aiohttp import ClientSession, ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_PATIENCE_S, sock_read=_SILENCE_S)
    urls = dict.fromkeys(url.rstrip("/") for url in arguments.server or [running.SERVER.default])
    async with ClientSession(timeout=timeout) as session:
        servers = await answering([ComfyServer(url, session) for url in urls], arguments.quiet)
        destination.prepare()
        backlog = Backlog(destination.sources)
        runs = [
            ServerRun(server, workflow, destination, arguments.output, report, bar, backlog)
            for server in servers
        ]
        await spread(runs, arguments.in_flight, arguments.quiet)
