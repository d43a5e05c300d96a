"""The command line: ``interpjax …``, ``python -m interpjax …`` and ``python launch.py …`` are the same.

A second time, the same command goes on where the first stopped.
"""

import argparse
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

import interpjax
from interpjax.commands import compare, dissect, get, table
from interpjax.commands.endings import suggestion, told_in_one_line
from interpjax.config import get_field
from interpjax.config.files import config_names, config_path
from interpjax.errors import UserError
from interpjax.hosts import find_hosts
from interpjax.imports import look_in_working_folder

HOST_FLAGS = ("coordinator_address", "num_processes", "process_id", "local_device_ids")
DEFAULT_CONFIG = "two_figures_gbn"
COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "compare": compare.run,
    "dissect": dissect.run,
    "get": get.run,
    "table": table.run,
}
HELP = """interpjax {version}: train a CNN whose filters form interpretable groups, and measure
how interpretable they are.

Usage:
  interpjax [--config=NAME] [--workdir=DIR] [--stages=A,B] [--restart_from=STEP] [--config.FIELD=VALUE ...]
  interpjax get places365|broden|imagenet --to=DIR    fetches public data, or makes it of what one has; see
                                                      interpjax get --help
  interpjax dissect --weights=FILE --model=NAME --broden=DIR --out=DIR
                                                      dissects a network with published weights, or that of a run in
                                                      another way; see interpjax dissect --help
  interpjax compare DIR DIR ... [-o PAGE.html]        puts finished runs beside each other, in a table and on a page
  interpjax table CONFIG --workdir=DIR                makes all runs of a table, over seeds, and the table; see
                                                      interpjax table --help

Without any argument it runs the small example {default} in a minute or two: it trains a network, measures its accuracy,
dissects it, and writes workdirs/{default}/report.html. The same command, given again, goes on where it stopped.

Options:
  --config=NAME           the experiment: a name of the list below, or the path of a file that ends in .py;
                          an argument follows a colon, as in places365:model=resnet18,regularizer=wd
  --workdir=DIR           the folder of the run; by default workdirs/NAME,ARGUMENT
  --stages=A,B            what to do, of train, evaluate, dissect, chance, visualize, report; by default all but chance
  --restart_from=STEP     training starts again from the checkpoint of a step, as after a divergence; fields of
                          config.optimizer may then be others than before
  --config.FIELD=VALUE    sets a field of the experiment, as --config.optimizer.learning_rate=0.01
  --help, --version       this text, the version

Several processes, on one host or many, run one experiment together if each has the same command and folder. Under
SLURM and MPI they find each other; otherwise give each of them:
  --num_processes=N --process_id=K --coordinator_address=HOST:PORT     K from 0; process 0 listens at HOST:PORT
  --local_device_ids=A,B      its devices, if several processes share a host and its GPUs
  --initialization_timeout=S  how long it waits for the others, 300 seconds
  --num_processes=1           alone, whatever SLURM or MPI say

Experiments:
  {names}

Examples:
  interpjax
  interpjax --config=image_folder_gbn --workdir=runs/mine --config.data.train=DIR --config.data.test=DIR \\
    --config.dissection.broden=DIR
  interpjax --config=imported:resnet18 --workdir=runs/resnet18 --stages=dissect,report \\
    --config.model.weights=resnet18.pth --config.dissection.broden=DIR

All fields and their defaults stand in interpjax/config/schema.py: {schema}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the experiment that the arguments describe; those of the process by default."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may have letters that the terminal has not
        sys.stdout.reconfigure(errors="backslashreplace")
    look_in_working_folder()
    if given and given[0] in COMMANDS:
        COMMANDS[given[0]](given[1:])
        return
    if {"--help", "-h"} & set(given) or given[:1] == ["help"]:
        print(_help())
        return
    if "--version" in given:
        print(interpjax.__version__)
        return
    if given and not given[0].startswith("-"):
        known = ", ".join(sorted(COMMANDS))
        meant = suggestion(given[0], COMMANDS)
        sys.exit(f"{given[0]}: no such command; expected {known}, or the flags of the main job, see --help{meant}")
    try:
        sys.argv[1:] = _resolve_config(given)  # where ml_collections looks for the fields that are set
    except UserError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    _define_flags()
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        sys.exit(f"{type(error).__name__}: {error}; see --help")
    _run(rest)


def default_workdir(config: str) -> Path:
    """``workdirs/places365,model=vgg16`` for ``configs/places365.py:model=vgg16``."""
    path, _, argument = config.partition(":")
    return Path("workdirs") / re.sub(r"[^\w.,=+-]+", "_", f"{Path(path).stem},{argument}".rstrip(","))


def _help() -> str:
    schema = Path(interpjax.__file__).parent / "config" / "schema.py"
    names = "\n  ".join(config_names())
    return HELP.format(version=interpjax.__version__, default=DEFAULT_CONFIG, names=names, schema=schema)


def _define_flags() -> None:
    if "workdir" in flags.FLAGS:  # of an earlier call in this process
        return
    flags.DEFINE_string("workdir", None, "Folder of the run; by default workdirs/CONFIG,ARGUMENT.")
    flags.DEFINE_list("stages", None, "What to do; without train, config.model.weights are measured as they are.")
    flags.DEFINE_integer("restart_from", None, "Step of a checkpoint from which training starts again.")
    flags.DEFINE_string("coordinator_address", None, "Where process 0 listens for the others, as HOST:PORT.")
    flags.DEFINE_integer("num_processes", None, "How many processes run together; 1: this one is alone.")
    flags.DEFINE_integer("process_id", None, "The number of this process, from 0.")
    flags.DEFINE_list("local_device_ids", None, "The devices of this process among those of its host, as 0,1.")
    flags.DEFINE_integer("initialization_timeout", 300, "Seconds to wait for the other processes.", lower_bound=1)
    config_flags.DEFINE_config_file("config", config_path(DEFAULT_CONFIG), "File of the experiment, and its fields.")


def _resolve_config(arguments: list[str]) -> list[str]:
    """The command line with the name of a configuration replaced by its file's path.

    Raises:
      UserError: if there is no such configuration, or a ``--config.FIELD`` is none of its fields, which
        ml_collections would say with a traceback.
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


def _run(argv: list[str]) -> None:
    """Runs the experiment; a user's mistake ends it with one line, a bug with its traceback."""
    if len(argv) > 1:
        sys.exit(f"not a flag: {argv[1]!r}; expected fields as --config.FIELD=VALUE, see --help")
    for logger in (logging.getLogger(), logging.getLogger("absl")):
        logger.setLevel(logging.WARNING)  # jax tells of every backend that it did not find
    from interpjax.joining import connect, leaving
    from interpjax.prepare import DEFAULT_STAGES  # with all that a run needs, which --help does not

    values = flags.FLAGS
    if values.workdir == "":  # as of a shell's variable that is not set
        sys.exit("--workdir = '': expected a folder; leave the flag out for the default one")
    workdir = values.workdir or default_workdir(config_flags.get_config_filename(values["config"]))
    with told_in_one_line():
        hosts = find_hosts(os.environ, **{name: values[name].value for name in HOST_FLAGS})
    with leaving(hosts), told_in_one_line():
        if hosts is not None:
            connect(hosts, values.initialization_timeout)
        stages = DEFAULT_STAGES if values.stages is None else values.stages
        interpjax.run(values.config, workdir, stages, values.restart_from)


if __name__ == "__main__":
    main()
