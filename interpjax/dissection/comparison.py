"""Whether one network has more detectors than another, on the same images."""

import dataclasses
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from interpjax.dissection import significance
from interpjax.errors import UserError

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Unique detectors of b minus those of a: positive where b has more.

    Attributes:
      a: unique detectors of the one.
      b: unique detectors of the other.
      low: the lower end of the difference's 95 % interval.
      high: its upper end.
      p: two-sided, for no difference.
      by_category: a row per ``category``: ``a``, ``b``, ``difference``, ``low``, ``high``, ``p``.
      gained: the concepts that b detects and a does not: ``number``, ``name``, ``category``, and in which share of the
        resamples each detects it, ``share_a`` and ``share_b``; those of which it is surest first.
      lost: those that a detects and b does not, likewise.
      images: how many there are.
      samples: how many resamples.
    """

    a: int
    b: int
    low: float
    high: float
    p: float
    by_category: pd.DataFrame
    gained: pd.DataFrame
    lost: pd.DataFrame
    images: int
    samples: int

    @property
    def difference(self) -> int:
        """Unique detectors of b minus those of a."""
        return self.b - self.a

    def __repr__(self) -> str:
        return (
            f"Comparison({self.b} - {self.a} = {self.difference:+d} unique detectors, 95 % interval {self.low:+g} to "
            f"{self.high:+g}, p = {self.p:.3g}; {len(self.gained)} concepts gained, {len(self.lost)} lost; "
            f"{self.samples} resamples of {self.images} images)"
        )


def compare(a: "Dissection", b: "Dissection", samples: int = 1000, seed: int = 0) -> Comparison:
    r"""Compares the unique detectors of two networks or layers on the same images, by a paired bootstrap.

    Each resample of the images is counted for both, so that what makes images easy or hard for both falls out of the
    difference :math:`d = b - a`. The upward bias of :func:`significance.bootstrap` falls out as far as both have about
    as many units near the cut; of a small and a large layer it widens the difference. The interval holds the middle
    95 % of the resamples' differences d*, and p is the level at which such an interval ends at 0:

    .. math:: p = \min\left(1,\; 2\,\frac{1 + \min(\#\{d^* \le 0\}, \#\{d^* \ge 0\})}{1 + \mathrm{samples}}\right)

    A permutation of the images between the networks would be no test here: unit 7 of the one has nothing to do with
    unit 7 of the other, and what is made of half of each detects nothing.

    The thresholds and the networks stay as they are: p says whether *these two networks* differ on such images, not
    whether their ways of training do. For that, train each with several seeds.

    Args:
      a: the one, with counts by image.
      b: the other, by the same protocol on the same images with the same concepts.
      samples: how many resamples.
      seed: of the resamples.

    Raises:
      ValueError: if ``samples`` is no whole number of at least 1, or ``seed`` none of at least 0.
      UserError: if one is no Dissection or has no counts by image, or they differ in images, labels, concepts or
        protocol.

    References:
      Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, Ch. 13 and 16 (percentile intervals, and tests by
      them); Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, Sec. 4.2 (the one that is added).
    """
    _check_comparable(a, b)
    drawn = [significance.resample(own, samples, seed).detected for own in (a, b)]
    low, high, p = _significance(drawn[1].sum(axis=1) - drawn[0].sum(axis=1))
    found = [set(own.detected()["number"]) for own in (a, b)]
    shares = a.concepts.assign(share_a=drawn[0].mean(axis=0), share_b=drawn[1].mean(axis=0))
    return Comparison(
        a=a.unique_detectors(),
        b=b.unique_detectors(),
        low=low,
        high=high,
        p=p,
        by_category=_by_category(a, b, drawn),
        gained=_surest(shares[shares["number"].isin(found[1] - found[0])], "share_b", "share_a"),
        lost=_surest(shares[shares["number"].isin(found[0] - found[1])], "share_a", "share_b"),
        images=len(significance.counts_of(a).numbers),
        samples=samples,
    )


def _check_comparable(a: "Dissection", b: "Dissection") -> None:
    mine, theirs = significance.counts_of(a, "a"), significance.counts_of(b, "b")
    for one, other in zip_longest(*(own.concepts.itertuples(index=False, name=None) for own in (a, b))):
        if one != other:
            raise UserError(f"concepts: {one} of a where b has {other}; expected the same (number, name, category)")
    for field in [field.name for field in dataclasses.fields(a.protocol) if field.name != "name"]:
        one, other = getattr(a.protocol, field), getattr(b.protocol, field)
        if one != other:
            raise UserError(
                f"protocol.{field}: {one!r} of a, {other!r} of b; expected the same, or counts differ by it"
            )
    if not np.array_equal(mine.numbers, theirs.numbers):
        only = np.setxor1d(mine.numbers, theirs.numbers)
        raise UserError(f"images: number {only[0]} is in one of a and b only; expected the same images")
    if not np.array_equal(mine.pixels, theirs.pixels) or (mine.label_area != theirs.label_area).nnz:
        raise UserError("images: a and b have other labels on images of the same number; expected the same data")


def _by_category(a: "Dissection", b: "Dissection", drawn: list[Bool[np.ndarray, "samples concepts"]]) -> pd.DataFrame:
    own, values = [significance.by_category(detected, a) for detected in drawn], (a.by_category(), b.by_category())
    rows = [
        (category, values[0][category], values[1][category], *_significance(own[1][category] - own[0][category]))
        for category in a.categories
    ]
    table = pd.DataFrame(rows, columns=["category", "a", "b", "low", "high", "p"])
    table.insert(3, "difference", table["b"] - table["a"])
    return table


def _significance(difference: Int[np.ndarray, " samples"]) -> tuple[float, float, float]:
    """Interval and p-value of a difference, from its resamples."""
    rarer = min((difference <= 0).sum(), (difference >= 0).sum())
    return *significance.interval(difference), min(1.0, float(2 * (1 + rarer) / (1 + len(difference))))


def _surest(concepts: pd.DataFrame, share: str, other: str) -> pd.DataFrame:
    order = (concepts[other] - concepts[share]).argsort(kind="stable")
    return concepts.iloc[order].reset_index(drop=True)
