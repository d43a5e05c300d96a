"""Which code makes a run."""

import subprocess
from pathlib import Path

import interpjax

HERE = Path(__file__).parent


def code_version() -> str:
    """The commit of the checkout that this code is in, with ``+changes`` if files differ from it; else the release."""
    try:
        _git("ls-files", "--error-unmatch", __file__)  # else the checkout is another's, which has an environment in it
        commit = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", str(HERE.parent))
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return interpjax.__version__
    return commit + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
