"""Which processes run together: by flags, or as SLURM and MPI tell it to each of them in its environment."""

import dataclasses
import importlib.util
import re
from collections.abc import Mapping, Sequence

from interpjax.errors import UserError

SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS")
OPEN_MPI_URI = "OMPI_MCA_orte_hnp_uri"  # up to version 4; from it JAX has the address of the first process
# Launchers of MPI: Open MPI, and what MPICH, Intel MPI and others set.
MPI = {"OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK", "PMI_SIZE": "PMI_RANK"}


@dataclasses.dataclass(frozen=True)
class Hosts:
    """This process among those that run together.

    Attributes:
      num_processes: how many they are, two at least.
      process_id: the number of this one, from 0.
      coordinator_address: where process 0 listens, as ``host:port``; None if the cluster tells it.
      local_device_ids: this process's devices among those of its host; None leaves it to JAX, which takes the one of
        its rank on the host under SLURM and MPI, and otherwise all.
      cluster: ``"slurm"``, ``"ompi"`` or ``"mpi4py"``, as JAX names it; None if all is known.
    """

    num_processes: int
    process_id: int
    coordinator_address: str | None = None
    local_device_ids: tuple[int, ...] | None = None
    cluster: str | None = None

    def __str__(self) -> str:
        """For messages."""
        found = {None: "flags", "slurm": "SLURM"}.get(self.cluster, "MPI")
        at = f", process 0 at {self.coordinator_address}" if self.coordinator_address else ""
        return f"process {self.process_id} of {self.num_processes}, by {found}{at}"


def find_hosts(
    environment: Mapping[str, str],
    *,
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Sequence[str] | None = None,
) -> Hosts | None:
    """The processes that run together; None if this one is alone.

    By the arguments, if they are given. One process (``num_processes=1``) is alone, whatever the environment says.
    Otherwise as the environment says: a step of SLURM, or a launcher of MPI, with more than one task.

    Args:
      environment: the variables of the process.
      coordinator_address: as of :class:`Hosts`.
      num_processes: as of :class:`Hosts`, or 1.
      process_id: as of :class:`Hosts`.
      local_device_ids: as of :class:`Hosts`, as text.

    Raises:
      UserError: naming the flag or the variable, if only some flags are given or a value is not as expected.
    """
    devices = _device_ids(local_device_ids)
    given = {"num_processes": num_processes, "process_id": process_id, "coordinator_address": coordinator_address}
    if num_processes == 1 and process_id in (0, None) and coordinator_address is None:
        return None
    if any(value is not None for value in given.values()):
        missing = [f"--{name}" for name, value in given.items() if value is None]
        if missing:
            raise UserError(
                f"{', '.join(missing)}: not given; expected --num_processes, --process_id and --coordinator_address "
                "together, or none of them where SLURM or MPI tells"
            )
        assert num_processes is not None
        assert process_id is not None
        assert coordinator_address is not None
        return _checked(Hosts(num_processes, process_id, coordinator_address, devices))
    return _of_slurm(environment, devices) or _of_mpi(environment, devices)


def _checked(hosts: Hosts) -> Hosts:
    if hosts.num_processes < 2:
        raise UserError(f"--num_processes = {hosts.num_processes}: expected 2 at least, or 1 without the other flags")
    if not 0 <= hosts.process_id < hosts.num_processes:
        raise UserError(f"--process_id = {hosts.process_id}: expected 0 to {hosts.num_processes - 1}")
    address = hosts.coordinator_address or ""
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator_address = {address!r}: expected HOST:PORT, as 10.0.0.1:12345")
    return hosts


def _device_ids(given: Sequence[str] | None) -> tuple[int, ...] | None:
    if not given:
        return None
    if not all(re.fullmatch(r"\d+", number) for number in given):
        raise UserError(f"--local_device_ids = {','.join(given)}: expected numbers of devices from 0, as 0,1")
    return tuple(int(number) for number in given)


def _of_slurm(environment: Mapping[str, str], devices: tuple[int, ...] | None) -> Hosts | None:
    if not all(name in environment for name in SLURM):  # as in a job's own shell, which is no task of a step
        return None
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
    count = _number(environment, tasks)
    if count < 2:
        return None
    return Hosts(count, _number(environment, "SLURM_PROCID"), local_device_ids=devices, cluster="slurm")


def _of_mpi(environment: Mapping[str, str], devices: tuple[int, ...] | None) -> Hosts | None:
    for size, rank in MPI.items():
        if size not in environment or _number(environment, size) < 2:
            continue
        if OPEN_MPI_URI in environment:
            cluster = "ompi"
        elif importlib.util.find_spec("mpi4py") is not None:
            cluster = "mpi4py"
        else:
            raise UserError(
                f"{size} = {environment[size]}: MPI has started several processes, and only mpi4py can tell where the "
                "first of them is; install it, or give --coordinator_address, --num_processes and --process_id "
                "(--num_processes=1 for a run that is alone)"
            )
        number = _number(environment, rank)
        return Hosts(_number(environment, size), number, local_device_ids=devices, cluster=cluster)
    return None


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not re.fullmatch(r"\d+", text):
        raise UserError(f"{name} = {text!r} in the environment: expected a number")
    return int(text)
