"""Faults stack: what is laid over a path adds up, and lifting takes away one overlay only."""

from __future__ import annotations

import pytest

from emulator.impairment import Impairment, Overlay, Overlays

_PATHS = {(1, 2): Impairment(10), (2, 1): Impairment(20, rate_bps=1000)}


@pytest.fixture
def overlays() -> Overlays:
    return Overlays(_PATHS)


def test_nothing_laid_is_the_base(overlays):
    """A path is as the file says."""
    assert {path: overlays.effective(path) for path in overlays.paths()} == _PATHS


def test_overlays_add_and_heal_in_any_order(overlays):
    """Delays add, losses are independent, the lowest rate and any cut win."""
    overlays.lay("a", [(1, 2), (2, 1)], Overlay(delay_ns=5, loss=0.5, rate_bps=2000))
    overlays.lay("b", [(2, 1)], Overlay(loss=0.5, cut=True))
    assert overlays.effective((1, 2)) == Impairment(15, loss=0.5, rate_bps=2000)
    assert overlays.effective((2, 1)) == Impairment(25, loss=0.75, rate_bps=1000, cut=True)
    overlays.lift("a")
    assert overlays.effective((2, 1)) == Impairment(20, loss=0.5, rate_bps=1000, cut=True)
    overlays.lift("b")
    assert overlays.effective((2, 1)) == _PATHS[2, 1]


def test_what_must_be_set_anew_is_named(overlays):
    """Laying an id again replaces it: what it covered before is set anew as well."""
    assert overlays.lay("a", [(1, 2)], Overlay(cut=True), ["x"]) == ({(1, 2)}, {"x"})
    assert overlays.lay("a", [(2, 1)], Overlay(cut=True), ["y"]) == (set(_PATHS), {"x", "y"})
    assert not overlays.effective((1, 2)).cut
    assert overlays.lift("a") == ({(2, 1)}, {"y"})
    assert overlays.lift("a") == (set(), set())


def test_a_port_is_cut_while_any_overlay_cuts_it(overlays):
    """Two faults on one host: it is joined again when both are healed."""
    overlays.lay("a", [], Overlay(cut=True), ["x"])
    overlays.lay("b", [], Overlay(cut=True), ["x"])
    overlays.lift("a")
    assert overlays.is_port_cut("x")
    overlays.lift("b")
    assert not overlays.is_port_cut("x")


def test_a_path_that_there_is_not_is_refused(overlays):
    """And nothing is laid then."""
    with pytest.raises(ValueError, match="no path 1->3"):
        overlays.lay("a", [(1, 2), (1, 3)], Overlay(cut=True))
    assert overlays.ids() == ()
