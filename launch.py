"""Runs an experiment: ``python launch.py --config=configs/two_figures_gbn.py --workdir=DIR --config.FIELD=VALUE``.

A second time, the same command goes on where the first stopped.
"""

import logging
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

import interpjax
from interpjax.config import get_field
from interpjax.training import CheckpointError, TrainingDivergedError

USER_ERRORS = (ValueError, OSError, CheckpointError, TrainingDivergedError)
DEFAULT_CONFIG = str(Path(__file__).parent / "configs" / "two_figures_gbn.py")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default workdirs/NAME_OF_THE_CONFIG.")


def main(argv: list[str]) -> None:
    """Runs the experiment that the flags describe; a user's mistake ends it with one line, not a traceback."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {argv[1]!r}; fields are set as --config.FIELD=VALUE")
    logging.getLogger("absl").setLevel(logging.WARNING)
    name = Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]).stem
    try:
        interpjax.run(flags.FLAGS.config, _WORKDIR.value or Path("workdirs") / name)
    except USER_ERRORS as error:
        sys.exit(f"{type(error).__name__}: {error}")


def check_fields(arguments: list[str]) -> None:
    """Refuses a --config.FIELD that does not exist, by name; ml_collections would do so with a traceback."""
    files = [a.partition("=")[2] for a in arguments if a.startswith(("--config=", "-config="))]
    config = interpjax.get_config(files[-1] if files else DEFAULT_CONFIG)
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name.startswith("config."):
            get_field(config, name.removeprefix("config."))


if __name__ == "__main__":
    try:
        check_fields(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"ValueError: {error}")
    config_flags.DEFINE_config_file("config", DEFAULT_CONFIG, "File of the experiment, and its fields.")
    app.run(main)
