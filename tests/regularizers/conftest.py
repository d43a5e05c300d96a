"""What the tests of the losses on activation maps share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def golden(shared):
    """Outputs of the published code of the losses on activations."""
    return np.load(shared / "golden" / "activation_losses.npz")
