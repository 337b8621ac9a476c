"""When is the world ready? When every promise that can be checked was seen kept:

each path's one-way delay as set, in both directions; DNS answering over each resolver with the
health checks decided; every balancer's servers UP. What is missing is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from emulator.clock import MONOTONIC, NS_PER_MS, NS_PER_S, Clock
from emulator.controller.probing import Delays, Path, measure
from emulator.errors import NotReady, WanError
from emulator.impairment import Impairment
from emulator.plan.model import Plan, ServiceSpec
from emulator.wan.base import Event, Wan

DELAY_TOLERANCE_NS = NS_PER_MS // 2  # the design's promise: within 0.5 ms
PROBING_S = 3.0
PROBE_BITS = 8 * 50  # Ethernet, IP, UDP and a clock
SERVICES_S = 20.0
LOOKUP_S = 2.5
POLL_S = 0.05


def wait_until_ready(plan: Plan, wan: Wan, clock: Clock = MONOTONIC) -> Delays:
    """Check a lab that runs; the measured one-way delays by path (ns). Raises NotReady."""
    measured = wait_until_paths_fit(plan, wan, clock)
    # A region that was just healed needs its checks before it is UP again, and may be held down.
    rise_s = max(
        s.rise * s.interval_s + s.timeout_s + s.dns.health_check.hold_down_s for s in plan.services
    )
    wait_until(
        lambda: missing_proxies(plan, wan) + missing_generations(plan, wan),
        clock,
        SERVICES_S + rise_s + decided_s(plan),
    )
    wait_until(lambda: missing_lookups(plan, wan, clock), clock)
    return measured


def wait_until_paths_fit(plan: Plan, wan: Wan, clock: Clock = MONOTONIC) -> Delays:
    """Probe every ordered pair until each minimum is within 0.5 ms of what it is set to now, by
    the file or by hand. A path that is cut, or that a trace plays on, is left out. Raises NotReady
    with those that are not as they are set."""
    measured: Delays = {}
    held: dict[Path, Impairment] = {}
    deadline = clock.now_ns() + round(PROBING_S * NS_PER_S)
    while True:
        paths = steady_paths(wan)
        measured = {path: ns for path, ns in measured.items() if held.get(path) == paths.get(path)}
        held = paths
        wrong = misfits(paths, measured)
        if not wrong:
            return measured
        if clock.now_ns() > deadline:
            refuse_what_ended(wan)
            raise NotReady("these paths are not as they were set: " + "; ".join(wrong.values()))
        for path, ns in measure(plan, wan, {path: paths[path] for path in wrong}, clock).items():
            measured[path] = min(ns, measured.get(path, ns))


def steady_paths(wan: Wan) -> dict[Path, Impairment]:
    """What each path is set to that is not cut and that no trace plays on."""
    paths = {
        (path.partition("->")[0], path.partition("->")[2]): Impairment.from_json(said["now"])
        for path, said in wan.paths().items()
        if not said["plays"]
    }
    return {path: values for path, values in paths.items() if not values.cut}


def misfits(paths: Mapping[Path, Impairment], measured: Mapping[Path, int]) -> dict[Path, str]:
    """The paths whose measured minimum is not what they are set to, in words: `a->b set 4.5 ms`.

    Jitter may shorten a delay, so the least that a path may show is its delay less its jitter; and
    nothing where what is drawn has no bound, or overtakes.
    """
    wrong = {}
    for path, values in paths.items():
        is_bounded = values.distribution == "uniform" and not values.reorder
        least = values.delay_ns - values.jitter_ns - DELAY_TOLERANCE_NS if is_bounded else 0
        frame_ns = PROBE_BITS * NS_PER_S // values.rate_bps if values.rate_bps else 0
        most = values.delay_ns + values.jitter_ns + frame_ns + DELAY_TOLERANCE_NS
        seen = measured.get(path)
        if seen is None or not least <= seen <= most:
            shown = "no probe arrived" if seen is None else f"measured {seen / NS_PER_MS:.2f} ms"
            set_to = f"{values.delay_ns / NS_PER_MS:.2f} ms"
            wrong[path] = f"{'->'.join(path)} set {set_to}, {shown}"
    return wrong


def wait_until(
    missing: Callable[[], list[str]], clock: Clock = MONOTONIC, patience_s: float = SERVICES_S
) -> None:
    """Ask until nothing is missing any more. Raises NotReady with what still is."""
    deadline = clock.now_ns() + round(patience_s * NS_PER_S)
    while still := missing():
        if clock.now_ns() > deadline:
            raise NotReady(f"not ready after {patience_s:.0f} s: " + "; ".join(still))
        clock.sleep(POLL_S)


def refuse_what_ended(wan: Wan) -> tuple[Event, ...]:
    """The latest events, unless one says that a host or a daemon is no more: nothing restarts
    it, so it is pointless to wait. Raises NotReady, with the daemon's last words."""
    latest = wan.latest()
    daemons = [e for e in latest if e["kind"] == "daemon"]
    if given_up := [e for e in daemons if e["state"] == "given up"]:
        raise NotReady(f"the WAN's wire {given_up[0]['detail']}; the lab must be made anew")
    # The wire that ended is started anew.
    ended = [e for e in daemons if e["state"] == "ended" and e["host"] != "wan"]
    for event in sorted(ended, key=lambda e: e["name"] != "init"):
        host, name = event["host"], event["name"]
        if name == "init":
            raise NotReady(f"{host} is dead: its container has ended")
        raise NotReady(f"{name} on {host} ended: {event['detail']}{_last_words(wan, host, name)}")
    return latest


def _last_words(wan: Wan, host: str, daemon: str) -> str:
    try:
        text = str(wan.host(host, "logs", daemon=daemon, bytes=2000).get("text", ""))
    except WanError:
        return ""
    lines = text.strip().splitlines()[-3:]
    return "".join(f"\n  {line}" for line in lines)


def decided_s(plan: Plan) -> float:
    """How long name servers wait at most for the first word of every vantage; 0 without any."""
    checks = [s.dns.health_check for s in plan.services if s.dns.health_check.checkers]
    return max((2 * check.interval_s + check.timeout_s for check in checks), default=0.0)


def missing_servers(plan: Plan, wan: Wan) -> list[str]:
    listening = {
        e["host"]
        for e in refuse_what_ended(wan)
        if e["kind"] == "daemon" and e["state"] == "listening"
    }
    return [
        f"{host.name} does not listen"
        for host in plan.hosts
        if host.role == "server" and host.name not in listening
    ]


def missing_proxies(plan: Plan, wan: Wan) -> list[str]:
    return list(unwell_servers(plan, wan).values())


def unwell_servers(plan: Plan, wan: Wan) -> dict[str, str]:
    """Every server that its balancer does not see UP, in words."""
    seen = {e["server"]: e for e in refuse_what_ended(wan) if e["kind"] == "proxy"}
    up = {server for server, e in seen.items() if e["state"] == "UP"}
    return {
        server: f"{region}'s balancer does not see {server} UP"
        + _why_not_up(plan, service, seen.get(server))
        for service in plan.services
        for region, servers in service.servers.items()
        for server in servers
        if server not in up
    }


_CHECKS = {
    "L4CON": "nothing listens on port {port} there",
    "L4TOUT": "port {port} does not answer",
    "L7TOUT": "{path} is not answered in time",
    "L7RSP": "what it says on port {port} is no HTTP",
}


def _why_not_up(plan: Plan, service: ServiceSpec, event: Event | None) -> str:
    """What the balancer's last check of it met, in words."""
    if event is None or not event["reason"]:
        return ""
    written = next(s for s in plan.topology.services if s.name == service.name)
    code, _, status = event["reason"].partition("/")
    words = f"{written.health} is answered with {status}" if status else _CHECKS.get(code, "")
    said = words.format(port=written.target_port, path=written.health)
    return f" ({event['reason']}{': ' if said else ''}{said})"


def missing_generations(plan: Plan, wan: Wan) -> list[str]:
    latest = refuse_what_ended(wan)
    live = {(e["server"], e["service"]): set(e["up"]) for e in latest if e["kind"] == "generation"}
    return [
        f"{site.name} does not hold every region of {service.name} UP"
        + _why_down(latest, site.name, service.name)
        for site in plan.sites
        if site.kind == "dns"
        for service in plan.services
        if live.get((site.name, service.name)) != set(service.addresses)
    ]


def _why_down(latest: tuple[Event, ...], server: str, service: str) -> str:
    """What the checks of its regions say that are DOWN: they may be too short for the way."""
    reasons = [
        f"{e['region']}: {e['reason']}"
        for e in latest
        if e["kind"] == "health"
        and (e["server"], e["service"], e["state"]) == (server, service, "DOWN")
    ]
    return f" ({'; '.join(reasons)})" if reasons else ""


def missing_lookups(plan: Plan, wan: Wan, clock: Clock = MONOTONIC) -> list[str]:
    """Ask every city's resolver once, through its client; who did not answer well."""
    asked = wan.now_ns()
    command = json.dumps({"op": "lookup"})
    cities = [site.name for site in plan.sites if site.kind == "client"]
    wan.hosts({f"{c}/client": ("send", {"daemon": "client", "line": command}) for c in cities})
    deadline = clock.now_ns() + round(LOOKUP_S * NS_PER_S)
    while clock.now_ns() < deadline:
        good = {
            e["city"]
            for e in refuse_what_ended(wan)
            if e["kind"] == "lookup" and e["t"] >= asked and e["rcode"] == "NOERROR"
        }
        if good.issuperset(cities):
            return []
        clock.sleep(POLL_S / 2)
    return [f"{city}'s resolver does not answer" for city in cities if city not in good]
