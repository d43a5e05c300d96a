"""Collects what the chunks of a batch leave: the tiles that are undecided, and the masks that are to be kept."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from interpjax.dissection.chunks import Chunk
from interpjax.dissection.observation import room_for
from interpjax.dissection.undecided import Undecided


class Leftover:
    """Collects what is left of the chunks of a batch."""

    def __init__(self, *, settled: bool, keep_masks: bool):
        self._settled, self._keep_masks = settled, keep_masks
        self._tiles: list[tuple[np.ndarray, ...]] = []
        self._known: list[tuple[np.ndarray, ...]] = []

    def take(self, chunk: Chunk, cells: Array, sure: Array, possible: Array, caps: Array | None) -> None:
        """Copies what is undecided from the device, and what is to be kept; nothing else."""
        number, tile = chunk.number.reshape(-1), np.repeat(chunk.tile, chunk.number.shape[1])
        slots = np.zeros(0, int) if self._settled else np.flatnonzero(_differ(sure, possible))
        if len(slots):
            self._tiles.append((number[slots], tile[slots], *_taken(slots, sure, cells, caps)))
        if self._keep_masks:
            words = np.asarray(sure).reshape(-1, 2)
            slots = np.flatnonzero(words.any(axis=1))
            self._known.append((number[slots], tile[slots], words[slots]))

    def undecided(self, sizes: tuple, area: np.ndarray, touched: np.ndarray) -> Undecided:
        """All of it."""
        none = np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 2), np.uint32)
        number, tile, sure, cells, caps = _joined(self._tiles, (*none, np.zeros((0, 1, 1)), np.zeros(0)))
        known, known_tile, known_words = _joined(self._known, none)
        touching = np.unique(number) if touched.shape[2] else none[0]
        return Undecided(
            shapes=np.array(sizes),
            number=number,
            tile=tile,
            sure=sure,
            cells=cells,
            caps=caps,
            open=touching,
            area=area.reshape(-1)[touching],
            touched=touched.reshape(area.size, touched.shape[2])[touching],
            known=known,
            known_tile=known_tile,
            known_words=known_words,
        )


def _joined(parts: list[tuple[np.ndarray, ...]], none: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    return [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else list(none)


@jax.jit
def _differ(sure: Array, possible: Array) -> Bool[Array, " slots"]:
    return (sure != possible).any(axis=2).reshape(-1)


def _taken(slots: np.ndarray, sure: Array, cells: Array, caps: Array | None) -> tuple[np.ndarray, ...]:
    """What is in some slots, copied to the host."""
    padded = np.zeros(room_for(len(slots)), np.int32)
    padded[: len(slots)] = slots
    found = jax.device_get(_take(padded, sure, cells, caps))
    return tuple(part[: len(slots)] for part in found)


@jax.jit
def _take(slots: Array, sure: Array, cells: Array, caps: Array | None) -> tuple[Array, Array, Array]:
    block, lane = slots // cells.shape[3], slots % cells.shape[3]
    own = jnp.zeros(0, cells.dtype) if caps is None else caps.reshape(-1)[slots].astype(cells.dtype)
    return sure.reshape(-1, 2)[slots], cells[block, :, :, lane], own
