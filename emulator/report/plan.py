"""`netemu plan`: what a file would become."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding

from emulator.analysis.repeated import quantile
from emulator.pathvalues import describe, told_trace
from emulator.plan.bounds import bounds
from emulator.plan.model import Plan
from emulator.plan.predict import predict
from emulator.plan.sent import sent_cities
from emulator.report.status import columns_table
from emulator.topology.model import CLIENT_KINDS
from emulator.units import show_duration


def render_plan(plan: Plan, console: Console) -> None:
    """Hosts with addresses and daemons, delays with reasons, names, predicted recovery."""
    console.print(f"[bold]{plan.lab}[/]: {plan.containers} containers, plan {plan.digest[:12]}")
    hosts = columns_table("  host", "role", "addresses", "daemons")
    for host in plan.hosts:
        on_links = [a for i in host.interfaces for a in i.addresses]
        addresses = " ".join(a.split("/")[0] for a in (*host.loopback, *on_links))
        runs = [daemon.name for daemon in host.daemons]
        runs += [f"image {host.own.image}"] if host.own is not None else []
        hosts.add_row(f"  {host.name}", host.role, addresses, ", ".join(runs))
    console.print(hosts)
    paths = columns_table("  path", ">one way", "because")
    for path in plan.paths:
        delay = show_duration(path.impairment.delay_ns / 1e9)
        paths.add_row(f"  {path.source}->{path.target}", delay, path.because)
    console.print(paths)
    _render_special(plan, console)
    _render_names(plan, console)
    _render_bounds(plan, console)


def _render_special(plan: Plan, console: Console) -> None:
    """What paths have beyond their delay; nothing where none has."""
    special = columns_table("  path", "set to")
    for path in plan.paths:
        values = path.impairment.to_json()
        said = [describe(values)] if not path.impairment.is_plain else []
        said += [told_trace(path.trace)] if path.trace else []
        if said:
            special.add_row(f"  {path.source}->{path.target}", "; ".join(said))
    if special.row_count:
        console.print(special)


def _render_names(plan: Plan, console: Console) -> None:
    """How each service's name is answered, and where the first one's leads."""
    names = columns_table("  name", ">port", "policy", ">ttl", "checks", "by", "profile")
    for service in plan.services:
        check = service.dns.health_check
        often = f"{check.kind} {check.interval_s:g} s x {check.fall}"
        regions = " ".join(service.policy.regions())
        names.add_row(
            f"  {' '.join(service.names)}",
            f"{service.protocol} {service.port}",
            f"{service.policy.kind}: {regions}",
            f"{service.ttl_s} s",
            often,
            " ".join(service.checkers),
            service.dns.profile or "-",
        )
    console.print(names)
    cities = columns_table("  city", "goes to", "because")
    for city, sent in sent_cities(plan).items():
        because = sent.because or "nearest by round trip"
        cities.add_row(f"  {city}", ", ".join(sent.regions), because)
    console.print(cities)
    unserved = [
        f"{region} never serves {service.name}: no policy names it"
        for service in plan.services
        for region in service.addresses
        if region not in service.policy.regions()
    ]
    for line in unserved:
        console.print(f"  {line}")


def _render_bounds(plan: Plan, console: Console) -> None:
    """One row a region and city; each reason once, however many bounds it explains."""
    console.print("predicted recovery from a region's loss of power, in s: median / p90 / worst")
    table = columns_table("  region", "city", *(f">{kind}" for kind in CLIENT_KINDS))
    reasons: dict[str, list[str]] = {}
    for region in plan.topology.regions:
        rows: dict[str, dict[str, str]] = {}
        likely = {(p.city, p.client): p.seconds for p in predict(plan, "power", region.name)}
        for bound in bounds(plan, "power", region.name):
            seconds = likely.get((bound.city, bound.client))  # none where a draw decides
            spread = (quantile(seconds, 0.5), quantile(seconds, 0.9)) if seconds else ()
            shown = (*spread, bound.total_s)
            rows.setdefault(bound.city, {})[bound.client] = " / ".join(f"{s:.1f}" for s in shown)
            kinds = reasons.setdefault(bound.because, [])
            kinds += [bound.client] if bound.client not in kinds else []
        for city, totals in rows.items():
            table.add_row(f"  {region.name}", city, *(totals.get(k, "-") for k in CLIENT_KINDS))
    console.print(table)
    console.print("  the worst is a bound:")
    for because, kinds in reasons.items():
        console.print(Padding(f"{', '.join(kinds)}: {because}", (0, 0, 0, 2)))
