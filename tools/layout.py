"""Lay out example graphs so that nothing overlaps, in no frontend: `python tools/layout.py FILES`.

Nodes that begin at the same x are a column. A column keeps its order; its nodes get the room that
they may ever be drawn in (all widgets shown, Nodes 2.0), and stand below each other with a gap.
Groups are as large as their nodes usually are: Nodes 2.0 hides the advanced widgets at first.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.comfy.graphs import DECORATION, known_nodes, widget_names  # noqa: E402

TITLE_PX = 30  # above a node's position
GAP_PX = 50  # between two nodes of a column, without the title
PADDING_PX = 20  # of a group around its nodes
# heights in Nodes 2.0 (frontend 1.45), the larger of the two, with a margin
_FRAME_PX, _SOCKET_PX, _WIDGET_PX, _TEXT_PX = 60, 24, 33, 60
_PICTURE_PX = {"LoadImage": 340, "PreviewImage": 240, "SaveImage": 260, "SaveVideo": 300}
_CLASSIC_ROW_PX = 24  # of a widget or socket on the classic canvas, which shows all of them
# below their widgets
_PREVIEWS_PX = {
    "ToonOut_Matte": 240, "ToonOut_EstimateForeground": 240, "ToonOut_ExamplePicture": 240,
}  # fmt: skip
_LETTER_PX, _LINE_PX, _EMPTY_LINE_PX = 7.6, 24, 14

Graph = dict[str, Any]


def needed_px(node: Graph, info: Graph | None, usual: bool = False) -> int:
    """Height of a node without its title, the largest ever or the usual one; `info`: as of
    /object_info, ours with `texts` and `advanced`."""
    if node["type"] in DECORATION:
        return _note_px(node["widgets_values"][0], node["size"][0])
    if info is None:  # another pack's
        return int(node["size"][1])
    sockets = max(len(node["inputs"]), len(info["output"]))
    shown = sum(bool(name) for name in widget_names(info)) or len(node["widgets_values"])
    texts, advanced = info.get("texts", 0), info.get("advanced", 0)
    rows = _FRAME_PX + _SOCKET_PX * sockets + _WIDGET_PX * shown
    if usual and advanced:  # one row is the button that shows them
        classic = _CLASSIC_ROW_PX * (sockets + shown + 1)
        rows = max(rows - _WIDGET_PX * (advanced - 1), classic)
    rows += _TEXT_PX * texts
    rows += _PREVIEWS_PX.get(node["type"], 0)
    return max(rows, _PICTURE_PX.get(node["type"], 0))


def _note_px(text: str, width: int) -> int:
    rows = [math.ceil(len(line) * _LETTER_PX / width) for line in text.split("\n")]
    return sum(_LINE_PX * count if count else _EMPTY_LINE_PX for count in rows) + 2 * _FRAME_PX


def lay_out(graph: Graph, known: dict[str, Graph]) -> None:
    """Move nodes down and make groups fit; `known`: nodes as in /object_info, ours with `texts`
    and `advanced`."""
    heights, usual = heights_of(graph, known), heights_of(graph, known, usual=True)
    inside = {group["id"]: _members(group, graph["nodes"]) for group in graph["groups"]}
    framed = {node["id"]: key for key, members in inside.items() for node in members}
    columns: dict[tuple[int | None, int], list[Graph]] = {}
    for node in graph["nodes"]:
        columns.setdefault((framed.get(node["id"]), node["pos"][0]), []).append(node)
    for nodes in columns.values():
        _stack(nodes, heights)
    groups = sorted(graph["groups"], key=lambda group: group["bounding"][1])
    for number, group in enumerate(groups):
        members = inside[group["id"]]
        for above in groups[:number]:
            if above["bounding"][0] == group["bounding"][0]:
                lowest = bounds(inside[above["id"]], heights)[3] + 3 * PADDING_PX + GAP_PX
                down = lowest + TITLE_PX - min(node["pos"][1] for node in members)
                for node in members if down > 0 else ():
                    node["pos"][1] += down
        _frame(group, members, usual)


def _stack(nodes: list[Graph], heights: dict[int, int]) -> None:
    nodes.sort(key=lambda node: node["pos"][1])
    y = nodes[0]["pos"][1]
    for node in nodes:
        node["pos"][1] = y
        y += heights[node["id"]] + TITLE_PX + GAP_PX


def _frame(group: Graph, members: list[Graph], heights: dict[int, int]) -> None:
    left, top, right, bottom = bounds(members, heights)
    group["bounding"] = [
        left - PADDING_PX, top - 2 * PADDING_PX,
        right - left + 2 * PADDING_PX, bottom - top + 3 * PADDING_PX,
    ]  # fmt: skip


def bounds(nodes: list[Graph], heights: dict[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the room of nodes, with titles."""
    return (
        min(node["pos"][0] for node in nodes),
        min(node["pos"][1] for node in nodes) - TITLE_PX,
        max(node["pos"][0] + node["size"][0] for node in nodes),
        max(node["pos"][1] + heights[node["id"]] for node in nodes),
    )


def _members(group: Graph, nodes: list[Graph]) -> list[Graph]:
    x, y, width, height = group["bounding"]
    return [
        node for node in nodes
        if x <= node["pos"][0] < x + width and y <= node["pos"][1] < y + height
    ]  # fmt: skip


def heights_of(graph: Graph, known: dict[str, Graph], *, usual: bool = False) -> dict[int, int]:
    """The room of each node, by its id: the largest ever, or the usual one."""
    return {
        node["id"]: max(int(node["size"][1]), needed_px(node, known.get(node["type"]), usual))
        for node in graph["nodes"]
    }


def main(paths: list[str]) -> int:
    known = known_nodes()
    for path in map(Path, paths):
        graph = json.loads(path.read_text("utf-8"))
        lay_out(graph, known)
        path.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
