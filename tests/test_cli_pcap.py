"""Where a capture is taken from, which depends on what moves the packets."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from emulator.cli.pcap import _argv
from emulator.controller.lab import Lab
from emulator.drivers import DriverName
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.topology.parse import parse_topology
from tests.cli import MINIMAL

WISHES = {"snap": 0, "count": 0, "seconds": 0, "dropped": False, "delays": False}
TOPOLOGY = parse_topology(MINIMAL.read_text(), str(MINIMAL))


def argv(driver: DriverName, where: str | None) -> tuple[str, ...]:
    plan = make_plan(replace(TOPOLOGY, driver=driver), "lab")
    return _argv(cast(Lab, SimpleNamespace(plan=plan, name="lab")), where, WISHES, is_text=False)


def test_a_site_is_captured_at_its_port_where_the_kernel_moves_packets():
    """Our wire's ring would stay empty there, and say nothing of it."""
    assert "--port=w1" in argv("netem", TOPOLOGY.regions[0].name)
    assert not any(word.startswith("--port") for word in argv("userspace", "here"))


@pytest.mark.parametrize("where", [None, "here..berlin"])
def test_a_path_cannot_be_captured_there(where):
    """Said with what can."""
    with pytest.raises(UsageError, match="name a site or a host"):
        argv("netem", where)
