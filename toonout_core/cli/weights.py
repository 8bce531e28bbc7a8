"""`toonout weights`: what can be had, what is here, is it sound, and in other forms."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ToonOutError, UnknownModel
from ..options import running
from .parsing import Verbs, add
from .terminal import say

if TYPE_CHECKING:
    from ..host import LocalHost
    from ..weights import Weights

EXAMPLES = """\
examples:
  toonout weights list
  toonout weights download toonout
  toonout weights verify ~/ComfyUI/models/background_removal/*.safetensors
  toonout weights convert birefnet_finetuned_toonout.pth -o toonout-fp16.safetensors --dtype fp16
  toonout weights convert isnet-general.pth -o isnet.safetensors --mean 0.5,0.5,0.5 --fit squash
  toonout weights average runs/1/best.safetensors runs/2/best.safetensors -o mean.safetensors

A converted file also loads in ComfyUI's own background removal node. That node feeds ToonOut its
picture in an order the network was not trained with; our nodes do not.
Exit code 1 if some of several files failed, 2 if nothing could be done.
"""


_STATED = "what OUT states of itself"
_WHAT_IS_STATED = (
    "How the network was trained to see pictures. It is read when OUT is loaded, and wins over "
    "what is usual for the architecture. What FILE states is kept."
)


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "weights",
        help="list, download, verify, convert and average weight files",
        description="List, download, verify, convert and average weight files.",
        epilog=EXAMPLES,
    )
    actions = parser.add_verbs("action")
    listing = actions.add_parser(
        "list",
        help="show all published weights and which are here",
        description="Show all published weights, and which are here.",
    )
    add(listing, running.JSON)
    download = actions.add_parser(
        "download",
        help="fetch published weights, verified",
        description="Fetch published weights, and check them.",
    )
    download.add_argument("names", nargs="+", metavar="NAME", help="see 'toonout weights list'")
    verify = actions.add_parser(
        "verify",
        help="check weight files, and say which network they are for",
        description="Check weight files, and say which network they are for.",
    )
    verify.add_argument("files", nargs="+", metavar="FILE", help="a file, or a name of the list")
    convert = actions.add_parser(
        "convert",
        help="write a weight file as safetensors",
        description="Write a weight file as safetensors.",
    )
    convert.add_argument("file", metavar="FILE", help="a file, or a name of the list")
    convert.titled(_STATED, _WHAT_IS_STATED)
    add(convert, *running.FEEDING, title=_STATED)
    average = actions.add_parser(
        "average",
        help="write the mean of several states of one network",
        description="Write the mean of several states of one network.",
    )
    average.add_argument("files", nargs="+", metavar="FILE", help="two or more")
    add(average, running.SHARES, count="+")
    for action in (convert, average):
        add(action, running.CONVERTED, required=True)
        add(action, running.DTYPE, running.REPLACE)
    for action in (listing, download, verify, convert, average):
        add(action, running.MODELS_DIR, several=True)
        add(action, running.QUIET)


def run(arguments: argparse.Namespace) -> int:
    """Reports go to stdout, all else to stderr."""
    from ..host import LocalHost, cache_dir

    folders = [Path(folder).expanduser() for folder in arguments.models_dir]
    host = LocalHost("cpu", [*folders, cache_dir()], quiet=arguments.quiet)
    if arguments.action == "list":
        return _list(host, arguments.json)
    if arguments.action == "download":
        return _each(arguments.names, lambda name: _download(name, host))
    if arguments.action == "verify":
        return _each(arguments.files, lambda name: _verify(name, host))
    if arguments.action == "average":
        return _average(arguments, host)
    return _convert(arguments, host)


def _list(host: LocalHost, as_json: bool) -> int:
    from ..weights import WEIGHTS

    rows = [_describe(row, host) for row in WEIGHTS]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        size = f"{row['size_bytes'] / 1_000_000:.0f} MB"
        print(f"{row['name']:<{width}}  {size:>7}  {row['licence']:<12}  {row['purpose']}")
        if row["path"]:
            print(f"{'':<{width}}  {'':>7}  {row['path']}")
    print(f"Folders searched: {', '.join(map(str, host.weight_dirs()))}")
    return 0


def _describe(row: Weights, host: LocalHost) -> dict[str, Any]:
    from ..weight_files.locating import find_file

    path = find_file(row, host)
    there = path is not None and path.is_file()
    size = path.stat().st_size if path is not None and there else row.size_bytes
    return {
        "name": row.name,
        "task": row.task,
        "purpose": row.purpose,
        "licence": row.licence,
        "size_bytes": size,
        "path": str(path) if there else "",
        "url": row.url,
    }


def _each(names: list[str], work: Callable[[str], None]) -> int:
    """1 if some failed, 2 if all did."""
    failed = 0
    for name in names:
        try:
            work(name)
        except ToonOutError as error:
            failed += 1
            say(f"{name}: {error}")
    return 0 if not failed else 2 if failed == len(names) else 1


def _download(name: str, host: LocalHost) -> None:
    from ..loading import locate
    from ..weights import WEIGHTS, find

    row = find(name)
    if row is None:
        names = ", ".join(row.name for row in WEIGHTS)
        raise UnknownModel(f"The name must be one of {names}, but is {name}.")
    path, _ = locate(name, host, task=row.task)
    print(path)


def _verify(name: str, host: LocalHost) -> None:
    from ..loading import find_here, load_network, verify_file

    path, row = find_here(name, host)
    known = verify_file(path, row, host)
    loaded = load_network(path, host, task=None, precision="fp32", download=False)
    count = len(loaded.network.state_dict())
    checksum = "sha256 as recorded" if known else "no checksum known"
    stated = "".join(f", {key} {text}" for key, text in loaded.stated.stated().items())
    print(f"{path}: {loaded.name}, {loaded.architecture.id}, {count} tensors, {checksum}{stated}")


def _convert(arguments: argparse.Namespace, host: LocalHost) -> int:
    from ..converting import convert
    from ..loading import find_here
    from ..weight_files.feeding import KEYS, read_feeding

    given = {key: getattr(arguments, key) for key in KEYS}
    feeding = read_feeding({key: text for key, text in given.items() if text is not None})
    source, _ = find_here(arguments.file, host)
    target = Path(arguments.out).expanduser()
    convert(source, target, host, dtype=arguments.dtype, feeding=feeding, force=arguments.replace)
    print(target)
    return 0


def _average(arguments: argparse.Namespace, host: LocalHost) -> int:
    from ..converting import average
    from ..loading import find_here

    sources = [find_here(file, host)[0] for file in arguments.files]
    target = Path(arguments.out).expanduser()
    average(
        sources, target, host,
        shares=arguments.shares, dtype=arguments.dtype, force=arguments.replace,
    )  # fmt: skip
    print(target)
    return 0
