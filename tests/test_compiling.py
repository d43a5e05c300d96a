"""JAX's compilation cache: where it is asked for and nowhere else, and JAX as it was afterwards."""

import shutil

import jax
import jax.numpy as jnp
import pytest
import tiny

import interpjax
from interpjax.compiling import compiling_into, has_cache

NAMES = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


def settings():
    return [getattr(jax.config, name) for name in NAMES]


def compiled(folder):
    """The entries of a cache, without the times of their last use."""
    return {path.name for path in folder.glob("*-cache")}


@pytest.fixture
def without_cache():
    """JAX as a user has it, and not with the cache of the tests."""
    before = settings()
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in zip(NAMES, before, strict=True):
        jax.config.update(name, value)


def test_what_is_compiled_in_the_block_is_kept_and_jax_is_set_back(tmp_path):
    before, folder = settings(), tmp_path / "new" / "cache"

    def double(x):
        return x * 2 + 0.125

    with compiling_into(folder, "config.compilation_cache"):
        jax.jit(double)(jnp.ones(3))
    kept = compiled(folder)
    assert any(name.startswith("jit_double") for name in kept)
    assert settings() == before
    jax.jit(lambda x: double(x) * 3)(jnp.ones(3))
    assert compiled(folder) == kept
    with pytest.raises(KeyError), compiling_into(folder, "config.compilation_cache"):
        raise KeyError
    assert settings() == before
    with compiling_into(None, "config.compilation_cache"):
        assert settings() == before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    before = settings()
    message = r"config.compilation_cache = '.*file/cache': cannot be written to \(Not a directory\); expected a folder"
    with (
        pytest.raises(ValueError, match=message),
        compiling_into(tmp_path / "file" / "cache", "config.compilation_cache"),
    ):
        pass
    assert settings() == before


def test_a_cache_that_fails_later_is_a_warning(tmp_path):
    folder = tmp_path / "cache"
    with compiling_into(folder, "config.compilation_cache"):
        jax.jit(lambda x: x * 5)(jnp.ones(3))
        shutil.rmtree(folder)
        folder.write_text("")  # as a disk that is full or gone
        with pytest.warns(UserWarning, match="persistent compilation cache"):
            assert jax.jit(lambda x: x * 7)(jnp.ones(3))[0] == 7


@pytest.mark.long
def test_a_second_run_compiles_nothing(tmp_path):
    cache = tmp_path / "cache"
    config = tiny.tiny_config(compilation_cache=str(cache), data__directory=str(tmp_path / "data"))
    jax.clear_caches()
    before = settings()
    first = interpjax.run(config, tmp_path / "first", ("train", "evaluate"))
    kept = compiled(cache)
    assert kept
    misses = []
    jax.monitoring.register_event_listener(lambda event, **_: misses.append(event) if "cache_misses" in event else None)
    jax.clear_caches()  # as in another process
    second = interpjax.run(config, tmp_path / "second", ("train", "evaluate"))
    assert (compiled(cache), misses, settings()) == (kept, [], before)
    assert second["cross_entropy"] == first["cross_entropy"]


@pytest.mark.long
def test_the_runs_of_a_sweep_share_what_is_compiled(tmp_path, without_cache):
    assert not has_cache()
    config = tiny.tiny_config(data__directory=str(tmp_path / "data"))
    workdir = tmp_path / "sweep"
    interpjax.sweep(config, {"seed": [0]}, workdir, ("train",))
    kept = compiled(workdir / "compilation_cache")
    assert kept
    assert not has_cache()
    interpjax.sweep(config, {"training.log_every_steps": [1, 2]}, workdir, ("train",))  # the same functions
    assert compiled(workdir / "compilation_cache") == kept
    shutil.rmtree(workdir / "compilation_cache")
    interpjax.sweep(config, {"seed": [0]}, workdir, ("train",))  # which is finished
    assert not (workdir / "compilation_cache").exists()
