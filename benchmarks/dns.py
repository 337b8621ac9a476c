"""The name server beside dnslib's own and Knot DNS: answers a second, load, switch-over, memory.

One process of each kind in turn, asked by dnsperf on the same machine; ours with its health checks
running. Needs dnsperf and knotd (`compose/setup.sh bench`).
"""

from __future__ import annotations

import resource
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from benchmarks import dnsperf
from benchmarks.nameservers import (
    EU_WEST,
    INTERVAL_S,
    NAME,
    US_EAST,
    Health,
    Ours,
    ask,
    config_of,
    knot,
    latency_routed,
    ours,
    service,
    stock_dnslib,
    wait_until_answering,
)
from benchmarks.table import Line, Say, at_least, at_most, information
from emulator.clock import NS_PER_S
from emulator.errors import UsageError
from emulator.events import Check
from emulator.events import Health as Verdict

ROUNDS = 5
SECONDS = 4  # of each run of dnsperf
ANSWERS_PER_S, TIMES_DNSLIB, OF_KNOT = 100_000, 25.0, 0.5
HALF_LOAD_PER_S, P99_MS = 50_000, 2.0
NAMES, REGIONS, LOAD_S = 10_000, 100, 1.0
SWITCHES, SWITCH_MS = 20, 50.0
IDLE_CONNECTIONS, MEMORY_MB = 5000, 60.0
FLOOD_S = 15
# A check's timeout is a second as a rule: one that starts this much late decides nothing else.
# It is two turns of the loop at their longest, and what the kernel takes to share two cores among
# dnsperf, the server and this program.
CHECK_LATE_MS = 50.0


def measure(say: Say) -> list[Line]:
    """One server of ours throughout; Knot and dnslib's own while they are compared."""
    for program in ("dnsperf", "knotd"):
        if not shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"):
            raise UsageError(f"{program} is missing; install it: compose/setup.sh bench")
    with tempfile.TemporaryDirectory(prefix="netemu-dns-") as name:
        directory = Path(name)
        (directory / "one").write_text(f"{NAME} A\n")
        (directory / "random").write_text(_random_names())
        us_east, eu_west = Health(), Health()
        with ours(directory, latency_routed(directory, us_east, eu_west)) as server:
            server.wait_for_generation()
            lines = _compared(server, directory, say)
            lines += _switches(server, directory / "one", us_east, say)
            lines += _besieged(server, directory, say)
        lines += _loading(directory, say)
    return lines


def _random_names(count: int = 100_000) -> str:
    """Below a name that exists and elsewhere: none is asked twice in a long while."""
    draws = Random(53)
    return "".join(f"{draws.getrandbits(64):x}.shop.test A\n" for _ in range(count))


def _compared(server: Ours, directory: Path, say: Say) -> list[Line]:
    """Alternating, so that whatever else the machine does hits all three."""
    with ExitStack() as stack:
        ports = {
            "ours": server.port,
            "knot": stack.enter_context(knot(directory)),
            "dnslib": stack.enter_context(stock_dnslib()),
        }
        lines = _throughput(ports, directory / "one", say)
        del ports["dnslib"]  # half the load is more than it can take
        return lines + _half_load(ports, directory / "one", say)


def _throughput(ports: Mapping[str, int], queries: Path, say: Say) -> list[Line]:
    rates: dict[str, list[float]] = {kind: [] for kind in ports}
    lost = []
    for number in range(ROUNDS):
        for kind, port in ports.items():
            load = dnsperf.closed_loop(port, queries, SECONDS)
            rates[kind].append(load.per_s)
            if kind == "ours":
                lost.append(float(load.lost))
        told = ", ".join(f"{kind} {values[-1]:,.0f}/s" for kind, values in rates.items())
        say(f"round {number + 1}: {told}")
    mine, knots, stock = rates["ours"], rates["knot"], rates["dnslib"]
    return [
        at_least("name server: answers", mine, ANSWERS_PER_S, "/s"),
        at_most("  queries lost", lost, 0, ""),
        information("  Knot DNS beside it", knots, "/s"),
        at_least("  of Knot DNS's", [a / b for a, b in zip(mine, knots, strict=True)], OF_KNOT, ""),
        information("  stock dnslib beside it", stock, "/s"),
        at_least("  times stock dnslib's", [a / b for a, b in zip(mine, stock, strict=True)],
                 TIMES_DNSLIB, ""),
    ]  # fmt: skip


def _half_load(ports: Mapping[str, int], queries: Path, say: Say) -> list[Line]:
    loads: dict[str, list[dnsperf.Load]] = {kind: [] for kind in ports}
    for _ in range(ROUNDS):
        for kind, port in ports.items():
            loads[kind].append(dnsperf.steady(port, queries, SECONDS, HALF_LOAD_PER_S))
    mine, knots = loads["ours"], loads["knot"]
    say("at half the load: " + ", ".join(f"{load.per_s:,.0f}/s" for load in mine))
    return [
        at_most("  p99 at 50,000/s", [load.percentile_ms(99) for load in mine], P99_MS, "ms"),
        information("  p50", [load.percentile_ms(50) for load in mine], "ms"),
        at_most("  queries lost", [float(load.lost) for load in mine], 0, ""),
        information("  Knot DNS's p99 beside it", [load.percentile_ms(99) for load in knots], "ms"),
    ]


def _switches(server: Ours, queries: Path, us_east: Health, say: Say) -> list[Line]:
    """Under half the load: an order, and a verdict of the checks, until an answer follows it."""
    seconds = round(SWITCHES * INTERVAL_S * 4)
    busy = dnsperf.start(server.port, queries, seconds, "-Q", str(HALF_LOAD_PER_S))
    forced = []
    for number in range(SWITCHES):
        state, wanted = ("auto", US_EAST) if number % 2 else ("down", EU_WEST)
        began = time.monotonic_ns()
        server.send({"op": "force", "region": "us-east", "service": None, "state": state,
                     "until": None})  # fmt: skip
        forced.append((_first_answer(server.port, wanted) - began) / 1e6)
    checked = []
    for number in range(SWITCHES // 2):
        is_up = number % 2 == 1
        us_east.status = b"200 OK" if is_up else b"503 Unavailable"
        seen = _first_answer(server.port, US_EAST if is_up else EU_WEST)
        verdicts = [e.t for e in server.events() if isinstance(e, Verdict)]
        checked.append((seen - verdicts[-1]) / 1e6)
    us_east.status = b"200 OK"
    busy.kill()
    busy.wait()
    say(f"switched {len(forced)} times by order, {len(checked)} times by checks")
    return [
        at_most("  a forced state reaches answers", forced, SWITCH_MS, "ms"),
        at_most("  a verdict reaches answers", checked, SWITCH_MS, "ms"),
    ]


def _first_answer(port: int, address: str) -> int:
    """The instant (ns) at which the first answer with this address was read."""
    wanted = socket.inet_aton(address)
    while not ask(port).endswith(wanted):
        pass
    return time.monotonic_ns()


def _besieged(server: Ours, directory: Path, say: Say) -> list[Line]:
    """Thousands of idle TCP connections, and floods over UDP: of one name, and of names that are
    never asked twice, so that every answer must be made."""
    late, memory = {}, []
    with _idle_connections(server.port):
        memory.append(server.memory_mb())
        for kind, what in (("one", "one name"), ("random", "random names")):
            began = time.monotonic_ns()
            flood = dnsperf.start(server.port, directory / kind, FLOOD_S)
            flood.wait()
            memory.append(server.memory_mb())
            late[what] = lateness_ms(server.checks(began))
            say(f"{what}: {len(late[what])} checks, at most {max(late[what]):.1f} ms late")
        open_now = _established(server.port)
    return [
        *(
            at_most(f"  lateness of checks, flood of {what}", values, CHECK_LATE_MS, "ms")
            for what, values in late.items()
        ),
        at_least("  idle TCP connections held meanwhile", [open_now], IDLE_CONNECTIONS, ""),
        at_most("  memory with those", memory, MEMORY_MB, "MB"),
    ]


@contextmanager
def _idle_connections(port: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE_CONNECTIONS + 1000), hard))
    with ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield


def _established(port: int) -> float:
    """TCP connections of this machine's whose own end is this port (state 01)."""
    ends = (line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return float(sum(own.endswith(f":{port:04X}") and state == "01" for own, _, state in ends))


def lateness_ms(checks: list[Check]) -> list[float]:
    """How much later than the earliest of its schedule each check started, less whole intervals."""
    late = []
    interval = INTERVAL_S * NS_PER_S
    for region in {check.region for check in checks}:
        starts = [check.t for check in checks if check.region == region]
        offsets = [(t - starts[0] + interval / 2) % interval for t in starts]
        late += [(offset - min(offsets)) / 1e6 for offset in offsets]
    return late


def _loading(directory: Path, say: Say) -> list[Line]:
    """From the start of the program to the first answer for the last of 10,000 names."""
    refused = {
        f"r{n}": {"address": f"198.18.{n}.1", "health": ["127.0.0.1", 9]} for n in range(REGIONS)
    }
    services = [
        service(f"s{n}", [f"n{m}.s{n}.shop.test" for m in range(NAMES // 100)], refused)
        for n in range(100)
    ]
    for each in services:
        each["check"] |= {"interval_s": 60.0, "timeout_s": 1.0}
    config = config_of(directory, services, dict.fromkeys(refused, 10.0))
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        with ours(directory, config) as server:
            wait_until_answering(server.process, server.port, services[-1]["fqdns"][-1])
            took.append(time.monotonic() - began)
    say(f"{NAMES} names and {REGIONS} regions of {len(services)} services")
    return [at_most("  10,000 names and 100 regions loaded", took, LOAD_S, "s")]
