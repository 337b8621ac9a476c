"""Overlays fold in any number and order; a cut always wins."""

from __future__ import annotations

import itertools

import pytest

from emulator.impairment import Impairment, Overlay, fold

BASE = Impairment(delay_ns=40_000_000, loss=0.1, rate_bps=10**9)
OVERLAYS = (
    Overlay(delay_ns=10_000_000, loss=0.5),
    Overlay(rate_bps=10**7),
    Overlay(cut=True),
)


def test_no_overlay_changes_nothing():
    """The fold of nothing is the base."""
    assert fold(BASE, []) == BASE


def test_delays_add_losses_are_independent_and_the_lowest_rate_wins():
    """Two faults on one path are both felt."""
    folded = fold(BASE, OVERLAYS[:2])
    assert folded.delay_ns == 50_000_000
    assert folded.loss == pytest.approx(1 - 0.9 * 0.5)
    assert folded.rate_bps == 10**7
    assert not folded.cut


@pytest.mark.parametrize("order", list(itertools.permutations(OVERLAYS)))
def test_order_does_not_matter_and_a_cut_wins(order: tuple[Overlay, ...]):
    """So faults heal in any order."""
    folded, expected = fold(BASE, order), fold(BASE, OVERLAYS)
    assert folded.cut
    assert folded.loss == pytest.approx(expected.loss)
    assert (folded.delay_ns, folded.rate_bps) == (expected.delay_ns, expected.rate_bps)


def test_values_survive_json():
    """They cross a container's wall as JSON."""
    assert Impairment.from_json(BASE.to_json()) == BASE
    assert Overlay.from_json(OVERLAYS[0].to_json()) == OVERLAYS[0]
