"""Options of every verb that works on characters: who finds them, which, and whose matte."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import BadInput, DownloadFailed, UnknownModel
from ..weights import DETECTOR, detectors
from .folder_run import file_state, note
from .options import add_device_options, open_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..host import Host
    from ..imaging import Picture
    from ..output.instance_files import Characters
    from ..segmentation.instance_segmenter import InstanceSegmenter

Order = Literal["left-right", "top-bottom", "area", "score", "centre"]  # instances imports torch

MATTE = "toonout-mini"


def add_finding_options(parser: argparse.ArgumentParser) -> None:
    """Who finds characters, and whose matte is shared out among them."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "--detector", default=DETECTOR, metavar="NAME|FILE",
        help="who finds characters (default: %(default)s, which needs no download; see below)",
    )  # fmt: skip
    group.add_argument(
        "--refiner", default="auto", metavar="NAME|FILE|none",
        help="who sharpens masks: a refiner, a matting model, or none (default: none where the "
        "detector is a matting model, else anime-refiner, a download of 177 MB)",
    )  # fmt: skip
    group.add_argument(
        "--matte", metavar="NAME|FILE",
        help="the matting model whose matte is shared out (default: toonout-mini, or the detector "
        "if that is a matting model)",
    )  # fmt: skip
    group.add_argument(
        "--trust", choices=("auto", "masks", "matte"), default="auto",
        help="masks: what they hold is opaque, and matte far from all of them is left out; matte: "
        "all parts sum to the matte (default: masks if a detector made them and toonout-mini the "
        "matte, else matte)",
    )  # fmt: skip
    add_device_options(group)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Which of them, and how they are numbered."""
    group = parser.add_argument_group("characters")
    group.add_argument(
        "--min-score", type=float, default=0.3, metavar="X",
        help="leave out what the detector is less sure of, 0 to 1 (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--limit", type=int, default=100, metavar="N",
        help="keep the best N of a picture (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--sort", choices=get_args(Order), default="left-right",
        help="how they are numbered, from 0; area: largest first; centre: nearest to the "
        "picture's first (default: %(default)s)",
    )  # fmt: skip


def check_choices(arguments: argparse.Namespace) -> None:
    """Raises BadInput for options out of their limits."""
    if not 0 <= arguments.min_score <= 1:
        raise BadInput("--min-score must be 0 … 1", str(arguments.min_score))
    if not 1 <= arguments.limit <= 100:
        raise BadInput("--limit must be 1 … 100", str(arguments.limit))


def require_files(arguments: argparse.Namespace) -> None:
    """Raises BadInput for stdin: a verb with many results names them after its inputs."""
    if "-" in arguments.paths:
        raise BadInput("inputs must be files or folders", "- (stdin)", "Name a picture.")


def finding_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a result depends on of these options."""
    names = ("trust", "precision", "min_score", "limit", "sort")
    models = ("detector", "refiner", "matte")
    return {name: getattr(arguments, name) for name in names} | {
        name: file_state(getattr(arguments, name)) for name in models
    }


def make_find(
    arguments: argparse.Namespace, *, matte: bool, colours: bool, soft: bool = False
) -> Callable[[Picture], Characters]:
    """A function from picture to characters, with its models loaded; see `finding`.

    `matte`, `colours`: whether they are needed; `soft`: masks.
    """
    from ..matting import ForegroundOptions, load_matting
    from ..output.instance_files import FindOptions, finding
    from ..segmentation.asking import SegmentOptions
    from ..segmentation.regional import RegionSegmenter

    host = open_host(arguments)
    segmenter = _load_segmenter(arguments, host)
    own = segmenter.matting if isinstance(segmenter, RegionSegmenter) else None
    if type(segmenter) is RegionSegmenter:
        note(
            arguments,
            f"{segmenter.name} is no detector: characters are the connected regions of its matte, "
            "and those who touch count as one.",
        )
    matting = own if arguments.matte is None else None
    if matte and matting is None:
        matting = load_matting(
            arguments.matte or MATTE,
            host=host,
            precision=arguments.precision,
            download=not arguments.no_download,
        )
    # measured on scenes of known mattes: see docs/measuring.md
    weak = own is None and matting is not None and matting.name == MATTE
    # the others take part when the matte is shared out
    seen = 100 if matte else arguments.limit
    foreground = arguments.foreground and colours
    options = FindOptions(
        SegmentOptions(arguments.min_score, limit=seen, soft=soft),
        arguments.limit,
        arguments.sort,
        foreground=ForegroundOptions(method=arguments.foreground_method) if foreground else None,
        trust_masks=arguments.trust == "masks" or (arguments.trust == "auto" and weak),
    )
    return finding(segmenter, matting if matte else None, options)


def _load_segmenter(arguments: argparse.Namespace, host: Host) -> InstanceSegmenter:
    from ..segmentation.segmenter import load_segmenter

    try:
        return load_segmenter(
            arguments.detector,
            arguments.refiner,
            host=host,
            precision=arguments.precision,
            download=not arguments.no_download,
        )
    except (DownloadFailed, UnknownModel) as error:
        if arguments.detector not in detectors():
            raise
        advice = f"Or use --detector {DETECTOR}, which needs no file."
        raise type(error)(f"{error} {advice}") from error
