"""The real server as a process, asked over real sockets, read with dnspython."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.events import Check, Event, Generation, Health
from tests.dns.endpoint import Endpoint, endpoint
from tests.dns.examples import EU_WEST, US_EAST, config_json, service_json
from tests.dns.messages import formerr_cases, mutate
from tests.dns.process import ADMIN_PORT, DEADLINE_S, PORT, Server, name_server, own_address

NEW_YORK, PARIS, STRANGER = "127.3.0.1", "127.4.0.1", "127.0.0.1"
INTERVAL_S = 0.25  # also the timeout: time enough for a good check on busy cores

# A wake-up of the server is late by some ms where other processes keep both cores busy; a slow
# check that shifted the schedule would shift it by SLOW_S, three times as much.
SCHEDULE_TOLERANCE_MS = 100
SLOW_S = 0.3


def service(us_east: Endpoint, eu_west: Endpoint, **changes: Any) -> dict[str, Any]:
    regions = {
        "us-east": {"address": US_EAST, "health": us_east.at},
        "eu-west": {"address": EU_WEST, "health": eu_west.at},
    }
    timing = {"interval_s": INTERVAL_S, "timeout_s": INTERVAL_S, "regions": regions}
    return service_json(**{**timing, **changes})


@pytest.fixture
def us_east() -> Iterator[Endpoint]:
    with endpoint() as serving:
        yield serving


@pytest.fixture
def eu_west() -> Iterator[Endpoint]:
    with endpoint() as serving:
        yield serving


@pytest.fixture
def server(tmp_path: Path, us_east: Endpoint, eu_west: Endpoint) -> Iterator[Server]:
    """Both regions good, generation 1 live."""
    with name_server(tmp_path, service(us_east, eu_west), address=own_address(1)) as running:
        running.wait_for(is_generation)
        yield running


def is_generation(event: Event) -> bool:
    return isinstance(event, Generation)


def wait_for_up(server: Server, *up: str) -> Generation:
    """The generation whose regions UP are exactly these."""
    event = server.wait_for(lambda event: isinstance(event, Generation) and event.up == list(up))
    assert isinstance(event, Generation)
    return event


def test_ready_server_answers_each_site_with_its_nearest_region(server: Server) -> None:
    """By the source address of the query; to a stranger all are equally far: the first by name."""
    assert server.addresses(NEW_YORK) == [US_EAST]
    assert server.addresses(PARIS) == [EU_WEST]
    assert server.addresses(STRANGER) == [EU_WEST]


def test_answers_fail_over_and_come_back_with_the_generation(
    server: Server, us_east: Endpoint
) -> None:
    """DOWN after `fall` bad checks, UP after `rise` good ones; the serial rises each time."""
    serials = [server.ask("shop.test", qtype="SOA").answer[0][0].serial]
    us_east.mode = "bad"
    wait_for_up(server, "eu-west")
    assert server.addresses(NEW_YORK) == [EU_WEST]
    serials.append(server.ask("shop.test", qtype="SOA").answer[0][0].serial)
    assert results_before(server, "DOWN") == [True, False, False, False]
    us_east.mode = "good"
    wait_for_up(server, "us-east", "eu-west")
    assert server.addresses(NEW_YORK) == [US_EAST]
    serials.append(server.ask("shop.test", qtype="SOA").answer[0][0].serial)
    assert results_before(server, "UP")[-3:] == [False, True, True]
    assert serials == sorted(set(serials))


def results_before(server: Server, state: str) -> list[bool]:
    """The last four check results of us-east up to its newest change to `state`."""
    told = [e for e in server.events if isinstance(e, Check | Health) and e.region == "us-east"]
    newest = max(n for n, e in enumerate(told) if isinstance(e, Health) and e.state == state)
    return [event.ok for event in told[:newest] if isinstance(event, Check)][-4:]


def test_all_regions_down_are_all_named(
    server: Server, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """Refused and silent regions alike; never an empty answer."""
    us_east.refuse()
    eu_west.mode = "silent"
    wait_for_up(server)
    assert server.addresses(PARIS) == [US_EAST, EU_WEST]
    reasons = {e.region: e.reason for e in server.events if isinstance(e, Health)}
    assert reasons["us-east"] == "3 failed checks in a row, the last: refused"
    assert reasons["eu-west"].endswith("the last: timed out waiting for the answer")


def test_first_check_decides_the_initial_state(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """A region that is bad when the server starts is DOWN in generation 1, whatever `fall`."""
    us_east.mode = "bad"
    changed = service(us_east, eu_west, fall=9)
    with name_server(tmp_path, changed, address=own_address(2)) as server:
        first = server.wait_for(is_generation)
        assert server.addresses(NEW_YORK) == [EU_WEST]
    assert isinstance(first, Generation)
    assert (first.number, first.up, first.down) == (1, ["eu-west"], ["us-east"])


def test_answers_before_the_first_result_name_the_nearest_region(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """Nothing is known yet: as if all were UP. Generation 1 comes with the last first check."""
    us_east.mode = "silent"
    slow = service(us_east, eu_west, interval_s=1.5, timeout_s=1.5)
    with name_server(tmp_path, slow, address=own_address(3)) as server:
        server.wait_for(lambda e: isinstance(e, Health) and e.region == "eu-west")
        assert server.addresses(NEW_YORK) == [US_EAST]
        assert not any(map(is_generation, server.events))
        wait_for_up(server, "eu-west")


def test_a_slow_check_does_not_shift_the_next(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """Check n starts at start + n * interval, though every check lasts its whole timeout."""
    us_east.mode = "silent"
    slow = service(us_east, eu_west, interval_s=SLOW_S, timeout_s=SLOW_S)
    starts: dict[str, list[int]] = {"us-east": [], "eu-west": []}

    def sixth(event: Event) -> bool:
        if isinstance(event, Check):
            starts[event.region].append(event.t)
        return len(starts["us-east"]) == 6

    with name_server(tmp_path, slow, address=own_address(4)) as server:
        server.wait_for(sixth)
    for region in starts.values():
        late_ms = [(t - region[0]) / NS_PER_MS - n * SLOW_S * 1000 for n, t in enumerate(region)]
        assert max(map(abs, late_ms)) < SCHEDULE_TOLERANCE_MS, late_ms


def test_state_command_repeats_the_live_generation(server: Server) -> None:
    """For those who attach late; nonsense on stdin is survived."""
    live = next(filter(is_generation, server.events))
    server.send("nonsense")
    server.send('{"op": "state"}')
    assert server.wait_for(is_generation) == live


def test_closed_stdin_is_fine(server: Server) -> None:
    """The server goes on checking and answering."""
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.wait_for(lambda event: isinstance(event, Check))
    server.wait_for(lambda event: isinstance(event, Check))
    assert server.addresses(NEW_YORK) == [US_EAST]


def framed(name: str) -> bytes:
    wire = dns.message.make_query(name, "A").to_wire()
    return struct.pack("!H", len(wire)) + wire


def test_several_queries_on_one_tcp_connection_are_answered_in_order(server: Server) -> None:
    """RFC 7766: pipelined, in pieces that do not respect message borders."""
    names = ["www.shop.test.", "nope.shop.test.", "ns1.shop.test.", "example.com."] * 5
    stream = b"".join(map(framed, names))
    with socket.create_connection((server.address, PORT), DEADLINE_S) as connection:
        for start in range(0, len(stream), 7):
            connection.sendall(stream[start : start + 7])
        answers = [dns.query.receive_tcp(connection)[0] for _ in names]
    assert [answer.question[0].name.to_text() for answer in answers] == names
    assert answers[1].rcode() == dns.rcode.NXDOMAIN


def test_idle_tcp_connection_is_closed(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """With half a query read: who holds connections open does not hold the server."""
    impatient = name_server(
        tmp_path, service(us_east, eu_west), address=own_address(9), tcp_idle_s=0.2
    )
    with impatient as server:
        server.wait_for(is_generation)
        with socket.create_connection((server.address, PORT), DEADLINE_S) as connection:
            connection.sendall(framed("www.shop.test") + b"\x00")
            dns.query.receive_tcp(connection)
            assert connection.recv(1) == b""


def test_truncated_answer_is_whole_over_tcp(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """A resolver that sees TC asks again over TCP and gets everything."""
    us_east.refuse()
    regions = {f"r{n}": {"address": f"198.18.{n}.1", "health": us_east.at} for n in range(40)}
    many = service(us_east, eu_west, regions=regions)
    with name_server(tmp_path, many, address=own_address(5)) as server:
        server.wait_for(is_generation)
        query = dns.message.make_query("www.shop.test", "A")
        short = dns.query.udp(query, server.address, DEADLINE_S, PORT)
        assert short.flags & dns.flags.TC
        assert short.question == query.question
        whole, over_tcp = dns.query.udp_with_fallback(query, server.address, DEADLINE_S, PORT)
    assert over_tcp
    assert len(whole.answer[0]) == 40


def test_server_survives_thousands_of_mutated_packets(server: Server) -> None:
    """3000 seeded mutations over UDP and some over TCP; then it answers as before."""
    dice = random.Random(1035)
    seeds = [framed("www.shop.test")[2:], *formerr_cases().values()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for count in range(3000):
            sender.sendto(mutate(dice.choice(seeds), dice), (server.address, PORT))
            if count % 100 == 0:  # so that the socket's buffer never overflows unread
                assert server.addresses(NEW_YORK) == [US_EAST]
    for _ in range(100):
        with socket.create_connection((server.address, PORT), DEADLINE_S) as connection:
            connection.sendall(mutate(framed("www.shop.test"), dice))
    assert server.addresses(NEW_YORK) == [US_EAST]
    assert server.process.poll() is None
    server.process.kill()
    assert server.process.stderr is not None
    assert b"Traceback" not in server.process.stderr.read()


def test_two_addresses_answer_each_with_its_own(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """An answer comes from the address that was asked, or resolvers drop it."""
    both = [own_address(6), own_address(7)]
    with name_server(tmp_path, service(us_east, eu_west), address=both[0], listen=both) as server:
        server.wait_for(is_generation)
        for address in both:
            query = dns.message.make_query("www.shop.test", "A")
            dns.query.udp(query, address, DEADLINE_S, PORT)  # checks the answer's source
            dns.query.tcp(query, address, DEADLINE_S, PORT)


def test_both_families_are_answered_by_one_server(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """Over UDP and TCP; an IPv6 resolver's site is known by its prefix as well."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]
    paris = {
        "name": "paris",
        "prefixes": ["::1/128"],
        "rtt_ms": {"us-east": 79.0, "eu-west": 7.0},
        "distance_km": {"us-east": 6200, "eu-west": 780},
    }
    here = own_address(10)
    with name_server(
        tmp_path, service(us_east, eu_west), address=here, listen=["::1", here], port=port,
        sites=[paris],
    ) as server:  # fmt: skip
        server.wait_for(is_generation)
        query = dns.message.make_query("www.shop.test", "A")
        for address in ("::1", here):
            dns.query.udp(query, address, DEADLINE_S, port)
            answer = dns.query.tcp(query, address, DEADLINE_S, port).answer
            assert [record.to_text() for record in answer[0]] == [EU_WEST]


def checks_of(server: Server, region: str, count: int) -> list[Check]:
    """The next checks of a region."""

    def is_wanted(event: Event) -> bool:
        return isinstance(event, Check) and event.region == region

    found = [server.wait_for(is_wanted) for _ in range(count)]
    return [event for event in found if isinstance(event, Check)]


@pytest.mark.parametrize("share", [0.2, 0.45, 0.9])
def test_the_phase_of_the_checks_can_be_placed(server: Server, share: float) -> None:
    """From then on a check of that region begins at the instant that was named, give or take whole
    intervals; none comes in a burst and none is missed."""
    (last,) = checks_of(server, "eu-west", 1)
    wanted = last.t + round((1000 + share) * INTERVAL_S * NS_PER_S)
    server.send(json.dumps({"op": "phase", "t": wanted, "region": "eu-west"}))
    later = checks_of(server, "eu-west", 4)
    gaps_s = [(b.t - a.t) / NS_PER_S for a, b in pairwise([last, *later])]
    slack_s = SCHEDULE_TOLERANCE_MS / 1000
    assert all(0.5 * INTERVAL_S - slack_s < gap < 1.5 * INTERVAL_S + slack_s for gap in gaps_s)
    after_s = (later[-1].t - wanted) / NS_PER_S % INTERVAL_S
    assert after_s < slack_s or after_s > INTERVAL_S - 0.002


@pytest.mark.parametrize("line", ['{"op": "dance"}', '{"op": "phase"}', "3", "nonsense",
                                  '{"op": "phase", "t": 1, "region": "atlantis"}'])  # fmt: skip
def test_nonsense_on_standard_input_ends_nothing(server: Server, line: str) -> None:
    """It is logged, and the checks go on."""
    server.send(line)
    assert checks_of(server, "us-east", 2)[-1].ok
    server.process.kill()
    assert server.process.stderr is not None
    assert b"is no command" in server.process.stderr.read()


def start_and_end(config: Path) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "emulator.node.dns", str(config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_an_address_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One line, exit code 4: the host is not wired."""
    path = tmp_path / "dns.json"
    path.write_text(json.dumps(config_json(listen=["192.0.2.53"], port=PORT)))
    code, said = start_and_end(path)
    assert code == 4
    assert said.startswith("cannot listen on 192.0.2.53 port 5300/udp: Cannot assign")
    assert "Traceback" not in said


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    """One line, exit code 2."""
    path = tmp_path / "dns.json"
    path.write_text("{}")
    code, said = start_and_end(path)
    assert (code, said) == (2, f"the configuration {path} lacks 'server'\n")


def test_events_go_to_stdout_where_no_pipe_is_named(
    tmp_path: Path, us_east: Endpoint, eu_west: Endpoint
) -> None:
    """So that the server can be run by hand."""
    path = tmp_path / "dns.json"
    here = own_address(8)
    at = {"listen": [here], "port": PORT, "admin": [here, ADMIN_PORT]}
    config = config_json(service(us_east, eu_west), **at)
    path.write_text(json.dumps(config))
    with subprocess.Popen(
        [sys.executable, "-m", "emulator.node.dns", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "NETEMU_EVENTS"},
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "check"
        process.kill()
