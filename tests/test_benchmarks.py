"""The benchmarks themselves need Docker and minutes; that they are there does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.host import median_in_calm
from benchmarks.table import at_least, at_most

NAMES = [
    *("up", "delay", "memory", "schedule", "recovery", "repeatable", "proxy"),
    *("own", "history", "dns", "wan", "killed", "soak"),
]


def test_help_lists_every_benchmark() -> None:
    """`python -m benchmarks --help` names each with what it measures."""
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    assert list(BENCHMARKS) == NAMES
    for name, module in BENCHMARKS.items():
        assert f"{name} " in told.output
        assert (module.__doc__ or "missing").splitlines()[0] in told.output
        assert callable(module.measure)


def test_an_unknown_benchmark_is_a_usage_error() -> None:
    """Exit 2, and the names there are."""
    told = CliRunner().invoke(main, ["uptime"])
    assert told.exit_code == 2
    assert all(name in told.output for name in NAMES)


def test_the_read_me_speaks_of_every_benchmark() -> None:
    """None is added without a word on what it does."""
    text = (Path(__file__).parents[1] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in NAMES)


@pytest.mark.parametrize(("values", "kept"), [([1.0, 2.0], True), ([1.0, 2.1], False)])
def test_every_run_counts_and_not_only_the_median(values: list[float], kept: bool) -> None:
    """A bound that one run of several missed was not kept."""
    assert at_most("up", values, 2.0, "s").kept is kept
    assert at_least("on time", [-v for v in values], -2.0, "%").kept is kept


def test_a_bound_for_calm_moments_is_not_kept_where_there_were_none() -> None:
    """Said instead of a figure; else the median counts."""
    never = median_in_calm("tail", [], 0.5, "ms")
    assert (never.median, never.n, never.kept) == ("never calm", 0, False)
    assert median_in_calm("tail", [0.2, 0.4, 9.0], 0.5, "ms").kept
    assert not median_in_calm("tail", [0.2, 0.6, 0.7], 0.5, "ms").kept
