"""Files of PyTorch are read with it, where it is installed, and without."""

import sys

import pytest


@pytest.fixture(params=["without torch", "torch"])
def reader(request, monkeypatch):
    """Runs a test twice, where PyTorch is installed."""
    if request.param == "torch":
        pytest.importorskip("torch", reason="what PyTorch reads itself needs PyTorch")
    else:
        monkeypatch.setitem(sys.modules, "torch", None)
    return request.param


@pytest.fixture
def alone(monkeypatch):
    """As where PyTorch is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)
