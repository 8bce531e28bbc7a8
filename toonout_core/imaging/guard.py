"""Guard against libraries that decode: whatever they throw becomes a sentence.

The content of a file makes them raise anything: OverflowError, struct.error, AssertionError. So no
list of errors is complete, and this is the one file that catches all.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from ..errors import BadInput, ToonOutError

PICTURE = "a picture such as PNG, JPEG or WebP"
_LONGEST = 200  # letters of a library's own message


@contextmanager
def decoding(name: str, must_be: str = "a whole picture") -> Iterator[None]:
    """Raise BadInput that names the file, for every error of what is done inside.

    Only calls of libraries belong inside: nothing that may raise a host's own "stop".
    """
    try:
        with _unwarned():
            yield
    except ToonOutError:
        raise
    except Image.DecompressionBombError:
        raise too_large(name, "more") from None
    except UnidentifiedImageError:
        raise _damaged(name, PICTURE, "something else") from None
    except MemoryError as error:
        raise BadInput(f"{name} must fit into memory", "more than there is") from error
    except Exception as error:
        raise _damaged(name, must_be, f"an error ({_spell(error)})") from error


def _damaged(name: str, must_be: str, got: str) -> BadInput:
    return BadInput(
        f"{name} is damaged or not a picture: it must be {must_be}",
        got,
        "Get the file again, or take it away.",
    )


@contextmanager
def attempting(failed: Callable[[str], object]) -> Iterator[None]:
    """Try what a picture can do without: where it fails, `failed` is told why, and work goes on."""
    try:
        with _unwarned():
            yield
    except ToonOutError:
        raise
    except Exception as error:  # noqa: BLE001
        failed(_spell(error))


@contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# 8192 × 8192 and a margin for panoramas; above it a picture is more likely a decompression bomb.
PIXEL_LIMIT = 100_000_000
# where it is made smaller while it is read; Pillow's own limit
SHRINKING_LIMIT = 178_000_000


def pixel_limit(*, shrinking: bool = False) -> int:
    """Return how many pixels a frame may have."""
    return SHRINKING_LIMIT if shrinking else PIXEL_LIMIT


def require_pixels(size: tuple[int, int], name: str, limit: int) -> None:
    """Raise BadInput before anything of that size is decoded."""
    if size[0] * size[1] > limit:
        raise too_large(name, f"{size[0]}×{size[1]}", limit)
    if min(size) < 1:
        raise BadInput(f"{name} must have pixels", f"{size[0]}×{size[1]}")


def too_large(name: str, got: str, limit: int | None = None) -> BadInput:
    """Spell the sentence about it."""
    megapixels = (PIXEL_LIMIT if limit is None else limit) // 10**6
    return BadInput(
        f"{name} must have at most {megapixels} megapixels", got, "Make it smaller first."
    )


def _spell(error: Exception) -> str:
    told = " ".join(str(error).split())[:_LONGEST].rstrip(". ")
    return told or type(error).__name__
