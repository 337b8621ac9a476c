"""What `status` says of the WAN's wire: what hurts first, then what it cost already."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.report.status import wire_words

WELL: dict[str, Any] = {
    "alive": True, "mover": "compiled", "ended": 0, "last_end": "", "trouble": "", "overload": 0,
}  # fmt: skip
ENDED = "it ended 2 times, the last time by signal 9"


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (WELL, "moves packets (compiled)"),
        (WELL | {"mover": "plain Python"}, "moves packets (plain Python)"),
        (WELL | {"ended": 1, "last_end": "exit 1"},
         "moves packets (compiled); [yellow]it ended once, the last time by exit 1[/]"),
        (WELL | {"trouble": "is being started", "ended": 2, "last_end": "signal 9"},
         f"[red]is being started[/]; [yellow]{ENDED}[/]"),
        (WELL | {"overload": 12345},
         "moves packets (compiled); [yellow]overloaded: it dropped 12,345 packets[/]"),
        ({"alive": True}, "moves packets"),
        ({}, "[red]cannot be asked[/]"),
    ],
)  # fmt: skip
def test_the_wire_in_words(wire: dict[str, Any], said: str) -> None:
    assert wire_words(wire) == said
