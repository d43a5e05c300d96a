"""Training images with each other's labels: a control, of which nothing can be learned but the images by heart."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

from interpjax.data.sources import Source
from interpjax.data.splits import Deferred, Split


@dataclasses.dataclass(frozen=True, eq=False)
class ShuffledLabels:
    """A split whose examples have each other's labels.

    Attributes:
      whole: the split.
      order: the number of the example whose label each one has.
    """

    whole: Split
    order: Int[np.ndarray, " examples"]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.whole[index] | {"label": self.whole[int(self.order[index])]["label"]}


def shuffle_labels(source: Source, seed: int) -> Source:
    """The data with the labels of the training examples permuted among them, so that each class keeps its share.

    The examples that are held out of them, and those to test on, keep theirs.

    Args:
      source: the data, with a training split.
      seed: decides the permutation, with the number of the examples.

    References:
      Zhang et al., *Understanding Deep Learning Requires Rethinking Generalization*, ICLR 2017.
    """
    train = source.train
    assert train is not None
    length = train.known_length if isinstance(train, Deferred) else len(train)

    def shuffled() -> ShuffledLabels:
        return ShuffledLabels(train, np.random.default_rng(seed).permutation(len(train)))

    return dataclasses.replace(source, train=Deferred(shuffled, length, whole=train))
