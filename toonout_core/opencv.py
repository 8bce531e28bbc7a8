"""OpenCV: imported when it is used, tried once, and a sentence where it is absent or broken.

`from .opencv import cv2` inside of a function gives the library, or raises MissingPackage.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import MissingPackage, plain

if TYPE_CHECKING:
    import cv2 as cv2


def available() -> bool:
    """Whether OpenCV is installed and loads: its system libraries may lack."""
    return not isinstance(_tried(), str)


@cache
def _tried() -> Any:
    """The library, or what went wrong."""
    try:
        return importlib.import_module("cv2")
    except (ImportError, OSError, AttributeError) as error:  # Attribute: made for another NumPy
        return plain(error)


def __getattr__(name: str) -> Any:
    if name != "cv2":
        raise AttributeError(name)
    found = _tried()
    if isinstance(found, str):
        raise MissingPackage(
            f"This needs OpenCV, which does not load here ({found}). Install the package "
            "opencv-python-headless into the Python that runs ToonOut, and start again."
        )
    return found
