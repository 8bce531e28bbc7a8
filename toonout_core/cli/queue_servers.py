"""Several ComfyUIs at once: whichever is free takes the next picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..errors import ToonOutError
from .comfy_server import ComfyServer, Refused
from .queue_run import ServerRun
from .terminal import say


async def answering(servers: Sequence[ComfyServer], quiet: bool) -> list[ComfyServer]:
    """Those that are there. Raises ToonOutError if none is."""
    found: list[ComfyServer] = []
    versions = await asyncio.gather(*(s.version() for s in servers), return_exceptions=True)
    for server, version in zip(servers, versions, strict=True):
        if isinstance(version, str):
            found.append(server)
            if not quiet:
                say(f"ComfyUI {version} at {server.url}")
        elif not isinstance(version, ToonOutError) or len(servers) == 1:
            raise version
        else:
            say(f"{version} The others go on.")
    if not found:
        raise ToonOutError("None of the servers answers. Start one, or name another one.")
    return found


async def spread(runs: Sequence[ServerRun], in_flight: int, quiet: bool) -> None:
    """Raises what ends the last of them. What a server leaves undone goes to the others."""
    from aiohttp import ClientError

    tasks = {asyncio.create_task(run.run(in_flight)): run for run in runs}
    try:
        while tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                run = tasks.pop(task)
                error = task.exception()
                if isinstance(error, ClientError | TimeoutError):
                    gone = ToonOutError(
                        f"ComfyUI at {run.server.url} must keep answering, but: "
                        f"{error or type(error).__name__}."
                    )
                    gone.__cause__ = error
                    error = gone if tasks else ToonOutError(f"{gone} {_KEPT}")
                elif error is not None and not isinstance(error, Refused):
                    raise error
                if error is not None and not tasks:
                    raise error
                if error is not None:
                    say(f"{run.server.url} is left out: {error} Its pictures go to the others.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if len(runs) > 1 and not quiet:
        say("; ".join(f"{run.server.url}: {run.done} done" for run in runs) + ".")


_KEPT = "What is done is kept; go on with --resume."
