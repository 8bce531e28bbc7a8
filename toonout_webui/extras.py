"""ToonOut in the Extras tab, and after generation where the host's settings put it there."""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

from modules import scripts_postprocessing, shared

from ..toonout_core import BadInput, Cancelled, CorruptWeights, DownloadFailed, ToonOutError
from . import hosts, keeping_alpha, widgets
from .cutting import Cut, cut, wish

log = logging.getLogger("toonout")

_numbers = count(1)  # hosts build the widgets up to seven times in one page


class Extras(scripts_postprocessing.ScriptPostprocessing):
    """Cutout, mask or both of every picture."""

    name = "ToonOut"
    order = 20100  # after upscaling and after the other removers of backgrounds

    def ui(self) -> dict[str, Any]:
        """Name of an argument of `process` → component."""
        number = next(_numbers)

        def elem_id(name: str) -> str:
            return f"toonout_extras_{number}_{name}"

        with hosts.switch_in_extras(elem_id("enable")) as enable:
            parts = widgets.build(elem_id)
        return {"enable": enable, **parts}

    def process_firstpass(self, pp: Any, enable: bool | None = None, **_: Any) -> None:
        """Before any script: a file that cannot be decoded would end the batch when it is saved."""
        hosts.unpack(pp)
        if not enable or pp.image is None:
            return
        try:
            pp.image.load()
        except (OSError, SyntaxError, ValueError) as error:
            sentence = f"The picture cannot be read: {error}."
            if _is_single():
                raise BadInput("the picture must be whole", str(error)) from error
            log.error("FAILED: %s: %s", getattr(shared.state, "textinfo", "") or "", sentence)
            shared.state.skipped = True  # the host saves nothing then, and goes on

    def process(self, pp: Any, enable: bool | None = None, **values: Any) -> None:
        """Hosts call this with every argument None for pictures that come over their API."""
        hosts.unpack(pp)
        if not enable or pp.image is None:  # SD.Next has no image for videos
            return
        try:
            options, background = widgets.split(values)
            result = cut(pp.image, wish(on_frames(options, pp)), background)
        except Cancelled:
            if not hosts.counts_extras():
                raise  # what is saved already stays
            shared.state.skipped = True  # the host saves nothing then
        except ToonOutError as error:
            if _is_single() or isinstance(error, DownloadFailed | CorruptWeights):
                raise  # without the model none of a batch can be cut out
            _note_failure(pp, str(error))
        except Exception as error:
            if _is_single():
                raise
            log.exception("a picture of a batch failed")
            _note_failure(pp, f"{type(error).__name__}: {error}")
        else:
            _hand_over(pp, result)


def on_frames(options: dict[str, Any], pp: Any) -> dict[str, Any]:
    """A video has no alpha: its frames are laid on the chosen colour."""
    if not hosts.is_frame(pp):
        return options
    changed: dict[str, Any] = {"crop": False}
    if options.get("background") in (None, "transparent"):
        changed["background"] = "colour"
    if options.get("output") == "cutout + mask":
        changed["output"] = "cutout"
    return options | changed


def _is_single() -> bool:
    """Whether nothing is lost when the run ends here: Extras, with one picture."""
    if not hosts.counts_extras():
        return False
    # some hosts call the job after the script that is running
    in_extras = getattr(shared.state, "job", "") in ("extras", Extras.name)
    return in_extras and getattr(shared.state, "job_count", 1) <= 1


def _note_failure(pp: Any, sentence: str) -> None:
    """In the picture's infotext."""
    log.error("FAILED: %s", sentence)
    pp.info["ToonOut"] = f"FAILED: {sentence}"


def _hand_over(pp: Any, result: Cut) -> None:
    pp.image = keeping_alpha.for_host(result.main())
    pp.info["ToonOut"] = result.sentence()
    if result.options.output != "cutout + mask":
        return
    if hasattr(pp, "create_copy"):
        mask = pp.create_copy(result.mask(), nametags=["mask"], disable_processing=True)
        pp.extra_images.append(mask)
    elif hasattr(pp, "extra_images"):
        pp.extra_images.append(result.mask())
    else:
        keeping_alpha.put_beside(pp.image, result.mask())
