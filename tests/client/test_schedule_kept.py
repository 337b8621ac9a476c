"""The schedule is kept, and what could not be kept is said."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from itertools import pairwise

from emulator.events import Connection, Request, Schedule
from tests.client import servers
from tests.client.running import config, running

FULL = {"http": 80, "keepalive": 80, "stream": 20, "udp": 20}

# The promise is 2 ms in a lab whose client container has a high CPU weight. Tests share two cores
# with whatever else runs: a busy neighbour was seen to hold a process up for 25 ms. What the code
# itself needs is 0.2 ms at p99 (measured, quiet machine, 540 in flight).
TOLERANCE_NS = 20_000_000


def test_200_a_second_start_on_time_while_hundreds_wait_in_silence(dns, tmp_path, stack):
    """A dead region does not disturb the schedule: 99 % start within the tolerance."""
    port, echo = stack.enter_context(servers.mute_port()), stack.enter_context(servers.mute_port())
    settings = config(dns.port, port, echo, FULL)
    settings["timeouts"] = {"lookup_s": 2, "connect_s": 3, "response_s": 3}
    run = stack.enter_context(running(tmp_path, settings))
    run.until(lambda r: len(r.of(Schedule)) >= 4)
    run.finish()
    starts = run.of(Request)
    seconds = run.of(Schedule)
    assert max(second.in_flight for second in seconds) > 400
    assert all(195 <= second.planned == second.started <= 205 for second in seconds)
    late = sorted(request.t - request.planned for request in starts)
    assert late[0] >= 0
    assert late[len(late) * 99 // 100] <= TOLERANCE_NS


def test_planned_instants_are_a_grid_whatever_happens(start, serve):
    """A late start moves no later request: the plans of all kinds are 5 ms apart."""
    run = start(serve(servers.mute_port()), http=100, keepalive=100)
    plans = sorted(request.planned for request in run.requests(200))
    assert {b - a for a, b in pairwise(plans[:150])} == {5_000_000}


def test_the_second_report_counts_what_was_planned_and_late(start, serve):
    """Every second has its report."""
    run = start(serve(servers.tcp_server(servers.http())).port, http=50)
    first, second = run.until(lambda r: len(r.of(Schedule)) >= 2 and r.of(Schedule))[:2]
    assert (first.planned, first.started) == (50, 50)
    assert 0.8e9 < second.t - first.t < 1.2e9
    assert second.late_ms_max > 0


def test_after_a_long_pause_the_missed_requests_are_unknown_and_not_sent(start, serve):
    """A frozen sender does not make up for it with a burst, and does not blame the service."""
    run = start(serve(servers.tcp_server(servers.http())).port, http=50)
    run.requests(5, outcome="ok")
    os.kill(run.process.pid, signal.SIGSTOP)
    time.sleep(1.5)  # the pause is the thing tested
    os.kill(run.process.pid, signal.SIGCONT)
    missed = run.requests(15, detail="late")
    assert {request.outcome for request in missed} == {"unknown"}
    assert {request.connecting for request in missed} == {None}
    resumed = missed[-1].end
    run.until(lambda r: len([q for q in r.of(Request, outcome="ok") if q.planned > resumed]) > 5)
    assert {request.outcome for request in run.of(Request)} == {"ok", "unknown"}
    run.until(
        lambda r: [s for s in r.of(Schedule) if s.started < s.planned and s.late_ms_max > 400]
    )


def test_rates_change_and_a_phase_is_followed(start, serve):
    """`traffic` replaces the rates, `phase` moves the grid to the given instant."""
    run = start(serve(servers.tcp_server(servers.http())).port, http=20)
    origin = run.requests()[0].planned
    run.send(op="traffic", loads={"http": {"rate": 100}})
    run.send(op="phase", t=origin)
    wanted = run.until(
        lambda r: [q for q in r.of(Request) if (q.planned - origin) % 10_000_000 == 5_000_000][5:]
    )
    assert wanted[-1].outcome == "ok"


def test_our_own_shortage_is_unknown(dns, tmp_path, stack):
    """Without descriptors the request was not measured: neither the service's error nor ok."""
    port = stack.enter_context(servers.mute_port())
    settings = config(dns.port, port, 9, {"http": 100})
    run = stack.enter_context(running(tmp_path, settings))
    run.requests()
    resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (20, 20))
    request = run.requests(outcome="unknown")[0]
    assert request.detail == "EMFILE"


def test_sigterm_writes_what_was_measured(start, serve):
    """The last second is not lost, and the exit is clean."""
    run = start(serve(servers.tcp_server(servers.http())).port, keepalive=100)
    run.requests(10)
    run.finish()
    numbers = [request.n for request in run.of(Request)]
    assert numbers == list(range(len(numbers)))


def test_events_go_to_the_descriptor_that_init_names(dns, tmp_path):
    """NETEMU_EVENTS names the pipe; stdout stays the log's."""
    path = tmp_path / "client.json"
    path.write_text(json.dumps(config(dns.port, 9, 9, {"stream": 10})))
    ours, theirs = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "emulator.node.client", str(path)],
        env=os.environ | {"NETEMU_EVENTS": str(theirs)},
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb") as events:
            first = json.loads(events.readline())
            process.terminate()
            events.read()
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert first["kind"] == Connection.kind


COUNT_GARBAGE = """
import gc, json, os, sys
from emulator.node.client.__main__ import Client
from emulator.node.client.city import City
from emulator.node.client.config import Config
from emulator.node.client.loop import Loop
from emulator.node.client.sink import Sink

loop = Loop()
sink = Sink(os.open(os.devnull, os.O_WRONLY), "test")
client = Client(City(Config.from_json(json.loads(sys.argv[1])), loop, sink))
gc.collect()
gc.disable()
client.begin()
loop.at(client.start_due() + 1_000_000_000, loop.stop)
loop.run(client.start_due, sink.flush)
print(gc.collect())
"""


def test_requests_leave_no_cycles_behind(dns, stack):
    """The collector is off while the client runs, so every object must die by its count."""
    port = stack.enter_context(servers.tcp_server(servers.http(requests=3))).port
    echo = stack.enter_context(servers.tcp_server(servers.reset)).port
    settings = json.dumps(config(dns.port, port, echo, dict.fromkeys(FULL, 50)))
    argv = [sys.executable, "-c", COUNT_GARBAGE, settings]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
