"""A large lab of users' images: up, down, and how long after the slowest image it is ready."""

from __future__ import annotations

import json
import time
import uuid

from benchmarks.labs import silent
from benchmarks.table import Line, Say, at_most
from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.plan import make_plan
from emulator.topology.parse import parse_topology
from emulator.wan.remote import RemoteWan

RUNS = 3
UP_S, DOWN_S = 25.0, 5.0
AFTER_S = 2.0
PLACES = {"us": "aws:us-east-1", "eu": "aws:eu-west-1", "asia": "aws:ap-northeast-1"}
CITIES = {"new-york": "city:New York", "paris": "city:Paris/FR", "tokyo": "city:Tokyo"}
SERVICES, SERVERS = 5, 2
# A user's program that takes its time to begin, and says when it listens.
_PROGRAM = """
import http.server, time
time.sleep(2)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("", 80), Handler)
print(time.monotonic_ns(), flush=True)
server.serve_forever()
"""


def measure(say: Say) -> list[Line]:
    """3 regions of 5 services with 2 servers each and 3 cities, three times."""
    engine = DockerEngine()
    image = ensure_node_image(silent)
    up, after, down = [], [], []
    for run in range(RUNS):
        plan = make_plan(parse_topology(_topology(image), "own"), f"bench-{uuid.uuid4().hex[:8]}")
        began = time.monotonic()
        try:
            lab = bring_up(plan, engine, RemoteWan, image, silent)
            ready = time.monotonic()
            up.append(ready - began)
            after.append(ready - max(_listening(lab)))
            lab.wan.close()
        finally:
            began = time.monotonic()
            remove_lab(engine, plan.lab)
            down.append(time.monotonic() - began)
        say(
            f"run {run + 1}: {plan.containers} containers, up {up[-1]:.1f} s, down {down[-1]:.1f} s"
        )
    engine.close()
    return [
        at_most(f"{plan.containers} containers, 30 of users' images: up", up, UP_S, "s"),
        at_most("  after the slowest image listened", after, AFTER_S, "s"),
        at_most("  down", down, DOWN_S, "s"),
    ]


def _topology(image: str) -> str:
    server = {"image": image, "command": ["python3", "-c", _PROGRAM]}
    said = {
        "netemu": 1,
        "name": "own",
        "regions": {name: {"location": at, "servers": SERVERS} for name, at in PLACES.items()},
        "clients": {name: {"location": at} for name, at in CITIES.items()},
        "services": {f"s{n}": server for n in range(1, SERVICES + 1)},
    }
    return json.dumps(said)


def _listening(lab: Lab) -> list[float]:
    """When each server's program did, s on the monotonic clock."""
    names = lab.own(host.name for host in lab.plan.hosts)
    return [int(lab.engine.log(lab.name, name)[0].text) / NS_PER_S for name in names]
