"""The fuzz program: what it finds is in its exit code and its words."""

from __future__ import annotations

import sys

import pytest

from tests.dns import fuzz, promises

SECONDS = 20.0  # CI's share; by hand it runs for ten minutes
SEED = 4


def test_twenty_seconds_of_damaged_queries_break_no_promise() -> None:
    """And they reach every rcode, truncated answers, and answers that are not fixed."""
    tally = fuzz.fuzz(SECONDS, SEED)
    assert {*promises.RCODES, "silence"} == set(tally.rcodes)
    assert tally.truncated
    assert tally.drawn


def test_a_broken_promise_is_shown_with_its_bytes_and_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; the same seed leads to the same bytes."""
    monkeypatch.setattr(promises, "respond", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seconds", "5", "--seed", "7"])
    told = []
    for _ in range(2):
        assert fuzz.main() == 1
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert told[0].startswith("seed 7: message 1 from ")
    assert "ZeroDivisionError" in told[0]
