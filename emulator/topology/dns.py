"""How a service's name is answered: the keys that `dns:` and `services.X.dns:` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from emulator.scalars import choice, duration, share, whole, whole_seconds
from emulator.steering import AllDown, CheckKind
from emulator.topology.model import DnsPolicy, HealthCheck
from emulator.topology.policies import Known, read_policy
from emulator.topology.profiles import PROFILES, with_profile
from emulator.yamlfile import Entry, Fields

POLICY_KEYS = (
    "profile", "ttl", "degraded_ttl", "policy", "all_down", "min_healthy", "ramp", "ecs",
    "health_check",
)  # fmt: skip
HEALTH_KEYS = (
    "type", "interval", "timeout", "fall", "rise", "clear", "hold_down", "checkers",
)  # fmt: skip
CHECKER_KEYS = ("from", "quorum")
LATER_DNS = ("fallback", "negative_ttl", "weights")
_TTL = whole_seconds("0s", "24h")
_CHECK_KIND: Callable[[str], CheckKind] = choice(*get_args(CheckKind))
_ALL_DOWN: Callable[[str], AllDown] = choice(*get_args(AllDown))
_PROFILE = choice(*PROFILES)


def read_dns_policy(fields: Fields, default: DnsPolicy, known: Known) -> DnsPolicy:
    """The policy that `fields` state over their profile, value by value, and that over `default`.
    Its areas are still called as the file calls them; see `read_policy`."""
    name = fields.value("profile", _PROFILE, "")
    base = with_profile(default, name) if name else default
    check, policy = fields.get("health_check"), fields.get("policy")
    ttl_s = fields.value("ttl", _TTL, base.ttl_s)
    read = replace(
        base,
        ttl_s=ttl_s,
        degraded_ttl_s=_read_degraded(fields, base, ttl_s),
        policy=read_policy(policy, known) if policy else base.policy,
        all_down=fields.value("all_down", _ALL_DOWN, base.all_down),
        min_healthy=fields.value("min_healthy", share, base.min_healthy),
        ramp_s=fields.value("ramp", duration("0s", "1h"), base.ramp_s),
        ecs=fields.value("ecs", _yes, base.ecs),
        health_check=_read_health(check, base.health_check, known) if check else base.health_check,
    )
    if read.min_healthy and read.health_check.kind == "tcp" and fields.owner.is_mapping():
        what = "a tcp check hears that something listens, not how many servers are UP"
        where = fields.get("min_healthy") or check or fields.owner
        where.problem(what, "take min_healthy: 0% or a check of type http")
    return read


def _yes(text: str) -> bool:
    return choice("yes", "no")(text) == "yes"


def _read_degraded(fields: Fields, base: DnsPolicy, ttl_s: int) -> int | None:
    """Unsaid, it follows a shorter TTL."""
    entry = fields.get("degraded_ttl")
    if entry is None:
        return None if base.degraded_ttl_s is None else min(base.degraded_ttl_s, ttl_s)
    degraded_s = entry.value(_TTL, 0)
    if degraded_s > ttl_s:
        what = f"the degraded TTL ({degraded_s} s) is longer than the TTL ({ttl_s} s)"
        entry.problem(what, "it is for sooner news while a region is unwell; make it shorter")
    return degraded_s


def _read_health(entry: Entry, default: HealthCheck, known: Known) -> HealthCheck:
    fields = entry.fields(HEALTH_KEYS)
    interval_s = fields.value("interval", duration("50ms", "1h"), default.interval_s)
    # Unsaid, the timeout follows a shorter interval: nobody asked for more.
    timeout_s = fields.value("timeout", duration("10ms", "1h"), min(default.timeout_s, interval_s))
    if timeout_s > interval_s:
        what = f"the timeout ({timeout_s:g} s) is longer than the interval ({interval_s:g} s)"
        entry.problem(what, "checks start on a fixed schedule; make it as short or shorter")
    checkers = fields.get("checkers")
    read = HealthCheck(
        kind=fields.value("type", _CHECK_KIND, default.kind),
        interval_s=interval_s,
        timeout_s=timeout_s,
        fall=fields.value("fall", whole(1, 100), default.fall),
        rise=fields.value("rise", whole(1, 100), default.rise),
        clear=fields.value("clear", _count, default.clear),
        hold_down_s=fields.value("hold_down", duration("0s", "1h"), default.hold_down_s),
        checkers=default.checkers,
        quorum=default.quorum,
    )
    return _read_checkers(checkers, read, known) if checkers else read


def _count(text: str) -> int | None:
    return whole(1, 100)(text)


def _read_checkers(entry: Entry, default: HealthCheck, known: Known) -> HealthCheck:
    fields = entry.fields(CHECKER_KEYS)
    sites = fields.get("from")
    if sites is None and not default.checkers:
        fields.required("from", "from: [paris, ns1]")
    names = _read_sites(sites, known) if sites else default.checkers
    return replace(default, checkers=names, quorum=fields.value("quorum", _quorum, default.quorum))


def _quorum(text: str) -> float:
    part = share(text)
    if part == 1:
        raise ValueError("no share of the checkers is more than 100%; write 99% for all of them")
    return part


def _read_sites(entry: Entry, known: Known) -> tuple[str, ...]:
    """One name or a list of them."""
    names: list[str] = []
    for item in entry.items() if entry.is_list() else [entry]:
        name = item.text()
        if name is None:
            continue
        known.check_site(name, item)
        if name in names:
            item.problem(f"{name!r} is named twice", "keep one")
        names.append(name)
    if entry.is_list() and not entry.items():
        entry.problem("names no site", "leave checkers out: every name server checks for itself")
    return tuple(names)
