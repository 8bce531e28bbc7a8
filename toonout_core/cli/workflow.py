"""A workflow of ComfyUI in API format, and where the picture goes in it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadInput

Prompt = dict[str, Any]  # node id → {"class_type", "inputs"}


@dataclass(frozen=True)
class Workflow:
    """An API-format graph, and where the picture goes."""

    graph: Prompt
    node: str
    field: str

    def with_picture(self, name: str) -> Prompt:
        graph = copy.deepcopy(self.graph)
        graph[self.node]["inputs"][self.field] = name
        return graph


def read_workflow(path: Path, where: str | None = None) -> Workflow:
    """Raises BadInput if the file is no API-format graph or the picture's node is not clear."""
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            "a workflow must exist",
            f"no file at {path}",
            'Make one with ComfyUI\'s "Export (API)".',
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} must be a workflow in JSON", str(error)) from error
    if isinstance(graph, dict) and isinstance(graph.get("prompt"), dict):
        graph = graph["prompt"]
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise BadInput(
            f"{path} must be in API format", "the format of the editor", 'Use "Export (API)".'
        )
    if not _is_graph(graph):
        raise BadInput(f"{path} must be a workflow in API format", "something else")
    node, field = _picture_input(graph, where)
    return Workflow(graph, node, field)


def _is_graph(graph: Any) -> bool:
    return (
        isinstance(graph, dict)
        and bool(graph)
        and all(
            isinstance(node, dict) and "class_type" in node and isinstance(node.get("inputs"), dict)
            for node in graph.values()
        )
    )


def _picture_input(graph: Prompt, where: str | None) -> tuple[str, str]:
    loaders = [
        node for node, content in graph.items() if content["class_type"].startswith("LoadImage")
    ]
    if where is not None:
        node, _, field = where.partition(".")
        if node not in graph:
            raise BadInput("--input must name a node of the workflow", repr(node), _names(graph))
        return node, field or "image"
    if len(loaders) != 1:
        raise BadInput(
            "the workflow must have one LoadImage node",
            str(len(loaders)),
            f"Say with --input NODE.FIELD where the picture goes. {_names(graph)}",
        )
    return loaders[0], "image"


def _names(graph: Prompt) -> str:
    return "Nodes: " + ", ".join(f"{node} {graph[node]['class_type']}" for node in graph) + "."
