"""Read files that place joints or drive a puppet: OpenPose's JSON and BVH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import BadInput

_MOST_BYTES = 200_000_000


def read_poses(path: Path | str) -> list[dict[str, Any]]:
    """Read frames of POSE_KEYPOINT: one, or a list of them. Raises BadInput for other files."""
    path = Path(path)
    frame = "a frame with a list named people"
    must = f"{path.name} must be OpenPose's JSON: {frame}, or a list of frames"
    if path.stat().st_size > _MOST_BYTES:
        raise BadInput(f"{path.name} must be at most 200 MB", f"{path.stat().st_size} bytes")
    try:
        document = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(must, "something that is no JSON") from error
    frames = document if isinstance(document, list) else [document]
    if not frames or not all(isinstance(frame, dict) and "people" in frame for frame in frames):
        raise BadInput(must, "another document")
    return frames
