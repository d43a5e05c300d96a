"""How sure the numbers of a dissection are: a bootstrap over its images, at the thresholds that it found.

Each resample draws as many images as there are, with replacement, and counts all pixels anew: that is what other
images of the same kind might have given. A unit's threshold stays what it was, and so does the network: how much
another training would change is not in these intervals.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num

from interpjax.dissection import scoring, tally
from interpjax.dissection.arguments import check_whole
from interpjax.dissection.images import ImageCounts
from interpjax.errors import UserError

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection

AT_A_TIME = 50  # resamples that are summed up together, which is fastest and takes little memory
BOUNDS = (0.025, 0.975)
Row = tuple[str, float, np.ndarray]  # a statistic, its value, and what it is in each resample


class Resamples(NamedTuple):
    """A layer's numbers in each resample of its images.

    Attributes:
      detected: which concepts have a detector.
      detectors: how many units are detectors.
      iou: of every unit, with the concept that is its best on all images.
    """

    detected: Bool[np.ndarray, "samples concepts"]
    detectors: Int[np.ndarray, " samples"]
    iou: Float[np.ndarray, "samples units"]


def bootstrap(dissection: "Dissection", samples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """What other images might have given: 95 % percentile intervals of a layer's numbers, over its images.

    The thresholds stay as they are; intervals are given the thresholds. A unit is a detector by convention
    ``"best-label"`` and the protocol's ``detector_iou``, with whatever concept is its best in the resample.

    **Numbers that count detectors are biased upwards in resamples.** A resample has only about 63 % of the images,
    some of them several times, as if there were fewer: units then reach the cut by chance more often. So the interval
    of such a number may lie largely, or all, above its value. It is the spread of the resamples, as it is, and not
    centred on the value. In the difference of two networks (:func:`interpjax.dissection.compare`) the bias cancels as
    far as both have about as many units near the cut.

    Args:
      dissection: with counts by image.
      samples: how many resamples.
      seed: of the resamples, which are the same for all layers and networks on the same images.

    Returns:
      A row per ``statistic``, with its ``value`` on all images, and ``low`` and ``high``, the 2.5 and 97.5 percentile
      of the resamples: ``"unique_detectors"``, ``"detectors"``, ``"unique_detectors/object"`` … for each category, and
      ``"iou/unit 0"`` … for each unit, with the concept that is its best on all images.

    Raises:
      ValueError: if ``samples`` is no whole number of at least 1, or ``seed`` none of at least 0.
      UserError: if the dissection has no counts by image.

    References:
      Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, Ch. 13 (percentile intervals).
    """
    return _table(_rows(dissection, resample(dissection, samples, seed)))


def bootstrap_score(results: Mapping[str, "Dissection"], samples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """As :func:`bootstrap`, of the interpretability score: the sum of the layers' unique detectors.

    Of what every layer has by itself see :func:`bootstrap_all`, which gives both from the same resamples.

    Args:
      results: by layer, of the same images, with counts by image.
      samples: how many resamples; each one is of the same images for every layer.
      seed: of the resamples.

    Returns:
      Rows as of :func:`bootstrap`: ``"interpretability_score"``, and ``"conv5/unique_detectors"`` … for each layer.

    Raises:
      ValueError: if there is no layer, or ``samples`` is no whole number of at least 1, or ``seed`` none of at least 0.
      UserError: if a layer has no counts by image, or other images than the first.
    """
    return bootstrap_all(results, samples, seed)[0]


def bootstrap_all(
    results: Mapping[str, "Dissection"], samples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """What :func:`bootstrap_score` gives, and what :func:`bootstrap` gives of each layer; arguments as those."""
    if not isinstance(results, Mapping):
        raise ValueError(f"results: a {type(results).__name__}; expected {{layer: Dissection}}, as of dissect(…)")
    if not results:
        raise ValueError("results: there is no layer; expected at least one")
    first, *others = results
    numbers = {layer: counts_of(own, f"results[{layer!r}]").numbers for layer, own in results.items()}
    for layer in others:
        if not np.array_equal(numbers[first], numbers[layer]):
            raise UserError(f"layer {layer!r}: other images than layer {first!r}; expected the same for all layers")
    counts: dict[str, np.ndarray] = {}
    tables = {}
    for layer, own in results.items():
        drawn = resample(own, samples, seed)
        counts[layer], tables[layer] = drawn.detected.sum(axis=1), _table(_rows(own, drawn))
    values = {layer: own.unique_detectors() for layer, own in results.items()}
    rows: list[Row] = [("interpretability_score", sum(values.values()), np.sum(list(counts.values()), axis=0))]
    rows += [(f"{layer}/unique_detectors", values[layer], counts[layer]) for layer in results]
    return _table(rows), tables


def _rows(dissection: "Dissection", drawn: "Resamples") -> list[Row]:
    best = dissection.best()["iou"].to_numpy()
    is_detector = (best >= dissection.protocol.detector_iou) & (best > 0)
    rows: list[Row] = [("unique_detectors", dissection.unique_detectors(), drawn.detected.sum(axis=1))]
    rows.append(("detectors", int(is_detector.sum()), drawn.detectors))
    own = by_category(drawn.detected, dissection)
    values = dissection.by_category()
    rows += [(f"unique_detectors/{category}", values[category], own[category]) for category in own]
    return rows + [(f"iou/unit {unit}", float(value), drawn.iou[:, unit]) for unit, value in enumerate(best)]


def resample(dissection: "Dissection", samples: int, seed: int) -> Resamples:
    """A layer's numbers in resamples of its images.

    Raises:
      ValueError: if ``samples`` is no whole number of at least 1, or ``seed`` none of at least 0.
      UserError: if the dissection has no counts by image.
    """
    samples, seed, counts = check_whole("samples", samples, 1), check_whole("seed", seed, 0), counts_of(dissection)
    units, concepts = dissection.iou.shape
    drawn = Resamples(
        np.zeros((samples, concepts), bool), np.zeros(samples, np.int64), np.zeros((samples, units), np.float64)
    )
    best, cut = np.argmax(dissection.iou, axis=1), dissection.protocol.detector_iou
    category_of = dissection.category_of
    place = 0
    for weights in _weights(len(counts.numbers), samples, seed):
        for sums in zip(*counts.totals(weights), strict=True):
            iou = tally.iou(*sums)
            score = iou.max(axis=1)
            found = scoring.detected_concepts(iou, category_of, threshold=cut)
            drawn.detected[place, found] = True
            drawn.detectors[place] = ((score >= cut) & (score > 0)).sum()
            drawn.iou[place] = iou[np.arange(units), best]
            place += 1
    return drawn


def counts_of(dissection: "Dissection", name: str = "dissection") -> ImageCounts:
    """The counts by image of a dissection.

    Raises:
      UserError: if it has none, or is no Dissection but of this ``name``.
    """
    if not hasattr(dissection, "images"):
        raise UserError(
            f"{name}: a {type(dissection).__name__}; expected the Dissection of a layer, as results['conv5']"
        )
    if dissection.images is None:
        raise UserError("images: the counts by image were not kept; expected dissect(…, keep_images=True)")
    return dissection.images


def by_category(
    detected: Bool[np.ndarray, "samples concepts"], dissection: "Dissection"
) -> dict[str, Int[np.ndarray, " samples"]]:
    """Unique detectors of each category."""
    return {
        category: detected[:, dissection.category_of == number].sum(axis=1)
        for number, category in enumerate(dissection.categories)
    }


def interval(drawn: Num[np.ndarray, " samples"]) -> tuple[float, float]:
    """The 2.5 and 97.5 percentile."""
    low, high = np.quantile(drawn, BOUNDS).tolist()
    return low, high


def _weights(images: int, samples: int, seed: int) -> Iterator[Int[np.ndarray, "some images"]]:
    """How often each image is drawn in each resample, some resamples at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, samples, AT_A_TIME):
        yield generator.multinomial(images, np.full(images, 1 / images), size=min(AT_A_TIME, samples - start))


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    found = [(statistic, value, *interval(drawn)) for statistic, value, drawn in rows]
    return pd.DataFrame(found, columns=["statistic", "value", "low", "high"])
