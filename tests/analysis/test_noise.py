"""Rank statistics, held against published tables and against counting by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import pytest

from emulator.analysis.noise import least_p, mann_whitney, median, phase_range, shift

# Hollander and Wolfe, Nonparametric Statistical Methods, table 4.1: permeability of membranes at
# term and between 12 and 26 weeks; W = 35, one-sided p 0.1272, shift 0.305, interval -0.15 to 0.76.
TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLY = [1.15, 0.88, 0.90, 0.74, 1.21]

# Two-sided 5 % critical values of U, as every table of the test has them.
CRITICAL = {(4, 4): 0, (5, 5): 2, (5, 8): 6, (7, 7): 8, (8, 10): 17, (10, 10): 23, (20, 20): 127}


def samples(n: int, m: int, u: int) -> tuple[list[float], list[float]]:
    """Two samples without ties in which exactly `u` pairs have the first one's value larger."""
    a, b = [], [float(10 * rank) for rank in range(1, m + 1)]
    for index in range(n):
        above = min(m, u)
        u -= above
        a.append(10 * above + 1 + index / n)
    return a, b


@pytest.mark.parametrize(("sizes", "u"), CRITICAL.items())
def test_the_critical_values_are_those_of_the_tables(sizes, u):
    """At the tabled U the difference is significant at 5 %, one further in it is not."""
    n, m = sizes
    assert mann_whitney(*samples(n, m, u)) <= 0.05 < mann_whitney(*samples(n, m, u + 1))


def test_a_published_example():
    """Its probability, shift and interval."""
    assert mann_whitney(EARLY, TERM) == pytest.approx(2 * 0.1272, abs=2e-4)
    found = shift(EARLY, TERM)
    assert found is not None
    assert found.estimate == pytest.approx(0.305)
    assert [found.low, found.high] == pytest.approx([-0.15, 0.76])


def test_the_exact_probability_is_the_share_of_all_orders():
    """Counted by hand over every order of 4 and 5 values."""
    a, b = [1.0, 2.0, 5.0, 3.5], [4.0, 6.0, 7.0, 8.0, 2.5]
    values = sorted([*a, *b])

    def u(first: Sequence[float]) -> int:
        return sum(x < y for x in first for y in values if y not in first)

    seen = min(u(a), 20 - u(a))
    orders = [u(first) for first in combinations(values, 4)]
    extreme = sum(min(x, 20 - x) <= seen for x in orders) / len(orders)
    assert mann_whitney(a, b) == pytest.approx(extreme)


def test_ties_are_corrected_for():
    """By hand: U = 2 of 16, mean 8; three 2s and two 4s leave a variance of 16/12 (9 - 30/56) =
    11.2857; so z = (8 - 2 - 0.5) / 3.3594 = 1.6372, p = 0.1016."""
    assert mann_whitney([1, 2, 2, 3], [2, 4, 4, 5]) == pytest.approx(0.1016, abs=1e-4)


def test_the_order_of_the_samples_does_not_matter():
    """Two-sided; the shift changes its sign."""
    assert mann_whitney(TERM, EARLY) == mann_whitney(EARLY, TERM)
    there, back = shift(EARLY, TERM), shift(TERM, EARLY)
    assert there is not None and back is not None
    assert there.estimate == -back.estimate
    assert (there.low, there.high) == (-back.high, -back.low)


def test_equal_samples_are_no_difference():
    """Also where every value is the same and there is nothing to rank."""
    assert mann_whitney([5, 5, 5], [5, 5, 5]) == 1.0
    assert mann_whitney([1, 2, 3], [1, 2, 3]) > 0.9


def test_never_is_longer_than_anything():
    """Runs that never recovered rank last; there is no shift to infinity."""
    never = [math.inf] * 6
    assert mann_whitney([1, 2, 3, 4, 5, 6], never) < 0.01
    assert shift([1, 2, 3, 4, 5, 6], never) is None


def test_the_normal_curve_goes_on_where_counting_ends():
    """26 and 24 values are counted, 26 and 25 are not, and they agree."""
    a = [float(x) for x in range(26)]
    b = [x + 5.5 for x in range(24)]
    assert mann_whitney(a, b) == pytest.approx(mann_whitney(a, [*b, 18.2]), rel=0.2)
    counted, curved = shift(a, b), shift(a, [*b, 18.2])
    assert counted is not None and curved is not None
    assert counted.low == pytest.approx(curved.low, abs=1)
    assert counted.high == pytest.approx(curved.high, abs=1)


def test_too_few_runs_can_show_nothing():
    """3 and 3 runs reach 10 % at best, 4 and 4 reach 2.9 %; an interval needs as many."""
    assert least_p(3, 3) == pytest.approx(0.1)
    assert least_p(4, 4) == pytest.approx(2 / 70)
    assert shift([1, 2, 3], [4, 5, 6]) is None
    assert shift([1, 2, 3, 4], [5, 6, 7, 8]) is not None


def test_two_random_phases_differ_by_less_than_the_whole_range():
    """Of an even spread of width w, 95 % of differences are within w (1 - sqrt(0.05)) = 0.776 w."""
    found = phase_range([3 + 5 * (n + 0.5) / 200 for n in range(200)])
    assert found is not None
    assert list(found) == pytest.approx([-3.88, 3.88], abs=0.03)
    assert phase_range([]) is None
    assert phase_range([4.0, 4.0]) == (0.0, 0.0)


def test_the_median_of_an_even_number_is_between_the_middle_two():
    """And of runs that never recovered it is infinite, not nonsense."""
    assert median([4, 1, 3, 2]) == 2.5
    assert median([1, math.inf, math.inf]) == math.inf
    assert median([math.inf, math.inf]) == math.inf
    with pytest.raises(ValueError, match="no values"):
        median([])
