"""ToonOut in the Extras tab, and after generation where the host's settings put it there."""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

from modules import scripts_postprocessing, shared

from ..toonout_core import Cancelled, CorruptWeights, DownloadFailed, ToonOutError
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

    def process(self, pp: Any, enable: bool | None = None, **values: Any) -> None:
        """Hosts call this with every argument None for pictures that come over their API."""
        if not enable or pp.image is None:  # SD.Next has no image for videos
            return
        try:
            options, background = widgets.split(values)
            result = cut(pp.image, wish(options), background)
        except Cancelled:
            if not hosts.counts_extras():
                raise  # what is saved already stays
            shared.state.skipped = True  # the host saves nothing then
        except ToonOutError as error:
            lacks_model = isinstance(error, DownloadFailed | CorruptWeights)
            if _is_single() or (lacks_model and not hosts.counts_extras()):
                raise  # or none of a batch can be cut out: then the sentence is worth more
            _note_failure(pp, str(error), files=lacks_model)
        except Exception as error:
            if _is_single():
                raise
            log.exception("a picture of a batch failed")
            _note_failure(pp, f"{type(error).__name__}: {error}")
        else:
            _hand_over(pp, result)


def _is_single() -> bool:
    """Whether nothing is lost when the run ends here: Extras, with one picture."""
    if not hosts.counts_extras():
        return False
    # some hosts call the job after the script that is running
    in_extras = getattr(shared.state, "job", "") in ("extras", Extras.name)
    return in_extras and getattr(shared.state, "job_count", 1) <= 1


def _note_failure(pp: Any, sentence: str, *, files: bool = False) -> None:
    """In the picture's infotext, which may get published: not where files lie on this machine."""
    log.error("FAILED: %s", sentence)
    told = "the model is not here or cannot be read, see the console" if files else sentence
    pp.info["ToonOut"] = f"FAILED: {told}"


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
