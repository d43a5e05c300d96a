"""Many runs, one after the other or several at once."""

from interpjax.running.planned import Planned, unfinished
from interpjax.running.queue import run_all

__all__ = ["Planned", "run_all", "unfinished"]
