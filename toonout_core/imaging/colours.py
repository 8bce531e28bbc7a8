"""Show colours as a browser does: profiles by littleCMS, a PNG's gamma and primaries."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from .facts import Colours, Facts
from .layouts import Array, bands

_D65 = (0.3127, 0.329)
_SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# ITU-T H.273: 1 sRGB, 9 BT.2020, 12 Display P3
_PRIMARIES = {
    1: _SRGB_PRIMARIES,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
# ITU-T H.273: 4 and 5 are powers, 8 is linear, 13 is sRGB's own curve (0 here)
_EXPONENTS = {4: 2.2, 5: 2.8, 8: 1.0, 13: 0.0}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

_SPACES = {"RGB": b"RGB ", "GRAY": b"GRAY", "CMYK": b"CMYK"}


def _space(profile: bytes | None) -> bytes:
    """Read what the profile describes: bytes 16–20 of an ICC header name it."""
    return profile[16:20] if profile else b""


def _to_srgb(picture: Image.Image, profile: Any, mode: str) -> Image.Image:
    converted = ImageCms.profileToProfile(
        picture, profile, ImageCms.createProfile("sRGB"), outputMode=mode
    )
    assert converted is not None  # it is only for work in place
    return converted


def _parsed(profile: bytes) -> Any:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def to_rgb(picture: Image.Image, facts: Facts) -> Image.Image:
    """Convert CMYK and Lab to RGB by the file's profile, which is used up by that."""
    profile, facts.icc_profile = facts.icc_profile, None
    if picture.mode == "LAB":
        return _to_srgb(picture, ImageCms.createProfile("LAB"), "RGB")
    if _space(profile) == b"CMYK":
        with facts.optional("the colour profile"):
            return _to_srgb(picture, _parsed(cast(bytes, profile)), "RGB")
    elif profile:
        facts.leave_out("the colour profile", "it is not for CMYK")
    facts.note("CMYK without a usable profile: colours are a guess")
    return picture.convert("RGB")


def check_profile(facts: Facts, *, grey: bool) -> Array | None:
    """Keep a profile that describes RGB, and leave a damaged one out.

    A profile for grey becomes the 256 RGB colours (256×3, uint8) that the levels stand for.
    """
    profile, facts.icc_profile = facts.icc_profile, None
    if profile is None:
        return None
    with facts.optional("the colour profile"):
        parsed = _parsed(profile)
        if _space(profile) == b"RGB ":
            facts.icc_profile = profile
        elif _space(profile) == b"GRAY" and grey:
            levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
            return np.asarray(_to_srgb(levels, parsed, "RGB"))[0]
        else:
            raise ValueError(f"it is for {_space(profile).decode('latin-1').strip()}")
    return None


def through_curve(grey: Array, curve: Array) -> Array:
    """Convert H×W×1 uint8 or uint16 to H×W×3 of the same type, by the colours of
    `check_profile`.
    """
    if grey.dtype == np.uint8:
        return curve[grey[..., 0]]
    levels = np.arange(256) * 257.0
    planes = [np.interp(grey[..., 0], levels, curve[:, c] * 257.0) for c in range(3)]
    return np.stack(planes, -1).round().astype(np.uint16)


# ---------------------------------------------------------------- PNG without a profile


def apply_colours(image: Tensor, facts: Facts) -> Tensor:
    """Convert 1×3×H×W to sRGB, in place, where a PNG says that it is something else.

    Its code points count before a profile, a profile before "sRGB", and that before gamma and
    primaries (PNG, third edition, section 4.3).
    """
    said = facts.colours
    if said.code_points:
        return _by_code_points(image, said.code_points, facts)
    if facts.icc_profile or said.is_srgb or not (said.gamma or said.white_and_primaries):
        return image
    if _is_nearly_srgb(said):
        return image
    with facts.optional("the gamma"):
        if said.gamma and not 0.05 <= said.gamma <= 20:
            raise ValueError(f"{said.gamma}")
        places = said.white_and_primaries or (*_D65, *_SRGB_PRIMARIES)
        return _converted(image, 1 / said.gamma if said.gamma else 0.0, _matrix(places))
    return image


def _is_nearly_srgb(said: Colours) -> bool:
    usual = (*_D65, *_SRGB_PRIMARIES)
    places = said.white_and_primaries or usual
    near = all(abs(a - b) < 0.005 for a, b in zip(places, usual, strict=True))
    return near and (not said.gamma or abs(said.gamma - 1 / 2.2) < 0.01)


def _by_code_points(image: Tensor, code_points: tuple[int, ...], facts: Facts) -> Tensor:
    primaries, transfer = code_points
    if primaries not in _PRIMARIES or transfer not in _EXPONENTS:
        facts.note(f"colours of an unknown kind ({primaries}, {transfer}) stay as they are")
        return image
    facts.icc_profile = None
    if (primaries, transfer) == (1, 13):
        return image
    return _converted(image, _EXPONENTS[transfer], _matrix((*_D65, *_PRIMARIES[primaries])))


def _matrix(places: tuple[float, ...]) -> Array:
    """Linear RGB of these primaries and white → linear sRGB, 3×3; Bradford adapts the white."""
    ours, theirs = _to_xyz((*_D65, *_SRGB_PRIMARIES)), _to_xyz(places)
    cones_ours, cones_theirs = _BRADFORD @ ours.sum(1), _BRADFORD @ theirs.sum(1)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones_ours / cones_theirs) @ _BRADFORD
    matrix = np.linalg.inv(ours) @ adapt @ theirs
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 100:
        raise ValueError("primaries that span no colours")
    return matrix


def _to_xyz(places: tuple[float, ...]) -> Array:
    """Columns are red, green and blue; with all of them Y is 1."""
    x, y = np.array(places[::2]), np.array(places[1::2])
    white, *primaries = (np.array([a / b, 1, (1 - a - b) / b]) for a, b in zip(x, y, strict=True))
    columns = np.stack(primaries, 1)
    return columns * np.linalg.solve(columns, white)


def _converted(image: Tensor, exponent: float, matrix: Array) -> Tensor:
    """Convert with an exponent; 0 stands for sRGB's own curve."""
    mixing = torch.from_numpy(matrix).to(torch.float32)
    for rows in bands(int(image.shape[2]), int(image.shape[3])):
        linear = _linear(image[0, :, rows], exponent)
        mixed = torch.einsum("ij,jhw->ihw", mixing, linear).clamp(0, 1)
        image[0, :, rows] = _curved(mixed)
    return image


def _linear(levels: Tensor, exponent: float) -> Tensor:
    if exponent:
        return levels**exponent
    return torch.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _curved(linear: Tensor) -> Tensor:
    """Apply the curve of sRGB (IEC 61966-2-1)."""
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    )
