"""A resampling cut into tiles: tables that compiled code takes as arguments, so that it serves label maps of any size.

What is compiled depends on little of a resampling: its :class:`Layout` and the sizes of its tables. Label maps of one
size get a layout that fits them, the fastest; those of several sizes that meet in a batch get one of a few layouts that
have room for all, so that no batch waits for the compiler because its sizes are new.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from interpjax.dissection.upsampling import Resampling, Taps

TILE = 8  # pixels a side; a tile's bits fill two words of 32
# Cells from a tile's first pixel to its last, for tiles of several sizes. Each is a layout, and beyond the last of
# them a pixel has so many cells where it may start that it had better have cells of its own.
SPANS = (1, 2, 4, 8)
SPAN_TAPS = 4  # with more taps, too, pixels have cells of their own

Starts = tuple[tuple[int, ...], ...]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Layout:
    """What is compiled anew if it differs.

    Attributes:
      rows: for each pixel of a tile along the height, where in the list of cells that the tile reads its first tap may
        be. Tiles differ only by how the two grids happen to meet, so these are one or two places for maps of one size.
      columns: along the width.
      rounded: as of the :class:`~interpjax.dissection.upsampling.Resampling`.
      overshoots: whether a value can exceed its largest tap.
    """

    rows: Starts
    columns: Starts
    rounded: bool
    overshoots: bool


class TileAxis(NamedTuple):
    """One axis of the interpolations to some label sizes, cut into tiles; zeros in what fills up.

    Attributes:
      inside: how many of a tile's pixels the label map has; the others repeat the last.
      source: the cells that each tile reads.
      choice: which of the layout's places each pixel's first tap has; the other taps follow it.
      weight: of each tap.
      lower: the first and the last of the points that hold a tile's largest value lie between this cell …
      upper: … and this,
      ratio: with this weight of the upper.
      between: the other points, all of them cells.
      has_between: whether there are any.
    """

    inside: Int[Array | np.ndarray, "shapes tiles"]
    source: Int[Array | np.ndarray, "shapes tiles reach"]
    choice: Int[Array | np.ndarray, "shapes tiles pixels"]
    weight: Float[Array | np.ndarray, "shapes tiles pixels taps"]
    lower: Int[Array | np.ndarray, "shapes tiles 2"]
    upper: Int[Array | np.ndarray, "shapes tiles 2"]
    ratio: Float[Array | np.ndarray, "shapes tiles 2"]
    between: Int[Array | np.ndarray, "shapes tiles cells"]
    has_between: Bool[Array | np.ndarray, "shapes tiles"]


class Tiles(NamedTuple):
    """Resamplings of maps to some label shapes, cut into tiles.

    Tiles are numbered label shape by label shape and, within the grid that all of them are given, row by row.

    Attributes:
      rows: along the height.
      columns: along the width.
      overshoot: by how much of (largest − smallest tap) a value can exceed its largest tap, for each label shape.
      layout: what is compiled.
    """

    rows: TileAxis
    columns: TileAxis
    overshoot: Float[Array | np.ndarray, " shapes"]
    layout: Layout

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of tiles."""
        return self.rows.inside.shape[1], self.columns.inside.shape[1]


def grid_of(shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """(rows, columns) of tiles that label maps of some shapes are given: of one, its own; of several, one of few sizes.

    Args:
      shapes: (height, width) of the label maps.
    """
    most = [max(-(-shape[axis] // TILE) for shape in shapes) for axis in (0, 1)]
    rows, columns = most if len(shapes) == 1 else [_few_sizes(tiles) for tiles in most]
    return rows, columns


@functools.lru_cache(maxsize=64)  # those of single shapes come again, and those of a batch for every protocol
def cut(hows: tuple[Resampling, ...], room: int) -> Tiles:
    """Cuts resamplings of the same maps into tiles.

    Args:
      hows: to each of the label shapes of a batch, by one method.
      room: how many shapes the tables have room for where there are several: the same for every batch.

    Raises:
      ValueError: if there are none, or more than there is room for.
    """
    if not 1 <= len(hows) <= max(room, 1):
        raise ValueError(f"hows: {len(hows)} resamplings; expected 1 to {room}, what there is room for")
    rows, columns = [_cut(how.rows) for how in hows], [_cut(how.columns) for how in hows]
    if len(hows) == 1:
        starts, taps, room = [_own_starts(rows[0]), _own_starts(columns[0])], [rows[0].taps, columns[0].taps], 1
    else:
        common, most = _common_starts([*rows, *columns])
        starts, taps = [common, common], [most, most]
    grid = grid_of([(len(how.rows.index), len(how.columns.index)) for how in hows])
    between = [max(own.between_cells for own in axis) for axis in (rows, columns)]
    if len(hows) > 1:
        between = [_few_sizes(max(between))] * 2
    overshoot = np.zeros(room)
    overshoot[: len(hows)] = [how.overshoot() for how in hows]
    return Tiles(
        _stack(rows, (room, grid[0]), starts[0], taps[0], between[0]),
        _stack(columns, (room, grid[1]), starts[1], taps[1], between[1]),
        overshoot,
        Layout(starts[0], starts[1], hows[0].rounded, bool(overshoot.any())),
    )


@dataclasses.dataclass(frozen=True)
class _Cut:
    """An axis of one resampling: for each pixel of each tile the cell of its first tap, and the weights."""

    start: Int[np.ndarray, "tiles pixels"]
    weight: Float[np.ndarray, "tiles pixels taps"]
    pixels: int
    last: int  # the last cell; taps beyond are it again
    points: tuple[tuple[tuple[int, int, float], ...], ...]

    @property
    def shift(self) -> Int[np.ndarray, "tiles pixels"]:
        """Cells from a tile's first to each pixel's."""
        return self.start - self.start[:, :1]

    @property
    def taps(self) -> int:
        return self.weight.shape[2]

    @property
    def between_cells(self) -> int:
        return max(1, max(map(len, self.points)) - 2)


@functools.cache
def _cut(taps: Taps) -> _Cut:
    """Cuts the pixels of an axis; the last tile repeats its last pixel where there are no more."""
    pixels = len(taps.index)
    places = np.minimum(np.arange(-(-pixels // TILE) * TILE), pixels - 1).reshape(-1, TILE)
    index, weight = taps.index[places], taps.weight[places]
    return _Cut(index[..., 0], weight, pixels, int(taps.index.max()), _points(index, weight))


def _points(index: np.ndarray, weight: np.ndarray) -> tuple[tuple[tuple[int, int, float], ...], ...]:
    """Points (lower cell, upper cell, the upper's weight) that hold each tile's largest value.

    Where all is linear between neighbours these are its first and last pixel and the cells between, else all its cells.
    """
    if index.shape[2] > 2 or (weight < 0).any():
        read = [np.unique(own[used]) for own, used in zip(index, weight != 0, strict=True)]
        return tuple(tuple((int(cell), int(cell), 0.0) for cell in own) for own in read)
    points = []
    for position in (index * weight).sum(axis=2):
        first, last = position.min(), position.max()
        own = [first, *np.arange(np.floor(first) + 1, np.ceil(last)), last]
        points.append(tuple((int(p), int(np.ceil(p)), float(p - np.floor(p))) for p in own))
    return tuple(points)


def _own_starts(cut: _Cut) -> Starts:
    return tuple(tuple(np.unique(column).tolist()) for column in cut.shift.T)


def _common_starts(cuts: Sequence[_Cut]) -> tuple[Starts, int]:
    """Places of one of the spans that suits all, and the taps; else those of a layout with cells for every tap."""
    taps = max(cut.taps for cut in cuts)
    taps += taps % 2
    shift = np.max([cut.shift.max(axis=0) for cut in cuts], axis=0)
    for span in SPANS if taps <= SPAN_TAPS else ():
        most = -(-np.arange(TILE) * span // (TILE - 1))
        if (shift <= most).all():
            return tuple(tuple(range(places + 1)) for places in most.tolist()), taps
    return _starts_of_cells_for_every_tap(taps), taps


def _starts_of_cells_for_every_tap(taps: int) -> Starts:
    return tuple((pixel * taps,) for pixel in range(TILE))


def _stack(cuts: Sequence[_Cut], size: tuple[int, int], starts: Starts, taps: int, between: int) -> TileAxis:
    """The tables of some cuts, filled up to a size."""
    axes = [_axis(cut, starts, taps, between) for cut in cuts]
    stacked = []
    for parts in zip(*axes, strict=True):
        table = np.zeros((*size, *parts[0].shape[1:]), parts[0].dtype)
        for number, part in enumerate(parts):
            table[number, : len(part)] = part
        stacked.append(table)
    return TileAxis(*stacked)


def _axis(cut: _Cut, starts: Starts, taps: int, between: int) -> TileAxis:
    """The tables of one cut, without the axis of label shapes."""
    tiles = len(cut.start)
    if starts == _starts_of_cells_for_every_tap(taps):
        source, choice = (cut.start[..., None] + np.arange(taps)).reshape(tiles, -1), np.zeros_like(cut.start)
    else:
        source = cut.start[:, :1] + np.arange(max(map(max, starts)) + taps)
        choice = np.stack([np.searchsorted(own, cut.shift[:, pixel]) for pixel, own in enumerate(starts)], axis=1)
    weight = np.pad(cut.weight, [(0, 0), (0, 0), (0, taps - cut.taps)])
    ends = np.array([(own[0], own[-1]) for own in cut.points])
    cells = [[point[0] for point in own[1:-1]] for own in cut.points]
    return TileAxis(
        inside=np.clip(cut.pixels - np.arange(tiles) * TILE, 0, TILE).astype(np.int8),
        source=np.minimum(source, cut.last).astype(np.int32),
        choice=choice.astype(np.int8),
        weight=weight,
        lower=ends[..., 0].astype(np.int32),
        upper=ends[..., 1].astype(np.int32),
        ratio=ends[..., 2],
        between=np.array([(own + own[-1:] * between or [0] * between)[:between] for own in cells], np.int32),
        has_between=np.array(list(map(bool, cells))),
    )


def _few_sizes(size: int) -> int:
    """Filled up to one of four sizes from each power of two to the next."""
    step = max(1, 2 ** (size.bit_length() - 3))
    return -(-size // step) * step
