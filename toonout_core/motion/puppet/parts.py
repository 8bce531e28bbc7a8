"""A character taken apart along its bones: soft masks, and what an arm hides of the body."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import numpy as np

from ...imaging import split_layer, unit_floats, whole_levels
from ...words import Array
from .rig import PARTS, SOCKETS, Rig

_SEEN, _OPAQUE = 0.02, 0.98
_WIDE = {"arm": 0.17, "leg": 0.24}  # radius of a limb that lies on the body, of hip to neck
_APART = 1.5  # of that radius is an arm's, where the body is twice as far away
_TRUNK = 0.5  # of hip to neck: farther from the body's bones no body goes on under an arm
_SOFT_PX = 1.0
_NAMES = tuple(PARTS)
_TOP, _TORN = 1.8, 3.0  # widths of a limb that border on the rest: at most, and of a skirt
_RIM_PX = 2
# of an arm: its length, of hip to neck; the share of its bones inside of the matte; how far from
# the shoulder it may begin, of its length; its share of the character, with what it holds
_SHORTEST, _FILLED, _AT_SHOULDER, _LARGEST = 0.5, 0.85, 0.45, 0.25
_LIKE_HAIR = 0.3  # distance of median colours, of their brightness
BODY = _NAMES.index("body")
LEGS = tuple(name for name in _NAMES if name.endswith("leg"))


class Bones:
    """The bones of a rig at rest, and the part of the body that each holds: the body itself for
    those of the limbs in `grown`, which are no parts of their own."""

    def __init__(self, rig: Rig, grown: Collection[str] = ()) -> None:
        names = rig.names
        self.rest = rig.array()
        self.pairs = [(names.index(rig.parent(name)), names.index(name)) for name in names[1:]]
        self.parts = np.array([_part(name, grown) for name in names[1:]])

    def distances(self, points: Array) -> Array:
        """N×B px, to every bone."""
        return np.stack([_distance(points, self.rest[a], self.rest[b]) for a, b in self.pairs], 1)


def split(pixels: Array, rig: Rig, grown: Collection[str] = ()) -> list[Array]:
    """Premultiplied H×W×4 → the same for each of PARTS, in the order of drawing. Limbs in `grown`
    show nothing: they are the body's.

    Laid over one another at rest they show the character. A limb that stands apart is taken whole;
    of one that lies on the body, what is near its bones. The body goes on under the soft edge of a
    limb, around its socket, and where an arm crosses it: there its colours are filled in.
    """
    alpha = pixels[..., 3]
    owner, reach, trunk = _owners(alpha, rig, grown)
    # soft towards other parts, not towards nothing: no rim of a limb stays on the body
    visible = alpha > 0
    whole = np.maximum(_soft(visible), 1e-6)
    masks = [_soft((owner == number) & visible) / whole for number in range(len(_NAMES))]
    body = np.ones_like(alpha)
    for number in range(len(_NAMES)):
        if number != BODY:
            body[masks[number] >= 0.999] = 0
    loose = _loose(body * alpha > 0, (owner == BODY) & (alpha > _SEEN))
    body[loose] = 0
    for number, mask in enumerate(masks):
        if number != BODY:
            mask[loose & _around(owner == number, _RIM_PX)] = 1
    rows, columns = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    for part in reach:
        at = rig.points.get(SOCKETS[part])
        if at is not None:
            near = (columns - at[0]) ** 2 + (rows - at[1]) ** 2 <= reach[part] ** 2
            body[near] = 1
            masks[_NAMES.index(part)][near & _around(owner == _NAMES.index(part), 2)] = 1
    result = [pixels * mask[..., None] for mask in masks]
    result[BODY] = pixels * body[..., None]
    arms = [number for number, name in enumerate(_NAMES) if name.endswith("arm")]
    # under what is opaque at rest, so that nothing new is seen there
    covered = np.isin(owner, arms) & (alpha > _OPAQUE) & trunk
    _fill_crossed(result[BODY], covered, max(reach.values(), default=0.0))
    return result


def _loose(shown: Array, solid: Array) -> Array:
    """Pieces of a part that hold nothing solid of it, H×W bool: they are the rim of another part,
    which would go with it and cover what lies behind.
    """
    from ...opencv import cv2

    labels = cv2.connectedComponents(shown.astype(np.uint8))[1]
    return (labels > 0) & ~np.isin(labels, labels[solid])


def _owners(
    alpha: Array, rig: Rig, grown: Collection[str] = ()
) -> tuple[Array, dict[str, float], Array]:
    """Give the part of each pixel H×W, how wide each limb is taken in px, and what is near the
    body's bones, H×W bool."""
    from ...opencv import cv2

    bones = Bones(rig, grown)
    torso = float(np.hypot(*np.subtract(rig.points["neck"], rig.points["hip"])))
    reach = {part: _WIDE[part.split()[1]] * torso for part in SOCKETS if part not in grown}
    near = np.full((len(_NAMES), *alpha.shape), np.inf, np.float32)
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]].astype(np.float32)
    for (a, b), part in zip(bones.pairs, bones.parts, strict=True):
        way = _pixel_distance(x, y, bones.rest[a], bones.rest[b])
        near[part] = np.minimum(near[part], way)
    nearest = near.argmin(0)
    owner = np.full(alpha.shape, BODY, np.int64)
    for part, radius in reach.items():
        number = _NAMES.index(part)
        mine = near[number] <= radius
        if part.endswith("arm"):
            mine |= (near[number] <= _APART * radius) & (2 * near[number] <= near[BODY])
        owner[(nearest == number) & mine] = number
    # what hangs on a limb alone goes with it: a sleeve, a hand, what the hand holds
    rest = ((alpha > _SEEN) & (owner == BODY)).astype(np.uint8)
    count, labels = cv2.connectedComponents(rest, connectivity=4)
    for label in range(1, count):
        piece = labels == label
        votes = np.bincount(nearest[piece], minlength=len(_NAMES))
        if not votes[BODY]:
            owner[piece] = int(votes.argmax())
    return owner, reach, near[BODY] <= _TRUNK * torso


def freedom(pixels: Array, rig: Rig) -> dict[str, float]:
    """Limb → 0 … 1: how freely a guessed one may move; often not at all.

    A limb that moves borders on the rest at its top alone. An arm along the body, folded arms and
    two legs in one skirt do all along, and would be torn off. What hangs from the head is hair.
    What is not as long as an arm, or has gaps between shoulder and hand, is none.
    """
    alpha = pixels[..., 3]
    owner, reach, _ = _owners(alpha, rig)
    result: dict[str, float] = {}
    for number, name in enumerate(_NAMES):
        mine = (owner == number) & (alpha > _SEEN)
        if name == "body" or not mine.any():
            continue
        joined = _around(mine, _RIM_PX) & ~mine & (alpha > _SEEN)
        widths = float(joined.sum()) / _RIM_PX / (2 * reach[name])
        free = 1 - min(max((widths - _TOP) / (_TORN - _TOP), 0.0), 1.0)
        if name.endswith("arm") and not _is_arm(pixels, rig, name.split()[0], mine, joined):
            free = 0.0
        result[name] = free
    return result


def _is_arm(pixels: Array, rig: Rig, side: str, mine: Array, joined: Array) -> bool:
    """Whether what was guessed to be an arm looks like one.

    `mine`: its pixels; `joined`: the pixels of the rest that it borders on.
    """
    alpha = pixels[..., 3]
    torso = float(np.hypot(*np.subtract(rig.points["neck"], rig.points["hip"])))
    at = [np.array(rig.points[f"{side} {joint}"]) for joint in ("shoulder", "elbow", "wrist")]
    along = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(at)])
    length = float(np.linalg.norm(at[2] - at[0]))
    if length < _SHORTEST * torso or not joined.any():
        return False
    columns, rows = np.round(along).astype(int).T
    rows, columns = rows.clip(0, alpha.shape[0] - 1), columns.clip(0, alpha.shape[1] - 1)
    if (alpha[rows, columns] > 0.5).mean() < _FILLED:
        return False
    border = np.argwhere(joined)[:, ::-1].mean(0)
    if np.linalg.norm(border - at[0]) > _AT_SHOULDER * length:
        return False
    if mine.sum() > _LARGEST * (alpha > _SEEN).sum():
        return False
    return not (_hangs_from_head(alpha, rig, side) and _has_hair_colour(pixels, rig, mine))


def _has_hair_colour(pixels: Array, rig: Rig, mine: Array) -> bool:
    """Whether pixels have the colour of the upper half of the head, about that of its hair."""
    solid = pixels[..., 3] > _OPAQUE
    top = int(np.flatnonzero(solid.any(1))[0]) if solid.any() else 0
    (x, y), neck_y = rig.points["nose"], rig.points["neck"][1]
    half = max(neck_y - y, 1.0)
    rows, columns = np.ogrid[: solid.shape[0], : solid.shape[1]]
    head = solid & (rows >= top) & (rows <= y) & (np.abs(columns - x) <= half)
    if not head.any() or not (solid & mine).any():
        return True
    colours = split_layer(pixels)[0]
    one, two = (np.median(colours[place], 0) for place in (head, solid & mine))
    bright = max(float(np.linalg.norm(one) + np.linalg.norm(two)) / 2, 0.02)
    return bool(np.linalg.norm(one - two) < _LIKE_HAIR * bright)


def _hangs_from_head(alpha: Array, rig: Rig, side: str) -> bool:
    """Whether what is outside of a shoulder and ends in the hand goes on beside the head."""
    from ...opencv import cv2

    (shoulder_x, _), (x, y) = rig.points[f"{side} shoulder"], rig.points[f"{side} wrist"]
    outside = (alpha > 0.5).astype(np.uint8)
    if side == "right":
        outside[:, int(shoulder_x) + 1 :] = 0
    else:
        outside[:, : int(shoulder_x)] = 0
    labels = cv2.connectedComponents(outside, connectivity=4)[1]
    rows, columns = np.nonzero(labels)
    if not len(rows):
        return True
    nearest = int(((rows - y) ** 2 + (columns - x) ** 2).argmin())
    held = labels == labels[rows[nearest], columns[nearest]]
    beside_head = int((rig.points["nose"][1] + rig.points["neck"][1]) / 2)
    return bool(held[:beside_head].any())


def _soft(mask: Array) -> Array:
    from ...opencv import cv2

    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _SOFT_PX)


def _around(mask: Array, radius_px: int) -> Array:
    from ...opencv import cv2

    side = 2 * radius_px + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _fill_crossed(body: Array, covered: Array, radius_px: float) -> None:
    """Where an arm lies between two parts of the body, the body goes on under it."""
    from ...opencv import cv2

    solid = (body[..., 3] > 0.5).astype(np.uint8)
    side = 2 * int(radius_px) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    hidden = (cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel) > 0) & covered & (solid == 0)
    if not hidden.any():
        return
    margin = 2 * int(radius_px)
    rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
    box = (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin),
    )
    levels = whole_levels(split_layer(body[box])[0])
    # all that is not the body is unknown, so that nothing of the background comes in
    filled = unit_floats(cv2.inpaint(levels, 1 - solid[box], 3, cv2.INPAINT_TELEA))
    # soft towards the outside, not towards the body that it joins
    opacity = (_soft(hidden | (solid > 0)) * hidden)[box][..., None]
    behind = np.concatenate((filled, np.ones_like(opacity)), 2) * opacity
    body[box] += (1 - body[box][..., 3, None]) * behind


def _pixel_distance(x: Array, y: Array, start: Array, end: Array) -> Array:
    """H×W px from a line segment, float32."""
    (ax, ay), (bx, by) = start.astype(np.float32), end.astype(np.float32)
    dx, dy = bx - ax, by - ay
    length = max(float(dx * dx + dy * dy), 1e-12)
    share = np.clip(((x - ax) * dx + (y - ay) * dy) / np.float32(length), 0, 1)
    return np.hypot(x - ax - share * dx, y - ay - share * dy)


def _part(joint: str, grown: Collection[str]) -> int:
    """The number of the part, in the order of drawing, that the bone above a joint belongs to."""
    part = next(name for name, joints in PARTS.items() if joint in joints)
    return BODY if part in grown else _NAMES.index(part)


def _distance(points: Array, start: Array, end: Array) -> Array:
    """Of N×2 points to a line segment."""
    way = end - start
    length = float(way @ way)
    share = np.clip((points - start) @ way / length, 0, 1) if length > 0 else np.zeros(len(points))
    return np.linalg.norm(points - start - share[:, None] * way, axis=1)
