"""The part of ComfyUI's node API that every release since 0.3.64 has: nodes, sockets, widgets."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from comfy_api.latest import ComfyExtension, io
from torch import Tensor

from ..toonout_core.errors import ToonOutError
from ..toonout_core.options.option import Option
from .batches import check_frames
from .replacing import register_replacements

CATEGORY = "toonout"
# ComfyUI's own type since 0.21: its Load Background Removal Model and Remove Background fit to ours
MattingModel = io.Custom("BACKGROUND_REMOVAL")
SegmenterModel = io.Custom("TOON_SEGMENTER")
InstancesLink = io.Custom("TOON_INSTANCES")  # a tuple of Instances, one for each frame
CropLink = io.Custom("TOON_CROP")
Boxes = io.Custom("BOUNDING_BOX")  # ComfyUI's own: for each frame a list of x, y, width, height
Segs = io.Custom("SEGS")  # the Impact Pack's
LayersLink = io.Custom("LAYERS")  # ComfyUI's own: see toonout_core/layers/comfy_document.py
ClipLink = io.Custom("CLIP")
ConditioningLink = io.Custom("CONDITIONING")
PoseKeypoint = io.Custom("POSE_KEYPOINT")  # core's, DWPose's and controlnet_aux's


class Extension(ComfyExtension):
    """A list of node classes in the form that ComfyUI registers."""

    def __init__(self, nodes: list[type[Any]]) -> None:
        super().__init__()
        self._nodes = nodes

    async def on_load(self) -> None:
        """What ComfyUI calls first, in releases that call it at all."""
        await register_replacements([node.define_schema() for node in self._nodes])

    async def get_node_list(self) -> list[type[Any]]:
        return self._nodes


class Node(io.ComfyNode):
    """A node that looks at every picture and mask it is given before it runs."""

    takes_empty = False  # a batch of no frames gives one of no frames; else it is a sentence

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = cls.__dict__.get("execute")
        # ComfyUI runs copies of the class, which have it already and cannot be changed
        if isinstance(own, classmethod) and not hasattr(own.__func__, "__wrapped__"):
            cls.execute = classmethod(_looking_first(own.__func__))  # pyright: ignore


def _looking_first(work: Callable[..., Any]) -> Callable[..., Any]:
    names = list(inspect.signature(work).parameters)[1:]

    @wraps(work)
    def execute(cls: type[Node], *values: Any, **named: Any) -> Any:
        try:
            for name, value in [*zip(names, values, strict=False), *named.items()]:
                for tensor in value if isinstance(value, list) else [value]:
                    if isinstance(tensor, Tensor):
                        check_frames(name, tensor, takes_empty=cls.takes_empty)
            return work(cls, *values, **named)
        except ToonOutError as error:
            _hide_path(error)
            raise

    return execute


def _hide_path(error: ToonOutError) -> None:
    """ComfyUI shows where an error's class is from, unless Python itself has it."""
    kind = type(error)
    error.__class__ = type(kind.__name__, (kind,), {"__module__": "builtins"})


def schema(**options: Any) -> io.Schema:
    """io.Schema without the options that this release does not know."""
    known = {field.name for field in dataclasses.fields(io.Schema)}
    return io.Schema(**{key: value for key, value in options.items() if key in known})


@dataclass(frozen=True)
class Socket:
    """An input that another node must give, or an output. `kind`: ComfyUI's type of it."""

    kind: Any
    name: str
    help: str
    optional: bool = False
    is_list: bool = False  # of outputs: what follows runs once for each item

    def but(self, **changes: Any) -> Socket:
        """The same with another text, for a place where it means something else."""
        return dataclasses.replace(self, **changes)

    def as_input(self) -> Any:
        """The input of a schema. It is never drawn as a widget."""
        only: dict[str, Any] = {}
        if self.kind is io.String:
            only = {"force_input": True}
        elif self.kind is Boxes:  # newer releases would draw it
            only = {"extra_dict": {"forceInput": True}}
        return self.kind.Input(self.name, optional=self.optional, tooltip=self.help, **only)

    def as_output(self) -> Any:
        """The output of a schema."""
        return self.kind.Output(
            display_name=self.name, tooltip=self.help, is_output_list=self.is_list
        )


def inputs(*sockets: Socket) -> list[Any]:
    """The inputs of a schema."""
    return [item.as_input() for item in sockets]


def outputs(*sockets: Socket) -> list[Any]:
    """The outputs of a schema."""
    return [item.as_output() for item in sockets]


def widgets(*options: Option, **how: Any) -> list[Any]:
    """A widget for each option."""
    return [widget(option, **how) for option in options]


def widget(option: Option, **how: Any) -> Any:
    """The widget of an option of `toonout_core.options`.

    `how`: advanced, optional, force_input; `options`: a menu that this host fills; `kind`: another
    type of ComfyUI's than the option's own.
    """
    kind = how.pop("kind", None)
    given: dict[str, Any] = {"default": option.default, "tooltip": option.help}
    if option.kind in ("whole", "number"):
        given |= {"min": option.least, "max": option.most, "step": option.step}
    if option.kind == "choice":
        given["options"] = list(option.choices)
    if option.lines:
        given |= {"multiline": True, "placeholder": option.placeholder}
    kinds = {"switch": io.Boolean, "whole": io.Int, "number": io.Float, "text": io.String}
    kind = kind or kinds.get(option.kind, io.Combo)
    return known_input(kind, option.name, **(given | how))


def hidden_widget(option: Option, **how: Any) -> Any:
    """A widget that newer pages do not draw any more; graphs still have its value at its place."""
    item = widget(option, **how)
    item.extra_dict = {"hidden": True}
    return item


def known_input(kind: Any, name: str, **options: Any) -> Any:
    """`kind`.Input without the options that this release does not know, `advanced` for one."""
    known = inspect.signature(kind.Input.__init__).parameters
    return kind.Input(name, **{key: value for key, value in options.items() if key in known})
