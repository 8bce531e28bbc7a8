"""What the nodes that give characters have in common: how their outputs are filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..toonout_core import Instances
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_to_comfy, to_comfy

Frames = tuple[Instances, ...]


def as_frames(value: Any) -> Frames:
    """The instances that were connected, one record for each frame."""
    if isinstance(value, tuple) and all(type(item).__name__ == "Instances" for item in value):
        return value
    raise BadInput(
        "instances must come from a node that finds or makes them",
        f"a {type(value).__name__}",
        "Connect Segment Characters (ToonOut), or Characters from Masks for masks.",
    )


def matched_frames(image: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
    """B pictures of any layout and N records → equally many; one goes with any number."""
    if len(image) == 1:
        return image.expand(len(frames), *image.shape[1:]), frames
    if len(frames) == 1:
        return image, frames * len(image)
    if len(frames) != len(image):
        raise BadInput(
            "there must be instances for every picture of the batch",
            f"{len(image)} pictures and instances of {len(frames)}",
            "Connect the batch in which they were found.",
        )
    return image, frames


def found_result(image: Tensor, frames: Frames, notes: Sequence[str] = ()) -> list[Any]:
    """What fills `made.FOUND`; image B×3×H×W."""
    masks = [float_masks(instances) for instances in frames if len(instances)]
    batch = masks[0] if len(masks) == 1 else torch.cat(masks) if masks else _black(frames)
    union = torch.cat([instances.union().to(torch.float32) for instances in frames]).cpu()
    return [
        frames,
        batch,
        list(batch.split(1)),
        mask_to_comfy(union),
        mask_to_comfy(1 - union),
        [_boxes(instances) for instances in frames],
        preview(image, frames),
        sum(len(instances) for instances in frames),
        report(frames, notes),
    ]


def float_masks(instances: Instances) -> Tensor:
    """N×H×W float32 on the CPU."""
    return instances.masks.to("cpu", torch.float32)


def _black(frames: Frames) -> Tensor:
    return torch.zeros((1, *frames[0].size_hw))


def preview(image: Tensor, frames: Frames) -> Tensor:
    """IMAGE with numbers."""
    from ..toonout_core.characters.overlay import draw_instances

    pairs = zip(image.split(1), frames, strict=True)
    return to_comfy(torch.cat([draw_instances(picture, found) for picture, found in pairs]))


def _boxes(instances: Instances) -> list[dict[str, Any]]:
    rows = zip(instances.boxes_xyxy.tolist(), instances.scores.tolist(), strict=True)
    return [
        {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "score": score}
        for (x0, y0, x1, y1), score in rows
    ]


def when_none(frames: Frames, if_none: str) -> Frames:
    """What the user wants where nothing was found."""
    if if_none == "empty mask":
        return frames
    if if_none == "whole picture":
        return tuple(found if len(found) else _everything(found) for found in frames)
    if not any(len(instances) for instances in frames):
        raise BadInput(
            "there must be a character in the picture",
            "none",
            "Lower min_score or min_area_percent, try another detector, or set if_none to "
            "something else.",
        )
    return frames


def _everything(none: Instances) -> Instances:
    everything = torch.ones((1, *none.size_hw), dtype=torch.bool)
    return Instances.from_masks(everything, origin="the whole picture")


def report(frames: Frames, notes: Sequence[str] = ()) -> str:
    """Lines for readers."""
    lines = list(notes)
    for number, instances in enumerate(frames):
        if len(frames) > 1:
            lines.append(f"picture {number}:")
        lines += _lines(instances)
    return "\n".join(lines)


def _lines(instances: Instances) -> list[str]:
    count = len(instances)
    noun = "character" if count == 1 else "characters"
    lines = [
        f"{count or 'no'} {noun}" + (f", from: {instances.origin}" if instances.origin else "")
    ]
    height, width = instances.size_hw
    rows = zip(
        instances.boxes_xyxy.tolist(),
        instances.scores.tolist(),
        instances.areas_px.tolist(),
        strict=True,
    )
    for index, ((x0, y0, x1, y1), score, area) in enumerate(rows):
        share = 100 * area / (height * width)
        lines.append(f"{index}: score {score:.2f}, x {x0}-{x1}, y {y0}-{y1}, {share:.1f} %")
    return lines


def shown_with(image: Tensor | None, frames: Frames) -> tuple[Tensor, Frames]:
    """B×3×H×W of the IMAGE, grey without one, and equally many frames."""
    if image is None:
        return torch.full((len(frames), 3, *frames[0].size_hw), 0.25), frames
    return matched_frames(from_comfy(image)[0], frames)
