"""Options of every verb that works on characters: who finds them, which, and whose matte."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, DownloadFailed, UnknownModel
from ..options import characters, models
from ..weights import DETECTOR, detectors
from .folder_run import file_state, note, settings_of
from .options import add_device_options, open_host
from .parsing import Parser, add

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..host import Host
    from ..imaging import Picture
    from ..output.instance_files import Characters
    from ..segmentation.instance_segmenter import InstanceSegmenter

MATTE = models.MODEL.default
_ALL = int(characters.MAX_COUNT.most)


def add_finding_options(parser: Parser) -> None:
    """Who finds characters, whose matte is shared out, which of them, and their numbers."""
    add(parser, models.DETECTOR, models.REFINER, title="models")
    add(parser, characters.SHARED_MATTE, characters.TRUST, title="models")
    add_device_options(parser, "models")
    who = (characters.MIN_SCORE, characters.FOUND_LEAST_AREA, characters.MAX_COUNT)
    add(parser, *who, characters.SORT_BY, title="characters")


def require_files(arguments: argparse.Namespace) -> None:
    """Raises BadInput for stdin: a verb with many results names them after its inputs."""
    if "-" in arguments.paths:
        raise BadInput("inputs must be files or folders", "- (stdin)", "Name a picture.")


def finding_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a result depends on of these options."""
    names = ("trust", "precision", "fast", "min_score", "max_count", "sort_by")
    least = characters.FOUND_LEAST_AREA
    if getattr(arguments, least.name) != least.default:  # older manifests do not know it
        names += (least.name,)
    files = ("detector", "refiner", "matte")
    return settings_of(arguments, *names) | {
        name: file_state(getattr(arguments, name)) for name in files
    }


def make_find(
    arguments: argparse.Namespace, *, matte: bool, colours: bool, soft: bool = False
) -> Callable[[Picture], Characters]:
    """A function from picture to characters, with its models loaded; see `finding`.

    `matte`, `colours`: whether they are needed; `soft`: masks.
    """
    from ..chosen import foreground_options, loading_options, segment_options
    from ..matting import load_matting
    from ..output.instance_files import FindOptions, finding
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
        how = loading_options(vars(arguments))
        matting = load_matting(arguments.matte or MATTE, host=host, **how)
    # measured on scenes of known mattes: see docs/measuring.md
    weak = own is None and matting is not None and matting.name == MATTE
    # the others take part when the matte is shared out
    asked, kept = segment_options({**vars(arguments), "soft": soft}), arguments.max_count or _ALL
    options = FindOptions(
        asked if matte else replace(asked, limit=kept),
        kept,
        arguments.sort_by,
        foreground=foreground_options(vars(arguments)) if colours else None,
        trust_masks=arguments.trust == "masks" or (arguments.trust == "auto" and weak),
    )
    return finding(segmenter, matting if matte else None, options)


def _load_segmenter(arguments: argparse.Namespace, host: Host) -> InstanceSegmenter:
    from ..chosen import loading_options
    from ..segmentation.segmenter import load_segmenter

    try:
        how = loading_options(vars(arguments))
        return load_segmenter(arguments.detector, arguments.refiner, host=host, **how)
    except (DownloadFailed, UnknownModel) as error:
        if arguments.detector not in detectors():
            raise
        advice = f"Or use --detector {DETECTOR}, which needs no file."
        raise type(error)(f"{error} {advice}") from error
