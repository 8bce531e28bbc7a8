"""Options that several verbs share, and the pipeline that they name."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..host import LocalHost
    from ..matting import Matting

Group = argparse._ArgumentGroup  # pyright: ignore[reportPrivateUsage] (it has no public name)


def add_model_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """What every verb that runs a network has; `several`: --model may be given more than once."""
    group = parser.add_argument_group("model")
    note = "may be given several times" if several else "default: %(default)s"
    group.add_argument(
        "--model",
        action="append" if several else "store",
        default=None if several else "toonout-mini",
        metavar="NAME|FILE",
        help="toonout-mini is small and part of this package; toonout is the full-quality one "
        f"(885 MB, downloaded once); see 'toonout weights list' ({note})",
    )
    group.add_argument(
        "--resolution", type=int, metavar="N", help="side of the square that the network sees"
    )
    add_device_options(group)


def add_device_options(group: Group) -> None:
    """Where networks run, and where their files come from."""
    group.add_argument(
        "--precision", choices=("auto", "fp32", "fp16", "bf16"), default="auto",
        help="auto: fp16 on a GPU that is good at it, else fp32",
    )  # fmt: skip
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)"
    )
    group.add_argument(
        "--models-dir", action="append", default=[], metavar="DIR",
        help="folder with weight files, searched first; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--no-download", action="store_true", help="use weight files that are here, or fail"
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """What a result is made of."""
    group = parser.add_argument_group("result")
    group.add_argument(
        "--format",
        choices=("png", "webp", "jpg", "tiff", "gif"),
        help="default: png, or as OUT is called; gif has hard edges",
    )
    group.add_argument(
        "--background", metavar="COLOUR|FILE",
        help="put the character on a colour ('#ff00ff', white) or a picture",
    )  # fmt: skip
    group.add_argument("--mask-only", action="store_true", help="write alpha as a grey picture")
    group.add_argument(
        "--foreground", action=argparse.BooleanOptionalAction, default=True,
        help="clear the old background's colour from soft edges (default: on)",
    )  # fmt: skip
    add_foreground_method(group)
    group.add_argument(
        "--source-alpha", choices=("multiply", "ignore"), default="multiply",
        help="what to do with transparency that a picture already has (default: %(default)s)",
    )  # fmt: skip
    add_shrink_option(group)
    group.add_argument(
        "--crop", nargs="?", const="0", metavar="MARGIN",
        help="cut to the character, with a margin in pixels or, as 5%%, of its longer side",
    )  # fmt: skip
    group.add_argument(
        "--aspect", default="", metavar="W:H", help="width and height of the crop, as 1:1 or 3:4"
    )
    group.add_argument(
        "--frames", action="store_true", help="write the frames of an animation as files"
    )
    group.add_argument(
        "--bits", choices=("auto", "8", "16"), default="auto",
        help="a channel; auto keeps 16 where the picture has 16 and the result is png",
    )  # fmt: skip
    group.add_argument(
        "--quality", type=int, metavar="1-100", help="of jpg (default 95); makes webp lossy"
    )
    group.add_argument(
        "--metadata", action=argparse.BooleanOptionalAction, default=True,
        help="keep text, colour profile and dpi (default: on)",
    )  # fmt: skip


def add_foreground_method(group: Group) -> None:
    """How --foreground works."""
    group.add_argument(
        "--foreground-method", choices=("inversion", "blur-fusion"), default="inversion",
        help="inversion: also look at the old background beside the edge; blur-fusion: as "
        "published (default: %(default)s)",
    )  # fmt: skip


def add_shrink_option(group: Group) -> None:
    """For pictures that are larger than anybody needs."""
    group.add_argument(
        "--shrink-to",
        type=float,
        metavar="MEGAPIXELS",
        help="reduce larger pictures to that size (without it, 100 megapixels are the limit)",
    )


# the fields of ops.adjust.AdjustOptions, which imports torch
ADJUSTMENTS = {
    "black": ("X", "alpha that becomes transparent, 0 to 1"),
    "white": ("X", "alpha that becomes opaque, 0 to 1"),
    "gamma": ("X", "above 1: half transparent parts become more opaque"),
    "drop_specks_px": ("AREA", "remove separate specks up to that many pixels"),
    "fill_holes_px": ("AREA", "fill enclosed holes up to that many pixels"),
    "grow_px": ("N", "move edges outwards, or inwards if negative; fractions count"),
    "feather_px": ("N", "soften edges over that distance"),
}


def add_adjust_options(parser: argparse.ArgumentParser) -> None:
    """What is done to a matte before colours are estimated for it."""
    group = parser.add_argument_group("matte")
    for name, (metavar, explanation) in ADJUSTMENTS.items():
        option = "--" + name.removesuffix("_px").replace("_", "-")
        group.add_argument(option, dest=name, type=float, metavar=metavar, help=explanation)


def given_adjustments(arguments: argparse.Namespace) -> dict[str, float]:
    """Those that stand on the command line."""
    values = {name: getattr(arguments, name) for name in ADJUSTMENTS}
    return {name: value for name, value in values.items() if value is not None}


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """What every verb has that fills a folder."""
    group = parser.add_argument_group("files")
    group.add_argument("-r", "--recursive", action="store_true", help="also read subfolders")
    group.add_argument(
        "--on-exists", choices=("number", "skip", "overwrite"), default="number",
        help="what to do where a result's name is taken (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--overwrite", dest="on_exists", action="store_const", const="overwrite",
        help="short for --on-exists overwrite",
    )  # fmt: skip
    group.add_argument(
        "--resume", action="store_true",
        help="leave out what OUT/.toonout.jsonl holds as done with the same settings, and replace "
        "results of other settings, unless somebody has changed them",
    )  # fmt: skip
    group.add_argument("--report", metavar="FILE", help="write what became of each picture as JSON")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def load_model(arguments: argparse.Namespace, name: str | None = None) -> Matting:
    """The pipeline that the model options name, or the model `name` with the other options."""
    from ..matting import load_matting

    return load_matting(
        name or arguments.model,
        host=open_host(arguments),
        precision=arguments.precision,
        resolution=arguments.resolution,
        download=not arguments.no_download,
    )


def require_models(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Find all of them, or fetch them, before the first one works for an hour."""
    from ..loading import locate

    host = open_host(arguments)
    for name in names:
        locate(name, host, download=not arguments.no_download)


def open_host(arguments: argparse.Namespace) -> LocalHost:
    """The host that the device options describe, one for all models of a command."""
    from ..host import LocalHost, cache_dir

    if "host" not in arguments:
        folders = [Path(folder).expanduser() for folder in arguments.models_dir]
        host = LocalHost(arguments.device, [*folders, cache_dir()], quiet=arguments.quiet)
        logging.getLogger("toonout").info("device: %s", host.device)
        arguments.host = host
    return arguments.host
