"""flows: the connections on the WAN, as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
from rich.console import Console, RenderableType
from rich.live import Live

from emulator.analysis.flows import Flows
from emulator.analysis.lines import typed
from emulator.cli.common import attached, console, echo_json, json_option, lab_option
from emulator.cli.where import chosen
from emulator.controller.lab import Lab
from emulator.report.flows import Paths, flow_table, flows_json

_KINDS = frozenset({"packet", "flow", "question", "answer"})
_INTERVAL_S = 2.0
_TELLING_S = 0.2  # what the wire was asked to tell is here by then
_AROUND = 6  # lines of a screen that are not flows
_ROWS = 40  # where there is no screen


@click.command()
@click.argument("where", required=False, metavar="[PATH|SITE]")
@click.option("--once", "is_once", is_flag=True, help="One table of what is known, then end.")
@click.option("--all", "is_all", is_flag=True, help="All that is remembered, however old.")
@json_option
@lab_option
def flows(
    where: str | None,
    is_once: bool,  # noqa: FBT001
    is_all: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    name: str | None,
) -> None:
    """Connections as the WAN sees them, as it happens: who opened them, what they have come to.

    \b
    opening, open     a SYN went out; it was accepted
    unanswered        nobody accepted it, and no further SYN came
    silent            open, and for 2 s or more nobody sent anything
    X mute            the same of one side, while the other one goes on sending
    closing, closed   a FIN of one side, of both; and who was first
    refused, reset    a RST answered the SYN, or came later; and who sent it

    Trouble stands first. `again`: SYN, FIN and data that were sent again; `sent` and `got` are the
    client's bytes; `quiet`: the longest that one side sent nothing. PATH is us-east..paris, SITE
    all from and to it. Ctrl-C ends it.

    \b
    netemu flows
    netemu flows paris --once
    netemu flows us-east..paris --json

    --json: now, flows (protocol, state, began, accepted, silent_ns, mute, resets, client and
    server with what each sent), questions (DNS); instants in ns of the lab's clock.
    """
    with attached(name) as lab:
        watched = _Watched(lab, chosen(lab.plan, where).paths, is_all=is_all)
        out = console()
        if as_json:
            watched.catch_up()
            echo_json(flows_json(watched.flows, watched.paths, lab.wan.now_ns(), is_all=is_all))
        elif is_once:
            watched.catch_up()
            out.print(watched.table(None if is_all else _ROWS))
        elif out.is_terminal:
            _live(watched, out)
        else:
            for _ in watched.every(_INTERVAL_S):
                out.print(watched.table(_ROWS))


class _Watched:
    """The flows of a running lab, up to date."""

    def __init__(self, lab: Lab, paths: Paths, *, is_all: bool) -> None:
        self.flows = Flows()
        self.paths = frozenset(paths)
        self._lab = lab
        self._is_all = is_all
        self._events = lab.wan.events(0)
        self._seq = -1  # of the newest event taken in

    def catch_up(self) -> None:
        """Everything that has happened until now."""
        self._lab.wan.flows()
        self._read(_TELLING_S)
        last = int(self._lab.wan.stats()["seq"])
        while self._seq < last:
            self._read(_TELLING_S)

    def every(self, seconds: float) -> Iterator[None]:
        """For ever; what has happened is taken in meanwhile."""
        self.catch_up()
        while True:
            yield
            self._lab.wan.flows()
            self._read(seconds)

    def _read(self, seconds: float) -> None:
        """Take in what comes for so long."""
        until = time.monotonic() + seconds
        for event in self._events:
            if event is not None:
                self._seq = event["seq"]
                self._take(event)
            if time.monotonic() >= until:
                return

    def _take(self, event: dict[str, object]) -> None:
        if event["kind"] in _KINDS and (known := typed(event)) is not None:
            self.flows.feed(known)

    def table(self, rows: int | None) -> RenderableType:
        now = self._lab.wan.now_ns()
        title = f"{self._lab.name}, flows on the WAN"
        return flow_table(title, self.flows, self.paths, now, rows, is_all=self._is_all)


def _live(watched: _Watched, out: Console) -> None:
    """On a screen of its own; what was shown last stays on the terminal."""
    last: RenderableType = ""
    try:
        with Live(console=out, screen=True, auto_refresh=False) as screen:
            for _ in watched.every(_INTERVAL_S):
                last = watched.table(max(1, out.height - _AROUND))
                screen.update(last, refresh=True)
    finally:
        out.print(last)
