"""Masks and label maps as bits, in tiles of 8×8 pixels: what makes counting fast.

A unit is above its threshold on half a percent of its map, so almost all of its mask is empty. The label map is cut
into tiles, one bit a pixel; only the tiles where a unit can exceed its threshold are interpolated (in float64, as
the dense definition in :mod:`interpjax.dissection.upsampling`), compared and packed. The pixels that a mask shares
with a concept are then the set bits of ``mask & label``, tile by tile.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt32

from interpjax.dissection.tile_tables import TILE, Starts, TileAxis, Tiles
from interpjax.dissection.upsampling import weighted_sum

BLOCK = 16  # units' masks of one tile that are interpolated together, with the same weights


def pack(planes: Bool[np.ndarray, "planes height width"]) -> UInt32[np.ndarray, "planes tiles 2"]:
    """Bit 8·y + x of a tile's 64 says whether its pixel (y, x) is set; pixels outside of the planes are not."""
    count, height, width = planes.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    lines = np.zeros((count, rows * TILE, columns), np.uint8)
    lines[:, :height] = np.packbits(planes, axis=-1, bitorder="little")
    tiles = np.ascontiguousarray(lines.reshape(count, rows, TILE, columns).swapaxes(2, 3))
    return tiles.reshape(count, rows * columns, TILE).view("<u4")


@functools.partial(jax.jit, static_argnames="skip_below")
def active_tiles(
    tiles: Tiles,
    maps: Float[Array, "n h w units"],
    thresholds: Float[Array, " units"],
    shape: Int[Array, " n"],
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
      tiles: of the maps' resamplings.
      maps: activations.
      thresholds: of the units, in the maps' dtype: rounded down, so that > means the same.
      shape: number of each image's label shape among those of ``tiles``; −1 for images that do not count.
      skip_below: whether maps that nowhere exceed the threshold are left out.
    """
    above = _above_with_overshoot if tiles.layout.overshoots else _above
    counted = (shape >= 0)[:, None]
    if skip_below and tiles.layout.overshoots:  # else the same follows from the bound
        counted = counted & (maps.max(axis=(1, 2)) > thresholds[None])
    if len(tiles.overshoot) == 1:
        return above(_of_shape(tiles, 0), maps, thresholds, counted)

    def of_image(item: tuple[Array, Array, Array]) -> Array:
        number, image, counted = item
        own = _of_shape(tiles, number)
        inside = (own.rows.inside > 0)[:, None] & (own.columns.inside > 0)[None]
        return above(own, image[None], thresholds, counted[None])[:, :, 0] & inside[:, :, None]

    # Image by image, whose lines a cache holds.
    return jnp.moveaxis(jax.lax.map(of_image, (jnp.maximum(shape, 0), maps, counted)), 0, 2)


@jax.jit
def cells(
    tiles: Tiles,
    maps: Float[Array, "n h w units"],
    image: Int[Array, "blocks block"],
    tile: Int[Array, " blocks"],
    unit: Int[Array, "blocks block"],
) -> Float[Array, "blocks rows columns block"]:
    """The cells that some tiles read, for :func:`masks`; block by block, for what is near is then read together.

    Args:
      tiles: of the maps' resamplings.
      maps: activations.
      image: numbers of images.
      tile: numbers of tiles, one a block.
      unit: numbers of units.
    """
    _, height, width, units = maps.shape
    kind = jnp.int32 if maps.size < 2**31 else jnp.int64
    row, column = _row_and_column(tiles, tile)
    y, x = (_flat(axis.source)[own].astype(kind) for axis, own in ((tiles.rows, row), (tiles.columns, column)))
    y, x = jax.lax.optimization_barrier((y * (width * units), x * units))  # not looked up anew for each mask
    own = image.astype(kind) * (height * width * units) + unit.astype(kind)
    # One index is faster than four.
    place = (y[:, :, None] + x[:, None, :])[..., None] + own[:, None, None]
    return maps.reshape(-1).at[place].get(mode="promise_in_bounds")


@jax.jit
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
    so that it is compiled once for all maps and label maps with one layout.

    Args:
      tiles: of the maps' resamplings.
      cells: that each tile reads.
      tile: numbers of tiles, one a block.
      limits: of the units, float64.
      caps: values are cut down to them.
    """
    row, column = _row_and_column(tiles, tile)
    inside = jnp.asarray(_INSIDE)[_flat(tiles.rows.inside)[row], _flat(tiles.columns.inside)[column]]
    values = _pixels(tiles, cells, row, column, caps)
    return [_words(values, limit) & inside[:, None] for limit in limits]


def _row_and_column(tiles: Tiles, tile: Array) -> tuple[Array, Array]:
    """Where in the tables of all label shapes, one after the other."""
    rows, columns = tiles.grid
    return tile // columns, tile // (rows * columns) * columns + tile % columns


def _flat(table: Array | np.ndarray) -> Array:
    return jnp.asarray(table).reshape(-1, *table.shape[2:])


def _lookups(tiles: Tiles, row: Array, column: Array) -> list[tuple[Array, Array]]:
    """Choices and weights of some tiles, of both axes; apart, so that they are not looked up anew for each use."""
    parts = ((tiles.rows, row), (tiles.columns, column))
    return jax.lax.optimization_barrier([(_flat(axis.choice)[own], _flat(axis.weight)[own]) for axis, own in parts])


def _pixels(tiles: Tiles, cells: Array, row: Array, column: Array, caps: Array | None) -> list[Array]:
    """The 64 pixels of each tile, row by row."""
    layout, (rows, columns) = tiles.layout, _lookups(tiles, row, column)
    lines = [[cells[:, y, x].astype(jnp.float64) for x in range(cells.shape[2])] for y in range(cells.shape[1])]
    across = [_interpolate(layout.columns, *columns, line, layout.rounded) for line in lines]
    down = [_interpolate(layout.rows, *rows, [line[i] for line in across], layout.rounded) for i in range(TILE)]
    pixels = [down[x][y] for y in range(TILE) for x in range(TILE)]
    return pixels if caps is None else [jnp.minimum(pixel, caps) for pixel in pixels]


def _words(pixels: list[Array], limit: Array) -> UInt32[Array, "blocks block 2"]:
    bits = [(pixel > limit).astype(jnp.uint32) << (number % 32) for number, pixel in enumerate(pixels)]
    return jnp.stack([functools.reduce(jnp.bitwise_or, bits[:32]), functools.reduce(jnp.bitwise_or, bits[32:])], axis=2)


def _of_shape(tiles: Tiles, number: int | Array) -> Tiles:
    """The tables of one label shape, without the axis of label shapes."""
    return jax.tree.map(lambda table: jnp.asarray(table)[number], tiles)


def _above(own: Tiles, maps: Array, thresholds: Array, counted: Array) -> Bool[Array, "tile_rows tile_columns n units"]:
    thresholds = thresholds.reshape(1, 1, -1)
    floor = jnp.clip(2 * thresholds, jnp.finfo(maps.dtype).min, 0)
    # Bounds of small numbers would underflow; where the limit is no small one, that does not matter.
    scale = jnp.where(thresholds - floor < 1, 2.0**40, 1.0).astype(maps.dtype)
    most = jnp.finfo(maps.dtype).max / 8

    def scaled(values: Array) -> Array:
        return jnp.minimum(values * scale, most)

    limit = jnp.where(counted[None], (1 - 1e-5) * scaled(thresholds - floor), jnp.inf)
    lines = _extremes(own.rows, maps, 1, jnp.maximum, before=lambda line: scaled(jnp.maximum(line - floor, 0)))
    return jnp.swapaxes(_extremes(own.columns, lines, 2, jnp.maximum, after=lambda bound: bound > limit), 0, 1)


def _above_with_overshoot(
    own: Tiles, maps: Array, thresholds: Array, counted: Array
) -> Bool[Array, "tile_rows tile_columns n units"]:
    limit = jnp.where(counted, thresholds[None], jnp.inf)
    highest, lowest = (
        _extremes(own.columns, _extremes(own.rows, maps, 1, extreme), 2, extreme)
        for extreme in (jnp.maximum, jnp.minimum)
    )
    margin = 1e-5 * (jnp.abs(highest) + jnp.abs(lowest))  # of the bound's own rounding
    bound = highest + jnp.asarray(own.overshoot, maps.dtype) * (highest - lowest) + margin
    return jnp.swapaxes(bound > limit[None, None], 0, 1)


def _same(lines: Array) -> Array:
    return lines


def _extremes(
    axis: TileAxis, lines: Array, dim: int, extreme: Callable, before: Callable = _same, after: Callable = _same
) -> Shaped[Array, "tiles _ _ _"]:
    """The extreme at each tile's points along one axis, tile by tile: slices are read much faster than a table's cells.

    Args:
      axis: tables of one label shape.
      lines: of which each cell of the axis is one.
      dim: where in it they are.
      extreme: of two.
      before: is done to the lines; rising, so that it is done to the largest of some only.
      after: is done to the extremes.
    """

    def at(cell: Array) -> Array:
        return jax.lax.dynamic_index_in_dim(lines, cell, dim, keepdims=False)

    def of_tile(tables: tuple[Array, ...]) -> Array:
        lower, upper, ratio, between, has_between = tables
        first, last = (
            before(at(lower[end])) * (1 - ratio[end]) + before(at(upper[end])) * ratio[end] for end in (0, 1)
        )
        cells = before(functools.reduce(extreme, map(at, between)))
        return after(extreme(extreme(first, last), jnp.where(has_between, cells, first)))

    ratio = jnp.asarray(axis.ratio, lines.dtype)
    return jax.lax.map(of_tile, (axis.lower, axis.upper, ratio, axis.between, axis.has_between))


def _interpolate(
    starts: Starts,
    choice: Int[Array, "blocks pixels"],
    weight: Float[Array, "blocks pixels taps"],
    cells: list[Array],
    rounded: bool,
) -> list[Array]:
    """The eight pixels of tiles along one axis, from the cells that the tiles read."""
    pixels, shape = [], (-1, *[1] * (cells[0].ndim - 1))
    for i, places in enumerate(starts):
        taps = range(weight.shape[2])
        values = [cells[places[0] + j] for j in taps]
        for other, place in enumerate(places[1:], start=1):
            chosen = choice[:, i].reshape(shape) == other
            values = [jnp.where(chosen, cells[place + j], value) for j, value in enumerate(values)]
        value = weighted_sum(values, [weight[:, i, j].reshape(shape) for j in taps], rounded)
        pixels.append(value.astype(jnp.float32).astype(value.dtype) if rounded else value)
    return pixels


_FIRST = np.arange(TILE) < np.arange(TILE + 1)[:, None]
# The pixels of a tile that a label map has, by how many rows and columns of it there are.
_INSIDE = pack((_FIRST[:, None, :, None] & _FIRST[:, None]).reshape(-1, TILE, TILE)).reshape(TILE + 1, TILE + 1, 2)
