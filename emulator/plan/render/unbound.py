"""`unbound.conf` of a city's resolver: our zone from its servers, all else answered at once."""

from __future__ import annotations

from emulator.plan.model import HostSpec, Plan
from emulator.plan.render.dns import name_servers

CONTROL_SOCKET = "/run/unbound.ctl"

# `"." static` answers foreign names itself (NXDOMAIN), so that nobody waits for roots that are not
# there; the zone's own line, being closer, lets our names through (`test.` is static by default).
# One thread, as one cache is what the bound speaks of; small caches and few TCP buffers, as the
# lab's memory is counted. With RD queries only from one LAN no address ever waits for a limit.
_TEMPLATE = """\
server:
  interface: {address}
  access-control: 0.0.0.0/0 refuse
  access-control: {lan} allow
  outgoing-interface: {address}
  do-ip6: no
  module-config: "iterator"
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

remote-control:
  control-enable: yes
  control-interface: {socket}
  control-use-cert: no

stub-zone:
  name: "{zone}."
{servers}
"""


def render_unbound(plan: Plan, host: HostSpec) -> str:
    site = next(s for s in plan.sites if s.name == host.site)
    return _TEMPLATE.format(
        address=plan.resolvers[host.site],
        lan=site.lan_prefix,
        zone=plan.topology.zone,
        socket=CONTROL_SOCKET,
        servers="\n".join(f"  stub-addr: {address}" for address in name_servers(plan).values()),
    )
