"""A region's verdict: votes with an age, and how long DOWN lasts at least. Checks are 1 s apart."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.clock import NS_PER_S
from emulator.node.dns.config import Service
from emulator.node.dns.quorum import RegionHealth
from emulator.node.dns.values import Checked
from tests.dns.examples import service_json

VANTAGES = ("paris", "ns1", "us-west")
FRESH_S = 3  # two intervals and a timeout, of 1 s each


class Watched:
    """One region's health at a clock in whole seconds, and every verdict it went through."""

    def __init__(self, **changes: Any) -> None:
        self.health = RegionHealth.of(Service.from_json(service_json(**changes)))
        self.second = 100

    def hear(self, checker: str, sign: str) -> None:
        checked = Checked(self.now_ns - 5, self.now_ns, sign == "+", "said so")
        self.health = self.health.after(checker, checked, self.now_ns)

    def hear_all(self, signs: str) -> str:
        """A second on, one check of every vantage, in their order; `.` is one not heard."""
        self.wait(1)
        for checker, sign in zip(VANTAGES, signs, strict=True):
            if sign != ".":
                self.hear(checker, sign)
        return self.health.state

    def check(self, signs: str) -> str:
        """A check of the server's own every second; the state after each, as its first letter."""
        seen = ""
        for sign in signs:
            self.wait(1)
            self.hear("", sign)
            seen += self.health.state[0]
        return seen

    def wait(self, seconds: int) -> None:
        """The clock moves; whatever is due by then happens at its time."""
        until = self.second + seconds
        while (due := self.health.due_ns(self.now_ns)) is not None and due <= until * NS_PER_S:
            self.second = due // NS_PER_S
            self.health = self.health.at(self.now_ns)
        self.second = until

    @property
    def now_ns(self) -> int:
        return self.second * NS_PER_S


def voted(**changes: Any) -> Watched:
    """fall 1, rise 1: an opinion is the latest check."""
    return Watched(**{"checkers": list(VANTAGES), "fall": 1, "rise": 1, **changes})


def test_own_checks_are_the_only_vote() -> None:
    """No quorum and no age: exactly the thresholds."""
    region = Watched(quorum=0.9)
    assert region.check("+--+---+++") == "UUUUUUDDUU"
    assert region.health.due_ns(region.now_ns) is None
    assert region.health.flaps == 2


def test_up_while_more_than_the_quorum_says_so() -> None:
    """More than half of three are two."""
    region = voted()
    assert [region.hear_all(s) for s in ("+++", "-++", "--+", "+-+")] == ["UP", "UP", "DOWN", "UP"]


def test_the_quorum_itself_is_not_enough() -> None:
    """Half of two with a quorum of 50 % is DOWN."""
    region = voted(checkers=["paris", "ns1"])
    region.hear("paris", "+")
    region.hear("ns1", "-")
    assert region.health.state == "DOWN"


def test_route_53_needs_more_than_18_percent() -> None:
    """One of three is enough for its quorum."""
    region = voted(quorum=0.18)
    assert [region.hear_all(s) for s in ("+++", "--+", "---")] == ["UP", "UP", "DOWN"]


def test_the_reason_is_the_vote() -> None:
    """Who said what, in the words of a person."""
    region = voted()
    region.hear_all("+++")
    assert region.health.reason == "3 of 3 vantages say UP: paris, ns1, us-west"
    region.hear_all("--+")
    assert region.health.reason == "2 of 3 vantages say DOWN: paris, ns1; us-west says UP"


def test_no_verdict_before_every_vantage_was_heard() -> None:
    """The first to speak must not decide alone: it may be the one that is cut off."""
    region = voted()
    region.hear("paris", "-")
    region.hear("ns1", "+")
    early = region.health
    region.hear("us-west", "+")
    assert (early.state, region.health.state) == ("UNKNOWN", "UP")


def test_a_vantage_that_never_speaks_delays_the_first_verdict_only() -> None:
    """For as long as an opinion is fresh."""
    region = voted()
    states = [region.hear_all("++.") for _ in range(FRESH_S + 1)]
    assert states == ["UNKNOWN"] * FRESH_S + ["UP"]
    assert region.health.reason.endswith("vantages say UP: paris, ns1; not heard of late: us-west")


def test_stale_opinions_do_not_count() -> None:
    """A vantage that was cut off saying DOWN stops to matter after two intervals and a timeout."""
    region = voted(checkers=["paris", "ns1", "us-west"])
    region.hear_all("+--")
    assert region.health.state == "DOWN"
    assert [region.hear_all("+..") for _ in range(FRESH_S)] == ["DOWN", "DOWN", "UP"]
    assert region.health.reason == "1 of 1 vantages says UP: paris; not heard of late: ns1, us-west"


def test_staleness_alone_changes_the_verdict_on_time() -> None:
    """No report is needed for it: the clock is."""
    region = voted()
    region.hear_all("--+")
    region.hear_all("..+")
    region.hear_all("..+")
    region.wait(1)
    assert region.health.state == "UP"
    assert region.health.since_ns == 104 * NS_PER_S


def test_with_nobody_fresh_the_last_verdict_stays() -> None:
    """Silence is no evidence."""
    region = voted()
    region.hear_all("+++")
    region.wait(100)
    assert region.health.state == "UP"
    assert region.health.due_ns(region.now_ns) is None


def test_every_vantage_has_thresholds_of_its_own() -> None:
    """Three failures of three vantages in turn are nobody's fall."""
    region = voted(fall=2)
    assert {region.hear_all(signs) for signs in ("+++", "-++", "+-+", "++-", "-++")} == {"UP"}
    assert [region.hear_all("--+"), region.hear_all("--+")] == ["UP", "DOWN"]


@pytest.mark.parametrize(
    ("hold_s", "signs", "states"),
    [
        (0, "+---++++++", "UUUDDUUUUU"),
        (4, "+---++++++", "UUUDDDDUUU"),  # DOWN at 4, so UP at 8, as the rise was long complete
        (4, "+---++-++++", "UUUDDDDDUUU"),  # a bad check before the hold's end: two more good ones
        (4, "+---+++-++++", "UUUDDDDUUUUU"),  # one at the very end comes after it, against UP
        (4, "+-----++++", "UUUDDDDUUU"),  # the hold counts from the change, not the last failure
        (9, "-++++++", "DDUUUUU"),  # nobody saw it go down: the first verdict holds nothing
    ],
)
def test_hold_down(hold_s: int, signs: str, states: str) -> None:
    """rise 2. Counted from the verdict's change; good checks count meanwhile."""
    assert Watched(hold_down_s=hold_s).check(signs) == states


def test_the_hold_ends_by_the_clock() -> None:
    """Between two checks too: nobody waits for the next one."""
    region = Watched(hold_down_s=2.5)
    region.check("+---++")
    assert region.health.state == "DOWN"
    assert region.health.due_ns(region.now_ns) == round(106.5 * NS_PER_S)
    risen = region.health.at(round(106.5 * NS_PER_S))
    assert (risen.state, risen.since_ns) == ("UP", round(106.5 * NS_PER_S))
    assert risen.reason == ("2 good checks in a row, after a hold-down of 2.5 s, the last: said so")


def test_a_flapping_region_changes_less_with_hold_down() -> None:
    """Three bad, three good, for a minute: each change costs caches and connections."""
    flapping = "+" + "---+++" * 10
    without, held = Watched(), Watched(hold_down_s=30)
    without.check(flapping)
    held.check(flapping)
    assert without.health.flaps == 20
    assert held.health.flaps <= 4


def test_a_hold_holds_the_vote_whoever_grows_stale() -> None:
    """DOWN lasts at least so long, also if those who said it fall silent."""
    region = voted(hold_down_s=10)
    region.hear_all("+++")
    region.hear_all("--+")
    assert {region.hear_all("..+") for _ in range(9)} == {"DOWN"}
    assert region.hear_all("..+") == "UP"


def test_suspect_while_a_fresh_opinion_contradicts_up() -> None:
    """One vantage of three that fails: UP, but not well."""
    region = voted(fall=3)
    region.hear_all("+++")
    assert not region.health.is_suspect(region.now_ns)
    region.hear_all("+-+")
    assert region.health.is_suspect(region.now_ns)
    region.hear_all("+++")
    assert not region.health.is_suspect(region.now_ns)
