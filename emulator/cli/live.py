"""kill, heal, watch, traffic: a running lab, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from emulator.cli.common import attached, console, json_option, lab_option, quantity
from emulator.cli.strike import Blow, detach_option, strike
from emulator.controller.follow import follow_for_ever
from emulator.controller.inject import heal as heal_targets
from emulator.controller.inject import heal_everything
from emulator.controller.traffic import even_traffic, start_traffic, stop_traffic
from emulator.errors import UsageError
from emulator.report.live import Narrator
from emulator.scenario.model import KILL_KINDS
from emulator.scenario.steps import DIRECTIONS
from emulator.topology.model import CLIENT_KINDS
from emulator.units import parse_duration, parse_frequency, parse_rate, parse_share

RATE_MAX = 1000.0  # one city's one thread starts about as many a second and stays on time


class _Kinds(click.Choice[str]):
    """Faults of `kill`; who looks here for another way to take a region out is shown it."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "flap":
            self.fail("a flap has a rhythm; netemu flap REGION --every 2s --for 30s")
        if value == "force":
            self.fail("to force a region breaks nothing; netemu dns force REGION down|up|drain")
        return super().convert(value, param, ctx)


_SHARES = ("loss", "duplicate", "corrupt", "reorder")


def _share_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(_SHARES):
        command = click.option(
            f"--{name}", callback=quantity(parse_share), help=f"brownout: {_SHARE_HELP[name]}, 5%"
        )(command)
    return command


_SHARE_HELP = {
    "loss": "part that is lost",
    "duplicate": "part that arrives twice",
    "corrupt": "part that arrives damaged",
    "reorder": "part that overtakes",
}


@click.command()
@click.argument("target", nargs=-1, required=True)
@click.option("--how", type=_Kinds(KILL_KINDS), default="power", show_default=True)
@click.option("--from", "peers", metavar="SITES", default="",
              help="partition: cut only from these sites, by commas.")  # fmt: skip
@click.option("--direction", type=click.Choice(tuple(DIRECTIONS)), default="both",
              help="partition: both ways, or only what leaves or enters the target.")  # fmt: skip
@click.option("--delay", "delay_s", callback=quantity(parse_duration),
              help="brownout: added each way, 100ms")  # fmt: skip
@click.option("--jitter", "jitter_s", callback=quantity(parse_duration),
              help="brownout: delays vary by +- this more, 20ms")  # fmt: skip
@_share_options
@click.option("--rate", "rate_bps", callback=quantity(parse_rate), help="brownout: 10mbit")
@detach_option
@lab_option
@json_option
def kill(
    target: tuple[str, ...],
    how: str,
    peers: str,
    direction: str,
    is_detached: bool,  # noqa: FBT001
    name: str | None,
    as_json: bool,  # noqa: FBT001
    **worse: float | None,
) -> None:
    """Break TARGET (a region, a city, a name server, any host) and follow what happens.

    \b
    netemu kill us-east
    netemu kill us-east --how crash
    netemu kill us-east/www-1 --how freeze
    netemu kill us-east --how partition --from paris,ns1
    netemu kill eu-west --how brownout --delay 200ms --loss 2%

    Ctrl-C ends the following; the fault stays until `netemu heal`.
    --json: the report, its form documented in emulator/report/json.py.
    """
    given = {key: value for key, value in worse.items() if value is not None}
    others = tuple(site for site in peers.split(",") if site)
    if how != "brownout" and given:
        words = ", ".join(f"--{key.removesuffix('_s').removesuffix('_bps')}" for key in given)
        raise UsageError(f"{words}: for brownout, not for {how}")
    if how != "partition" and (others or DIRECTIONS[direction]):
        raise UsageError(f"--from and --direction are for partition, not for {how}")
    if DIRECTIONS[direction]:
        given["direction"] = DIRECTIONS[direction]
    with attached(name) as lab:
        blow = Blow(f"netemu kill {' '.join(target)}", how, target, others, given)
        strike(lab, blow, is_detached=is_detached, as_json=as_json)


@click.command()
@click.argument("target", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every fault there is.")
@lab_option
def heal(target: tuple[str, ...], is_all: bool, name: str | None) -> None:  # noqa: FBT001
    """Undo every fault on TARGET; nothing else is touched.

    \b
    netemu heal us-east
    netemu heal us-east/www-1 --lab second
    netemu heal --all
    """
    if bool(target) == is_all:
        raise UsageError("say what to heal: netemu heal TARGET, or netemu heal --all")
    with attached(name) as lab:
        healed = heal_everything(lab) if is_all else heal_targets(lab, target)
    for fault in healed:
        click.echo(f"{fault.kind} on {' '.join(fault.target)} healed")
    if not healed:
        click.echo("nothing was broken there")


@click.command()
@click.argument("name", required=False, metavar="[LAB]")
def watch(name: str | None) -> None:
    """Show what happens in a lab, as it happens. Ctrl-C ends it and changes nothing.

    \b
    netemu watch
    netemu watch two-region
    """
    with attached(name) as lab:
        out = console()
        out.print(f"watching {lab.name}; Ctrl-C ends it and changes nothing")
        follow_for_ever(lab, Narrator(out, lab.plan, pulse=True).feed)


@click.group()
def traffic() -> None:
    """The clients' load in every city.

    \b
    netemu traffic start --rate 20/s
    netemu traffic stop
    """


@traffic.command()
@click.option("--rate", default="5/s", show_default=True, callback=quantity(parse_frequency),
              help="Requests a second, of every kind.")  # fmt: skip
@click.argument("name", required=False, metavar="[LAB]")
def start(rate: float, name: str | None) -> None:
    """Start it, or change its rate.

    \b
    netemu traffic start --rate 20/s
    """
    if not rate:
        raise UsageError("no requests at all: netemu traffic stop")
    if rate > RATE_MAX:
        raise UsageError(f"--rate: at most {RATE_MAX:g}/s of each kind; a lab is no load test")
    with attached(name) as lab:
        start_traffic(lab, even_traffic(dict.fromkeys(CLIENT_KINDS, rate)))
    click.echo(f"every city sends {rate:g} requests/s of each kind: {', '.join(CLIENT_KINDS)}")


@traffic.command()
@click.argument("name", required=False, metavar="[LAB]")
def stop(name: str | None) -> None:
    """Stop it; requests in flight end by themselves.

    \b
    netemu traffic stop
    """
    with attached(name) as lab:
        stop_traffic(lab)
    click.echo("no city sends requests now")
