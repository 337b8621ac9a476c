"""The pages beside the answers, and that orders are followed and shown at once."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import dns.message
import dns.query
import pytest

from emulator.clock import NS_PER_S
from emulator.events import Forced, Generation
from emulator.node.dns.admin import respond_to
from emulator.steering import Explanation
from tests.dns.endpoint import endpoint
from tests.dns.examples import EU_WEST, US_EAST
from tests.dns.process import ADMIN_PORT, DEADLINE_S, PORT, Server, name_server, own_address
from tests.dns.test_metrics import Samples, read, value
from tests.dns.test_server import NEW_YORK, PARIS, service


def page(fields: Mapping[str, str]) -> bytes:
    if fields.get("number") == "many":
        raise ValueError("many is no number")
    return fields["name"].encode()


PAGES = {"/hello": ("text/plain", page)}


@pytest.mark.parametrize(
    ("request_line", "status", "said"),
    [
        ("GET /hello?name=ns1 HTTP/1.1", "200 OK", b"ns1"),
        ("GET /hello?name=a%2Fb HTTP/1.0", "200 OK", b"a/b"),
        ("GET /hello HTTP/1.1", "400 Bad Request", b"/hello needs name=\n"),
        ("GET /hello?name=x&number=many HTTP/1.1", "400 Bad Request", b"many is no number\n"),
        ("GET /bye HTTP/1.1", "404 Not Found", b"there are /hello\n"),
        ("POST /hello?name=ns1 HTTP/1.1", "405 Method Not Allowed", b"there is GET only\n"),
        ("hello", "400 Bad Request", b"this is no HTTP request\n"),
        ("GET //[ HTTP/1.1", "404 Not Found", b"there are /hello\n"),
        ("\xff\xfe\x00", "400 Bad Request", b"this is no HTTP request\n"),
    ],
)
def test_what_is_wrong_is_said(request_line: str, status: str, said: bytes) -> None:
    """In words, with the status that fits."""
    answer = respond_to(request_line.encode("latin-1") + b"\r\n\r\n", PAGES)
    assert (answer.status, answer.body) == (status, said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both regions good, generation 1 live."""
    directory: Path = tmp_path_factory.mktemp("admin")
    with endpoint() as us_east, endpoint() as eu_west:
        www = service(us_east, eu_west)
        address = own_address(20)
        with name_server(directory, www, address=address) as running:
            running.wait_for(lambda event: isinstance(event, Generation))
            yield running


def get(server: Server, path: str) -> tuple[int, str]:
    asking = http.client.HTTPConnection(server.address, ADMIN_PORT, timeout=DEADLINE_S)
    asking.request("GET", path)
    answer = asking.getresponse()
    said = answer.read().decode()
    asking.close()
    return answer.status, said


def metrics(server: Server) -> Samples:
    return read(get(server, "/metrics")[1])


def count(found: Samples, transport: str) -> float:
    return value(found, "queries_total", transport=transport, qtype="A", rcode="NOERROR") or 0


def force(server: Server, region: str, state: str, until: int | None = None) -> Forced:
    order = {"op": "force", "region": region, "service": None, "state": state, "until": until}
    server.send(json.dumps(order))
    told = server.wait_for(lambda event: isinstance(event, Forced))
    assert isinstance(told, Forced)
    return told


def test_every_answer_is_in_the_metrics(server: Server) -> None:
    """Over UDP, looked up or made, and over TCP; the process's own memory beside them."""
    before = metrics(server)
    for _ in range(20):
        server.addresses(PARIS)
    query = dns.message.make_query("www.shop.test", "A")
    dns.query.tcp(query, server.address, DEADLINE_S, PORT)
    found = metrics(server)
    assert count(found, "udp") - count(before, "udp") == 20
    assert count(found, "tcp") - count(before, "tcp") == 1
    given = value(found, "answers_total", service="www", region="eu-west") or 0
    assert given - (value(before, "answers_total", service="www", region="eu-west") or 0) >= 20
    assert value(found, "checks_total", service="www", region="us-east", result="good", checker="")
    assert found["process_resident_memory_bytes", frozenset()] < 60e6


def test_an_order_is_followed_by_the_next_answer(server: Server) -> None:
    """Also by those that were kept; it is shown beside what the checks say, and its end too."""
    assert server.addresses(NEW_YORK) == [US_EAST]
    told = force(server, "us-east", "down")
    assert (told.state, told.region) == ("down", "us-east")
    assert server.addresses(NEW_YORK) == [EU_WEST]
    held = json.loads(get(server, "/state")[1])["services"]["www"]["regions"]["us-east"]
    assert (held["health"], held["forced"]) == ("UP", "down")
    forced = {"service": "www", "region": "us-east", "state": "down"}
    assert value(metrics(server), "region_forced", **forced) == 1
    force(server, "us-east", "auto")
    assert server.addresses(NEW_YORK) == [US_EAST]
    assert value(metrics(server), "region_forced", **forced) is None


def test_a_forced_state_ends_by_itself(server: Server) -> None:
    """When its time has come, with no query, check or order to remind the server."""
    last = next(e for e in reversed(server.events) if isinstance(e, Generation))
    told = force(server, "us-east", "drain", last.t + 3600 * NS_PER_S)
    assert server.addresses(NEW_YORK) == [EU_WEST]
    force(server, "us-east", "drain", told.t + NS_PER_S // 2)
    ended = server.wait_for(lambda e: isinstance(e, Forced) and e.state == "auto")
    assert isinstance(ended, Forced)
    assert ended.reason == "expired"
    assert 0 <= ended.t - told.t - NS_PER_S // 2 < NS_PER_S // 10
    assert server.addresses(NEW_YORK) == [US_EAST]


def test_answers_are_explained(server: Server) -> None:
    """For whoever asks, or for the network that a resolver would tell of."""
    status, said = get(server, f"/explain?name=www.shop.test&source={PARIS}")
    why = Explanation.from_json(json.loads(said))
    assert (status, why.site, why.regions, why.addresses) == (
        200, "paris", ("eu-west",), (EU_WEST,)
    )  # fmt: skip
    query = f"/explain?name=www.shop.test&source={PARIS}&subnet=127.3.0.0/24"
    why = Explanation.from_json(json.loads(get(server, query)[1]))
    assert (why.site, why.regions) == ("new-york", ("us-east",))


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/explain", 400, "/explain needs name="),
        ("/explain?name=nope.shop.test&source=10.4.0.1", 400, "there are www.shop.test"),
        ("/explain?name=www.shop.test&source=paris", 400, "paris"),
        ("/", 404, "/metrics, /state, /explain"),
    ],
)
def test_a_page_that_is_not_there_says_what_is(
    server: Server, path: str, status: int, said: str
) -> None:
    """A person at a shell finds the way."""
    told = get(server, path)
    assert told[0] == status
    assert said in told[1]


def test_who_asks_nothing_is_not_waited_for(server: Server) -> None:
    """A connection that says nothing, or too much, costs the others nothing."""
    here = (server.address, ADMIN_PORT)
    with socket.create_connection(here) as silent, socket.create_connection(here) as loud:
        silent.send(b"GET /met")
        loud.settimeout(DEADLINE_S)
        try:
            loud.sendall(b"x" * 100_000)
            assert loud.recv(1) == b""
        except ConnectionError:
            pass
        assert get(server, "/state")[0] == 200


def test_draws_begin_anew_with_a_seed(tmp_path: Path) -> None:
    """The same seed gives the same sequence of answers."""
    with endpoint() as us_east, endpoint() as eu_west:
        weights = {"kind": "weighted", "members": ["us-east", "eu-west"], "weights": [1, 1]}
        www = service(us_east, eu_west, policy=weights)
        with name_server(tmp_path, www, address=own_address(21)) as server:
            server.wait_for(lambda event: isinstance(event, Generation))
            sequences = []
            for seed in (7, 7, 8):
                server.send(json.dumps({"op": "seed", "seed": seed}))
                server.send('{"op": "state"}')
                server.wait_for(lambda event: isinstance(event, Generation))
                sequences.append([server.addresses() for _ in range(20)])
    assert sequences[0] == sequences[1] != sequences[2]
