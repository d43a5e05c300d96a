"""The positions in the data of processes that train together, of which a checkpoint holds all."""

import dataclasses

from interpjax import parallel, processes
from interpjax.training.checkpoint_errors import CheckpointError
from interpjax.training.saved import Position

EACH = "processes"  # the data's positions by process, where there are several


def joined(position: Position) -> Position:
    """The positions of all processes in one, with the images that any of them left out; of a single one its own."""
    everyone = processes.gather_json({"data": position.data, "skipped": position.skipped})
    if len(everyone) == 1:
        return position
    skipped = sorted({name for own in everyone for name in own["skipped"]})
    data = {EACH: [own["data"] for own in everyone]}
    return dataclasses.replace(position, data=data, skipped=tuple(skipped))


def own_part(position: Position) -> Position:
    """This process's position out of what :func:`joined` made.

    Raises:
      CheckpointError: if the checkpoint was written by another number of processes.
    """
    number, count = parallel.shard()
    each = position.data.get(EACH, [position.data])
    if len(each) != count:
        raise CheckpointError(
            f"the latest checkpoint was written by a run of {len(each)} processes, each at its own position in the "
            f"data; expected to go on with as many, not {count}"
        )
    return dataclasses.replace(position, data=each[number])
