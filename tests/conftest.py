"""Four CPU devices stand in for GPUs; annotated shapes are checked at run time; shared data are found or skipped."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import jax
import jaxtyping
import pytest
from jaxtyping import install_import_hook

# What one test has compiled the next need not, in whichever process: a folder of this session alone.
CACHE = "JAX_COMPILATION_CACHE_DIR"
OWN_CACHE = CACHE not in os.environ
if OWN_CACHE:
    os.environ[CACHE] = tempfile.mkdtemp(prefix="interpjax-tests-")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

with install_import_hook("interpjax", "typechecker.check"):
    import interpjax.experiment  # noqa: F401  # which brings all rooms

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # tests and benchmarks open a page in the same way

import browser  # noqa: E402

SHARED = Path(os.environ.get("INTERPJAX_SHARED", Path(__file__).parents[1].parent / "shared"))


def pytest_configure(config: pytest.Config) -> None:
    """Most of the usual tests' time is compiling what is run once; the long ones run what users run."""
    if config.option.markexpr == "not long":
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_unconfigure() -> None:
    """Removes the folder, in the process that made it."""
    if OWN_CACHE:
        shutil.rmtree(os.environ[CACHE], ignore_errors=True)


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


@pytest.fixture(scope="session")
def installed() -> None:
    """What is made for the browser to open needs this, so that without one it is not made."""
    if lacking := browser.missing():
        pytest.skip(f"no browser: expected {lacking}")


@pytest.fixture(scope="module")
def chromium(installed):
    """A headless browser. No run may be begun while it is open: see ``browser.chromium``."""
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> Path:
    """The file of axe-core."""
    file = Path(os.environ.get("INTERPJAX_AXE", ""))
    if not file.is_file():
        pytest.skip("no axe-core: expected its axe.min.js (npm install axe-core) in the variable INTERPJAX_AXE")
    return file
