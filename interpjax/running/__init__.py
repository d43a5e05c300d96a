"""Many runs, one after the other or several at once."""

from interpjax.running.cores import check_jobs
from interpjax.running.planned import Planned, check_folders, unfinished
from interpjax.running.queue import run_all

__all__ = ["Planned", "check_folders", "check_jobs", "run_all", "unfinished"]
