"""Stands for the program ``interpjax`` in docs/reproduce.md: the same, on a server of a few images, and two steps long.

Run as ``python reproduce_program.py SERVER.json ARGUMENT …``.
"""

import functools
import json
import sys
from pathlib import Path

from interpjax import __main__ as program
from interpjax.data.get import places365
from interpjax.data.get.archive import Archive

SHORT = ("training.num_steps=2", "training.batch_size=8", "model.width=0.125", "data.num_threads=2")
DRAWS = "dissection.chance.draws=2"


def main(description: Path, arguments: list[str]) -> None:
    """Runs the program as the page has it, with other addresses and short."""
    served = json.loads(description.read_text())
    archives = places365.Archives(**{name: Archive(*archive) for name, archive in served["places365"].items()})
    places365.get_places365 = functools.partial(places365.get_places365, archives=archives)
    if arguments[:2] == ["get", "broden"]:
        arguments = [*arguments, f"--url={served['broden']}"]
    elif arguments[0] != "get":
        arguments = [word for word in arguments if "num_steps" not in word] + [f"--config.{field}" for field in SHORT]
    if arguments[0] == "table":
        arguments = [*arguments, *served["some_runs"], f"--config.{DRAWS}"]
    sys.argv[0] = "interpjax"
    program.main(arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
