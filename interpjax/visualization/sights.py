"""Images as a network's layers see them: its maps on images of one's choice, from a network or from stored ones."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from interpjax.data import ConceptData
from interpjax.data.concept_records import Channels, ConceptRecord
from interpjax.data.images import BadImageError, resize
from interpjax.dissection import ActivationsFn, arguments


@dataclasses.dataclass(frozen=True)
class Sight:
    """One image and the maps of it.

    Attributes:
      number: of its record.
      record: itself, opened.
      image: in its own size.
      input_shape: (height, width) of what the network saw.
      maps: by layer, [h, w, units].
    """

    number: int
    record: ConceptRecord
    image: UInt8[np.ndarray, "height width 3"]
    input_shape: tuple[int, int]
    maps: Mapping[str, Float[np.ndarray, "h w units"]]

    @functools.cached_property
    def labels(self) -> Channels:
        """Those of the image, read once for all units and layers."""
        return self.record.labels()


class NetworkSights:
    """The maps that a network gives, computed when they are asked for."""

    def __init__(
        self, network: ActivationsFn, concepts: ConceptData, *, batch_size: int = 64, image_size: int | None = None
    ):
        """Arguments as those of :func:`interpjax.dissection.dissect`, with which the network was dissected."""
        self.concepts = concepts
        self._network, self._batch_size = network, arguments.check_whole("batch_size", batch_size, 1)
        self._image_size = image_size

    def numbers(self) -> Int[np.ndarray, " images"]:
        """The records that can be seen."""
        return np.arange(len(self.concepts.records))

    def of(self, numbers: Int[np.ndarray, " images"]) -> Iterator[Sight]:
        """The images of these records, one after the other.

        Those that cannot be read are left out: a dissection has either told of them or refused them.
        """
        for start in range(0, len(numbers), self._batch_size):
            records = [self.concepts.records[number].opened() for number in numbers[start : start + self._batch_size]]
            images = [_read(record) for record in records]
            inputs = [image if image is None else self._input(image) for image in images]
            readable = [own for own in inputs if own is not None]
            if not readable:
                continue
            padding = [np.zeros_like(readable[0])] * (self._batch_size - len(readable))  # so that one shape is compiled
            maps = {layer: np.asarray(own) for layer, own in self._network(np.stack(readable + padding)).items()}
            place = 0
            for number, record, image in zip(numbers[start:], records, images, strict=False):
                if image is not None:
                    own = {layer: stack[place] for layer, stack in maps.items()}
                    yield Sight(int(number), record, image, readable[place].shape[:2], own)
                    place += 1

    def _input(self, image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return image if self._image_size is None else resize(image, self._image_size, self._image_size)


class StoredSights:
    """Maps that were stored, as :func:`interpjax.dissection.dissect_arrays` takes them."""

    def __init__(
        self, activations: Mapping[str, Float[np.ndarray, "images _ _ _"]], concepts: ConceptData, images: Sequence[str]
    ):
        """The name of each row of the maps is that of a record.

        Raises:
          ValueError: if there are not as many maps as names, or a name is none of the data's.
        """
        names = arguments.check_names("images", images, "a.jpg")
        self.concepts = concepts
        self._maps = arguments.check_activations(activations, len(names))
        numbers = {record.name: number for number, record in enumerate(concepts.records)}
        unknown = [name for name in names if name not in numbers and name not in concepts.unlabelled]
        if unknown:
            raise ValueError(f"images: {unknown[0]!r} is not in {concepts.name}; expected names as in its index.csv")
        self._rows = {numbers[name]: row for row, name in enumerate(names) if name in numbers}

    def numbers(self) -> Int[np.ndarray, " images"]:
        """The records that can be seen."""
        return np.array(sorted(self._rows))

    def of(self, numbers: Int[np.ndarray, " images"]) -> Iterator[Sight]:
        """The images of these records, one after the other; those that cannot be read are left out."""
        for number in numbers.tolist():
            record = self.concepts.records[number].opened()
            image = _read(record)
            if image is not None:
                maps = {layer: own[self._rows[number]] for layer, own in self._maps.items()}
                yield Sight(number, record, image, record.image_shape, maps)


Sights = NetworkSights | StoredSights


def sights_of(
    network: Any,
    concepts: ConceptData,
    images: Sequence[str] | None,
    *,
    batch_size: int = 64,
    image_size: int | None = None,
) -> Sights:
    """The sights of a network, or of stored maps if ``network`` is a mapping of them and ``images`` names their rows.

    Args:
      network: it, or ``{layer: stored maps}``.
      concepts: the data, with the labels that are to be seen.
      images: names of the rows of stored maps.
      batch_size: images that a network is shown at a time.
      image_size: the side that a network's images are squashed to first.

    Raises:
      ValueError: if it is neither, or stored maps come without names, or a network with them.
    """
    if isinstance(network, Mapping):
        if images is None:
            raise ValueError("images = None: expected the name of each row of the stored activations, as in index.csv")
        return StoredSights(network, concepts, images)
    if not callable(network):
        raise ValueError(f"network = {arguments.shown(network)}: expected a Network, or {{layer: stored activations}}")
    if images is not None:
        raise ValueError("images: names go with stored activations; a network is shown the records of the data")
    return NetworkSights(network, concepts, batch_size=batch_size, image_size=image_size)


def _read(record: ConceptRecord) -> UInt8[np.ndarray, "height width 3"] | None:
    try:
        return record.image()
    except BadImageError:
        return None
