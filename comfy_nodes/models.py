"""What travels on the BACKGROUND_REMOVAL socket: our pipelines, and models of other loaders."""

from __future__ import annotations

import inspect
from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor

from ..toonout_core import Fit, Matting
from ..toonout_core.errors import BadInput, ToonOutError
from ..toonout_core.imaging import from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.ops.compositing import over
from ..toonout_core.ops.resizing import fit as fit_to
from .host import ComfyHost


class OwnModel:
    """Our pipeline, in the shape that ComfyUI's Remove Background calls."""

    def __init__(self, matting: Matting, host: ComfyHost) -> None:
        self.matting = matting
        self.host = host

    @property
    def name(self) -> str:
        return self.matting.name

    def encode_image(self, image: Tensor, image_size: int | None = None) -> Tensor:
        """IMAGE B×H×W×C → MASK B×H×W, 1 = character; one frame at a time on the device."""
        picture, alpha = from_comfy(image)
        found = self.predict(flattened(picture, alpha), resolution=image_size)
        return mask_to_comfy(found if alpha is None else found * alpha)

    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
    ) -> Tensor:
        """B×3×H×W → alpha B×1×H×W."""
        return self.matting.predict(
            image, resolution=resolution, fit=fit, frames_per_step=frames_per_step
        )


class ForeignModel:
    """A model of another loader, ComfyUI's own for one, run step by step."""

    def __init__(self, model: Any, host: ComfyHost) -> None:
        self.model = model
        self.host = host

    @property
    def name(self) -> str:
        return type(self.model).__name__

    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
    ) -> Tensor:
        """B×3×H×W → alpha B×1×H×W."""
        side = max(int(image.shape[-2]), int(image.shape[-1]))
        way = None
        if fit == "pad":
            image, way = fit_to(image, (side, side), "pad")
        options = self._size_option(resolution)
        parts: list[Tensor] = []
        done, step = 0, frames_per_step
        with self.host.progress(int(image.shape[0]), "matting") as report:
            while done < image.shape[0]:
                part = image[done : done + step]
                try:
                    mask = self.model.encode_image(to_comfy(part), **options)
                except management.OOM_EXCEPTION as error:
                    step = self._halved(step, error)
                    continue
                parts.append(mask_from_comfy(mask).to(image.device))
                done += len(part)
                report(len(part), preview=part[-1] * parts[-1][-1])
        alpha = torch.cat(parts)
        return alpha if way is None else way.undo(alpha)

    def _halved(self, step: int, error: Exception) -> int:
        management.soft_empty_cache()
        if step == 1:
            raise ToonOutError(
                f"{self.name} needs more memory than the device has for one picture. "
                "Free memory, or run ComfyUI with --cpu."
            ) from error
        return step // 2

    def _size_option(self, resolution: int | None) -> dict[str, int]:
        if resolution is None:
            return {}
        accepted = inspect.signature(self.model.encode_image).parameters
        for name in ("image_size", "resolution"):
            if name in accepted:
                return {name: resolution}
        raise BadInput(
            f"resolution must be 0 for {self.name}, whose loader decides it",
            str(resolution),
            "Set it to 0, or load the model with Load Matting Model (ToonOut).",
        )


def as_model(value: Any) -> OwnModel | ForeignModel:
    """Whatever a loader gives, as something that cuts out."""
    if isinstance(value, OwnModel):
        return value
    if callable(getattr(value, "encode_image", None)):
        return ForeignModel(value, ComfyHost())
    raise BadInput(
        "model must come from a loader of matting models",
        f"a {type(value).__name__}",
        "Connect Load Matting Model (ToonOut).",
    )


def flattened(image: Tensor, alpha: Tensor | None) -> Tensor:
    """The picture that a network may see: white where the picture's own alpha hides the colours."""
    return image if alpha is None else over(image, alpha, torch.ones_like(image))
