"""Masks and label maps as bits, in tiles of 8×8 pixels: what makes counting fast.

A unit is above its threshold on half a percent of its map, so almost all of its mask is empty. The label map is cut
into tiles, one bit a pixel; only the tiles where a unit can exceed its threshold are interpolated (in float64, as
the dense definition in :mod:`interpjax.dissection.upsampling`), compared and packed. The pixels that a mask shares
with a concept are then the set bits of ``mask & label``, tile by tile.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from interpjax.dissection.upsampling import Resampling, Taps, weighted_sum

TILE = 8  # pixels a side; a tile's bits fill two words of 32
BLOCK = 16  # units' masks of one tile that are interpolated together, with the same weights


@dataclasses.dataclass(frozen=True, eq=False)
class TileAxis:
    """One axis of an interpolation, cut into tiles.

    Attributes:
      source: the cells that each tile reads; shorter lists repeat their last.
      places: for each pixel of a tile and each of its taps, where in that list the tap may be. Tiles differ only
        by how the two grids happen to meet, so these are one or two places.
      choice: which of the places it is.
      weight: of each tap.
      peaks: for each tile, points (lower cell, upper cell, the upper's weight) that hold its largest value: where
        all is linear between neighbours, its first and last pixel and the cells between; else all its cells.
    """

    source: Int[np.ndarray, "tiles reach"]
    places: tuple[tuple[tuple[int, ...], ...], ...]
    choice: Int[np.ndarray, "tiles pixels taps"]
    weight: Float[np.ndarray, "tiles pixels taps"]
    peaks: tuple[tuple[tuple[int, int, float], ...], ...]

    @classmethod
    def cut(cls, taps: Taps) -> "TileAxis":
        """Cuts the pixels of an axis; the last tile repeats its last pixel where there are no more."""
        pixels = np.minimum(np.arange(-(-len(taps.index) // TILE) * TILE), len(taps.index) - 1).reshape(-1, TILE)
        index, weight = taps.index[pixels], taps.weight[pixels]
        cells = [np.unique(tile) for tile in index]
        reach = max(map(len, cells))
        source = np.stack([np.pad(own, (0, reach - len(own)), mode="edge") for own in cells])
        place = np.stack([np.searchsorted(own, tile) for own, tile in zip(cells, index, strict=True)])
        columns = [[np.unique(place[:, i, j]) for j in range(index.shape[2])] for i in range(TILE)]
        choice = [
            [np.searchsorted(column, place[:, i, j]) for j, column in enumerate(c)] for i, c in enumerate(columns)
        ]
        places = tuple(tuple(tuple(column.tolist()) for column in pixel) for pixel in columns)
        peaks = _peaks(index, weight, cells)
        return cls(source, places, np.transpose(choice, (2, 0, 1)), weight, peaks)


@dataclasses.dataclass(frozen=True, eq=False)
class Tiles:
    """A resampling cut into tiles, numbered row by row."""

    rows: TileAxis
    columns: TileAxis
    label_shape: tuple[int, int]
    rounded: bool
    overshoot: float

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of tiles."""
        return len(self.rows.source), len(self.columns.source)


@functools.cache
def cut(how: Resampling) -> Tiles:
    """Cuts a resampling into tiles."""
    shape = (len(how.rows.index), len(how.columns.index))
    return Tiles(TileAxis.cut(how.rows), TileAxis.cut(how.columns), shape, how.rounded, how.overshoot())


def pack(planes: Bool[np.ndarray, "planes height width"]) -> UInt32[np.ndarray, "planes tiles 2"]:
    """Bit 8·y + x of a tile's 64 says whether its pixel (y, x) is set; pixels outside of the planes are not."""
    count, height, width = planes.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    lines = np.zeros((count, rows * TILE, columns), np.uint8)
    lines[:, :height] = np.packbits(planes, axis=-1, bitorder="little")
    tiles = np.ascontiguousarray(lines.reshape(count, rows, TILE, columns).swapaxes(2, 3))
    return tiles.reshape(count, rows * columns, TILE).view("<u4")


@functools.partial(jax.jit, static_argnames=("tiles", "skip_below"))
def active_tiles(
    tiles: Tiles,
    maps: Float[Array, "n h w units"],
    thresholds: Float[Array, " units"],
    counted: Bool[Array, " n"],
    *,
    skip_below: bool,
) -> Bool[Array, "tile_rows tile_columns n units"]:
    """Where a unit may be above its threshold: every other tile of its mask is empty.

    Without negative weights, a tile's values are at most those that its columns' largest values, line by line, give at
    its highest row. So few tiles are taken in vain, and each taken in vain costs more than a closer bound. It is had
    in the maps' precision: of max(x − floor, 0) with floor = min(0, 2·T) no sum cancels, so that its error is small
    beside T − floor = |T|. With negative weights, no value exceeds the largest cell that is read by more than
    ``overshoot`` of their spread.

    Args:
      tiles: of the maps' resampling.
      maps: activations.
      thresholds: of the units, in the maps' dtype: rounded down, so that > means the same.
      counted: which images count.
      skip_below: whether maps that nowhere exceed the threshold are left out.
    """
    limits, counted = thresholds.reshape(1, 1, 1, -1), counted.reshape(1, 1, -1, 1)
    if tiles.overshoot:
        highest, lowest = _over_tiles(tiles, maps, jnp.maximum), _over_tiles(tiles, maps, jnp.minimum)
        margin = 1e-5 * (jnp.abs(highest) + jnp.abs(lowest))  # of the bound's own rounding
        active = highest + tiles.overshoot * (highest - lowest) + margin > limits
    else:
        floor = jnp.clip(2 * limits, jnp.finfo(maps.dtype).min, 0)
        active = _over_tiles(tiles, jnp.maximum(maps - floor, 0), jnp.maximum) > (1 - 1e-5) * (limits - floor)
    if skip_below and tiles.overshoot:  # else the same follows from the bound
        counted &= maps.max(axis=(1, 2))[None, None] > limits
    return active & counted


@functools.partial(jax.jit, static_argnames="tiles")
def cells(
    tiles: Tiles,
    maps: Float[Array, "n h w units"],
    image: Int[Array, "blocks block"],
    tile: Int[Array, " blocks"],
    unit: Int[Array, "blocks block"],
) -> Float[Array, "blocks rows columns block"]:
    """The cells that some tiles read, for :func:`masks`; block by block, for what is near is then read together.

    Args:
      tiles: of the maps' resampling.
      maps: activations.
      image: numbers of images.
      tile: numbers of tiles, one a block.
      unit: numbers of units.
    """
    _, height, width, units = maps.shape
    kind = jnp.int32 if maps.size < 2**31 else jnp.int64
    y, x = tiles.rows.source, tiles.columns.source
    cell = (y[:, None, :, None] * width + x[None, :, None, :]).reshape(-1, y.shape[1], x.shape[1])
    own = image.astype(kind) * (height * width * units) + unit.astype(kind)
    place = jnp.asarray(cell * units, kind)[tile][..., None] + own[:, None, None]  # one index is faster than four
    return maps.reshape(-1).at[place].get(mode="promise_in_bounds")


@functools.partial(jax.jit, static_argnames="tiles")
def masks(
    tiles: Tiles,
    cells: Float[Array, "blocks rows columns block"],
    tile: Int[Array, " blocks"],
    limits: Sequence[Float[Array, "blocks block"]],
    caps: Float[Array, "blocks block"] | None = None,
) -> list[UInt32[Array, "blocks block 2"]]:
    """Where the upsampled maps are above each of some limits, tile by tile, as bits in the order of :func:`pack`.

    Written out pixel by pixel, so that the compiler makes one loop over the tiles that keeps everything in registers;
    in blocks, since looking weights up for every mask takes much longer than using them; and apart from the gathering,
    so that it is compiled once for all layers with maps of one size.

    Args:
      tiles: of the maps' resampling.
      cells: that each tile reads.
      tile: numbers of tiles, one a block.
      limits: of the units, float64.
      caps: values are cut down to them.
    """
    values, inside = _pixels(tiles, cells, tile, caps), jnp.asarray(pack(np.ones((1, *tiles.label_shape), bool))[0])
    return [_words(values, limit) & inside[tile][:, None] for limit in limits]


@functools.partial(jax.jit, static_argnames="tiles")
def values(
    tiles: Tiles,
    cells: Float[Array, "blocks rows columns block"],
    tile: Int[Array, " blocks"],
    caps: Float[Array, "blocks block"] | None = None,
) -> Float[Array, "blocks block 64"]:
    """The upsampled maps that :func:`masks` compares, float64, in the order of the bits; arguments as there."""
    return jnp.stack(_pixels(tiles, cells, tile, caps), axis=2)


def _pixels(tiles: Tiles, cells: Array, tile: Array, caps: Array | None) -> list[Array]:
    """The 64 pixels of each tile, row by row."""
    row, column = tile // tiles.grid[1], tile % tiles.grid[1]
    lines = [[cells[:, y, x].astype(jnp.float64) for x in range(cells.shape[2])] for y in range(cells.shape[1])]
    across = [_interpolate(tiles.columns, column, line, tiles.rounded) for line in lines]
    down = [_interpolate(tiles.rows, row, [line[i] for line in across], tiles.rounded) for i in range(TILE)]
    pixels = [down[x][y] for y in range(TILE) for x in range(TILE)]
    return pixels if caps is None else [jnp.minimum(pixel, caps) for pixel in pixels]


def _words(pixels: list[Array], limit: Array) -> UInt32[Array, "blocks block 2"]:
    bits = [(pixel > limit).astype(jnp.uint32) << (number % 32) for number, pixel in enumerate(pixels)]
    return jnp.stack([functools.reduce(jnp.bitwise_or, bits[:32]), functools.reduce(jnp.bitwise_or, bits[32:])], axis=2)


def _peaks(index: np.ndarray, weight: np.ndarray, cells: list[np.ndarray]) -> tuple:
    between = index.shape[2] <= 2 and (np.ptp(index, axis=2) <= 1).all() and (weight >= 0).all()
    if not between:
        return tuple(tuple((int(cell), int(cell), 0.0) for cell in own) for own in cells)
    peaks = []
    for position in (index * weight).sum(axis=2):
        first, last = position.min(), position.max()
        points = {first, *np.arange(np.floor(first) + 1, np.ceil(last)), last}
        peaks.append(tuple((int(p), int(np.ceil(p)), float(p - np.floor(p))) for p in sorted(points)))
    return tuple(peaks)


def _over_tiles(tiles: Tiles, maps: Array, extreme: Callable) -> Float[Array, "tile_rows tile_columns n units"]:
    """The extreme at each tile's peaks, along the height and then along the width.

    Line by line, since slices are read much faster than a table's entries; the compiler is kept from making the
    lines again for each column.
    """
    rows = jnp.stack(_extremes(tiles.rows, [maps[:, y] for y in range(maps.shape[1])], extreme))
    rows = jax.lax.optimization_barrier(rows)
    return jnp.stack(_extremes(tiles.columns, [rows[:, :, x] for x in range(rows.shape[2])], extreme), axis=1)


def _extremes(axis: TileAxis, lines: list[Array], extreme: Callable) -> list[Array]:
    def at(lower: int, upper: int, weight: float) -> Array:
        return lines[lower] * (1 - weight) + lines[upper] * weight if weight else lines[lower]

    return [functools.reduce(extreme, [at(*point) for point in points]) for points in axis.peaks]


def _interpolate(axis: TileAxis, number: Array, cells: list[Array], rounded: bool) -> list[Array]:
    """The eight pixels of tiles along one axis, from the cells that the tiles read."""
    choice, weight = jnp.asarray(axis.choice, jnp.int8), jnp.asarray(axis.weight)
    pixels = []
    for i, places in enumerate(axis.places):
        taps = []
        for j, candidates in enumerate(places):
            tap = cells[candidates[0]]
            for other, place in enumerate(candidates[1:], start=1):
                tap = jnp.where(choice[:, i, j][number][:, None] == other, cells[place], tap)
            taps.append(tap)
        value = weighted_sum(taps, [weight[:, i, j][number][:, None] for j in range(len(places))], rounded)
        pixels.append(value.astype(jnp.float32).astype(value.dtype) if rounded else value)
    return pixels
