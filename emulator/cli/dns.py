"""dns: the name servers of a running lab, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.live import Live

from emulator.cli.common import (
    attached,
    console,
    echo_json,
    json_option,
    lab_option,
)
from emulator.controller.dns import (
    FORCED_STATES,
    force,
    metrics,
)
from emulator.controller.explain import asking_from, explanations, is_service, no_service
from emulator.controller.scrape import Meter
from emulator.errors import UsageError, WanError
from emulator.report.dns import render_explanations, render_forced, top_table
from emulator.steering import Explanation
from emulator.units import parse_duration

INTERVAL_MIN_S = 0.2  # two scrapes of every server take about 50 ms
INTERVAL_MAX_S = 3600.0
FOR_MIN_S, FOR_MAX_S = 1, 30 * 86400  # what name servers take; no maintenance takes longer


def _duration(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.group()
def dns() -> None:
    """The name servers: why they answer so, and regions that are taken out by hand.

    \b
    netemu dns explain www.shop.test --from paris
    netemu dns force us-east drain --for 10m
    netemu dns top
    netemu dns metrics ns1
    """


@dns.command("force")
@click.argument("region")
@click.argument("state", type=click.Choice(FORCED_STATES))
@click.option("--for", "for_s", metavar="TIME", callback=_duration,
              help="Until then, 30s or 10m; without: until told otherwise.")  # fmt: skip
@click.option("--service", metavar="NAME", help="Only this service; without: all of them.")
@click.option("--yes", "is_sure", is_flag=True, help="Even if nothing else is left to offer.")
@lab_option
def force_(
    region: str,
    state: str,
    for_s: float | None,
    service: str | None,
    is_sure: bool,  # noqa: FBT001
    name: str | None,
) -> None:
    """Hold REGION for down, up or drained, whatever its health checks say.

    \b
    down    no answer names it
    drain   no answer names it while any other region is offered
    up      answers name it though its checks fail
    auto    its checks decide again

    Every name server is told, and says that it holds it. It counts the time by itself: the state
    ends though netemu is gone. What checks say goes on beside it, and counts again afterwards.
    `down` and `drain` are refused (exit code 2) where they would leave a name server no other
    region to offer; --yes does it all the same.

    \b
    netemu dns force us-east drain --for 10m
    netemu dns force us-east down --service www
    netemu dns force us-east auto
    """
    if for_s is not None and state == "auto":
        raise UsageError("--for: auto has no end; it is for down, up and drain")
    if for_s is not None and not FOR_MIN_S <= for_s <= FOR_MAX_S:
        raise UsageError(f"--for: from {FOR_MIN_S} s to {FOR_MAX_S // 3600} h (30 days)")
    with attached(name) as lab:
        held = force(lab, region, state, service, for_s, is_sure=is_sure)
    render_forced(held, console())


@dns.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "origin", metavar="CITY|ADDRESS", required=True, help="Who asks.")
@click.option("--subnet", metavar="NETWORK", default="",
              help="As if the query told this client subnet: 10.4.0.0/24.")  # fmt: skip
@click.option("--server", metavar="NS", multiple=True, help="Only this name server.")
@click.option("--lab", "lab_name", metavar="LAB", help="Which lab; not needed for one.")
@json_option
def explain(
    name: str,
    origin: str,
    subnet: str,
    server: tuple[str, ...],
    lab_name: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """What every name server answers NAME with, and why: rule, estimates, health, weights,
    what was overridden, TTL.

    A city asks as its resolver does, with the client subnet where that sends it.

    \b
    netemu dns explain www.shop.test --from paris
    netemu dns explain www.shop.test --from 10.3.0.1 --subnet 10.4.0.0/24
    netemu dns explain www.shop.test --from paris --server ns1 --json

    --json: name, source, subnet, answers (per name server the fields of Explanation in
    emulator/steering.py, or error).
    """
    with attached(lab_name) as lab:
        asking = asking_from(lab, origin, subnet)
        answers = explanations(lab, name, asking, server)
    if as_json:
        question = {"name": name, "source": asking.source, "subnet": asking.subnet}
        echo_json(question | {"answers": answers})
        return
    out = console()
    if not is_service(lab, name):
        out.print(no_service(lab, name), soft_wrap=True)
    mute = {server: str(a["error"]) for server, a in answers.items() if "error" in a}
    told = {s: _explanation(s, a) for s, a in answers.items() if s not in mute}
    render_explanations(f"{name}, asked by {asking}", told, mute, out)
    if not told:
        raise WanError("no name server answers")


def _explanation(server: str, answer: Mapping[str, Any]) -> Explanation:
    try:
        return Explanation.from_json(answer)
    except (KeyError, TypeError) as error:
        raise WanError(f"{server} explained in words of another version: {error!r}") from error


@dns.command("metrics")
@click.argument("server", metavar="SERVER")
@lab_option
def metrics_(server: str, name: str | None) -> None:
    """What a name server counted, as Prometheus reads it.

    \b
    netemu dns metrics ns1
    netemu dns metrics ns1 | grep queries
    """
    with attached(name) as lab:
        answer = metrics(lab, [server])[server]
    if "error" in answer:
        raise WanError(f"{server} says nothing: {answer['error']}")
    click.echo(answer["text"], nl=False)


@dns.command()
@click.argument("name", required=False, metavar="[LAB]")
@click.option("--interval", "interval_s", metavar="TIME", default="1s", show_default=True,
              callback=_duration, help="Between two readings.")  # fmt: skip
@click.option("--once", "is_once", is_flag=True, help="One table after one interval, then end.")
def top(name: str | None, interval_s: float, is_once: bool) -> None:  # noqa: FBT001
    """What the name servers are asked and answer, as it happens. Ctrl-C ends it.

    \b
    netemu dns top
    netemu dns top two-region --interval 5s
    netemu dns top --once
    """
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        raise UsageError(f"--interval: from {INTERVAL_MIN_S:g}s to {INTERVAL_MAX_S / 3600:g}h")
    with attached(name) as lab:
        meter = Meter(lab)
        out = console()
        if is_once or not out.is_terminal:
            _print(meter, interval_s, out, once=is_once)
        else:
            _live(meter, interval_s, out)


def _print(meter: Meter, interval_s: float, out: Console, *, once: bool) -> None:
    """One table after the other, for a file or a pipe."""
    while True:
        out.print(top_table(meter.lab.name, meter.wait(interval_s), interval_s))
        if once:
            return


def _live(meter: Meter, interval_s: float, out: Console) -> None:
    """On a screen of its own; what was shown last stays on the terminal."""
    last: RenderableType = f"{meter.lab.name}: counting for {interval_s:g} s"
    try:
        with Live(last, console=out, screen=True, auto_refresh=False) as screen:
            while True:
                last = top_table(meter.lab.name, meter.wait(interval_s), interval_s)
                screen.update(last, refresh=True)
    finally:
        out.print(last)
