"""Intervals and p-values over seeds: against brute force, against scipy, and where the answer is known."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from interpjax.comparison import statistics
from interpjax.comparison.statistics import mean_interval, paired_difference, sign_flip_p, smallest_p


@pytest.mark.parametrize("pairs", range(1, 9))
def test_p_is_the_share_of_all_sign_patterns(pairs):
    rng = np.random.default_rng(pairs)
    for differences in (rng.normal(0.5, 1, pairs), rng.integers(-2, 4, pairs).astype(float)):
        found = abs(differences.sum())
        # Integers are exact, and no two sums of other normal numbers are as near as 1e-9.
        hits = [abs(np.dot(signs, differences)) >= found - 1e-9 for signs in itertools.product((-1, 1), repeat=pairs)]
        assert sign_flip_p(differences) == np.mean(hits)


def test_p_is_that_of_scipy():
    differences = np.array([0.3, 1.2, -0.4, 0.9, 2.0, 0.1])
    theirs = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(differences) == theirs.pvalue
    assert sign_flip_p(-differences) == theirs.pvalue


def test_sums_that_rounding_alone_tells_apart_are_equal():
    """Of 0.1, 0.2, -0.3 and 0.4 other signs give the same sum as these, but for what is rounded."""
    whole = np.array([1.0, 2.0, -3.0, 4.0])
    assert sign_flip_p(whole / 10) == sign_flip_p(whole) == 0.625
    assert sign_flip_p(np.zeros(4)) == 1


def test_differences_of_equal_scores_are_zero_however_they_were_summed():
    found = paired_difference("rud", [0.1 + 0.2 - 0.3, 0.3 - 0.1 - 0.2, 0.0])
    assert found.difference.value == 0
    assert found.difference.all_equal
    assert found.p == 1


@pytest.mark.parametrize(("pairs", "p"), [(1, 1), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_is_reached_by_equal_signs(pairs, p):
    assert smallest_p(pairs) == sign_flip_p(np.arange(1.0, pairs + 1)) == p


def test_for_many_pairs_patterns_are_drawn(monkeypatch):
    rng = np.random.default_rng(1)
    differences = rng.normal(0.2, 1, 12)
    exact = sign_flip_p(differences)
    assert 0.01 < exact < 0.2
    monkeypatch.setattr(statistics, "MOST_ENUMERATED", 11)
    drawn = sign_flip_p(differences, seed=3)
    assert abs(drawn - exact) < 5 * math.sqrt(exact / statistics.RANDOM_PATTERNS)  # five standard errors
    assert sign_flip_p(differences, seed=3) == drawn
    assert sign_flip_p(np.full(12, 100.0)) >= smallest_p(12) > 0


def test_an_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(7, 2, 4)) for _ in range(4000)]
    # Standard error of a share of 0.95 over 4000 draws: 0.0034.
    assert abs(np.mean([low <= 7 <= high for _, low, high, _ in found]) - 0.95) < 0.014


def test_an_interval_is_that_of_scipy():
    values = np.array([17.0, 18.0, 20.0])
    mean = mean_interval(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean[1:3], theirs, rtol=1e-12)
    assert (mean.value, mean.seeds) == (pytest.approx(55 / 3), 3)


def test_one_value_has_no_interval():
    mean = mean_interval(np.array([3.0]))
    assert (mean.value, mean.seeds) == (3, 1)
    assert math.isnan(mean.low)
    assert math.isnan(mean.high)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_what_has_no_mean_is_refused(values):
    for function in (mean_interval, sign_flip_p):
        with pytest.raises(ValueError, match="expected finite numbers, one at least"):
            function(np.array(values, float))
    with pytest.raises(ValueError, match="pairs = 0: expected 1 at least"):
        smallest_p(0)
