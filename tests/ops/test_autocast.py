"""Autocast is told alike by new and old PyTorch."""

import pytest
import torch

from toonout_core.ops.autocast import autocasts


@pytest.mark.filterwarnings("ignore:.*autocast.*:DeprecationWarning")
@pytest.mark.parametrize("old", [False, True], ids=["new PyTorch", "old PyTorch"])
def test_autocast_is_seen(monkeypatch, old):
    def seen(device_type):
        with monkeypatch.context() as patch:
            if old:
                patch.setattr(torch, "is_autocast_enabled", lambda: False)
            return autocasts(device_type)

    assert not seen("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert seen("cpu")
        assert not seen("cuda")
    assert not seen("cpu")
