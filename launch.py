"""Runs an experiment: ``python launch.py --config=configs/two_figures_gbn.py --workdir=DIR --config.FIELD=VALUE``.

A second time, the same command goes on where the first stopped.
"""

import argparse
import logging
import re
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

import interpjax
from interpjax.config import get_field
from interpjax.config.files import config_path
from interpjax.stages import STAGES
from interpjax.training import CheckpointError, TrainingDivergedError

USER_ERRORS = (ValueError, OSError, CheckpointError, TrainingDivergedError)
DEFAULT_CONFIG = str(Path(__file__).parent / "configs" / "two_figures_gbn.py")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default workdirs/CONFIG,ARGUMENT.")
_STAGES = flags.DEFINE_list("stages", list(STAGES), "What to do; without train, with config.model.weights.")


def resolve_config(arguments: list[str]) -> list[str]:
    """The command line with the name of a configuration replaced by its file's path.

    Raises:
      ValueError: if there is no such configuration, or a ``--config.FIELD`` is none of its fields (by name;
        ml_collections would say so with a traceback).
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", default=DEFAULT_CONFIG)
    known, others = parser.parse_known_args(arguments)
    config = interpjax.get_config(known.config)
    for argument in others:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name.startswith("config."):
            get_field(config, name.removeprefix("config."))
    return [f"--config={config_path(known.config)}", *others]


def default_workdir(config: str) -> Path:
    """``workdirs/places365,model=vgg16`` for ``configs/places365.py:model=vgg16``."""
    path, _, argument = config.partition(":")
    return Path("workdirs") / re.sub(r"[^\w.,=+-]+", "_", f"{Path(path).stem},{argument}".rstrip(","))


def main(argv: list[str]) -> None:
    """Runs the experiment that the flags describe; a user's mistake ends it with one line, not a traceback."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {argv[1]!r}; fields are set as --config.FIELD=VALUE")
    for logger in (logging.getLogger(), logging.getLogger("absl")):
        logger.setLevel(logging.WARNING)  # jax tells of every backend that it did not find
    workdir = _WORKDIR.value or default_workdir(config_flags.get_config_filename(flags.FLAGS["config"]))
    try:
        interpjax.run(flags.FLAGS.config, workdir, _STAGES.value)
    except KeyboardInterrupt:
        sys.exit(
            "interrupted; the same command goes on from the last checkpoint (config.training.checkpoint_every_steps)"
        )
    except USER_ERRORS as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    try:
        sys.argv[1:] = resolve_config(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"ValueError: {error}")
    config_flags.DEFINE_config_file("config", DEFAULT_CONFIG, "File of the experiment, and its fields.")
    app.run(main)
