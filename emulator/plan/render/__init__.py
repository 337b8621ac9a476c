"""The configuration files of every host: plan in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from emulator.plan.hosts import VANTAGE
from emulator.plan.model import HostSpec, Plan, Role
from emulator.plan.own import HOSTS_FILE, own_of, render_hosts
from emulator.plan.render.app import render_app
from emulator.plan.render.client import render_client, render_resolv
from emulator.plan.render.dns import render_dns
from emulator.plan.render.edge import render_edge
from emulator.plan.render.haproxy import render_haproxy
from emulator.plan.render.unbound import render_unbound
from emulator.plan.render.vantage import render_vantage

_FILES: Mapping[Role, Mapping[str, Callable[[Plan, HostSpec], str]]] = {
    "edge": {"/etc/netemu/haproxy.cfg": render_haproxy, "/etc/netemu/edge.json": render_edge},
    "server": {"/etc/netemu/app.json": render_app},
    "access": {"/etc/netemu/unbound.conf": render_unbound},
    "client": {"/etc/netemu/client.json": render_client, "/etc/resolv.conf": render_resolv},
    "ns": {"/etc/netemu/dns.json": render_dns},
}


def with_files(plan: Plan, host: HostSpec) -> HostSpec:
    """The host with the files that its daemons read, and the user's container beside them."""
    has_files = host.role != "access" or host.site in plan.resolvers
    wanted = _FILES[host.role] if has_files else {}
    files = {path: render(plan, host) for path, render in wanted.items()}
    if any(daemon.name == VANTAGE for daemon in host.daemons):
        files["/etc/netemu/vantage.json"] = render_vantage(plan, host)
    own = own_of(plan, host)
    if own is not None and host.role == "server":
        files[HOSTS_FILE] = render_hosts(plan, host)
    return replace(host, files=files, own=own)
