"""What every segmenter does, whether it has a detector or only a matte."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from ..host import Host
from ..instances import Instances
from ..matting import Matting
from .asking import (
    DEFAULTS,
    Numbers,
    SegmentOptions,
    Source,
    boxes_at_points,
    prompted,
    read_boxes,
    read_masks,
    read_points,
    seen,
)
from .refining import Refiner, refine_instances


class InstanceSegmenter(ABC):
    """Finds the characters of a picture, or cuts out those that it is shown.

    `load_segmenter` returns one. A picture is a path, an open file, a PIL picture, a `Picture`, or
    an image B×3×H×W in [0, 1]; behind a transparent picture the networks see white. Boxes, points
    and masks are tensors, arrays or nested lists. Results are on the CPU. Nothing of a picture is
    held between two calls.
    """

    def __init__(self, host: Host, refiner: Refiner | Matting | None = None) -> None:
        self.host = host
        self.refiner = refiner

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the model that finds characters."""

    def __call__(self, source: Source, options: SegmentOptions = DEFAULTS) -> Instances:
        """One picture → its characters, best first."""
        return self.segment(source, options)[0]

    def segment(
        self, source: Source, options: SegmentOptions = DEFAULTS, *, label: str = "instances"
    ) -> list[Instances]:
        """A picture, or frames B×3×H×W → the characters of every frame, best first.

        A character of which the refiner leaves nothing is left out. The host is told of every
        frame, and may stop between two.
        """
        image = seen(source)
        results: list[Instances] = []
        with self.host.progress(len(image) * (1 if self.refiner is None else 2), label) as report:
            for frame in image.split(1):
                found = self._find(frame, options)
                if self.refiner is not None:
                    report(1)
                refined = refine_instances(frame, found, options, self.refiner)
                results.append(refined[refined.boxes_xyxy[:, 2] > 0])
                report(1)
        return results

    def segment_boxes(
        self,
        source: Source,
        boxes_xyxy: Numbers,
        options: SegmentOptions = DEFAULTS,
        *,
        min_iou: float = 0.5,
    ) -> Instances:
        """One picture and N boxes in pixels → a character for each box, in the order of the boxes.

        It is the one whose box overlaps the given box most. Where none overlaps it by `min_iou`,
        the box itself says what is cut out, and the score is 0.
        """
        image = seen(source)
        found = self._at_boxes(image, read_boxes(image, boxes_xyxy), options, min_iou)
        return refine_instances(image, replace(found, origin="box"), options, self.refiner)

    def segment_points(
        self, source: Source, points_xy: Numbers, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """One picture and N points in pixels → a character for each point, in their order.

        It is the best one whose mask holds the point. Where there is none, a small box around the
        point says what is cut out, and the score is 0.
        """
        image = seen(source)
        points = read_points(image, points_xy)
        boxes = boxes_at_points(points, (int(image.shape[-2]), int(image.shape[-1])))
        found = self._at_points(image, points, boxes.to(torch.float32), options)
        return refine_instances(image, replace(found, origin="point"), options, self.refiner)

    def segment_masks(
        self, source: Source, masks: Numbers, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """One picture and N masks of its size → the masks made to follow the drawing.

        They stay in their order; an empty mask stays empty. Masks are bool or in [0, 1].
        """
        image = seen(source)
        coarse = self._at_masks(image, prompted(read_masks(image, masks), options))
        return refine_instances(image, coarse, options, self.refiner)

    # ------------------------------------------------------------ where segmenters differ

    @abstractmethod
    def _find(self, frame: Tensor, options: SegmentOptions) -> Instances:
        """1×3×H×W → its characters by coarse masks."""

    @abstractmethod
    def _at_boxes(
        self, image: Tensor, boxes_xyxy: Tensor, options: SegmentOptions, min_iou: float
    ) -> Instances:
        """1×3×H×W and N×4 float32 → a coarse mask for each box."""

    @abstractmethod
    def _at_points(
        self, image: Tensor, points_xy: Tensor, boxes_xyxy: Tensor, options: SegmentOptions
    ) -> Instances:
        """1×3×H×W and N×2 → a coarse mask for each; `boxes_xyxy` N×4 stand around the points."""

    def _at_masks(self, image: Tensor, given: Instances) -> Instances:
        """1×3×H×W and masks of a user → what the refiner is shown."""
        return given
