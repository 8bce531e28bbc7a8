"""The one file that knows layouts: PIL, numpy, ComfyUI, files, colour order, bit depth.

Inside of the core a picture is float32 RGB in [0, 1], B×3×H×W; alpha is B×1×H×W, straight.
"""

from __future__ import annotations

import struct
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import BadInput

Array = npt.NDArray[Any]
PixelSource = str | Path | IO[bytes] | Image.Image

# 8192 × 8192 and a margin for panoramas; above it a picture is more likely a decompression bomb.
PIXEL_LIMIT = 100_000_000


@dataclass(frozen=True)
class Metadata:
    """What a file carries beside its pixels, to be written again."""

    text: Mapping[str, str] = field(default_factory=dict[str, str])
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """One frame. `image` 1×3×H×W in [0, 1]; `alpha` 1×1×H×W in [0, 1], or None if opaque."""

    image: Tensor
    alpha: Tensor | None = None
    metadata: Metadata = Metadata()
    bits: int = 8  # a channel, in the source

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[-2]), int(self.image.shape[-1])


# ---------------------------------------------------------------- arrays


def from_array(array: Array) -> Tensor:
    """H×W, H×W×C or B×H×W×C of uint8, uint16, bool or float → B×C×H×W float32 in [0, 1]."""
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    elif array.dtype in (np.uint8, np.uint16):
        array = array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    elif not np.issubdtype(array.dtype, np.floating):
        raise BadInput("a pixel array must be uint8, uint16, bool or float", str(array.dtype))
    if array.ndim == 2:
        array = array[None, ..., None]
    elif array.ndim == 3:
        array = array[None]
    elif array.ndim != 4:
        raise BadInput("a pixel array must have 2, 3 or 4 axes", f"shape {array.shape}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).permute(0, 3, 1, 2)


def to_array(image: Tensor, bits: int = 8) -> Array:
    """B×C×H×W in [0, 1] → B×H×W×C, rounded to nearest; `bits` 8 → uint8, 16 → uint16."""
    if bits not in (8, 16):
        raise BadInput("bits must be 8 or 16", str(bits))
    levels = 2**bits - 1
    scaled = image.detach().to(torch.float32).clamp(0, 1).mul(levels).round().cpu()
    dtype = np.uint8 if bits == 8 else np.uint16
    return scaled.permute(0, 2, 3, 1).contiguous().numpy().astype(dtype)


def to_levels(image: Tensor) -> Tensor:
    """B×C×H×W in [0, 1] → the same as uint8, rounded to nearest."""
    return image.detach().mul(255).round_().clamp_(0, 255).to(torch.uint8)


def from_levels(levels: Tensor) -> Tensor:
    """B×C×H×W of whole numbers 0 … 255 → float32 in [0, 1]."""
    return levels.to(torch.float32) / 255


def unit_levels(levels: Array) -> Array:
    """uint8 of any shape → float64 in [0, 1]."""
    return levels.astype(np.float64) / 255


def reverse_colours(image: Tensor) -> Tensor:
    """B×3×H×W: RGB → BGR, and back."""
    return image.flip(1)


def to_layer(rgba: Array) -> Array:
    """H×W×4 uint8, straight → H×W×4 float32 in [0, 255], premultiplied, fit for resampling."""
    layer = rgba.astype(np.float32)
    layer[..., :3] *= layer[..., 3:] / np.float32(255)
    return layer


def from_layer(layer: Array) -> Array:
    """`to_layer` undone: H×W×4 float32, premultiplied → uint8, straight; black where alpha is 0."""
    rgba = layer.copy()
    rgba[..., :3] *= np.float32(255) / np.maximum(layer[..., 3:], np.float32(1e-3))
    return rgba.round().clip(0, 255).astype(np.uint8)


def split_layer(layer: Array) -> tuple[Array, Array]:
    """Premultiplied colours H×W×3 in [0, 255] and opacity H×W×1 in [0, 1] of a layer."""
    return layer[..., :3], layer[..., 3:] / np.float32(255)


# ---------------------------------------------------------------- ComfyUI


def from_comfy(image: Tensor) -> tuple[Tensor, Tensor | None]:
    """IMAGE B×H×W×C (C = 1, 3 or 4) → picture B×3×H×W and its alpha B×1×H×W, if it has one."""
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise BadInput("IMAGE must be B×H×W×C with C 1, 3 or 4", f"shape {tuple(image.shape)}")
    planes = image.to(torch.float32).permute(0, 3, 1, 2)
    if planes.shape[1] == 1:
        planes = planes.expand(-1, 3, -1, -1)
    alpha = planes[:, 3:4] if planes.shape[1] == 4 else None
    return planes[:, :3].contiguous(), alpha


def to_comfy(image: Tensor) -> Tensor:
    """B×C×H×W → IMAGE B×H×W×C float32."""
    return image.to(torch.float32).permute(0, 2, 3, 1).contiguous()


def views_of_layers(rgba: Tensor) -> tuple[Tensor, Tensor]:
    """IMAGE B×H×W×4 → its colours B×H×W×3 and its alpha B×H×W, which share its memory."""
    return rgba[..., :3], rgba[..., 3]


def mask_from_comfy(mask: Tensor) -> Tensor:
    """MASK H×W, B×H×W, B×1×H×W or B×H×W×1 of any float type → B×1×H×W float32 in [0, 1]."""
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]
    elif mask.ndim == 4 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 3:
        raise BadInput("MASK must be H×W, B×H×W or B×1×H×W", f"shape {tuple(mask.shape)}")
    return mask.to(torch.float32).clamp(0, 1)[:, None]


def mask_to_comfy(alpha: Tensor) -> Tensor:
    """B×1×H×W → MASK B×H×W float32."""
    return alpha.to(torch.float32)[:, 0].contiguous()


# ---------------------------------------------------------------- PIL


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info


def from_pil(picture: Image.Image) -> Picture:
    """Any mode of Pillow; EXIF orientation is applied, alpha is kept straight."""
    metadata = _metadata(picture)
    picture.load()
    if picture.format != "TIFF":  # Pillow turns these as it loads; before 10.3 it forgets that
        oriented = ImageOps.exif_transpose(picture)
        picture = oriented if oriented is not None else picture
    if picture.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        grey = np.asarray(picture.convert("I"), dtype=np.int64).clip(0, 65535).astype(np.uint16)
        return Picture(from_array(grey).expand(-1, 3, -1, -1).contiguous(), None, metadata, 16)
    if picture.mode == "F":
        raise BadInput(
            "a picture's pixels must be integers",
            "floating point pixels of unknown range",
            "Save it as 8 or 16 bit first.",
        )
    if _has_alpha(picture):
        planes = from_array(np.asarray(picture.convert("RGBA")))
        return Picture(planes[:, :3].contiguous(), planes[:, 3:4].contiguous(), metadata)
    return Picture(from_array(np.asarray(picture.convert("RGB"))), None, metadata)


def to_pil(image: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """First item of B×3×H×W (or B×1×H×W) → RGB (or L); with `alpha` B×1×H×W → RGBA (or LA)."""
    planes = image if alpha is None else torch.cat((image, alpha.to(image)), 1)
    array = to_array(planes[:1])[0]
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


# what Pillow keeps in `info` about the encoding, not about the picture
_NOT_TEXT = frozenset({"comment", "compression", "version", "extension"})


def _metadata(picture: Image.Image) -> Metadata:
    text = {
        str(key): value
        for key, value in picture.info.items()
        if isinstance(value, str) and key not in _NOT_TEXT
    }
    if "parameters" not in text and (comment := _user_comment(picture)):
        text["parameters"] = comment
    dpi = picture.info.get("dpi")
    return Metadata(
        text=text,
        icc_profile=picture.info.get("icc_profile"),
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
    )


def _user_comment(picture: Image.Image) -> str:
    """EXIF's UserComment, where generators put their parameters in JPEG and WebP."""
    if "exif" not in picture.info:
        return ""
    try:
        comment = picture.getexif().get_ifd(0x8769).get(0x9286, b"")
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError):
        return ""
    if not isinstance(comment, bytes):
        return ""
    coding, content = comment[:8], comment[8:]
    if coding == b"UNICODE\0":
        return content.decode("utf-16-be", "replace")
    return content.decode("ascii", "replace") if coding == b"ASCII\0\0\0" else ""


# ---------------------------------------------------------------- files


def _describe(source: PixelSource) -> str:
    return str(source) if isinstance(source, str | Path) else "the data given"


def open_picture(
    source: PixelSource, *, name: str = "", pixel_limit: int = PIXEL_LIMIT
) -> Image.Image:
    """Open with a sentence for everything that is not a sound picture of a sane size."""
    if isinstance(source, Image.Image):
        return source
    name = name or _describe(source)
    if not isinstance(source, str | Path) and not hasattr(source, "read"):
        raise BadInput(
            "a picture must be a path, an open file or a picture of Pillow's",
            type(source).__name__,
            "Tensors go to `predict`.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(source)
    except Image.DecompressionBombError:
        raise _too_large(name, "more") from None
    except UnidentifiedImageError:
        raise BadInput(f"{name} must be a picture that Pillow reads", "something else") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(
            f"{name} must be a picture that Pillow reads", f"{type(error).__name__}: {error}"
        ) from error
    if picture.width * picture.height > pixel_limit:
        picture.close()
        raise _too_large(name, f"{picture.width}×{picture.height}")
    return picture


def _too_large(name: str, got: str) -> BadInput:
    return BadInput(
        f"{name} must have at most {PIXEL_LIMIT // 10**6} megapixels", got, "Make it smaller first."
    )


def _decoded(picture: Image.Image, name: str) -> Image.Image:
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, zlib.error) as error:
        raise BadInput(f"{name} must be a whole picture", f"{error}") from error
    return picture


@contextmanager
def _opened(source: PixelSource, shrink_to: int | None) -> Iterator[Image.Image]:
    # Pillow has a limit of its own at 179 megapixels
    limit = PIXEL_LIMIT if shrink_to is None else sys.maxsize
    name = _describe(source)
    if not isinstance(source, str | Path):
        yield open_picture(source, name=name, pixel_limit=limit)
        return
    # not by its name: Pillow loses the orientation of a TIFF that it maps into memory
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 (closed by the `with` below)
    except FileNotFoundError:
        raise BadInput("a picture must exist", f"no file at {name}") from None
    except OSError as error:
        raise BadInput("a picture must be a file that can be read", str(error)) from error
    with stream:
        yield open_picture(stream, name=name, pixel_limit=limit)


def read(source: PixelSource, *, shrink_to: int | None = None) -> Picture:
    """The first (or only) frame of a file, stream or PIL picture.

    `shrink_to`: pixels (width times height) that a larger picture is reduced to.
    """
    with _opened(source, shrink_to) as picture:
        return _first_frame(picture, _describe(source), shrink_to)


def read_frames(source: PixelSource, *, shrink_to: int | None = None) -> Iterator[Picture]:
    """Every frame of an animated file; one for a still. See `read`."""
    name = _describe(source)
    with _opened(source, shrink_to) as picture:
        try:
            frames = int(getattr(picture, "n_frames", 1))
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
            raise BadInput(f"{name} must be a whole picture", str(error)) from error
        # MPO: a photograph with previews or a second view behind it, not an animation
        if frames == 1 or picture.format == "MPO":
            yield _first_frame(picture, name, shrink_to)
            return
        for index in range(frames):
            try:
                picture.seek(index)
            except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
                raise BadInput(f"{name} must be whole", f"frame {index + 1}: {error}") from error
            yield from_pil(_shrunk(_decoded(picture, name).copy(), shrink_to))


def _first_frame(picture: Image.Image, name: str, shrink_to: int | None) -> Picture:
    too_large = shrink_to is not None and picture.width * picture.height > shrink_to
    if _is_deep_colour(picture) and not too_large:
        return _read_deep_colour(picture, name)
    return from_pil(_shrunk(_decoded(picture, name), shrink_to))


def _shrunk(picture: Image.Image, pixels: int | None) -> Image.Image:
    if pixels is None or picture.width * picture.height <= pixels:
        return picture
    scale = (pixels / (picture.width * picture.height)) ** 0.5
    info = {key: value for key, value in picture.info.items() if key != "transparency"}
    if "exif" in info:  # what is in it may not be true any more: Pillow turns TIFF as it loads
        info["exif"] = picture.getexif().tobytes()
    size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA" if _has_alpha(picture) else "RGB")
    elif picture.mode.startswith("I;16"):  # what Pillow before 10.3 cannot resize
        picture = picture.convert("I")
    smaller = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    smaller.info = info
    return smaller


# ---------------------------------------------------------------- 16-bit colour (Pillow reads 8)


def _is_deep_colour(picture: Image.Image) -> bool:
    tiles = getattr(picture, "tile", None)
    return picture.mode in ("RGB", "RGBA", "LA") and bool(tiles) and ";16" in str(tiles[0][3])


def _read_deep_colour(picture: Image.Image, name: str) -> Picture:
    import cv2

    stream: IO[bytes] = getattr(picture, "fp")  # noqa: B009
    position = stream.tell()
    stream.seek(0)
    array = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    stream.seek(position)
    if array is None or array.dtype != np.uint16 or array.shape[-1] not in (3, 4):
        return from_pil(_decoded(picture, name))
    upright = _upright(array, int(picture.getexif().get(0x112, 1)))
    planes = from_array(upright)[:, [2, 1, 0, *range(3, array.shape[-1])]]
    alpha = planes[:, 3:4].contiguous() if planes.shape[1] == 4 else None
    return Picture(planes[:, :3].contiguous(), alpha, _metadata(picture), 16)


def _upright(array: Array, orientation: int) -> Array:
    """Turn H×W×C by EXIF's orientation, 1 … 8."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array
