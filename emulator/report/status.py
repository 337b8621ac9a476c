"""Tables of a lab's state: the world after `up`, `status`, `doctor`."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = dict[str, Any]


def columns_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def render_world(world: Row, console: Console) -> None:
    """What `up` built, in the order a newcomer asks."""
    ready = f", ready in {world['ready_s']} s" if "ready_s" in world else ""
    console.print(
        f"[bold]{world['lab']}[/]: {len(world['regions'])} regions, {len(world['cities'])} cities, "
        f"{len(world['name_servers'])} name servers, {world['containers']} containers{ready}"
    )
    hosts = columns_table("  host", "role", "addresses")
    for host in world["hosts"]:
        hosts.add_row(f"  {host['host']}", host["role"], " ".join(host["addresses"]))
    console.print(hosts)
    for service in world["services"]:
        where = ", ".join(f"{r} {a}" for r, a in service["addresses"].items())
        console.print(f"  {service['name']} port {service['port']} ({service['balance']}): {where}")
    paths = columns_table("  path", ">rtt set", ">measured", "because")
    for path in world["paths"]:
        paths.add_row(
            f"  {path['pair']}",
            _ms(path["rtt_set_ms"]),
            _ms(path["rtt_measured_ms"]),
            path["because"],
        )
    console.print(paths)
    cities = columns_table("  city", "goes to", "because")
    for city, sent in world["sent_to"].items():
        times = [_ms(ms) for ms in sent["rtt_ms"].values()]
        cities.add_row(f"  {city}", sent["region"], " against ".join(times))
    console.print(cities)


def render_labs(labs: dict[str, int], console: Console) -> None:
    """Which labs there are, when none or several are."""
    if not labs:
        console.print("no lab runs here; start one: netemu up topologies/two-region.yaml")
    for name, containers in labs.items():
        console.print(f"{name}: {containers} containers")


def render_status(status: Row, console: Console) -> None:
    """One lab: broken things first."""
    console.print(f"[bold]{status['lab']}[/]")
    for fault in status["faults"]:
        target = " ".join(fault["target"])
        console.print(f"  [red]{fault['kind']}[/] on {target}   (undo: netemu heal {target})")
    if not status["faults"]:
        console.print("  no fault is active")
    hosts = columns_table("  host", "role", "container", "daemons")
    for host in status["hosts"]:
        daemons = ", ".join(f"{n} {s}" for n, s in host["daemons"].items()) or "-"
        hosts.add_row(f"  {host['host']}", host["role"], _state(host["container"]), daemons)
    console.print(hosts)
    views = columns_table("  who", "thinks")
    for route in status["routing"]:
        up, down = ", ".join(route["up"]) or "nothing", ", ".join(route["down"])
        thinks = f"{route['service']}: {up} UP" + (f"; {down} DOWN" if down else "")
        views.add_row(f"  {route['server']}", thinks)
    for view in status["balancers"]:
        what = f"{view['server']} {view['state']}" if view["server"] else view["state"]
        views.add_row(f"  {view['region']}/edge", f"{what}  {view['reason']}")
    for city in status["traffic"]:
        views.add_row(
            f"  {city['city']}/client",
            f"{city['started']} requests in the last second, {city['in_flight']} in flight",
        )
    console.print(views)
    wire = status["wire"]
    console.print(f"  wire: {'alive' if wire.get('alive') else '[red]dead[/]'}")


def _state(state: str) -> Text:
    return Text(state, style="" if state == "running" else "red")


def render_doctor(findings: list[Row], console: Console) -> None:
    """One line a finding; what to do stands below what is wrong."""
    for finding in findings:
        mark = "[green]ok[/]     " if finding["ok"] else "[red]missing[/]"
        console.print(f"{mark}  {finding['what']}: {finding['found']}")
        if not finding["ok"]:
            console.print(f"         {finding['remedy']}")
