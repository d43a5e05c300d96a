r"""Pearson's correlation and cosine of upsampled maps with concepts, at the cost of the maps' cells.

There is no threshold, and no map is upsampled, for upsampling is linear, a = U m: with G a concept's pixels as 0 and 1,

.. math::
  \sum_x a(x)\,G(x) = \langle m, U^\top G\rangle, \qquad \sum_x a(x) = \langle m, U^\top 1\rangle, \qquad
  \sum_x a(x)^2 = \langle m, U^\top U m\rangle.

Labels are brought to the cells once for all units, UᵀG. U is separable, and a cell shares pixels with few neighbours,
so that UᵀU is a band along each axis. Methods that round to float32 after each axis are not quite linear: that
rounding, 6e-8 of a value, is left out.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection.label_cells import LabelsAtCells, adjoint
from interpjax.dissection.labels import ConceptColumns
from interpjax.dissection.passes import State
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.upsampling import FieldMap, resampling

NO_VARIANCE = 1e-12  # of the mean square: what float64 leaves of the variance of a constant map
BY_IMAGE = ("start", "stop", "row_bands", "column_bands")  # fields of BatchCells


@dataclasses.dataclass(frozen=True, eq=False)
class Correlation:
    """Sums over counted pixels for K units and C concepts: a is the upsampled map, G the concept as 0 and 1.

    Counted for a concept are all pixels of the images annotated in its primary category; by protocols whose
    ``unit_area`` is ``"all"``, of all images. Without a threshold no mask touches anything: ``"touched"`` counts as
    ``"category"``.

    Attributes:
      product: Σ a·G.
      total: Σ a over the images that count for a category.
      square: Σ a² over the same.
      label_area: Σ G, pixels of each concept.
      pixels: that count for a category.
      category_of: primary category of each concept.

    References:
      Both among the measures of a unit's fit to a concept in *NeuronEval*, ICML 2025, arXiv 2506.05774.
    """

    product: Float[np.ndarray, "units concepts"]
    total: Float[np.ndarray, "units categories"]
    square: Float[np.ndarray, "units categories"]
    label_area: Int[np.ndarray, " concepts"]
    pixels: Int[np.ndarray, " categories"]
    category_of: Int[np.ndarray, " concepts"]

    def pearson(self) -> Float[np.ndarray, "units concepts"]:
        """Pearson's correlation of a and G, in [−1, 1].

        0 where it is undefined: the concept is on no counted pixel or on all of them, or the map is constant there. A
        map is constant whose variance is below 1e-12 of its mean square, which float64's sums cannot tell from none.
        """
        pixels = np.maximum(self.pixels, 1).astype(np.float64)
        variance = self.square - self.total**2 / pixels
        variance[variance <= NO_VARIANCE * self.square] = 0
        counted = pixels[self.category_of]
        area = self.label_area.astype(np.float64)
        covariance = self.product - self.total[:, self.category_of] * (area / counted)
        return _quotient(covariance, variance[:, self.category_of], area * (1 - area / counted))

    def cosine(self) -> Float[np.ndarray, "units concepts"]:
        """Cosine of a and G, in [−1, 1]; 0 where it is undefined: either is 0 on all counted pixels."""
        return _quotient(self.product, self.square[:, self.category_of], self.label_area.astype(np.float64))

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is, by name, to be stored."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Correlation":
        """What :meth:`arrays` gave; others in the mapping are left alone.

        Raises:
          KeyError: if one is missing.
        """
        return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})


def _quotient(product: np.ndarray, square: np.ndarray, area: np.ndarray) -> np.ndarray:
    norms = np.sqrt(square * area)
    return np.clip(np.divide(product, norms, out=np.zeros(norms.shape), where=norms > 0), -1, 1)


class CorrelationSums:
    """The sums of :class:`Correlation` over batches, of one layer by one protocol."""

    def __init__(self, units: int, concepts: ConceptColumns, protocol: Protocol, fieldmap: FieldMap | None = None):
        """Starts with no pixels.

        Args:
          units: of the layer.
          concepts: what is counted where.
          protocol: how to upsample and which images count.
          fieldmap: of the layer, for protocols that use it.
        """
        self._concepts, self._protocol, self._fieldmap = concepts, protocol, fieldmap
        columns, categories = len(concepts.numbers), concepts.num_categories
        shapes = {"product": (units, columns), "total": (units, categories), "square": (units, categories)}
        self._sums = {name: np.zeros(shape) for name, shape in shapes.items()}
        self._rests = {name: np.zeros(shape) for name, shape in shapes.items()}  # what additions rounded off
        self._counts = {"label_area": np.zeros(columns, np.int64), "pixels": np.zeros(categories, np.int64)}

    def count(self, maps: Float[Array, "n h w units"], labels: LabelsAtCells, image_shape: tuple[int, int]) -> State:
        """Sums over a batch, in float64 on the device where the maps are; for :meth:`merge`. Changes nothing.

        Args:
          maps: activations, of as many rows as ``labels`` was told.
          labels: of the first images, to be shared by the layers.
          image_shape: (height, width) of the network's input.
        """
        how = functools.partial(resampling, self._protocol.upsampling, maps.shape[1:3])
        shapes = [own.shape for own in labels.labels]
        onto = {shape: adjoint(how(shape, image_shape, self._fieldmap), maps.shape[1:3]) for shape in set(shapes)}
        cells = labels.at([onto[shape] for shape in shapes])
        by_image = {name: getattr(cells, name) for name in BY_IMAGE}
        with jax.enable_x64(True):
            sums = _sums(maps, by_image, (cells.column, cells.cells), cells.most, len(self._concepts.numbers))
        product, total, square = map(np.asarray, sums)
        counts = np.stack([own.categories for own in labels.labels]) | (self._protocol.unit_area == "all")
        pixels = np.array([height * width for height, width in shapes], np.int64)
        area = np.zeros_like(self._counts["label_area"])
        np.add.at(area, cells.column, cells.area)  # what fills up has no pixel
        return {
            "product": product.T,
            "total": total[: len(shapes)].T @ counts.astype(np.float64),
            "square": square[: len(shapes)].T @ counts.astype(np.float64),
            "label_area": area,
            "pixels": pixels @ counts.astype(np.int64),
        }

    def state(self) -> State:
        """What has come so far."""
        return self._sums | {f"{name}_rest": rest for name, rest in self._rests.items()} | self._counts

    def merge(self, state: State) -> None:
        """Adds what :meth:`count` gave, or the state of another one; the order leaves no trace in the result.

        Of each addition what it rounds off is kept: D. E. Knuth, *The Art of Computer Programming* 2, 4.2.2, Theorem B.
        """
        for name, old in self._sums.items():
            added = state[name]
            new = old + added
            of_added = new - old
            self._rests[name] += (old - (new - of_added)) + (added - of_added) + state.get(f"{name}_rest", 0)
            self._sums[name] = new
        for name, count in self._counts.items():
            count += state[name]

    def result(self) -> Correlation:
        """The sums over all that has come."""
        sums = {name: total + self._rests[name] for name, total in self._sums.items()}
        counts = {name: count.copy() for name, count in self._counts.items()}
        return Correlation(**sums, **counts, category_of=self._concepts.category_of)


@functools.partial(jax.jit, static_argnames=("most", "concepts"))
def _sums(
    maps: Array, by_image: dict[str, Array], by_concept: tuple[Array, Array], most: int, concepts: int
) -> tuple[Array, Array, Array]:
    """Σ a·G [concepts, units] over the images; Σ a and Σ a² [images, units].

    Image by image, so that no more than one is held in float64.
    """
    units = maps.shape[-1]

    def add(product: Array, image: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
        own, first = image["maps"].astype(jnp.float64), image["start"]
        column, cells = (jax.lax.dynamic_slice_in_dim(part, first, most) for part in by_concept)
        column = jnp.where(first + jnp.arange(most, dtype=jnp.int32) < image["stop"], column, concepts)
        sums = cells.reshape(most, -1) @ own.reshape(-1, units)  # the first of all pixels, then of concepts
        product = product.at[column[1:]].add(sums[1:], mode="drop")
        gram = _apply(image["column_bands"], _apply(image["row_bands"], own, axis=0), axis=1)
        # A product with ones is faster here than a sum over leading axes.
        square = jnp.ones(cells[0].size, jnp.float64) @ (own * gram).reshape(-1, units)
        return product, (sums[0], square)

    product, (total, square) = jax.lax.scan(add, jnp.zeros((concepts, units), jnp.float64), by_image | {"maps": maps})
    return product, total, square


def _apply(bands: Array, maps: Array, axis: int) -> Array:
    """The product of a matrix, given by its bands, with an axis of maps."""
    reach = len(bands) // 2
    padding = [(reach, reach) if place == axis else (0, 0) for place in range(maps.ndim)]
    padded, shape = jnp.pad(maps, padding), [-1 if place == axis else 1 for place in range(maps.ndim)]
    shifted = [jax.lax.slice_in_dim(padded, d, d + maps.shape[axis], axis=axis) for d in range(len(bands))]
    return sum(band.reshape(shape) * part for band, part in zip(bands, shifted, strict=True))
