"""Cutouts of what txt2img and img2img generate, and axes of the X/Y/Z plot for them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modules import scripts

from ..toonout_core import (
    BadInput,
    Cancelled,
    CorruptWeights,
    DownloadFailed,
    ToonOutError,
    UnknownModel,
)
from ..toonout_core.errors import plain
from ..toonout_core.options.option import Option
from ..toonout_core.serving.options import OPTIONS, CutoutOptions
from . import hosts, keeping_alpha, widgets
from .cutting import Cut, cut, wish

log = logging.getLogger("toonout")

KEEP_BOTH = "keep both"
REPLACE = "replace"
KEEPS = (KEEP_BOTH, REPLACE)
KEEP = "ToonOut keep"  # its presence in an infotext says that there was a cutout
ERROR = "ToonOut error"

# attributes of the host's processing object, which it copies for passes of its own
AXES = "toonout_axes"
PENDING = "toonout_pending"

_OPTION_NAMES = tuple(OPTIONS)
AXIS_OPTIONS = ("model", "output", "resolution", "radius_px", "refine_radius_px", "grow_px")


@dataclass(frozen=True)
class Pending:
    """A result beside the picture number `index` of a run."""

    image: Any
    index: int
    suffix: str = ""


class Generate(scripts.Script):
    """Works on the picture as it is saved: after inpainting's overlay and other extensions."""

    def title(self) -> str:
        """Another one than in Extras: the API tells scripts apart by it."""
        return "ToonOut cutout after generation"

    def show(self, is_img2img: bool) -> Any:
        """Beside the other settings, not in the list of scripts."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Components in the order of the arguments of `process` and the other hooks."""
        import gradio as gr

        place = _place_on_page("img2img" if is_img2img else "txt2img")

        def elem_id(name: str) -> str:
            return f"toonout_{place}_{name}"

        with hosts.accordion("ToonOut", elem_id("enable")) as enable:
            keep = gr.Radio(
                label="Result",
                choices=list(KEEPS),
                value=KEEP_BOTH,
                info="keep both: the cutout lies beside the picture. replace: instead of it.",
                elem_id=elem_id("keep"),
            )
            parts = widgets.build(elem_id)
        self.infotext_fields = [(enable, hosts.pasted(was_used)), (keep, KEEP)]
        self.infotext_fields += [
            (parts[name], hosts.pasted(reader(option))) for name, option in OPTIONS.items()
        ]
        self.paste_field_names = [KEEP, *map(key, _OPTION_NAMES)]
        return [enable, keep, *parts.values()]

    def process(self, p: Any, enable: Any = None, keep: Any = None, *values: Any) -> None:
        """Write the infotext; a wrong wish is told before minutes of generation."""
        p.toonout_count = 0
        setattr(p, PENDING, [])
        for name in (KEEP, ERROR, *map(key, _OPTION_NAMES)):  # of a plot's cell before this one
            p.extra_generation_params.pop(name, None)
        hosts.give_overlay_back(p)
        if not _is_on(p, enable):
            return
        try:
            p.extra_generation_params[KEEP] = _keep(keep)
            options, _ = read_wish(p, values)
        except ToonOutError as error:
            _tell(p, error)
            return
        for name, value in {"model": options.model, **options.changed()}.items():
            p.extra_generation_params[key(name)] = str(value)

    def postprocess_image(self, p: Any, pp: Any, enable: Any = None, *rest: Any) -> None:
        """For hosts that know no later hook."""
        if hosts.has_composite_hook():
            return
        if _is_on(p, enable):
            pp.image = hosts.lay_over(p, pp.image)
        self._run(p, pp, enable, *rest)

    def postprocess_image_after_composite(
        self, p: Any, pp: Any, enable: Any = None, *rest: Any
    ) -> None:
        """The picture as it will be saved."""
        self._run(p, pp, enable, *rest)

    def _run(self, p: Any, pp: Any, enable: Any, keep: Any = None, *values: Any) -> None:
        if not _is_on(p, enable) or getattr(p, "_ad_inner", False):
            return
        if hosts.makes_video(p):
            if ERROR not in p.extra_generation_params:
                _tell(p, BadInput("a video must be cut out on ToonOut's page Clip", "its frames"))
            return
        try:
            kept = _keep(keep)
            options, background = read_wish(p, values)
            result = cut(pp.image, options, background)
        except Exception as error:  # the host would go on without a word to the user
            if not isinstance(error, ToonOutError):
                log.exception("a generated picture was not cut out")
            _tell(p, error)
        else:
            _place(p, pp, result, kept)

    def postprocess(
        self, p: Any, processed: Any, enable: Any = None, keep: Any = None, *values: Any
    ) -> None:
        """Show and save what lies beside the pictures. ADetailer calls this without pictures."""
        pending: list[Pending] = getattr(p, PENDING, [])
        hosts.show_comments(p, processed)
        for image in processed.images:
            keeping_alpha.give_back(image)
        if not pending or not processed.images:
            return
        setattr(p, PENDING, [])
        first = getattr(processed, "index_of_first_image", 0)
        texts = list(processed.infotexts)
        for item in pending:
            text = texts[min(first + item.index, len(texts) - 1)] if texts else ""
            processed.images.append(item.image)
            processed.infotexts.append(text)
            if hosts.saves_samples(p):
                hosts.save(item.image, p, item.index, text, item.suffix)
            keeping_alpha.give_back(item.image)
        if getattr(p, AXES, {}):  # a plot shows the first picture of a run
            shown = pending[0].image
            cell = keeping_alpha.on_white(shown) if keeping_alpha.is_marked(shown) else shown
            processed.images.insert(0, cell)
            processed.infotexts.insert(0, texts[first] if texts else "")


# ---------------------------------------------------------------- widgets

_built: Counter[str] = Counter()


def _place_on_page(name: str) -> str:
    """SD.Next builds the widgets of img2img a second time, for its tab Control."""
    _built[name] += 1
    return name if _built[name] == 1 else f"{name}_{_built[name]}"


def new_page() -> None:
    """Before a new page: its ids begin anew."""
    _built.clear()


# ---------------------------------------------------------------- wishes


def key(name: str) -> str:
    """An option's name in infotexts."""
    return f"ToonOut {name}"


def was_used(parameters: dict[str, Any]) -> bool:
    """Whether the picture of an infotext was cut out."""
    return KEEP in parameters


def reader(option: Option) -> Callable[[dict[str, Any]], Any]:
    """Of an infotext's entries → value of the component; None leaves it as it is."""

    def value(parameters: dict[str, Any]) -> Any:
        if not was_used(parameters):
            return None
        written = parameters.get(key(option.name))
        try:
            return option.default if written is None else option.check(written)
        except BadInput:
            return None

    return value


def read_wish(p: Any, values: tuple[Any, ...]) -> tuple[CutoutOptions, Any]:
    """Options and the picture of the background, of components and axes. Raises BadInput."""
    names = [*_OPTION_NAMES, widgets.BACKGROUND_PICTURE]
    given = dict(zip(names, values, strict=False))
    options, background = widgets.split(given)
    return wish({**options, **getattr(p, AXES, {})}), background


def _is_on(p: Any, enable: Any) -> bool:
    """Who plots one of our axes means to see it."""
    return bool(enable) or bool(getattr(p, AXES, {}))


def _keep(value: Any) -> str:
    """What a call gives; none means the default. Raises BadInput."""
    if value is not None and value not in KEEPS:
        raise BadInput(f"keep must be one of {', '.join(KEEPS)}", plain(repr(value)))
    return value or KEEP_BOTH


# ---------------------------------------------------------------- results


def _place(p: Any, pp: Any, result: Cut, keep: str) -> None:
    index = getattr(p, "toonout_count", 0)
    main = keeping_alpha.for_host(result.main())
    p.toonout_count = index + 1
    pending: list[Pending] = getattr(p, PENDING, [])
    if keep == REPLACE:
        pp.image = main
    else:
        suffix = "-toonout-mask" if result.options.output == "mask" else "-toonout"
        pending.append(Pending(main, index, suffix))
    if result.options.output == "cutout + mask":
        pending.append(Pending(result.mask(), index, "-toonout-mask"))
    setattr(p, PENDING, pending)


def _tell(p: Any, error: Exception) -> None:
    """Under the gallery, and in the infotext, which may get published: not where files lie on this
    machine. The picture itself stays as it was generated."""
    known = isinstance(error, ToonOutError)
    sentence = str(error) if known else f"{type(error).__name__}: {error}"
    log.error("%s", sentence)
    reason = "the model is not here or cannot be read"
    if not isinstance(error, DownloadFailed | CorruptWeights):
        reason = sentence if isinstance(error, BadInput | UnknownModel | Cancelled) else "failed"
    p.extra_generation_params[ERROR] = f"not cut out: {plain(reason, 200)}"
    comment = getattr(p, "comment", None)
    if callable(comment):
        comment(f"ToonOut: {sentence}")


# ---------------------------------------------------------------- X/Y/Z plot


def add_axes() -> None:
    """Add ours to the plot's list, once, however often the host asks."""
    grid = hosts.xyz_grid()
    if grid is None:
        return
    present = {axis.label for axis in grid.axis_options}
    for name in AXIS_OPTIONS:
        label = f"[ToonOut] {name}"
        if label not in present:
            grid.axis_options.append(_axis(grid, label, OPTIONS[name]))


def _axis(grid: Any, label: str, option: Option) -> Any:
    kind = type(option.default)
    if option.name == "model":
        return grid.AxisOption(label, kind, _apply(option.name), choices=widgets.model_names)
    choices = list(option.choices)
    if choices:
        return grid.AxisOption(label, kind, _apply(option.name), choices=lambda: choices)
    return grid.AxisOption(label, kind, _apply(option.name))


def _apply(name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, values: Any) -> None:
        # a new mapping: the plot copies `p` for every cell, but not what is in it
        setattr(p, AXES, {**getattr(p, AXES, {}), name: value})

    return apply
