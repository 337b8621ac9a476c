"""How large answers may be, and what is left out of those that do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dns.rcode
import pytest

from emulator.node.dns.authority import Authority
from emulator.node.dns.records import Name, encode_records
from tests.dns.examples import authority, service_json
from tests.dns.messages import STATE, addresses, answer_to, ask, flags_of, option, query


def many_regions(count: int) -> Authority:
    regions = {
        f"r{n}": {"address": f"198.18.{n}.1", "health": [f"198.18.{n}.254", 9001]}
        for n in range(count)
    }
    return authority(service_json(regions=regions), down=tuple(regions))


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"use_edns": False}, 512),
        ({"use_edns": 0, "payload": 0}, 512),
        ({"use_edns": 0, "payload": 100}, 512),
        ({"use_edns": 0, "payload": 700}, 700),
        ({"use_edns": 0, "payload": 4096}, 1232),
    ],
    ids=["plain", "0", "100", "700", "4096"],
)
def test_answers_over_the_limit_are_truncated_with_their_question(
    options: dict[str, Any], limit: int
) -> None:
    """The asker's size, at least 512 and at most 1232; 16 bytes a region fill it exactly."""
    overhead = len(answer_to(query(**options)).data) - 16
    fits = (limit - overhead) // 16
    whole = ask(query(**options), many_regions(fits))
    assert len(addresses(whole)) == fits
    assert "TC" not in flags_of(whole)
    answer = ask(query(**options), many_regions(fits + 1))
    assert {"TC", "AA"} <= flags_of(answer)
    assert (len(answer.question), answer.answer) == (1, [])
    assert answer.edns == whole.edns


def test_a_truncated_answer_keeps_its_edns_options() -> None:
    """The room that OPT takes is taken from the answer (RFC 6891, 7)."""
    data = query(use_edns=0, payload=512, options=[option(3, b""), option(10, b"8 bytes.")])
    answered = answer_to(data, many_regions(40))
    assert answered.facts.is_truncated
    assert len(answered.data) <= 512
    answer = ask(data, many_regions(40))
    assert {item.otype for item in answer.options} == {3, 10}


def test_tcp_answers_are_never_cut() -> None:
    """What TC promised is there over TCP."""
    assert len(addresses(ask(query(), many_regions(200), transport="tcp"))) == 200


def test_glue_is_left_out_before_anything_is_truncated() -> None:
    """Additional records are a courtesy: no TC for their sake (RFC 2181, 9)."""
    servers: dict[Name, tuple[str, ...]] = {
        (b"ns%d" % n, b"shop", b"test"): (f"198.18.{n}.53",) for n in range(20)
    }
    state = replace(STATE, zone=replace(STATE.zone, name_servers=servers))
    answer = ask(query("shop.test", "NS", use_edns=False), state)
    assert len(addresses(answer)) == 20
    assert not answer.additional
    assert "TC" not in flags_of(answer)


def test_ten_thousand_names_over_a_hundred_regions_share_their_bytes() -> None:
    """What is kept of encoded records grows with the different answers, not with the names."""
    regions = {
        f"r{n}": {"address": f"198.18.{n}.1", "health": ["192.0.2.1", 9001]} for n in range(100)
    }
    fqdns = [f"n{n}.shop.test" for n in range(10_000)]
    state = authority(service_json(fqdns=fqdns, regions=regions))
    assert len(state.zone.names) == 10_000 + 3  # the apex and two name servers
    encode_records.cache_clear()
    for name in fqdns[::500]:
        assert addresses(ask(query(name), state)) == ["198.18.0.1"]
        assert ask(query(f"x.{name}"), state).rcode() == dns.rcode.NXDOMAIN
    assert encode_records.cache_info().currsize < 10
