"""What a batch leaves until the thresholds are known: the tiles of masks that depend on where a threshold lies."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from interpjax.dissection.labels import ImageLabels
from interpjax.dissection.passes import State


@dataclasses.dataclass(frozen=True, eq=False)
class Undecided:
    """Of one layer and protocol, on the images of a batch.

    A mask is numbered image · units + unit, a tile as in :class:`~interpjax.dissection.chunks.Chunk`.

    Attributes:
      shapes: (height, width) of the layer's maps, and of the network's input.
      number: of each undecided tile's mask.
      tile: its number; equal ones are side by side.
      sure: the tile's pixels that are in the mask wherever the threshold lies; they are counted.
      cells: those of the map that the tile reads.
      caps: the map's maximum, where a map that nowhere exceeds its threshold has no mask; else empty.
      open: masks that have undecided tiles, where it matters what the whole mask touches; else empty.
      area: their pixels that are counted.
      touched: which categories those touch.
      known: masks of tiles that hold pixels for sure, where masks are kept; else empty.
      known_tile: their tiles.
      known_words: their pixels.
    """

    shapes: Int[np.ndarray, "2 2"]
    number: Int[np.ndarray, " tiles"]
    tile: Int[np.ndarray, " tiles"]
    sure: UInt32[np.ndarray, "tiles 2"]
    cells: Float[np.ndarray, "tiles rows columns"]
    caps: Float[np.ndarray, " caps"]
    open: Int[np.ndarray, " masks"]
    area: Int[np.ndarray, " masks"]
    touched: Bool[np.ndarray, "masks categories"]
    known: Int[np.ndarray, " known"]
    known_tile: Int[np.ndarray, " known"]
    known_words: UInt32[np.ndarray, "known 2"]

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return sum(getattr(self, field.name).nbytes for field in dataclasses.fields(self))

    def state(self) -> State:
        """Its arrays by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True, eq=False)
class BatchRest:
    """What a batch leaves.

    Attributes:
      batch: its number, among those of its process.
      rows: of its maps, some of which may be fillings.
      numbers: of the images' records.
      labels: of each image, in each way of labelling.
      undecided: by the number of the protocol and the layer.
    """

    batch: int
    rows: int
    numbers: Int[np.ndarray, " images"]
    labels: Sequence[Sequence[ImageLabels]]
    undecided: Mapping[tuple[int, str], Undecided]

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        labels = sum(image.nbytes for way in self.labels for image in way)
        return labels + sum(part.nbytes for part in self.undecided.values())

    def state(self) -> State:
        """Its arrays by name, for :func:`read`."""
        found: State = {"batch": np.array(self.batch), "rows": np.array(self.rows), "numbers": self.numbers}
        for way, images in enumerate(self.labels):
            found |= {f"labels|{way}|{name}": value for name, value in _packed(images).items()}
        for (protocol, layer), part in self.undecided.items():
            found |= {f"undecided|{name}|{protocol}|{layer}": value for name, value in part.state().items()}
        return found

    @classmethod
    def read(cls, state: Mapping[str, np.ndarray]) -> "BatchRest":
        """From its arrays by name."""
        labels: dict[int, dict[str, np.ndarray]] = {}
        found: dict[tuple[int, str], dict[str, np.ndarray]] = {}
        for key, value in state.items():
            kind, _, rest = key.partition("|")
            if kind == "labels":
                way, name = rest.split("|")
                labels.setdefault(int(way), {})[name] = value
            elif kind == "undecided":
                name, protocol, layer = rest.split("|", 2)  # a layer's name may hold anything
                found.setdefault((int(protocol), layer), {})[name] = value
        return cls(
            batch=int(state["batch"]),
            rows=int(state["rows"]),
            numbers=state["numbers"],
            labels=[_unpacked(labels[way]) for way in sorted(labels)],
            undecided={key: Undecided(**part) for key, part in found.items()},
        )


def _packed(images: Sequence[ImageLabels]) -> State:
    """The labels of images, one after the other."""
    return {
        "tile": np.concatenate([image.tile for image in images]),
        "column": np.concatenate([image.column for image in images]),
        "words": np.concatenate([image.words for image in images]),
        "entries": np.array([len(image.tile) for image in images]),
        "categories": np.stack([image.categories for image in images]),
        "shapes": np.array([image.shape for image in images]),
    }


def _unpacked(state: Mapping[str, np.ndarray]) -> list[ImageLabels]:
    stops = np.cumsum(state["entries"])
    return [
        ImageLabels(
            tile=state["tile"][stop - count : stop],
            column=state["column"][stop - count : stop],
            words=state["words"][stop - count : stop],
            categories=categories,
            shape=(int(shape[0]), int(shape[1])),
        )
        for stop, count, categories, shape in zip(
            stops.tolist(), state["entries"].tolist(), state["categories"], state["shapes"], strict=True
        )
    ]
