"""Logs of several hosts at once, and the words that name them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from emulator.cli.logs import named_sources
from emulator.controller.logs import LogReader, Source, Written
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.topology.parse import load_topology
from tests.cli import TWO_REGION

EDGE, RESOLVER = Source("us-east/edge", "haproxy"), Source("paris/access", "unbound")


class Wan:
    """Answers as it is told, and remembers from where it was asked."""

    def __init__(self, *answers: dict[str, dict[str, Any]]) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, dict[str, int]]] = []

    def hosts(self, requests: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
        self.asked.append({host: arguments["at"] for host, (_, arguments) in requests.items()})
        return self._answers.pop(0)


def told(text: str, end: int) -> dict[str, Any]:
    return {"text": text, "end": end}


def test_each_look_goes_on_where_the_last_one_ended():
    """Of every daemon by itself; the first look begins at the end of what there is."""
    wan = Wan(
        {"us-east/edge": {"haproxy": told("a\nb\n", 4)}, "paris/access": {"unbound": told("", 9)}},
        {"us-east/edge": {"haproxy": told("", 4)}, "paris/access": {"unbound": told("c\n", 11)}},
    )
    lab: Any = SimpleNamespace(wan=wan)
    reader = LogReader(lab, [EDGE, RESOLVER])
    assert list(reader.new()) == [Written(EDGE, "a"), Written(EDGE, "b")]
    assert list(reader.new()) == [Written(RESOLVER, "c")]
    assert wan.asked == [
        {"us-east/edge": {"haproxy": -1}, "paris/access": {"unbound": -1}},
        {"us-east/edge": {"haproxy": 4}, "paris/access": {"unbound": 9}},
    ]


def test_a_host_that_falls_silent_is_told_once():
    """And once more when it answers; the others go on meanwhile."""
    here = {"us-east/edge": {"haproxy": told("a\n", 2)}}
    silent, failed = {"us-east/edge": {"silent": True}}, {"us-east/edge": {"error": "no power"}}
    lab: Any = SimpleNamespace(wan=Wan(here, silent, failed, here))
    reader = LogReader(lab, [EDGE])
    seen = [[written.line for written in reader.new()] for _ in range(4)]
    assert seen == [["a"], ["does not answer"], [], ["answers again", "a"]]


@pytest.fixture(scope="module")
def lab() -> Any:
    return SimpleNamespace(name="here", plan=make_plan(load_topology(TWO_REGION), "here"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("us-east/edge haproxy", [EDGE]),
        ("paris/access", [RESOLVER]),
        ("us-east/edge haproxy paris unbound", [EDGE, RESOLVER]),
        ("us-east haproxy", [EDGE]),
    ],
)
def test_words_name_hosts_and_daemons(lab, words, expected):
    """A daemon belongs to what was named before it."""
    assert named_sources(lab, words.split()) == expected


def test_a_site_is_all_of_its_hosts_and_nothing_is_everything(lab):
    """In the plan's order."""
    hosts = [source.host for source in named_sources(lab, ["us-east"])]
    assert list(dict.fromkeys(hosts)) == ["us-east/edge", "us-east/www-1", "us-east/www-2"]
    everything = {source.host for source in named_sources(lab, [])}
    assert everything == {host.name for host in lab.plan.hosts if host.daemons}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("us-eats", "did you mean us-east"),
        ("us-east/edge nosuch", "nosuch is no host, and no daemon of us-east/edge, which runs"),
        ("wan", "the WAN has no daemons"),
    ],
)
def test_what_is_not_there_is_refused(lab, words, complaint):
    """With what there is."""
    with pytest.raises(UsageError, match=complaint):
        named_sources(lab, words.split())
