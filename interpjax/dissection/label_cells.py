"""Labels brought to the cells of maps: what makes sums over upsampled maps cost no more than the maps have cells."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int, UInt8

from interpjax.dissection.labels import ImageLabels
from interpjax.dissection.tiles import TILE
from interpjax.dissection.upsampling import Resampling, Taps


@dataclasses.dataclass(frozen=True, eq=False)
class Adjoint:
    """Uᵀ and UᵀU of an upsampling U, along each axis.

    Attributes:
      rows: Uᵀ along the height; of as many pixels as whole tiles have.
      columns: along the width.
      ones: Uᵀ1.
      row_bands: UᵀU along the height: entry (b + d, y) is that of cells y and y + d, for all |d| ≤ b.
      column_bands: along the width.
    """

    rows: scipy.sparse.csr_array
    columns: scipy.sparse.csr_array
    ones: Float[np.ndarray, "h w"]
    row_bands: Float[np.ndarray, "row_bands h"]
    column_bands: Float[np.ndarray, "column_bands w"]


@functools.cache
def adjoint(how: Resampling, map_shape: tuple[int, int]) -> Adjoint:
    """The adjoint of an upsampling of maps of this (height, width)."""
    rows, columns = (_transposed(taps, cells) for taps, cells in zip((how.rows, how.columns), map_shape, strict=True))
    return Adjoint(rows, columns, np.outer(rows.sum(axis=1), columns.sum(axis=1)), _bands(rows), _bands(columns))


def _transposed(taps: Taps, cells: int) -> scipy.sparse.csr_array:
    pixels, each = taps.index.shape
    place = (taps.index.reshape(-1), np.arange(pixels).repeat(each))
    whole = -(-pixels // TILE) * TILE
    table = scipy.sparse.coo_array((taps.weight.reshape(-1), place), shape=(cells, whole)).tocsr()
    table.eliminate_zeros()  # taps without weight would only widen the bands
    return table


def _bands(transposed: scipy.sparse.csr_array) -> np.ndarray:
    gram = (transposed @ transposed.T).toarray()
    cells, (row, column) = len(gram), np.nonzero(gram)
    reach = int(abs(row - column).max(initial=0))
    bands = np.zeros((2 * reach + 1, cells))
    bands[reach + column - row, row] = gram[row, column]
    return bands


def label_cells(
    labels: ImageLabels, onto: Adjoint
) -> tuple[Int[np.ndarray, " present"], Int[np.ndarray, " present"], Float[np.ndarray, "present h w"]]:
    """Brings the labels of an image to the cells of maps, UᵀG, each concept that it has.

    Args:
      labels: of the image.
      onto: of the upsampling from the maps to its label maps.

    Returns:
      Columns of the concepts, rising; the pixels of each; and, in float64, its cells.
    """
    columns, place = np.unique(labels.column, return_inverse=True)
    area = np.zeros(len(columns), np.int64)
    np.add.at(area, place, np.bitwise_count(labels.words).sum(axis=1, dtype=np.int64))
    cells = np.empty((len(columns), *onto.ones.shape))
    whole = area == labels.shape[0] * labels.shape[1]  # scenes and textures: no pixel needs to be looked at
    cells[whole] = onto.ones
    chosen = ~whole[place]
    renumbered = (np.cumsum(~whole) - 1)[place[chosen]]
    planes = _unpack(labels.tile[chosen], renumbered, labels.words[chosen], int((~whole).sum()), labels.shape)
    down = onto.rows @ planes.reshape(len(planes), -1).astype(np.float64)
    across = down.reshape(-1, planes.shape[2]).T  # [pixels, h · concepts]
    cells[~whole] = (onto.columns @ np.ascontiguousarray(across)).reshape(cells.shape[2], cells.shape[1], -1).T
    return columns, area, cells


def _unpack(
    tile: np.ndarray, concept: np.ndarray, words: np.ndarray, concepts: int, shape: tuple[int, int]
) -> UInt8[np.ndarray, "height concepts width"]:
    """The pixels of concepts as 0 and 1, of whole tiles; the inverse of :func:`interpjax.dissection.tiles.pack`."""
    rows, columns = -(-shape[0] // TILE), -(-shape[1] // TILE)
    lines = np.zeros((rows, TILE, concepts, columns), np.uint8)
    lines[tile // columns, :, concept, tile % columns] = words.astype("<u4").view(np.uint8).reshape(-1, TILE)
    return np.unpackbits(lines, axis=-1, bitorder="little").reshape(rows * TILE, concepts, columns * TILE)


@dataclasses.dataclass(frozen=True, eq=False)
class BatchCells:
    """The labels of a batch at the cells of maps of one size, whatever the sizes of the label maps.

    An image has an entry for all its pixels, Uᵀ1, and one for each of its concepts. Arrays are filled up with 0, so
    that few sizes are compiled for; rows of maps beyond the images have no entry.

    Attributes:
      start: where the entries of each image start.
      stop: where they stop.
      column: of the concept; 0 in an image's first entry, which is of none.
      area: pixels of the concept; 0 likewise.
      cells: UᵀG; Uᵀ1 in an image's first entry.
      row_bands: of each image's :class:`Adjoint`.
      column_bands: likewise.
      most: at least as many entries as any image has; arrays go on for so many after every start.
    """

    start: Int[np.ndarray, " n"]
    stop: Int[np.ndarray, " n"]
    column: Int[np.ndarray, " filled"]
    area: Int[np.ndarray, " filled"]
    cells: Float[np.ndarray, "filled h w"]
    row_bands: Float[np.ndarray, "n row_bands h"]
    column_bands: Float[np.ndarray, "n column_bands w"]
    most: int


class LabelsAtCells:
    """The labels of a batch, brought to cells once for all layers whose maps are of one size and upsampled alike."""

    def __init__(self, labels: Sequence[ImageLabels], rows: int):
        """Brings nothing to cells yet.

        Args:
          labels: of the images.
          rows: of the batch's maps: more than images where it is filled up.
        """
        self.labels, self._rows = labels, rows
        self._known: dict[tuple[Adjoint, ...], BatchCells] = {}

    def at(self, onto: Sequence[Adjoint]) -> BatchCells:
        """The labels at the cells that the images' adjoints lead to."""
        key = tuple(onto)
        if key not in self._known:
            self._known[key] = _batch_cells(self.labels, key, self._rows)
        return self._known[key]


def _batch_cells(labels: Sequence[ImageLabels], onto: Sequence[Adjoint], rows: int) -> BatchCells:
    count, first = np.zeros(rows, np.int32), np.zeros(1, np.int32)
    columns, areas, cells = [], [], []
    for number, (own, to) in enumerate(zip(labels, onto, strict=True)):
        column, area, at = label_cells(own, to)
        count[number] = 1 + len(column)
        columns += [first, column.astype(np.int32)]
        areas += [first.astype(np.int64), area]
        cells += [to.ones[None], at]
    stop = np.cumsum(count, dtype=np.int32)
    most = _up_to(8, int(count.max()))
    filled = _up_to(8 * rows, int(stop[-1]) + most)
    return BatchCells(
        start=stop - count,
        stop=stop,
        column=_filled(columns, filled),
        area=_filled(areas, filled),
        cells=_filled(cells, filled),
        row_bands=_filled(_as_wide([to.row_bands for to in onto]), rows),
        column_bands=_filled(_as_wide([to.column_bands for to in onto]), rows),
        most=most,
    )


def _filled(parts: Sequence[np.ndarray], length: int) -> np.ndarray:
    whole = np.zeros((length, *parts[0].shape[1:]), parts[0].dtype)
    np.concatenate(parts, out=whole[: sum(map(len, parts))])
    return whole


def _as_wide(bands: Sequence[np.ndarray]) -> list[np.ndarray]:
    widest = max(map(len, bands))
    return [np.pad(own, (((widest - len(own)) // 2,) * 2, (0, 0)))[None] for own in bands]


def _up_to(multiple: int, number: int) -> int:
    return -(-number // multiple) * multiple
