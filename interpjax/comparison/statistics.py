"""Means over seeds and paired differences between settings, with what so few seeds can show."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

LEVEL = 0.95
MOST_ENUMERATED = 20  # pairs; a million sign patterns take a moment and 8 MB
RANDOM_PATTERNS = 100_000
ROUNDING = 1e-12  # beside the numbers themselves: sums of the same ones in another order are equal
DECIMALS = 12  # of differences: what is less comes of rounding


class Mean(NamedTuple):
    """A mean with its 95 % interval; ``low`` and ``high`` are NaN where one value alone has none.

    Attributes:
      value: the mean.
      low: the lower end of the interval.
      high: its upper end.
      seeds: of how many values, one for each seed.
    """

    value: float
    low: float
    high: float
    seeds: int

    @property
    def all_equal(self) -> bool:
        """Whether several values are one and the same. Their interval has no width then, and says nothing."""
        return self.seeds > 1 and self.high - self.low <= ROUNDING * max(1.0, abs(self.value))

    @property
    def reach(self) -> float:
        """Half of the interval's width; NaN of one value alone."""
        return (self.high - self.low) / 2

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval to show: of several values that are not all equal."""
        return self.seeds > 1 and not self.all_equal


class Difference(NamedTuple):
    """A paired difference over seeds.

    Attributes:
      quantity: what it is of, as ``"accuracy"``, ``"interpretability_score"``, or a layer's unique detectors.
      difference: the mean of the differences, with its interval.
      p: two-sided, of the exact sign-flip test.
      smallest_p: that so many seeds can give.
    """

    quantity: str
    difference: Mean
    p: float
    smallest_p: float


def mean_interval(values: Float[np.ndarray, " values"]) -> Mean:
    r"""The mean of independent values with its 95 % t-interval.

    .. math:: \bar x \pm t_{0.975,\,n-1}\, s / \sqrt{n}, \qquad s^2 = \frac{1}{n-1}\sum_i (x_i - \bar x)^2

    Args:
      values: one for each seed, in any unit; the interval is in the same. It supposes that they are about normal.

    Raises:
      ValueError: if there is no value, or one is not finite.

    References:
      Student, *The Probable Error of a Mean*, Biometrika 1908.
    """
    count = len(values)
    if not count or not np.isfinite(values).all():
        raise ValueError(f"values = {values.tolist()}: expected finite numbers, one at least")
    mean = float(np.mean(values))
    if count == 1:
        return Mean(mean, math.nan, math.nan, 1)
    reach = float(student.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return Mean(mean, mean - reach, mean + reach, count)


def sign_flip_p(differences: Float[np.ndarray, " pairs"], seed: int = 0) -> float:
    r"""Two-sided p-value of paired differences, by flipping their signs: exact, without any law of their spread.

    If two settings do not differ, each difference is as likely as its negative. p is the share of the :math:`2^n`
    patterns of signs :math:`s` that give a mean at least as far from 0 as the one found,

    .. math:: p = 2^{-n}\,\#\Big\{s \in \{-1, 1\}^n : \Big|\sum_i s_i d_i\Big| \ge \Big|\sum_i d_i\Big|\Big\}

    All patterns are counted for up to 20 pairs. For more, 100,000 are drawn, and the one found counts among them.

    Args:
      differences: one for each pair.
      seed: of the patterns that are drawn for more than 20 pairs.

    Returns:
      p in (0, 1]; never below :func:`smallest_p`.

    Raises:
      ValueError: if there is no difference, or one is not finite.

    References:
      Fisher, *The Design of Experiments*, 1935, Sec. 21; Phipson and Smyth, *Permutation P-values Should Never Be
      Zero*, 2010 (the one that is added where patterns are drawn).
    """
    pairs = len(differences)
    if not pairs or not np.isfinite(differences).all():
        raise ValueError(f"differences = {differences.tolist()}: expected finite numbers, one at least")
    reached = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    if pairs > MOST_ENUMERATED:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (RANDOM_PATTERNS, pairs))
        return float((1 + (np.abs(signs @ differences) >= reached).sum()) / (1 + RANDOM_PATTERNS))
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(np.abs(sums) >= reached))


def smallest_p(pairs: int) -> float:
    """The smallest p that :func:`sign_flip_p` can give for so many pairs, 2/2ⁿ: 0.25 for 3, 0.0625 for 5.

    Where it is above 0.05, no difference, however large, is significant at the 5 % level.

    Raises:
      ValueError: if ``pairs`` is below 1.
    """
    if pairs < 1:
        raise ValueError(f"pairs = {pairs}: expected 1 at least")
    return 2.0 ** (1 - pairs) if pairs <= MOST_ENUMERATED else 1 / (1 + RANDOM_PATTERNS)


def paired_difference(quantity: str, differences: Float[np.ndarray, " pairs"]) -> Difference:
    """The mean of paired differences with its interval, and its test.

    Args:
      quantity: what they are of.
      differences: one for each seed that both sides have; rounded to 12 decimals, so that equal scores that were summed
        in another order differ by 0.

    Raises:
      ValueError: if there is no difference, or one is not finite.
    """
    differences = np.round(np.asarray(differences, float), DECIMALS)  # people give lists
    return Difference(quantity, mean_interval(differences), sign_flip_p(differences), smallest_p(len(differences)))
