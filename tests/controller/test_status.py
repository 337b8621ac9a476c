"""What a lab is and how it does, at once, whatever its hosts do."""

from __future__ import annotations

import json
from typing import Any

from emulator.controller.inject import inject
from emulator.controller.status import LOOK_S, lab_status
from emulator.controller.status import world as describe


def by_host(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {host["host"]: host for host in status["hosts"]}


def test_a_healthy_lab(world, lab):
    """Every container runs, every daemon, nothing is broken; all of it is JSON."""
    status = lab_status(lab)
    hosts = by_host(status)
    assert {host["container"] for host in hosts.values()} == {"running"}
    assert all(set(host["daemons"].values()) == {"running"} for host in hosts.values())
    assert status["faults"] == []
    assert {row["server"]: row["up"] for row in status["routing"]} == {
        "ns1": ["us-east", "eu-west"],
        "ns2": ["us-east", "eu-west"],
    }
    assert len(status["balancers"]) == 4
    json.dumps(status)


def test_frozen_and_dead_hosts_are_shown_and_not_waited_for(world, lab):
    """The engine says what they are; nobody asks them."""
    inject(lab, ["us-east/www-1"], "freeze")
    inject(lab, ["us-east/www-2"], "power")
    inject(lab, ["us-east/edge"], "crash")
    began = lab.wan.now_ns()
    status = lab_status(lab)
    hosts = by_host(status)
    assert lab.wan.now_ns() == began
    assert hosts["us-east/www-1"]["container"] == "paused"
    assert hosts["us-east/www-2"]["container"] == "exited"
    assert hosts["us-east/www-1"]["daemons"] == hosts["us-east/www-2"]["daemons"] == {}
    assert set(hosts["us-east/edge"]["daemons"].values()) == {"ended"}
    assert [(f["kind"], f["target"]) for f in status["faults"]] == [
        ("freeze", ["us-east/www-1"]),
        ("power", ["us-east/www-2"]),
        ("crash", ["us-east/edge"]),
    ]


def test_a_silent_host_costs_one_look(world, lab):
    """Its container runs but its init does not answer: shown so, after a second."""
    world.wan.lab.silent.add("ns1")
    began = lab.wan.now_ns()
    assert by_host(lab_status(lab))["ns1"]["daemons"] == {"init": "silent"}
    assert lab.wan.now_ns() - began == LOOK_S * 1e9


def test_a_host_that_is_not_connected_says_why(world, lab):
    """As one that died by itself and was started by hand."""
    world.wan.unwire(["ns1"])
    assert "ns1 is not connected" in by_host(lab_status(lab))["ns1"]["daemons"]["init"]


def test_a_container_that_is_missing(world, lab):
    """Somebody removed it by hand."""
    world.engine.remove([c for c in world.engine.containers(lab.name) if c.host == "ns2"])
    assert by_host(lab_status(lab))["ns2"] == {
        "host": "ns2", "role": "ns", "container": "missing", "daemons": {},
    }  # fmt: skip


def test_the_world_in_figures(world, lab):
    """Round trips are the sum of both ways; a city's region is its nearest."""
    shown = describe(lab)
    one_way = {(p.source, p.target): p.impairment.delay_ns for p in lab.plan.paths}
    for path in shown["paths"]:
        a, b = path["pair"].split("..")
        wanted = round((one_way[a, b] + one_way[b, a]) / 1e6, 3)
        assert path["rtt_set_ms"] == path["rtt_measured_ms"] == wanted
    assert len(shown["paths"]) == 15
    assert shown["containers"] == len(world.engine.containers(lab.name))
    assert shown["sent_to"]["paris"]["region"] == "eu-west"
    addresses = {host["host"]: host["addresses"] for host in shown["hosts"]}
    assert {"198.18.1.1", "100.64.0.1", "10.1.0.1"} <= set(addresses["us-east/edge"])
    json.dumps(shown)
