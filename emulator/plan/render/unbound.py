"""`unbound.conf` of a city's resolver: our zone from its servers, all else answered at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.plan.model import HostSpec, Plan
from emulator.plan.render.dns import name_servers
from emulator.plan.resolvers import users_of
from emulator.topology.model import Resolver

CONTROL_SOCKET = "/run/unbound.ctl"
ECS_PREFIX = 24  # bits of a client's address that are told; RFC 7871, 11.1

# `"." static` answers foreign names itself (NXDOMAIN), so that nobody waits for roots that are not
# there; the zone's own line, being closer, lets our names through (`test.` is static by default).
# One thread, as one cache is what the bound speaks of; small caches and few TCP buffers, as the
# lab's memory is counted. With RD queries only from a few LANs no address waits for a limit.
_TEMPLATE = """\
server:
  interface: {address}
  access-control: 0.0.0.0/0 refuse
{access}
  outgoing-interface: {address}
  do-ip6: no
  module-config: "{modules}"
  num-threads: 1
  local-zone: "." static
  local-zone: "test." nodefault
  local-zone: "{zone}." transparent
  root-hints: ""
  chroot: ""
  username: ""
  directory: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  hide-identity: yes
  hide-version: yes
  msg-cache-size: 1m
  rrset-cache-size: 1m
  key-cache-size: 64k
  neg-cache-size: 64k
  infra-cache-numhosts: 1000
  outgoing-range: 256
  num-queries-per-thread: 1024
  outgoing-num-tcp: 4
  incoming-num-tcp: 16
{settings}

remote-control:
  control-enable: yes
  control-interface: {socket}
  control-use-cert: no

stub-zone:
  name: "{zone}."
{servers}
"""
# Written out, as versions differ in their defaults.
_DEFAULTS = {
    "cache-min-ttl": "0",
    "cache-max-ttl": "86400",
    "serve-expired": "no",
    "prefetch": "no",
    "qname-minimisation": "yes",
    "use-caps-for-id": "no",
}
# What a stale answer says of itself; RFC 8767, 4 recommends it.
STALE_TTL_S = 30


def render_unbound(plan: Plan, host: HostSpec) -> str:
    resolver = next(c.resolver for c in plan.topology.cities if c.name == host.site)
    lans = {site.name: site.lan_prefix for site in plan.sites}
    servers = name_servers(plan).values()
    return _TEMPLATE.format(
        address=plan.resolvers[host.site],
        access="\n".join(f"  access-control: {lans[c]} allow" for c in users_of(plan, host.site)),
        modules="subnetcache iterator" if resolver.ecs else "iterator",
        zone=plan.topology.zone,
        socket=CONTROL_SOCKET,
        settings="\n".join(f"  {line}" for line in _settings(resolver, servers)),
        servers="\n".join(f"  stub-addr: {address}" for address in servers),
    )


def _settings(resolver: Resolver, servers: Iterable[str]) -> Iterator[str]:
    settings = {**_DEFAULTS, **resolver.settings}
    if settings["serve-expired"] == "yes":
        settings["serve-expired-reply-ttl"] = str(STALE_TTL_S)
    for name, value in settings.items():
        yield f"{name}: {value}"
    if resolver.ecs:
        yield f"max-client-subnet-ipv4: {ECS_PREFIX}"
        for address in servers:
            yield f"send-client-subnet: {address}"
