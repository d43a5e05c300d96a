"""The cores and GPUs of this machine, shared out among runs that are made at once."""

import os
from collections.abc import Mapping, Sequence

from interpjax.errors import UserError

GPUS = "CUDA_VISIBLE_DEVICES"


def cores() -> list[int]:
    """The numbers of the cores that this process may use; of a system that does not tell, as macOS, of all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def check_jobs(jobs: int, environment: Mapping[str, str]) -> None:
    """Checks that so many runs can be made at once.

    Args:
      jobs: how many.
      environment: of this process.

    Raises:
      UserError: if ``jobs`` is below 1 or above the number of cores, or of the GPUs that are named.
    """
    if jobs < 1:
        raise UserError(f"jobs = {jobs}: expected 1 at least")
    for kind, there in (("cores", cores()), (f"GPUs in {GPUS}", _gpus(environment))):
        if there and len(there) < jobs:
            raise UserError(f"jobs = {jobs}: this machine has {len(there)} {kind}; expected so many at most")


def shares(jobs: int, environment: Mapping[str, str]) -> list[tuple[list[int], dict[str, str]]]:
    """The cores, and the variables of the environment, of each of so many runs at once.

    Cores are dealt out evenly and none to two runs. GPUs are too where ``CUDA_VISIBLE_DEVICES`` names them; otherwise
    each run sees all that there are.

    Args:
      jobs: how many runs are made at once.
      environment: of this process.

    Raises:
      UserError: as :func:`check_jobs`.
    """
    check_jobs(jobs, environment)
    own, gpus = cores(), _gpus(environment)
    return [(_dealt(own, jobs, n), {GPUS: ",".join(_dealt(gpus, jobs, n))} if gpus else {}) for n in range(jobs)]


def _gpus(environment: Mapping[str, str]) -> list[str]:
    return [name for name in environment.get(GPUS, "").split(",") if name and not name.startswith("-")]  # -1: none


def _dealt(things: Sequence, jobs: int, number: int) -> list:
    """Neighbours go to the same run, for they often share a cache."""
    return list(things[number * len(things) // jobs : (number + 1) * len(things) // jobs])
