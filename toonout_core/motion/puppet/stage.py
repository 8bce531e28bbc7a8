"""Make frames in which the characters of a picture move: who moves, by which joints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ...characters.written import parse_numbers
from ...errors import BadInput
from ...instances import Instances
from ..cards import Frame
from ..options import PuppetOptions
from ..scene import Card, build_scene
from .motions import ARMED, JOINTED
from .rig import Rig, joints_inside, rig_from_pose, skeletons_in
from .show import Puppet, puppet_film

PoseFrames = Sequence[Mapping[str, Any]]  # POSE_KEYPOINT

_INSIDE = 0.5  # of a skeleton's joints that lie in the character whose pose it is


@dataclass(frozen=True, eq=False)
class Show:
    """What will be seen: `frames`, made one at a time, and how many; `rigs` by the number of the
    character; what is worth knowing."""

    frames: Iterator[Frame]
    count: int
    rigs: Mapping[int, Rig]
    notes: tuple[str, ...] = ()


def puppet_show(
    image: Tensor,
    mattes: Instances,
    colours: Tensor,
    options: PuppetOptions,
    *,
    plate: Tensor | None = None,
    transparent: bool = False,
    poses: PoseFrames | None = None,
    sequence: Sequence[Rig] | None = None,
) -> Show:
    """See `build_scene` for picture, mattes, colours and plate; `transparent`: nothing behind them.

    `poses`: one frame is the pose of this picture, more of them drive the characters, from the
    first on. A skeleton belongs to the character that most of its joints lie in; where none fits,
    joints are guessed and the first skeleton drives all. `sequence`: the same from a BVH file.
    """
    if not len(mattes):
        raise BadInput("a puppet show must have a character", "none was found in the picture")
    size_hw = mattes.size_hw
    scene = build_scene(image, mattes, colours, plate=image if transparent else plate)
    moving = parse_numbers(options.characters, len(mattes))
    skeletons = _skeletons(poses, scene.cards, size_hw) if poses else {}
    driving = _driving(poses, skeletons, size_hw, sequence)
    puppets: list[Puppet] = []
    for card in scene.cards:
        rig = None
        if card.number in skeletons and poses:
            rig = rig_from_pose(poses[0], size_hw, skeletons[card.number])
        still = card.number not in moving
        wish = replace(options, motion="float", amount=0.0) if still else options
        driven = bool(driving) and not still
        puppets.append(Puppet(card.image, card.alpha, wish, rig, jointed=driven))
    own = [
        driving.get(card.number, driving.get(-1)) if card.number in moving else None
        for card in scene.cards
    ]
    count = next((len(one) for one in own if one), options.frames)
    shown = {card.number: one for card, one in zip(scene.cards, puppets, strict=True)}
    rigs = {number: one.rig for number, one in shown.items()}
    return Show(
        puppet_film(puppets, count, None if transparent else scene.plate, own),
        count,
        rigs,
        _notes(options, shown, moving, bool(driving)),
    )


def _notes(
    options: PuppetOptions, puppets: Mapping[int, Puppet], moving: Sequence[int], driven: bool
) -> tuple[str, ...]:
    guessed = sorted(number for number in moving if puppets[number].rig.guessed)
    if not guessed or not (driven or options.motion in JOINTED):
        return ()
    notes = [
        f"The joints of character {_listed(guessed)} are guessed from its shape. A pose from "
        "DWPose or another estimator is better."
    ]
    still = [number for number in guessed if puppets[number].still_arms]
    if still and options.motion in ARMED and not driven:
        notes.append(
            f"No arm of character {_listed(still)} stands free of the body. So its arms stay "
            "where they are. With a pose they move."
        )
    return tuple(notes)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _skeletons(
    poses: PoseFrames, cards: Sequence[Card], size_hw: tuple[int, int]
) -> dict[int, int]:
    """Return, by the number of a character, the index of the skeleton whose joints lie in it."""
    found: dict[int, int] = {}
    for skeleton in range(skeletons_in(poses[0])):
        shares = {
            card.number: joints_inside(poses[0], size_hw, skeleton, card.alpha) for card in cards
        }
        best = max(shares, key=lambda number: shares[number])
        if shares[best] >= _INSIDE and best not in found and _is_whole(poses[0], size_hw, skeleton):
            found[best] = skeleton
    return found


def _is_whole(frame: Mapping[str, Any], size_hw: tuple[int, int], skeleton: int) -> bool:
    """Tell whether it has the joints that a rig needs: half-length portraits show no hips."""
    try:
        rig_from_pose(frame, size_hw, skeleton)
    except BadInput:
        return False
    return True


def _driving(
    poses: PoseFrames | None,
    skeletons: Mapping[int, int],
    size_hw: tuple[int, int],
    sequence: Sequence[Rig] | None,
) -> dict[int, list[Rig]]:
    """Return sequences by the number of a character; -1 stands for all that have none."""
    if sequence:
        return {-1: list(sequence)}
    if poses is None or len(poses) < 2:
        return {}
    if not skeletons:
        return {-1: _followed(poses, size_hw, 0)}
    return {number: _followed(poses, size_hw, skeleton) for number, skeleton in skeletons.items()}


def _followed(poses: PoseFrames, size_hw: tuple[int, int], skeleton: int) -> list[Rig]:
    """Follow one skeleton through all frames; where a frame lacks it, it stays as it was."""
    rigs = [rig_from_pose(poses[0], size_hw, skeleton)]
    for frame in poses[1:]:
        try:
            rigs.append(rig_from_pose(frame, size_hw, skeleton))
        except BadInput:
            rigs.append(rigs[-1])
    return rigs
