"""How well a detector finds the characters of scenes that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from ...characters.overlay import draw_instances
from ...errors import needs
from ...evaluation.contact_sheet import contact_sheet
from ...evaluation.instance_metrics import average_precision
from ...host import Host
from ...instances import Instances
from ...loading import LoadedNetwork
from ...models.rtmdet_ins import ARCHITECTURE
from ...output.coco import Annotation, to_annotations
from ...segmentation.asking import SegmentOptions
from ...segmentation.instance_segmenter import InstanceSegmenter
from ...segmentation.segmenter import Segmenter
from ..labelled_scenes import LabelledScene, truth_of

SCORES = ("mask_AP", "mask_AP50", "box_AP", "box_AP50")
LEAST_SCORE = 0.05  # of what AP is computed from
_SHOWN_SCORE = 0.3  # of what people are shown


def require_metrics(validate_every: int) -> None:
    """Raises ToonOutError, before anything is trained, where AP cannot be computed."""
    if validate_every and find_spec("faster_coco_eval") is None:
        raise needs("Validation", "faster-coco-eval", "eval", "Or give --validate-every 0.")


def validate(
    network: nn.Module, scenes: Sequence[LabelledScene], host: Host, *, side_px: int, samples: int
) -> tuple[dict[str, float], Tensor | None]:
    """AP by name, in [0, 1], at the pictures' own sizes, and a sheet of the first `samples`.

    Through the pipeline that users have, unrefined. The network is in inference mode afterwards.
    """
    network.train(False)
    weights = LoadedNetwork(network, ARCHITECTURE, None, Path("training"), torch.float32)
    options = SegmentOptions(min_score=LEAST_SCORE, side_px=side_px)
    return measure(Segmenter(weights, host), scenes, options, samples)


def measure(
    segmenter: InstanceSegmenter,
    scenes: Sequence[LabelledScene],
    options: SegmentOptions,
    samples: int,
) -> tuple[dict[str, float], Tensor | None]:
    """AP by name, in [0, 1], at the pictures' own sizes, and a sheet of the first `samples`."""
    results: list[Annotation] = []
    rows: list[list[Tensor]] = []
    for number, scene in enumerate(scenes):
        picture = scene.picture()
        found = segmenter.segment(picture, options)[0]
        results += [{"image_id": number + 1, **one} for one in to_annotations(found)]
        if number < samples:
            rows.append([picture, _drawn(picture, scene.truth()), _drawn(picture, found)])
    truth = truth_of(scenes)
    scores: dict[str, float] = {}
    for kind in ("mask", "box"):
        precision = average_precision(truth, results, kind)
        scores |= {f"{kind}_AP": precision.ap, f"{kind}_AP50": precision.ap50}
    names = [scene.path.stem for scene in scenes[: len(rows)]]
    sheet = contact_sheet(rows, names, ["picture", "truth", "found"], cell_px=320) if rows else None
    return scores, sheet


def _drawn(picture: Tensor, instances: Instances) -> Tensor:
    scores: list[float] = instances.scores.tolist()
    sure = [index for index, score in enumerate(scores) if score >= _SHOWN_SCORE]
    return draw_instances(picture, instances[sure])
