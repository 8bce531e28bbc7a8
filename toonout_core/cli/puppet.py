"""`toonout puppet`: a clip in which the characters of a picture move."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..motion.options import PuppetOptions
from ..options import clips
from ..options.option import options_of
from .clip_run import add_clip_options, read_scene, save
from .fields import given_fields
from .folder_run import note
from .parsing import Verbs, add

if TYPE_CHECKING:
    from ..motion.puppet.rig import Rig

EXAMPLES = """\
examples:
  toonout puppet girl.png -o girl.mp4
  toonout puppet girl.png -o girl.webm --motion wave --transparent
  toonout puppet girl.png -o girl.mp4 --motion dance --seed 3 --pose girl_pose.json
  toonout puppet girl.png -o girl.mp4 --pose dance_poses.json      poses of a clip drive her
  toonout puppet girl.png -o girl.mp4 --bvh jump.bvh
  toonout puppet group.png -o frames/ --motion sway --characters 0,2

joints:
  --pose takes OpenPose's JSON, as DWPose and other estimators write it: one frame says where the
  joints of the picture are; a list of frames drives the characters. Without it, and with --bvh,
  joints are guessed from each character's shape, which suits characters who stand upright.

results:
  mp4 (H.264 with the package av) is opaque; webm, webp and a folder of png keep transparency.
  There is a whole clip at the end, or none. Nothing is overwritten unless you say so: girl_2.mp4 is
  next.

exit codes: 0 done, 2 nothing could be done, 130 interrupted, 143 ended by SIGTERM
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "puppet",
        help="make a clip in which the characters of a picture move",
        description="Let characters breathe, wave, walk or dance. The picture is never changed.",
        epilog=EXAMPLES,
    )
    add_clip_options(parser)
    add(parser, clips.POSE, clips.BVH_FILE, clips.PLANE, clips.TRANSPARENT, title="motion")
    add(parser, *options_of(PuppetOptions), title="motion")


def run(arguments: argparse.Namespace) -> int:
    """Make the clip."""
    from ..output.films import require_film

    options = PuppetOptions(**given_fields(arguments, PuppetOptions))
    transparent = bool(arguments.transparent)
    require_film(Path(arguments.out), transparent=transparent)
    if arguments.pose and arguments.bvh:
        raise BadInput("one of --pose and --bvh must be given", "both")

    from ..motion.puppet.stage import puppet_show

    poses, sequence = _poses(arguments), _sequence(arguments)
    image, mattes, colours, plate = read_scene(arguments)
    show = puppet_show(
        image, mattes, colours, options,
        plate=plate, transparent=transparent, poses=poses, sequence=sequence,
    )  # fmt: skip
    for remark in show.notes:
        note(arguments, remark)
    return save(arguments, show.frames, show.count, options.fps, transparent=transparent)


def _poses(arguments: argparse.Namespace) -> list[dict[str, Any]] | None:
    if arguments.pose is None:
        return None
    from ..motion.puppet.pose_files import read_poses

    return read_poses(arguments.pose)


def _sequence(arguments: argparse.Namespace) -> list[Rig] | None:
    if arguments.bvh is None:
        return None
    from ..motion.puppet.bvh import read_bvh

    return read_bvh(arguments.bvh, arguments.plane)
