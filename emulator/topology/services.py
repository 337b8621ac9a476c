"""`services:` and the DNS policy that its services share or override."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from emulator.errors import suggest
from emulator.scalars import choice, duration, is_label, whole, whole_seconds
from emulator.topology.model import Balance, DnsPolicy, HealthCheck, Rule, Service
from emulator.yamlfile import Entry, Fields

SERVICE_KEYS = ("port", "target_port", "balance", "rules", "dns", "drain_timeout")
SERVICE_DNS_KEYS = ("ttl", "policy", "health_check")
HEALTH_KEYS = ("interval", "timeout", "fall", "rise")
CONDITIONS = ("path", "header", "cookie")
ACTIONS = ("to", "deny", "redirect")
LATER_SERVICE = ("image", "command", "environment", "protocols", "tls", "anycast", "servers")
LATER_DNS = ("fallback", "hold_down", "negative_ttl", "ecs", "weights")
LATER_POLICIES = ("weighted", "failover", "geo", "geoproximity", "multivalue", "round-robin")
ECHO_PORT = 7  # RFC 862; the built-in servers answer it over TCP and UDP
SERVICES_MAX = 50  # a region has one public address for each
_BALANCE: Callable[[str], Balance] = choice("l4", "l7")
_HTTP_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HTTP_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def read_services(entry: Entry | None, policy: DnsPolicy) -> tuple[Service, ...]:
    """The services of a file, or one `www` where it names none."""
    if entry is None:
        return (Service("www", dns=policy),)
    named = entry.named()
    if not named and entry.is_mapping():
        entry.problem("names no service", "leave the key out for one called www")
    if len(named) > SERVICES_MAX:
        entry.problem(f"{len(named)} services are too many", f"{SERVICES_MAX} is the most")
    services = tuple(_read_service(name, service, policy) for name, service in named.items())
    behind_l7 = [service.name for service in services if service.balance == "l7"]
    for service in services:
        _check_rules(service, named[service.name], behind_l7)
    return services


def _read_service(name: str, entry: Entry, policy: DnsPolicy) -> Service:
    if not is_label(name):
        entry.problem(f"{name!r} is no name for a service", "use 1 to 20 of a-z, 0-9 and -")
    if entry.is_empty():  # `www:` alone asks for the defaults
        return Service(name, dns=policy)
    fields, default = entry.fields(SERVICE_KEYS, LATER_SERVICE), Service(name)
    dns, rules = fields.get("dns"), fields.get("rules")
    return Service(
        name=name,
        port=fields.value("port", _port, default.port),
        target_port=fields.value("target_port", _port, default.target_port),
        balance=fields.value("balance", _BALANCE, default.balance),
        rules=tuple(_read_rule(rule) for rule in rules.items()) if rules else (),
        dns=read_dns_policy(dns.fields(SERVICE_DNS_KEYS, LATER_DNS), policy) if dns else policy,
        drain_timeout_s=fields.value("drain_timeout", duration("1s", "1h"), 30.0),
    )


def _port(text: str) -> int:
    port = whole(1, 65535)(text)
    if port == ECHO_PORT:
        raise ValueError("port 7 is taken by the echo of the built-in servers; choose another")
    return port


def read_dns_policy(fields: Fields, default: DnsPolicy) -> DnsPolicy:
    """The policy that `fields` state over `default`, value by value."""
    check = fields.get("health_check")
    fields.value("policy", _policy, "latency")
    return replace(
        default,
        ttl_s=fields.value("ttl", whole_seconds("0s", "24h"), default.ttl_s),
        health_check=_read_health(check, default.health_check) if check else default.health_check,
    )


def _policy(text: str) -> str:
    if text in LATER_POLICIES:
        raise ValueError(f"this version of netemu has no policy {text!r}; write latency")
    return choice("latency")(text)


def _read_health(entry: Entry, default: HealthCheck) -> HealthCheck:
    fields = entry.fields(HEALTH_KEYS)
    interval_s = fields.value("interval", duration("50ms", "1h"), default.interval_s)
    # Unsaid, the timeout follows a shorter interval: nobody asked for more.
    timeout_s = fields.value("timeout", duration("10ms", "1h"), min(default.timeout_s, interval_s))
    if timeout_s > interval_s:
        what = f"the timeout ({timeout_s:g} s) is longer than the interval ({interval_s:g} s)"
        entry.problem(what, "checks start on a fixed schedule; make it as short or shorter")
    return HealthCheck(
        interval_s=interval_s,
        timeout_s=timeout_s,
        fall=fields.value("fall", whole(1, 100), default.fall),
        rise=fields.value("rise", whole(1, 100), default.rise),
    )


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
