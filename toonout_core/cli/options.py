"""Options that several verbs share, and the pipeline that they name."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import cutout, files, models, running
from .parsing import Parser, add

if TYPE_CHECKING:
    from ..host import LocalHost
    from ..matting import Matting


def add_model_options(parser: Parser, *, several: bool = False) -> None:
    """What every verb that runs a network has; `several`: --model may be given more than once."""
    add(parser, running.MODELS if several else models.MODEL, title="model", several=several)
    add(parser, models.RESOLUTION, title="model")
    add_device_options(parser, "model")


def add_device_options(parser: Parser, title: str) -> None:
    """Where networks run, and where their files come from."""
    add(parser, *running.RUNNING, title=title)
    add(parser, running.MODELS_DIR, title=title, several=True)


def add_foreground_options(parser: Parser) -> None:
    """How the colours of soft edges are made."""
    add(parser, cutout.CLEAN_COLOURS, cutout.FOREGROUND_METHOD, title="result")


def add_output_options(parser: Parser) -> None:
    """What a result is made of."""
    add(parser, files.FORMAT, cutout.BACKGROUND, files.MASK_ONLY, title="result")
    add_foreground_options(parser)
    add(parser, cutout.SOURCE_ALPHA, files.SHRINK_TO, title="result")
    parser.titled("result").add_argument(
        "--crop", nargs="?", const="0", metavar="MARGIN",
        help="Cut to the character, with a margin in pixels or, as 5%%, of its longer side.",
    )  # fmt: skip
    add(parser, cutout.CROP_ASPECT, files.FRAMES, files.BITS, title="result")
    add(parser, files.FILE_QUALITY, files.METADATA, title="result")


def add_file_options(parser: Parser) -> None:
    """What every verb has that fills a folder."""
    add(parser, running.RECURSIVE, running.ON_EXISTS, title="files")
    parser.titled("files").add_argument(
        "--overwrite", dest=running.ON_EXISTS.name, action="store_const", const="overwrite",
        help=running.OVERWRITE.help,
    )  # fmt: skip
    add(parser, running.RESUME, running.REPORT, running.QUIET, title="files")


def split_of(arguments: argparse.Namespace) -> str:
    """The split by the one name that we write; `validation` is read too."""
    return "val" if arguments.split == "validation" else arguments.split


def load_model(
    arguments: argparse.Namespace, name: str | None = None, *, remember: bool = True
) -> Matting:
    """The pipeline that the model options name, or the model `name` with the other options."""
    from ..chosen import matting_options
    from ..matting import load_matting

    how = matting_options(vars(arguments))
    host = open_host(arguments)
    return load_matting(name or arguments.model, host=host, remember=remember, **how)


def require_models(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Find all of them, or fetch them, before the first one works for an hour."""
    from ..loading import locate

    host = open_host(arguments)
    for name in names:
        locate(name, host, download=arguments.allow_download)


def open_host(arguments: argparse.Namespace) -> LocalHost:
    """The host that the device options describe, one for all models of a command."""
    from ..host import cache_dir
    from ..ops.linear import prefer
    from .shell_host import ShellHost

    if "host" not in arguments:
        prefer(arguments.cpu_linear)
        folders = [Path(folder).expanduser() for folder in arguments.models_dir]
        host = ShellHost(arguments.device, [*folders, cache_dir()], quiet=arguments.quiet)
        logging.getLogger("toonout").info("device: %s", host.device)
        arguments.host = host
    return arguments.host
