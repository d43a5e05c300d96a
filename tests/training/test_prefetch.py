"""Batches that are read ahead: their order, the position in the data, errors, and what the devices waited for."""

import grain
import numpy as np
import pytest

from interpjax import parallel
from interpjax.training import prefetch
from interpjax.training.prefetch import Prefetch


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    own = Clock()
    monkeypatch.setattr(prefetch, "time", own)
    monkeypatch.setattr(prefetch, "_end_of", lambda step: step)  # a step is the moment of its end
    return own


class Batches(grain.DatasetIterator):
    """Three batches, each of which takes three seconds to read, and then an error."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.read = clock, 0

    def __next__(self):
        self.clock.now += 3.0
        if self.read == 3:
            raise OSError("the disk is gone")
        self.read += 1
        return {"image": np.full((4, 1), self.read)}

    def get_state(self):
        return {"next_index": self.read}

    def set_state(self, state):
        raise NotImplementedError


def test_one_batch_is_read_ahead_and_the_position_is_that_of_those_taken(clock):
    batches = Batches(clock)
    with Prefetch(batches) as ahead:
        assert (batches.read, ahead.position) == (0, {"next_index": 0})
        for number in (1, 2, 3):
            batch, _ = ahead.take()
            assert (parallel.first(batch)["image"] == number).all()
            assert (batches.read, ahead.position) == (number, {"next_index": number})
            ahead.read_ahead(0.0)
            assert (batches.read, ahead.position) == (min(number + 1, 3), {"next_index": number})
        with pytest.raises(OSError, match="the disk is gone"):  # and not before
            ahead.take()


@pytest.mark.parametrize(("end", "seconds"), [(2.0, 3.0), (4.5, 1.5), (7.0, 0.0)])
def test_devices_wait_from_the_end_of_a_step_until_the_next_batch_is_read(clock, end, seconds):
    with Prefetch(Batches(clock)) as ahead:
        _, waited = ahead.take()
        assert waited() == 3.0  # for the first batch, nothing is computed meanwhile
        ahead.read_ahead(end)  # read from second 3 to second 6
        clock.now = 100.0
        _, waited = ahead.take()
        assert waited() == seconds
