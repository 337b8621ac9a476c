"""`haproxy.cfg` of a region's edge.

Times, and why. A client waits 3 s for an answer, and an L7 retry must be able to hide the death
of a server within that: a server that lost power costs `timeout connect` 1 s, a frozen one accepts
and then costs `timeout server` 1 s, and `redispatch 1` sends every retry elsewhere; so one bad
server costs 1 s, two cost 2 s. Only idempotent methods are sent twice (RFC 9110, 9.2.2). `mode tcp`
knows no requests: there a silent server is left to the client's own patience. `http-reuse safe`,
the default, never sends the first request of a connection over one that may be dead.

`max-spread-checks` brings the first checks within 0.1 s; they would be spread over a whole `inter`.

Two variables are set at run time by the edge's companion: `proc.draining` fails the region's
health, `proc.closing` puts `Connection: close` on every answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from emulator.errors import UsageError
from emulator.plan import addressing
from emulator.plan.hosts import HAPROXY_SOCKET, lan_address
from emulator.plan.model import HostSpec, Plan, ServiceSpec, SiteSpec
from emulator.plan.own import GOOD, GOOD_OF_OWN, image_of
from emulator.plan.tls import certificate_file
from emulator.topology.images import TCP
from emulator.topology.model import Rule, Service

ECHO_BACKEND = "be-echo"
CERTIFICATE = "/etc/ssl/netemu.pem"  # made with the image, signed by itself
IDEMPOTENT = "GET HEAD OPTIONS PUT DELETE TRACE"

_GLOBAL = """\
global
  stats socket {socket} mode 600 level admin
  nbthread 1
  maxconn 4000
  max-spread-checks 100
  hard-stop-after {drain_ms}ms
  set-var proc.draining bool(false)
  set-var proc.closing bool(false)

defaults
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 1s
  timeout http-keep-alive 60s
  timeout http-request 10s
  timeout tunnel 1h
  retries 3
  option redispatch 1
  default-server inter 1s fastinter 200ms fall 3 rise 2 check
"""

_HTTP_FRONTEND = """
frontend {name}
  mode http
  bind {address}:{port}{tls}
{secure}{patience}  http-request disable-l7-retry unless {{ method {idempotent} }}
  http-after-response set-header X-Netemu-Region {region}
  http-after-response set-header Connection close \
if {{ var(proc.closing) -m bool }} !{{ status 101 }}
{rules}  default_backend {backend}
"""

_LONG_CALLS = "  timeout client 1h\n"
_TCP_FRONTEND = """
frontend {name}
  mode tcp
  bind {address}:{port}{tls}
  default_backend {backend}
"""

_HTTP_MODE = """\
  mode http
  timeout server 1s
  retry-on conn-failure empty-response response-timeout
"""
# A gRPC call lasts as long as it was meant to, with silence in it: its deadline is the client's.
_H2C_MODE = """\
  mode http
  timeout server 1h
"""
_TCP_MODE = "  mode tcp\n"

_BACKEND = """
backend {name}
{mode}  balance roundrobin
{check}{servers}
"""
_HTTP_CHECK = """\
  option httpchk
  http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {host}
  http-check expect status {good}
"""
_TELL_THE_SERVER = "  http-request set-header X-Forwarded-Proto https\n"  # how it was asked
_NAME_THE_SERVER = "  http-response set-header X-Netemu-Server {region}/%s\n"

_HEALTH_FRONTEND = """
frontend {name}
  mode http
  bind {address}:{port}{tls}
  monitor-uri /healthz
  monitor fail if {{ nbsrv({backend}) lt {least} }}
  monitor fail if {{ var(proc.draining) -m bool }}
"""


def backend_name(service: str) -> str:
    return f"be-{service}"


def health_frontend_name(service: ServiceSpec) -> str:
    return f"health-{service.name}"


def server_name(host: str) -> str:
    """`us-east/www-1` is `www-1` to its region's HAProxy."""
    return host.rsplit("/", 1)[1]


def services_of(plan: Plan, region: str) -> list[ServiceSpec]:
    """The services that this region has servers for."""
    return [service for service in plan.services if region in service.addresses]


def render_haproxy(plan: Plan, host: HostSpec) -> str:
    site = next(s for s in plan.sites if s.name == host.site)
    services = services_of(plan, host.site)
    written = {service.name: service for service in plan.topology.services}
    drain_s = max(service.drain_timeout_s for service in services)
    parts = [_GLOBAL.format(socket=HAPROXY_SOCKET, drain_ms=math.ceil(drain_s * 1e3))]
    for service in services:
        parts.append(_frontend(service, site, written[service.name]))
        parts.append(_backend(plan, service, site, written[service.name]))
        parts.append(_health_frontend(service, site))
    parts += _echo(plan, services[0], site, written[services[0].name])
    parts += _empty_backends(services, written)
    return "".join(parts)


def _frontend(service: ServiceSpec, site: SiteSpec, written: Service) -> str:
    template = _HTTP_FRONTEND if service.balance == "l7" else _TCP_FRONTEND
    return template.format(
        name=f"fe-{service.name}",
        address=service.addresses[site.name],
        port=service.port,
        tls=_tls(service, written),
        secure=_TELL_THE_SERVER if service.tls else "",
        idempotent=IDEMPOTENT,
        patience=_LONG_CALLS if written.target_protocol == "h2c" else "",
        region=site.name,
        rules="".join(f"  {line}\n" for line in _rules(written.rules)),
        backend=backend_name(service.name),
    )


def _tls(service: ServiceSpec, written: Service) -> str:
    """HAProxy would offer HTTP/2 by itself, whose connections a drain cannot end one by one; gRPC
    needs it."""
    if not service.tls:
        return ""
    spoken = "h2,http/1.1" if written.target_protocol == "h2c" else "http/1.1"
    protocols = f" alpn {spoken}" if service.balance == "l7" else ""
    return f" ssl crt {certificate_file(service.name)} ssl-min-ver TLSv1.2{protocols}"


def _health_frontend(service: ServiceSpec, site: SiteSpec) -> str:
    address, port = service.health[site.name]
    return _HEALTH_FRONTEND.format(
        name=health_frontend_name(service),
        address=address,
        port=port,
        tls=f" ssl crt {CERTIFICATE}" if service.dns.health_check.kind == "https" else "",
        backend=backend_name(service.name),
        least=_least_up(service, site.name),
    )


def _least_up(service: ServiceSpec, region: str) -> int:
    """How many servers the region needs UP to be well. The share is exact to 12 digits, so that
    60 % of 5 is 3."""
    return max(1, math.ceil(round(service.dns.min_healthy * len(service.servers[region]), 9)))


def _backend(plan: Plan, service: ServiceSpec, site: SiteSpec, written: Service) -> str:
    is_own = image_of(plan, site.name, written) is not None
    is_named = is_own and service.balance == "l7"
    proto = " proto h2" if written.target_protocol == "h2c" else ""
    return _BACKEND.format(
        name=backend_name(service.name),
        mode=_mode(written) + (_NAME_THE_SERVER.format(region=site.name) if is_named else ""),
        check=_check(plan, service, site, written),
        servers=_servers(service, site, f"{written.target_port}{proto}{_check_proto(written)}"),
    )


def _mode(written: Service) -> str:
    if written.balance == "l4":
        return _TCP_MODE
    return _H2C_MODE if written.target_protocol == "h2c" else _HTTP_MODE


def _check_proto(written: Service) -> str:
    """What a check over HTTP is spoken in; HAProxy's own is HTTP/1.1."""
    return " check-proto h2" if written.target_protocol == "h2c" and written.health != TCP else ""


def _check(plan: Plan, service: ServiceSpec, site: SiteSpec, written: Service) -> str:
    """Without these lines HAProxy only connects."""
    if written.health == TCP:
        return ""
    low, high = GOOD_OF_OWN if image_of(plan, site.name, written) else GOOD
    good = f"{low}-{high}" if low < high else str(low)
    path = _quote(written.health.replace("%", "%%"))
    return _HTTP_CHECK.format(path=path, host=service.fqdn, good=good)


def _servers(service: ServiceSpec, site: SiteSpec, port: str) -> str:
    return "\n".join(
        f"  server {server_name(host)} {lan_address(site, host)}:{port}"
        for host in service.servers[site.name]
    )


def _echo(plan: Plan, service: ServiceSpec, site: SiteSpec, written: Service) -> Iterator[str]:
    """TCP echo of the first service's servers; a server that fails its check echoes not."""
    yield _TCP_FRONTEND.format(
        name="fe-echo",
        address=service.addresses[site.name],
        port=addressing.ECHO_PORT,
        tls="",
        backend=ECHO_BACKEND,
    )
    yield _BACKEND.format(
        name=ECHO_BACKEND,
        mode=_TCP_MODE,
        check=_check(plan, service, site, written),
        servers=_servers(
            service,
            site,
            f"{addressing.ECHO_PORT} port {written.target_port}{_check_proto(written)}",
        ),
    )


def _empty_backends(services: list[ServiceSpec], written: dict[str, Service]) -> Iterator[str]:
    """A rule may lead to a service that has no servers in this region: that is a 503."""
    here = {service.name for service in services}
    named = {rule.to for name in here for rule in written[name].rules if rule.to is not None}
    for missing in sorted(named - here):
        yield f"\nbackend {backend_name(missing)}\n  mode http\n"


def _rules(rules: tuple[Rule, ...]) -> Iterator[str]:
    """The first rule that holds decides. HAProxy asks all `http-request` rules before any
    `use_backend`, so a rule that routes leaves its number, and later rules look for it."""
    for number, rule in enumerate(rules, 1):
        condition = " ".join((*_conditions(rule), "!{ var(txn.rule) -m found }"))
        if rule.to is not None:
            yield f"http-request set-var(txn.rule) int({number}) if {condition}"
        elif rule.deny is not None:
            yield f"http-request return status {rule.deny} if {condition}"
        elif rule.redirect is not None:
            location = _quote(rule.redirect.replace("%", "%%"))
            yield f"http-request redirect location {location} code 302 if {condition}"
    for number, rule in enumerate(rules, 1):
        if rule.to is not None:
            yield f"use_backend {backend_name(rule.to)} if {{ var(txn.rule) -m int {number} }}"


def _conditions(rule: Rule) -> Iterator[str]:
    if rule.path is not None:
        yield f"{{ path_beg -- {_quote(rule.path)} }}"
    for fetch, wanted in (("req.hdr", rule.header), ("req.cook", rule.cookie)):
        if wanted is not None:
            name, value = wanted
            yield f"{{ {fetch}({_token(name)}) -m str -- {_quote(value)} }}"


def _token(name: str) -> str:
    """The name of a header or cookie, where HAProxy has no quotes."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise UsageError(f"rule: {name!r} is no name of a header or cookie; use letters, digits, -")
    return name


def _quote(text: str) -> str:
    """One word of a configuration line, whatever is in it. Raises UsageError where it cannot be."""
    if not text.isprintable():
        raise UsageError(f"rule: {text!r} holds a control character; leave it out")
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'
