"""Connecting the processes that run together, and ending one of them."""

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import jax

from interpjax.errors import UserError
from interpjax.hosts import Hosts
from interpjax.stopping import Stopped

HEARTBEAT = 100  # seconds after which a process that does not answer is taken for dead
LAST = 5  # seconds that the first process leaves to the others to end by themselves: without it they are killed


def connect(hosts: Hosts, seconds: int) -> None:
    """Connects this process with those that run together with it, before any device is used.

    A process that ends without a word is noticed by the others: at once where they wait for it over TCP, as CPUs do,
    and by its missing heartbeat otherwise, within :data:`HEARTBEAT` seconds. These then end too.

    Args:
      hosts: the processes.
      seconds: how long to wait for them.

    Raises:
      UserError: if process 0 cannot listen at its address, the others do not come in time, or they have different
        numbers of devices.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM, which is told by votes here
    if hosts.process_id == 0 and hosts.coordinator_address is not None:
        _check_free(hosts.coordinator_address)
    failed: list[Exception] = []

    def join() -> None:
        try:
            jax.distributed.initialize(
                coordinator_address=hosts.coordinator_address,
                num_processes=hosts.num_processes,
                process_id=hosts.process_id,
                local_device_ids=hosts.local_device_ids,
                cluster_detection_method=hosts.cluster or "deactivate",
                initialization_timeout=seconds + 60,  # at which JAX ends the process, without an exception
                heartbeat_timeout_seconds=HEARTBEAT,
            )
        except Exception as error:  # it is told by the thread that waits
            failed.append(error)

    thread = threading.Thread(target=join, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise UserError(
            f"{hosts}: the processes did not come together within {seconds} s; expected all of them to be started with "
            "the same address and number of processes, and process 0 to be reachable there by the others"
        )
    if failed:
        raise UserError(f"{hosts}: cannot be connected with the others: {failed[0]}") from failed[0]
    if jax.device_count() != jax.process_count() * jax.local_device_count():
        raise UserError(
            f"{hosts}: it has {jax.local_device_count()} of {jax.device_count()} devices; expected as many in each "
            "process"
        )


def _check_free(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_server(("", int(port))).close()
    except OSError as error:
        raise UserError(
            f"--coordinator_address = {address!r}: process 0 cannot listen at port {port} of this host "
            f"({error.strerror}); expected the address of a free port of {host}"
        ) from error


@contextlib.contextmanager
def leaving(hosts: Hosts | None) -> Iterator[None]:
    """Ends this process at once where the block ends by an error, if others run together with it, or by a signal.

    JAX would have it wait for the others, and they may be waiting for this one. After a signal its threads may still
    compile, which crashes when the interpreter is taken down under them.
    """
    try:
        yield
    except BaseException as error:
        if hosts is None and not isinstance(error.__context__, Stopped):
            raise
        code = error.code if isinstance(error, SystemExit) else 1
        if not isinstance(error, SystemExit):
            traceback.print_exception(error)
        if isinstance(code, str):
            print(code, file=sys.stderr)
        if hosts is not None and not isinstance(error, SystemExit):
            print(f"{hosts}: if another process has ended, it tells why; the same command goes on", file=sys.stderr)
        with contextlib.suppress(OSError):  # the terminal may be what was closed
            sys.stdout.flush()
            sys.stderr.flush()
        if hosts is not None and hosts.process_id == 0:
            time.sleep(LAST)
        os._exit(code if isinstance(code, int) else 1)
