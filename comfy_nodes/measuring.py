"""Measure Matte, and Compare Mattes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Literal

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import estimate_foreground
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy, to_comfy
from ..toonout_core.ops.compositing import parse_colour
from ..toonout_core.options import measuring as options
from .batches import check_size, matched
from .host import ComfyHost
from .types import CATEGORY, Node, schema, widget, widgets

if TYPE_CHECKING:  # imported where they are used: a node that nobody runs costs no time at start
    from ..toonout_core.evaluation.contact_sheet import Look
    from ..toonout_core.evaluation.matting_metrics import MatteScores

Figures = Literal["for soft mattes", "as published", "all"]
Edges = Literal["as they are", "clean colours", "both"]

# what the sockets give; measured whatever is asked for
_SOCKETS = ("MAE_soft", "BIoU_soft", "PA_clipped")
_SOUND = ("PA", "BIoU_soft", "MAE", "MSE", "SAD", "Grad", "Conn", "PSNR", "IoU")
_PUBLISHED = ("PA", "BIoU", "WF", "E", "S", "MAE", "F", "MBA")
_MOST_MATTES = 4


class MeasureMatte(Node):
    """A matte and the truth → how far they are apart."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_MeasureMatte",
            display_name="Measure Matte (ToonOut)",
            category=f"{CATEGORY}/measuring",
            description=(
                "Says how good a matte is where the true one is known, and shows where it is "
                "wrong: red is missing, cyan is too much."
            ),
            search_aliases=["evaluate", "score", "metric", "IoU", "SAD", "benchmark", "error"],
            inputs=[
                io.Mask.Input("mask", tooltip="The matte to be judged. White = character."),
                io.Mask.Input(
                    "truth",
                    tooltip=(
                        "The true matte, of the same size. White = character. Load Image gives "
                        "the opposite of a cutout's alpha: put Invert Mask between."
                    ),
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The picture, to be seen under the errors."
                ),
                widget(options.FIGURES),
            ],
            outputs=[
                io.String.Output(
                    display_name="text", tooltip="The figures as a table, means over the batch."
                ),
                io.String.Output(
                    display_name="numbers",
                    tooltip="The same as JSON: the mean, and a row for each picture.",
                ),
                io.Float.Output(
                    display_name="MAE", tooltip="Mean absolute error, 0 to 1. Lower is better."
                ),
                io.Float.Output(
                    display_name="soft BIoU",
                    tooltip="Agreement along the outline, 0 to 1. Higher is better.",
                ),
                io.Float.Output(
                    display_name="PA", tooltip="Pixel accuracy, clipped, 0 to 1. Higher is better."
                ),
                io.Image.Output(
                    display_name="errors",
                    tooltip="Red: missing. Cyan: too much. Under it the picture, dark grey.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, mask: Tensor, truth: Tensor, figures: Figures, image: Tensor | None = None
    ) -> io.NodeOutput:
        from ..toonout_core.evaluation.error_maps import error_map
        from ..toonout_core.evaluation.matting_metrics import mean_matte_scores, score_matte

        alpha, true_alpha = mask_from_comfy(mask), mask_from_comfy(truth)
        check_size(alpha, true_alpha)
        picture = None if image is None else from_comfy(image)[0]
        if picture is not None:
            check_size(alpha, picture)
        found, expected, below = matched(mask=alpha, truth=true_alpha, image=picture)
        assert found is not None and expected is not None
        rows: list[MatteScores] = []
        maps: list[Tensor] = []
        with ComfyHost().progress(len(found), "measuring") as step:
            for index in range(len(found)):
                one, other = found[index : index + 1], expected[index : index + 1]
                rows.append(score_matte(one, other, _chosen(figures)))
                maps.append(error_map(one, other, None if below is None else below[[index]]))
                step(preview=maps[-1][0])
        mean = mean_matte_scores(rows)
        return io.NodeOutput(
            _table(mean, len(rows)),
            _numbers(mean, rows),
            *(mean.values[name] for name in _SOCKETS),
            to_comfy(torch.cat(maps)),
        )


def _chosen(figures: Figures) -> list[str]:
    from ..toonout_core.evaluation.matting_metrics import METRIC_IDS

    if figures == "all":
        return list(METRIC_IDS)
    asked = _PUBLISHED if figures == "as published" else _SOUND
    return [name for name in METRIC_IDS if name in {*asked, "PA", "BIoU_soft", "MAE"}]


def _table(mean: MatteScores, count: int) -> str:
    from ..toonout_core.evaluation.matting_metrics import COLUMNS

    lines = [f"{count} picture{'s' * (count != 1)}"]
    for name, value in mean.values.items():
        column = COLUMNS[name]
        shown = "not defined"
        if math.isfinite(value):
            percent = column.unit == "%"
            shown = f"{value * (100 if percent else 1):.{2 if percent else 4}f} {column.unit}"
        better = "lower" if column.lower_is_better else "higher"
        lines.append(f"{name}: {shown.strip()} ({column.title}; {better} is better)")
    return "\n".join(lines)


def _numbers(mean: MatteScores, rows: list[MatteScores]) -> str:
    content = {"mean": _plain(mean), "pictures": [_plain(row) for row in rows]}
    return json.dumps(content, allow_nan=False)


def _plain(scores: MatteScores) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in scores.values.items()}


class CompareMattes(Node):
    """A picture and up to four mattes → a sheet that shows them beside each other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        later = [
            io.Mask.Input(f"matte_{i}", optional=True, tooltip="Another one. White = character.")
            for i in range(2, _MOST_MATTES + 1)
        ]
        return schema(
            node_id="ToonOut_CompareMattes",
            display_name="Compare Mattes (ToonOut)",
            category=f"{CATEGORY}/measuring",
            description=(
                "Shows up to four mattes of a picture side by side: the mattes, the cutouts over "
                "colours, where they differ, and a detail at full size."
            ),
            search_aliases=["side by side", "contact sheet", "A/B", "models", "difference"],
            inputs=[
                io.Image.Input("image", tooltip="The picture that the mattes belong to."),
                io.Mask.Input("matte_1", tooltip="The first matte. White = character."),
                *later,
                *widgets(options.MATTE_NAMES, options.COLOURS, options.EDGES, options.CELL),
            ],
            outputs=[
                io.Image.Output(display_name="sheet", tooltip="One for each picture of the batch.")
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        matte_1: Tensor,
        names: str,
        colours: str,
        edges: Edges,
        cell_px: int,
        matte_2: Tensor | None = None,
        matte_3: Tensor | None = None,
        matte_4: Tensor | None = None,
    ) -> io.NodeOutput:
        from ..toonout_core.evaluation.contact_sheet import cutout_sheet

        picture = from_comfy(image)[0]
        given = enumerate((matte_1, matte_2, matte_3, matte_4), 1)
        mattes = {f"matte_{i}": mask_from_comfy(m) for i, m in given if m is not None}
        for matte in mattes.values():
            check_size(matte, picture)
        called = _names(names, list(mattes))
        backgrounds = [colour.strip() for colour in colours.split(",") if colour.strip()]
        if not backgrounds:
            raise BadInput("colours must name at least one", repr(colours))
        for colour in backgrounds:
            parse_colour(colour)
        pictures, *alphas = matched(image=picture, **mattes)
        assert pictures is not None
        sheets: list[Tensor] = []
        with ComfyHost().progress(len(pictures), "comparing") as step:
            for index in range(len(pictures)):
                one = pictures[index : index + 1]
                planes = [alpha[index : index + 1] for alpha in alphas if alpha is not None]
                looks = [
                    look
                    for name, alpha in zip(called, planes, strict=True)
                    for look in _looks(name, one, alpha, edges)
                ]
                sheets.append(cutout_sheet(one, looks, backgrounds, cell_px=cell_px))
                step(preview=sheets[-1][0])
        return io.NodeOutput(to_comfy(_joined(sheets)))


def _names(text: str, inputs: list[str]) -> list[str]:
    """A name for each matte: the one at its socket's place, else the socket's."""
    given = [name.strip() for name in text.split(",")] + [""] * _MOST_MATTES
    return [given[int(name[-1]) - 1] or name.replace("_", " ") for name in inputs]


def _looks(name: str, image: Tensor, alpha: Tensor, edges: Edges) -> list[Look]:
    from ..toonout_core.evaluation.contact_sheet import Look

    looks: list[Look] = []
    if edges != "clean colours":
        looks.append(Look(name, alpha, image))
    if edges != "as they are":
        looks.append(Look(f"{name}, clean colours", alpha, estimate_foreground(image, alpha)))
    return looks


def _joined(sheets: list[Tensor]) -> Tensor:
    """A batch needs one size: where mattes of a later frame agree, its sheet lacks a column."""
    width = max(int(sheet.shape[-1]) for sheet in sheets)
    padded: list[Any] = [
        torch.nn.functional.pad(sheet, (0, width - int(sheet.shape[-1])), value=1.0)
        for sheet in sheets
    ]
    return torch.cat(padded)
