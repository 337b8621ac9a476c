"""Tables of a lab's state: the world after `up`, `status`, `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.report.dns import server_lines

Row = dict[str, Any]
DRIVER_WORDS = {"netem": "the kernel's netem"}


def columns_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def render_world(world: Row, console: Console) -> None:
    """What `up` built, in the order a newcomer asks."""
    console.print(
        f"[bold]{world['lab']}[/]: {_count(world['regions'], 'region', 'regions')}, "
        f"{_count(world['cities'], 'city', 'cities')}, "
        f"{_count(world['name_servers'], 'name server', 'name servers')}, "
        f"{world['containers']} containers, {_ready(world)}",
        soft_wrap=True,
    )
    hosts = columns_table("  host", "role", "addresses")
    for host in world["hosts"]:
        role = f"{host['role']}, {host['image']}" if "image" in host else host["role"]
        hosts.add_row(f"  {host['host']}", role, " ".join(host["addresses"]))
    console.print(hosts)
    _render_services(world, console)
    if world.get("root"):
        text = "  to trust its https here: netemu ca"
        console.print(f"{text} --lab {world['lab']} > root.pem", soft_wrap=True)
    _render_paths(world, console)
    if timings := world.get("timings"):
        stages = ", ".join(f"{stage} {ms}" for stage, ms in timings.items())
        console.print(f"  where the time went, ms: {stages}", style="dim", soft_wrap=True)


def _render_services(lab: Row, console: Console) -> None:
    for service in lab["services"]:
        where = ", ".join(f"{r} {a}" for r, a in service["addresses"].items())
        what = f"{service['balance']}, {service['protocol']}"
        text = f"  {service['name']} port {service['port']} ({what}): {where}"
        console.print(text, soft_wrap=True)


def _ready(world: Row) -> str:
    return "runs already" if world.get("already_up") else f"ready in {world['ready_s']} s"


def _count(things: list[str], one: str, more: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else more}"


def _render_paths(world: Row, console: Console) -> None:
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
        nearest = " against ".join(times) if len(times) > 1 else "the only region"
        cities.add_row(f"  {city}", sent["region"], sent["because"] or nearest)
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
        undo = f"netemu heal {target} --lab {status['lab']}"
        console.print(f"  [red]{fault['kind']}[/] on {target}   (undo: {undo})", soft_wrap=True)
    if not status["faults"]:
        console.print("  no fault is active")
    _render_services(status, console)
    hosts = columns_table("  host", "role", "container", "daemons")
    for host in status["hosts"]:
        daemons = ", ".join(f"{n} {s}" for n, s in host["daemons"].items()) or "-"
        hosts.add_row(f"  {host['host']}", host["role"], _state(host["container"]), daemons)
    console.print(hosts)
    views = columns_table("  who", "says")
    for who, says in _views(status):
        views.add_row(f"  {who}", says)
    console.print(views)
    console.print(f"  the WAN's wire {wire_words(status['wire'])}", soft_wrap=True)


def wire_words(wire: Row) -> str:
    """How it does: what hurts first, and what it cost already. Empty where the lab has none."""
    if not wire:
        return "[red]cannot be asked[/]"
    said = []
    if trouble := wire.get("trouble"):
        said.append(f"[red]{trouble}[/]")
    elif mover := wire.get("mover") or DRIVER_WORDS.get(wire.get("driver", "")):
        said.append(f"moves packets ({mover})")
    else:
        said.append("moves packets" if wire.get("alive") else "[red]is dead[/]")
    if ended := wire.get("ended"):
        times = "once" if ended == 1 else f"{ended} times"
        said.append(f"[yellow]it ended {times}, the last time by {wire['last_end']}[/]")
    if overload := wire.get("overload"):
        said.append(f"[yellow]overloaded: it dropped {overload:,} packets[/]")
    return "; ".join(said)


def _views(status: Row) -> Iterator[tuple[str, str]]:
    """What name servers, balancers and clients think; a fallen host says nothing."""
    for server, state in status["name_servers"].items():
        yield from ((server, line) for line in server_lines(state, status["now_ns"]))
    for view in status["balancers"]:
        reason = f" ({view['reason']})" if view["reason"] else ""
        yield f"{view['region']}/edge", f"{view['server'] or 'itself'} {view['state']}{reason}"
    for city in status["traffic"]:
        sent = f"{city['started']} requests in the last second, {city['in_flight']} in flight"
        yield f"{city['city']}/client", sent


def _state(state: str) -> Text:
    return Text(state, style="" if state == "running" else "red")


def render_doctor(findings: list[Row], console: Console) -> None:
    """One line a finding; what to do stands below what is wrong."""
    for finding in findings:
        absent = "[red]missing[/]" if finding["needed"] else "absent "
        mark = "[green]ok[/]     " if finding["ok"] else absent
        said = "" if finding["found"] == "ok" else f": {finding['found']}"
        console.print(f"{mark}  {finding['what']}{said}", soft_wrap=True)
        if not finding["ok"]:
            console.print(f"         {finding['remedy']}", soft_wrap=True)
