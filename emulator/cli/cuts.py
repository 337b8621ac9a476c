"""partition, flap: paths that are cut, between groups of sites or again and again."""

from __future__ import annotations

import click

from emulator.cli.common import attached, json_option, lab_option, quantity
from emulator.cli.strike import Blow, detach_option, strike
from emulator.errors import UsageError
from emulator.scalars import duration
from emulator.scenario.steps import DIRECTIONS, read_rhythm, read_sides


@click.command()
@click.argument("sides", nargs=-1, required=True)
@click.option("--direction", type=click.Choice(tuple(DIRECTIONS)), default="both",
              help="Both ways, or only what leaves or enters the first side.")  # fmt: skip
@detach_option
@lab_option
@json_option
def partition(
    sides: tuple[str, ...],
    direction: str,
    is_detached: bool,  # noqa: FBT001
    name: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Cut the paths between two groups of sites and follow what happens; both sides live.

    SIDES are two groups with a bar between them, in quotes; one group alone is cut from everyone
    else. `netemu heal` with the sites of either group undoes it.

    \b
    netemu partition 'us-east,new-york | eu-west'
    netemu partition '{us-east,new-york} | {eu-west}' --direction out
    netemu partition us-east
    netemu heal us-east new-york

    Ctrl-C ends the following; the cut stays. --json: the report, as of netemu kill.
    """
    if len(sides) > 1:
        raise UsageError(
            f"{' '.join(sides)} are several words; write the groups as one, in quotes:"
            f" netemu partition '{','.join(sides)} | OTHERS'"
        )
    try:
        target, peers = read_sides(sides[0])
    except ValueError as error:
        raise UsageError(str(error)) from error
    way = DIRECTIONS[direction]
    one, other = ", ".join(target), ", ".join(peers) or "everyone else"
    arrows = {"both": "<->", "out": "->", "in": "<-"}
    blow = Blow(
        command=f"netemu partition '{sides[0]}'",
        how="partition",
        target=target,
        peers=peers,
        settings={"direction": way} if way else {},
        announcement=f"cutting {one} {arrows[direction]} {other}",
    )
    with attached(name) as lab:
        strike(lab, blow, is_detached=is_detached, as_json=as_json)


_SPAN = quantity(duration("2ms", "24h"))


@click.command()
@click.argument("target", nargs=-1, required=True)
@click.option("--every", default="2s", show_default=True, callback=_SPAN,
              help="From one cut to the next.")  # fmt: skip
@click.option("--down", callback=_SPAN, help="So long is each cut; default: half of --every.")
@click.option("--for", "lasting", default="30s", show_default=True, callback=_SPAN,
              help="In all; then the fault heals by itself.")  # fmt: skip
@detach_option
@lab_option
@json_option
def flap(
    target: tuple[str, ...],
    every: float,
    down: float | None,
    lasting: float,
    is_detached: bool,  # noqa: FBT001
    name: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Cut all paths of TARGET, a site, again and again, and follow what happens.

    Nobody needs to stay for it: the lab keeps the rhythm and heals the fault at its end.

    \b
    netemu flap us-east
    netemu flap us-east --every 2s --down 500ms --for 30s
    netemu flap paris --detach

    Ctrl-C ends the following; the flapping goes on, until its end or `netemu heal`.
    --json: the report, as of netemu kill.
    """
    try:
        settings = read_rhythm(every, down, lasting)
    except ValueError as error:
        raise UsageError(str(error)) from error
    command = f"netemu flap {' '.join(target)} --every {every:g}s --for {lasting:g}s"
    with attached(name) as lab:
        blow = Blow(command, "flap", target, settings=settings)
        strike(lab, blow, is_detached=is_detached, as_json=as_json)
