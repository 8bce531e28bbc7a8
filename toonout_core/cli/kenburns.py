"""`toonout kenburns`: a clip in which a camera moves through a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..motion.options import KenBurnsOptions
from ..options import clips
from ..options.option import options_of
from .clip_run import add_clip_options, read_scene, save
from .fields import given_fields
from .parsing import Verbs, add

EXAMPLES = """\
examples:
  toonout kenburns girl.png -o girl.mp4
  toonout kenburns girl.png -o girl.mp4 --motion orbit --amount 0.8 --frames 120
  toonout kenburns girl.png -o girl.mp4 --depth girl_depth.png --blur 0.4
  toonout kenburns girl.png -o girl.mp4 --plate empty_street.png
  toonout kenburns group.png -o group.webm --motion "dolly zoom" --focus-on character --character 1
  toonout kenburns girl.png -o frames/ --loop once

depth:
  A grey picture of any size in which near is white, as depth nodes and programs make them. Without
  it characters stand in front of a flat background, the one whose feet are lowest nearest.

results:
  mp4 (H.264 with the package av) is opaque; webm, webp and a folder of png keep transparent edges.
  There is a whole clip at the end, or none. Nothing is overwritten unless you say so: girl_2.mp4 is
  next.

exit codes: 0 done, 2 nothing could be done, 130 interrupted, 143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "kenburns",
        help="make a clip in which a camera moves through a picture",
        description="Move a camera through a picture. The picture is never changed.",
        epilog=EXAMPLES,
    )
    add_clip_options(parser)
    add(parser, clips.DEPTH, *options_of(KenBurnsOptions), title="motion")


def run(arguments: argparse.Namespace) -> int:
    """Make the clip."""
    from ..output.films import require_film

    options = KenBurnsOptions(**given_fields(arguments, KenBurnsOptions))
    transparent = options.edges == "transparent"
    require_film(Path(arguments.out), transparent=transparent)

    from ..imaging import read
    from ..motion.ken_burns import ken_burns

    depth = None if arguments.depth is None else read(arguments.depth).image
    image, mattes, colours, plate = read_scene(arguments)
    frames = ken_burns(image, mattes, colours, options, depth=depth, plate=plate)
    return save(arguments, frames, options.frames, options.fps, transparent=transparent)
