"""`netemu proxy` on a real lab: this machine's curl sees the service from a city."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading

import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.traffic import stop_traffic
from emulator.errors import Exit
from emulator.harness.network import NetworkVerbs
from tests.capture import RST, wait_until
from tests.cli import Running, netemu
from tests.curl import curl
from tests.docker.lab import EU_WEST, HOME, US_EAST, World

pytestmark = pytest.mark.docker

URL = "http://www.shop.test/"
PARIS_CLIENT = "10.4.0.2"


@pytest.fixture
def calm(world: World) -> World:
    """No load of our own."""
    world.calm()
    stop_traffic(world.lab)
    return world


def region(answer: str) -> str:
    """Which region's page it is."""
    return str(json.loads(answer)["region"])


@pytest.mark.parametrize("city", ["new-york", "paris"])
def test_a_command_sees_the_service_from_its_city(calm, city):
    """The name is looked up there, and leads to the region that is nearest to there."""
    said = netemu("proxy", city, "--lab", calm.lab.name, "--", "curl", "-sS", URL)
    assert said.code == Exit.PASSED, said.err
    assert region(said.out) == HOME[city]


def test_the_wire_sees_the_citys_client_and_nobody_else(calm):
    """Who opens the connection on the WAN, whichever way it was asked for."""
    with NetworkVerbs(calm.lab).proxy("paris") as opened, calm.capture("paris") as here:
        for scheme in ("http", "socks5h"):
            assert region(curl("-x", f"{scheme}://{opened.address}", URL).stdout) == "eu-west"
        wait_until(lambda: sum(p.is_syn for p in here.packets) >= 2, "two SYN of paris")
        opens = [(p.src, p.dst) for p in here.catch_up() if p.is_syn]
    assert opens == [(PARIS_CLIENT, EU_WEST)] * 2


def test_the_exit_code_is_the_commands(calm):
    """Also of one that is not there."""
    lab = calm.lab.name
    assert netemu("proxy", "paris", "--lab", lab, "--", "sh", "-c", "exit 7").code == 7
    missing = netemu("proxy", "paris", "--lab", lab, "--", "no-such-program")
    assert (missing.code, "cannot run no-such-program" in missing.err) == (Exit.USAGE, True)


def test_by_hand_it_says_where_names_lead_and_when_that_changes(calm):
    """From its first line to Ctrl-C, over the loss of a region."""
    running = Running("proxy", "paris", "--lab", calm.lab.name)
    running.until("Ctrl-C ends it")
    address = re.findall(r"127\.0\.0\.1:\d+", running.said[-1])[0]
    assert region(curl("-x", f"http://{address}", URL).stdout) == "eu-west"
    running.until(f"www.shop.test:80 is eu-west ({EU_WEST})")
    inject(calm.lab, ["eu-west"], "crash")
    answers = []

    def moved() -> bool:
        answers.append(curl("-x", f"http://{address}", URL).stdout)
        return "us-east" in answers[-1]

    wait_until(moved, "paris is served by us-east")
    heal(calm.lab, ["eu-west"])
    assert any("connection refused" in answer for answer in answers)
    running.until("www.shop.test:80: connection refused")
    running.until(f"www.shop.test:80 is us-east ({US_EAST}); before: connection refused")
    running.send(signal.SIGINT)
    said = running.end()
    assert (said.code, "Traceback" in said.out) == (Exit.INTERRUPTED, False), said.out
    port = int(address.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_json_lines_for_scripts(calm):
    """The first says where it listens, each other one is a connection."""
    running = Running("proxy", "new-york", "--json", "--lab", calm.lab.name)
    running.until('"proxy"')
    first = json.loads(running.said[0])
    assert (first["lab"], first["host"]) == (calm.lab.name, "new-york/client")
    curl("-x", f"socks5h://{first['proxy']}", URL)
    running.until('"ms"')
    told = json.loads(running.said[-1])
    assert (told["name"], told["port"], told["address"]) == ("www.shop.test", 80, US_EAST)
    running.send(signal.SIGTERM)
    assert running.end().code == Exit.TERMINATED


def test_an_end_is_what_the_wire_says_it_is(calm):
    """A region's daemons die; the client here sees FIN or RST, whichever came there first."""
    with NetworkVerbs(calm.lab).proxy("new-york") as opened, calm.capture("new-york") as there:
        host, port = opened.address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as held:
            held.sendall(f"CONNECT {US_EAST}:7 HTTP/1.1\r\n\r\n".encode())
            assert held.recv(100).startswith(b"HTTP/1.1 200 ")
            held.sendall(b"hello")
            assert held.recv(5) == b"hello"
            inject(calm.lab, ["us-east"], "crash")
            try:
                was_reset = held.recv(1) != b""
            except ConnectionResetError:
                was_reset = True
        heal(calm.lab, ["us-east"])
        first = there.until(lambda p: p.is_farewell and p.src == US_EAST and p.sport == 7)
    assert was_reset == first.has(RST)


def test_five_hundred_connections_at_once(calm):
    """Open and answering, all of them at the same time."""
    with NetworkVerbs(calm.lab).proxy("paris") as opened:
        host, port = opened.address.split(":")
        gate = threading.Barrier(500)
        answers: list[bytes] = []

        def hold() -> None:
            with socket.create_connection((host, int(port)), timeout=60) as sock:
                sock.sendall(f"CONNECT {EU_WEST}:7 HTTP/1.1\r\n\r\n".encode())
                granted = sock.recv(100)
                gate.wait(60)
                sock.sendall(b"ping")
                answers.append(granted[:12] + sock.recv(4))

        threads = [threading.Thread(target=hold) for _ in range(500)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [b"HTTP/1.1 200ping"] * 500


def test_what_cannot_be_is_said_at_once(calm):
    """A name that is not there, a WAN, a host without power."""
    lab = calm.lab.name
    unknown = netemu("proxy", "pariss", "--lab", lab)
    assert (unknown.code, "did you mean paris" in unknown.err) == (Exit.USAGE, True), unknown
    assert netemu("proxy", "wan", "--lab", lab).code == Exit.USAGE
    inject(calm.lab, ["us-east/www-1"], "power")
    dead = netemu("proxy", "us-east/www-1", "--lab", lab)
    heal(calm.lab, ["us-east/www-1"])
    assert (dead.code, "has no power" in dead.err) == (Exit.ENVIRONMENT, True), dead


def test_the_lab_stays_closed(calm):
    """Nothing of this machine can be reached by it: addresses are the lab's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with NetworkVerbs(calm.lab).proxy("paris") as opened:
            done = curl("-x", f"http://{opened.address}", f"http://127.0.0.1:{port}/")
    assert "connection refused" in done.stdout
