"""Masks and label maps as bits, in tiles of 8×8 pixels: what makes counting fast.

A unit is above its threshold on half a percent of its map, so almost all of its mask is empty. The label map is cut
into tiles, one bit a pixel; only the tiles where a unit can exceed its threshold are interpolated (in float64, as
the dense definition in :mod:`interpjax.dissection.upsampling`), compared and packed. The pixels that a mask shares
with a concept are then the set bits of ``mask & label``, tile by tile.
"""

import dataclasses
import functools

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
    """

    source: Int[np.ndarray, "tiles reach"]
    places: tuple[tuple[tuple[int, ...], ...], ...]
    choice: Int[np.ndarray, "tiles pixels taps"]
    weight: Float[np.ndarray, "tiles pixels taps"]

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
        return cls(source, places, np.transpose(choice, (2, 0, 1)), weight)


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


@functools.lru_cache(maxsize=64)
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

    No interpolated value exceeds the largest cell it reads by more than ``overshoot`` of their spread.

    Args:
      tiles: of the maps' resampling.
      maps: activations.
      thresholds: of the units, in the maps' dtype: rounded down, so that > means the same.
      counted: which images count.
      skip_below: whether maps that nowhere exceed the threshold are left out.
    """
    bound = _over_taps(tiles, maps, jnp.maximum)
    if tiles.overshoot:
        lowest = _over_taps(tiles, maps, jnp.minimum)
        margin = 1e-5 * (jnp.abs(bound) + jnp.abs(lowest))  # of the bound's own rounding
        bound = bound + tiles.overshoot * (bound - lowest) + margin
    active = (bound > thresholds[None, None, None]) & counted[:, None, None, None]
    if skip_below and tiles.overshoot:  # else the same follows from the bound
        active &= (maps.max(axis=1).max(axis=1) > thresholds[None])[:, None, None]
    return jnp.transpose(active, (1, 2, 0, 3))


@functools.partial(jax.jit, static_argnames="tiles")
def cells(
    tiles: Tiles,
    maps: Float[Array, "n h w units"],
    image: Int[Array, "blocks block"],
    tile: Int[Array, " blocks"],
    unit: Int[Array, "blocks block"],
) -> Float[Array, "rows columns blocks block"]:
    """The cells that some tiles read, for :func:`masks`.

    Args:
      tiles: of the maps' resampling.
      maps: activations.
      image: numbers of images.
      tile: numbers of tiles, one a block.
      unit: numbers of units.
    """
    _, height, width, units = maps.shape
    kind = jnp.int32 if maps.size < 2**31 else jnp.int64
    y = jnp.asarray(tiles.rows.source, kind)[tile // tiles.grid[1]].T
    x = jnp.asarray(tiles.columns.source, kind)[tile % tiles.grid[1]].T
    row = (image.astype(kind)[None] * height + y[:, :, None]) * width
    place = (row[:, None] + x[None, :, :, None]) * units + unit[None, None]  # one index is much faster than four
    return maps.reshape(-1).at[place].get(mode="promise_in_bounds")


@functools.partial(jax.jit, static_argnames="tiles")
def masks(
    tiles: Tiles,
    cells: Float[Array, "rows columns blocks block"],
    tile: Int[Array, " blocks"],
    thresholds: Float[Array, "blocks block"],
) -> UInt32[Array, "blocks block 2"]:
    """The masks of some tiles as bits, in the order of :func:`pack`.

    Written out pixel by pixel, so that the compiler makes one loop over the tiles that keeps everything in registers;
    in blocks, since looking weights up for every mask takes much longer than using them; and apart from the gathering,
    so that it is compiled once for all layers with maps of one size.

    Args:
      tiles: of the maps' resampling.
      cells: that each tile reads.
      tile: numbers of tiles, one a block.
      thresholds: of the units, float64.
    """
    row, column = tile // tiles.grid[1], tile % tiles.grid[1]
    lines = [[cell.astype(thresholds.dtype) for cell in line] for line in cells]
    across = [_interpolate(tiles.columns, column, line, tiles.rounded) for line in lines]
    values = [_interpolate(tiles.rows, row, [line[i] for line in across], tiles.rounded) for i in range(TILE)]
    words = []
    for half in (0, 1):
        bits = [
            (values[x][y] > thresholds).astype(jnp.uint32) << (TILE * (y % 4) + x)
            for y in range(4 * half, 4 * half + 4)
            for x in range(TILE)
        ]
        words.append(functools.reduce(jnp.bitwise_or, bits))
    inside = jnp.asarray(pack(np.ones((1, *tiles.label_shape), bool))[0])
    return jnp.stack(words, axis=2) & inside[tile][:, None]


def _over_taps(tiles: Tiles, maps: Array, extreme) -> Array:
    """The extreme of the cells that each tile reads."""
    rows = functools.reduce(extreme, [maps[:, cells] for cells in tiles.rows.source.T])
    return functools.reduce(extreme, [rows[:, :, cells] for cells in tiles.columns.source.T])


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
