"""Four CPU devices stand in for GPUs; annotated shapes are checked at run time; shared data are found or skipped."""

import os
from pathlib import Path

import jax
import jaxtyping
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

with install_import_hook("interpjax", "typechecker.check"):
    import interpjax.experiment  # noqa: F401  # which brings all rooms

SHARED = Path(os.environ.get("INTERPJAX_SHARED", Path(__file__).parents[1].parent / "shared"))


@pytest.fixture
def untyped():
    """The package as its users have it, without the tests' type checker, which refuses before its own checks do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden outputs; tests that need it are skipped where it is not."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"no shared data at {SHARED} (set INTERPJAX_SHARED)")
    return SHARED
