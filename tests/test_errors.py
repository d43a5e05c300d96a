"""What the machine refuses is told with stage, file and remedy; a bug keeps its own error."""

import errno
import os

import jax
import pytest

from interpjax import workdir as workdir_lib
from interpjax.atomic import write_atomic
from interpjax.errors import UserError, refusals


def failing(error):
    def stage():
        raise error

    return stage


REFUSALS = {
    "full disk": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/b"), r"disk is full \(.*'a/b'\); make room"),
    "quota": (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "a"), "the disk is full"),
    "limit": (OSError(errno.EFBIG, os.strerror(errno.EFBIG), "a"), r"no file may grow so large .*ulimit -f"),
    "rights": (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a"), "no right to it .*change its rights"),
    "files": (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "too many files are open .*ulimit -n"),
    "library": (RuntimeError("write() failed: No space left on device; writing x"), "disk is full .*writing x"),
    "memory": (MemoryError(), r"the memory is used up \(MemoryError\); .* lower config.training.batch_size"),
    "device": (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), r"used up \(RESOURCE_EXHAUSTED: Out"),
    "odd name": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a\udcff"), r"disk is full .*a"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_in_a_stage_is_told_with_stage_and_remedy(tmp_path, name):
    error, message = REFUSALS[name]
    with pytest.raises(UserError, match=rf"stage train in .*: .*{message}.*, and give the same command") as told:
        workdir_lib.run_stage(tmp_path, "train", failing(error))
    str(told.value).encode()  # whatever the name was, it can be written
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("a bug"), FileNotFoundError(errno.ENOENT, "x"), KeyError("y")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)), refusals("here"):
        raise error


def test_write_that_the_disk_refuses_names_its_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=rf"here: the disk is full \(.*{tmp_path}/a.json"), refusals("here"):
        write_atomic(tmp_path / "a.json", "text")
