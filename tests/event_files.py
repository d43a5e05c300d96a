"""Reads TensorBoard's files of events, which are records of TFRecord."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read(folder: Path) -> list:
    """The steps and values in the only file of events of a folder: ``[(step, value), …]``."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        events.append(Event.FromString(data[12 : 12 + length]))  # behind the length and its checksum
        data = data[12 + length + 4 :]
    return [(event.step, value) for event in events for value in event.summary.value]
