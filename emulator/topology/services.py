"""`services:`: what clients want, under which names, by which rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from emulator.errors import suggest
from emulator.scalars import choice, duration, is_label, whole
from emulator.topology.depends import check_depends_on, read_depends_on
from emulator.topology.dns import LATER_DNS, POLICY_KEYS, read_dns_policy
from emulator.topology.images import (
    IMAGE_KEYS,
    TCP,
    check_image,
    has_image,
    health,
    read_image,
)
from emulator.topology.model import APEX, Balance, DnsPolicy, Protocol, Region, Rule, Service
from emulator.topology.policies import Known
from emulator.topology.tls import HTTPS_PORT, yes_or_no
from emulator.yamlfile import Entry

SERVICE_KEYS = (
    "port", "target_port", "target_protocol", "balance", "rules", "dns", "drain_timeout", "names",
    *IMAGE_KEYS, "health", "start_timeout", "tls", "depends_on",
)  # fmt: skip
CONDITIONS = ("path", "header", "cookie")
ACTIONS = ("to", "deny", "redirect")
LATER_SERVICE = ("protocols", "anycast", "servers")
DEFAULT_SERVICE = "www"  # where a file names none
ECHO_PORT = 7  # RFC 862; the built-in servers answer it over TCP and UDP
SERVICES_MAX = 50  # a region has one public address for each
_BALANCE: Callable[[str], Balance] = choice("l4", "l7")
_PROTOCOL: Callable[[str], Protocol] = choice("http/1.1", "h2c")
_HTTP_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HTTP_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def service_names(entry: Entry | None) -> tuple[str, ...]:
    """What the services of a file are called."""
    if entry is None:
        return (DEFAULT_SERVICE,)
    return tuple(entry.named())


def read_services(
    entry: Entry | None, policy: DnsPolicy, known: Known, regions: tuple[Region, ...]
) -> tuple[Service, ...]:
    """The services of a file, or one `www` where it names none. `policy`: what they do not say of
    their own; `regions`: where they have servers."""
    if entry is None:
        return (Service(DEFAULT_SERVICE, dns=policy),)
    named = entry.named()
    if not named and entry.is_mapping():
        entry.problem("names no service", "leave the key out for one called www")
    if len(named) > SERVICES_MAX:
        entry.problem(f"{len(named)} services are too many", f"{SERVICES_MAX} is the most")
    services = tuple(
        _read_service(name, service, policy, _known_of(name, known, regions))
        for name, service in named.items()
    )
    behind_l7 = [service.name for service in services if service.balance == "l7"]
    for service in services:
        _check_rules(service, named[service.name], behind_l7)
        _check_protocol(service, named[service.name], regions)
        _check_regions(service, named[service.name], regions)
        check_image(service.image, named[service.name])
    check_depends_on(services, named, regions)
    return services


def _known_of(service: str, known: Known, regions: tuple[Region, ...]) -> Known:
    without = frozenset(r.name for r in regions if not r.servers.get(service))
    return replace(known, without=without)


def _read_service(name: str, entry: Entry, policy: DnsPolicy, known: Known) -> Service:
    if not is_label(name):
        entry.problem(f"{name!r} is no name for a service", "use 1 to 20 of a-z, 0-9 and -")
    if entry.is_empty():  # `www:` alone asks for the defaults
        return Service(name, dns=policy)
    fields, default = entry.fields(SERVICE_KEYS, LATER_SERVICE), Service(name)
    dns, rules, names, depends_on = map(fields.get, ("dns", "rules", "names", "depends_on"))
    tls = fields.value("tls", yes_or_no, default.tls)
    image = read_image(fields)
    port = fields.value("port", _port, HTTPS_PORT if tls else default.port)
    balance = fields.value("balance", _BALANCE, default.balance)
    protocol = fields.value("target_protocol", _PROTOCOL, default.target_protocol)
    # A gRPC server has no path that is well without being asked in gRPC's own words.
    is_asked = balance == "l7" and protocol == "http/1.1"
    asked = default.health if image is None else "/" if is_asked else TCP
    return Service(
        name=name,
        port=port,
        target_port=fields.value("target_port", _port, port if image else default.target_port),
        balance=balance,
        target_protocol=protocol,
        rules=tuple(_read_rule(rule) for rule in rules.items()) if rules else (),
        dns=read_dns_policy(dns.fields(POLICY_KEYS, LATER_DNS), policy, known) if dns else policy,
        drain_timeout_s=fields.value("drain_timeout", duration("1s", "1h"), 30.0),
        names=tuple(item.value(_alias, "") for item in _one_or_more(names)) if names else (),
        image=image,
        health=fields.value("health", health, asked),
        start_timeout_s=fields.value("start_timeout", duration("1s", "1h"), 60.0),
        tls=tls,
        depends_on=read_depends_on(depends_on) if depends_on else (),
    )


def _one_or_more(entry: Entry) -> list[Entry]:
    return entry.items() if entry.is_list() else [entry]


def _alias(text: str) -> str:
    if text != APEX and not all(is_label(part) for part in text.split(".")):
        raise ValueError(f"{text!r} is no name below the zone; write one like shop, or @ for it")
    return text


def check_aliases(
    entry: Entry | None, services: Iterable[Service], name_servers: Iterable[str]
) -> None:
    """Every further DNS name belongs to one service only, and to no name server."""
    owners = dict.fromkeys(name_servers, "a name server")
    owners |= {service.name: f"service {service.name}" for service in services}
    for service in services:
        written = entry.named()[service.name] if entry and service.names else None
        for item in _one_or_more(written.named()["names"]) if written else ():
            name = item.text() or ""
            if name in owners:
                item.problem(f"{name!r} is the DNS name of {owners[name]}", "leave it out")
            owners.setdefault(name, f"service {service.name}")


def _check_protocol(service: Service, entry: Entry, regions: tuple[Region, ...]) -> None:
    written = entry.named().get("target_protocol") if service.target_protocol == "h2c" else None
    if written is None:
        return
    if service.balance == "l4":
        written.problem("an l4 balancer speaks no protocol of its own", "balance: l7")
    if not has_image(service, regions):
        written.problem("the built-in servers speak HTTP/1.1", "image: my/api:1.2")


def _check_regions(service: Service, entry: Entry, regions: tuple[Region, ...]) -> None:
    """Somewhere there are servers for it, also by the policy that it takes over from `dns:`."""
    having = {region.name for region in regions if region.servers.get(service.name)}
    named = set(service.dns.policy.regions())
    if regions and not having:
        entry.problem("no region has servers for it", "give it some in one region at least")
    elif named and not named & having:
        what = "no region of its policy has servers for it"
        entry.problem(what, f"regions that have: {', '.join(sorted(having))}")


def _port(text: str) -> int:
    port = whole(1, 65535)(text)
    if port == ECHO_PORT:
        raise ValueError("port 7 is taken by the echo of the built-in servers; choose another")
    return port


def _read_rule(entry: Entry) -> Rule:
    fields = entry.fields((*CONDITIONS, *ACTIONS))
    if not any(key in fields for key in CONDITIONS):
        entry.problem("a rule needs path, header or cookie", "path: / is every request")
    if sum(key in fields for key in ACTIONS) != 1:
        entry.problem("a rule needs exactly one of to, deny and redirect", "make it two rules")
    header, cookie = fields.get("header"), fields.get("cookie")
    return Rule(
        path=fields.value("path", _rule_path, None),
        header=_read_pair(header) if header else None,
        cookie=_read_pair(cookie) if cookie else None,
        to=fields.value("to", _as_written, None),
        deny=fields.value("deny", _deny, None),
        redirect=fields.value("redirect", _redirect, None),
    )


def _read_pair(entry: Entry) -> tuple[str, str] | None:
    """`{X-Canary: yes}`: a name and the exact value it must have."""
    named = entry.named()
    if len(named) != 1:
        if entry.is_mapping():
            entry.problem("states more or less than one value", "write {name: value}")
        return None
    [(name, value)] = named.items()
    if not _HTTP_TOKEN.fullmatch(name):
        value.problem(f"{name!r} is no name that HTTP allows", "use letters, digits and -")
    return name, value.value(_http_value, "")


def _rule_path(text: str) -> str | None:
    if not text.startswith("/") or not _HTTP_VALUE.fullmatch(text) or " " in text:
        raise ValueError(f"{text!r} is no path; write the beginning of one, like /api")
    return text


def _http_value(text: str) -> str:
    if not _HTTP_VALUE.fullmatch(text):
        raise ValueError(f"{text!r} is no value that HTTP allows; use printable ASCII")
    return text


def _as_written(text: str) -> str | None:
    return text


def _deny(text: str) -> int | None:
    return whole(400, 599)(text)


def _redirect(text: str) -> str | None:
    if not text.startswith(("/", "http://", "https://")) or not _HTTP_VALUE.fullmatch(text):
        raise ValueError(f"{text!r} is no address to go to; write /path or http://host/path")
    if " " in text:
        raise ValueError(f"{text!r} has a space in it; write %20")
    return text


def _check_rules(service: Service, entry: Entry, behind_l7: list[str]) -> None:
    rules = entry.named().get("rules") if service.rules else None
    if rules is None:
        return
    if service.balance == "l4":
        rules.problem("an l4 balancer sees no requests, so it has no rules", "balance: l7")
    others = [name for name in behind_l7 if name != service.name]
    for rule, written in zip(service.rules, rules.items(), strict=True):
        if rule.to is not None and rule.to not in others:
            options = f"l7 services here: {', '.join(others)}" if others else "add one"
            where = written.named().get("to", written)
            where.problem(
                f"{rule.to!r} is no other l7 service", suggest(rule.to, others) or options
            )
