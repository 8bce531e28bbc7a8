"""Recorded results of the reference implementations."""

import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="session")
def fusion_goldens():
    return load_file(DATA / "blur_fusion.safetensors")


@pytest.fixture(scope="session")
def all_fusion_goldens():
    """Also the largest picture, where the full record is at hand."""
    shared = os.environ.get("TOONOUT_SHARED")
    if not shared:
        pytest.skip("needs TOONOUT_SHARED, the folder of all recorded results")
    return load_file(Path(shared) / "parity" / "birefnet" / "blur_fusion.safetensors")
