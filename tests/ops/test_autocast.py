"""Autocast is told alike by new and old PyTorch."""

import pytest
import torch

from toonout_core.ops.autocast import autocasts


@pytest.mark.filterwarnings("ignore:.*autocast.*:DeprecationWarning")
@pytest.mark.parametrize("old", [False, True], ids=["new PyTorch", "old PyTorch"])
def test_autocast_is_seen(monkeypatch, old):
    if old:
        monkeypatch.setattr(torch, "is_autocast_enabled", lambda: False)
    assert not autocasts("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert autocasts("cpu")
        assert not autocasts("cuda")
    assert not autocasts("cpu")
