"""Events as they come, as lines a person can follow: what happened, not every packet of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console

from emulator.analysis.attempts import attempt
from emulator.analysis.changes import change_line, is_same_change
from emulator.analysis.words import command_line, forced_line, wait_line
from emulator.events import OWN_CLIENT, Command, Forced, Own, PathChange, Wait
from emulator.plan.model import Plan

KINDS = {"http": "http", "keepalive": "keep-alive", "stream": "stream", "udp": "udp",
         "own": "own client"}  # fmt: skip
CALM_NS = 1_000_000_000  # one answer between failures is no recovery
PULSE_NS = 5_000_000_000


class Narrator:
    """Feed it events; it prints the telling ones, with seconds since it began."""

    def __init__(
        self,
        console: Console,
        plan: Plan,
        *,
        quiet: bool = False,
        pulse: bool = False,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._pulse_at = 0 if pulse else None
        self._zero: int | None = None
        self._regions = {a: r for s in plan.services for r, a in s.addresses.items()}
        self._servers = {site.name for site in plan.sites if site.kind == "dns"}
        lans = {site.name: site.lan_prefix or "" for site in plan.sites}
        first = {city: regions[0] for city, regions in plan.preferred.items()}
        # By resolver, and by the network where an answer is for one alone.
        self._answered = {**first, **{lans[city]: region for city, region in first.items()}}
        self._failed: dict[tuple[str, str], int] = {}  # (city, client) -> last failed start
        self._well_since: dict[tuple[str, str], int] = {}  # the same -> first good start after it
        self._served: Counter[str] = Counter()
        self._is_overloaded = False
        self._changes: list[PathChange] = []  # of one instant, not told yet
        self._traced: set[tuple[str, str]] = set()  # paths whose trace has been told of
        self._has_services = len(plan.services) > 1

    def feed(self, event: dict[str, Any]) -> None:
        """Take one event; most say nothing."""
        if self._zero is None:
            self._zero = event["t"]
        if not self._quiet:
            self._tell_changes(event)
        tell = getattr(self, f"_tell_{event['kind']}", None)
        if tell is not None and not self._quiet:
            tell(event)
        if self._pulse_at is not None and event["t"] > self._pulse_at:
            self._pulse(event["t"])

    def _tell_changes(self, event: dict[str, Any]) -> None:
        """Both directions of a pair come as two events; of a trace its first step is told."""
        change = PathChange.from_json(event) if event["kind"] == PathChange.kind else None
        if self._changes and (change is None or not is_same_change(self._changes[-1], change)):
            text = change_line(self._changes)
            self._say(self._changes[0].t, text)
            self._changes.clear()
        if change is None:
            return
        path = (change.source, change.target)
        if change.by != "trace" or path not in self._traced:
            self._changes.append(change)
        (self._traced.add if change.by == "trace" else self._traced.discard)(path)

    def _say(self, t: int, text: str) -> None:
        zero = t if self._zero is None else self._zero
        self._console.print(f"{(t - zero) / 1e9:7.1f} s  {text}", soft_wrap=True)

    def _tell_note(self, event: dict[str, Any]) -> None:
        words = {"traffic": "traffic begins in every city", "end": "end of the scenario"}
        self._say(event["t"], words.get(event["text"], event["text"]))

    def _tell_fault(self, event: dict[str, Any]) -> None:
        what = f"{event['how']} {', '.join(event['target'])}"
        words = {
            "inject_began": what,
            "healed": f"{what} healed",
            "failed": f"{what} failed: {event.get('detail', '')}",
        }
        if event["phase"] in words:
            self._say(event["t"], words[event["phase"]])

    def _tell_health(self, event: dict[str, Any]) -> None:
        reason = f" ({event['reason']})" if event.get("reason") else ""
        service = f" for {event['service']}" if self._has_services else ""
        marks = f"{event['server']} marks {event['region']} {event['state']}{service}"
        self._say(event["t"], f"{marks}{reason}")

    def _tell_forced(self, event: dict[str, Any]) -> None:
        told = Forced.from_json(event)
        line = forced_line([told.server], told, with_service=self._has_services)
        self._say(event["t"], line)

    def _tell_proxy(self, event: dict[str, Any]) -> None:
        what = event["server"] or f"{event['region']}'s balancer"
        self._say(event["t"], f"{event['region']}'s edge: {what} is {event['state']}")

    def _tell_answer(self, event: dict[str, Any]) -> None:
        city = event["target"]
        named = [self._regions[a] for a in event["addresses"] if a in self._regions]
        regions = " and ".join(sorted(named))
        whom = event.get("subnet") or city
        is_told = event["source"] in self._servers  # else it is a resolver that answers
        if not regions or not is_told or self._answered.get(whom) == regions:
            return
        self._answered[whom] = regions
        self._say(event["t"], f"{city}'s resolver is given {regions} by {event['source']}")

    def _tell_request(self, event: dict[str, Any]) -> None:
        key = (event["city"], event["client"])
        if event["outcome"] == "ok":
            by = f"from {event['region']}" if event["region"] else "answered"
            self._served[f"{event['city']} {by}"] += 1
            self._good(key, event)
        else:
            self._served[f"{event['city']} failed"] += 1
            self._bad(key, event)

    def _tell_own(self, event: dict[str, Any]) -> None:
        request = attempt(Own.from_json(event), self._regions)
        if request is not None:
            self._tell_request(request.to_json())

    def _good(self, key: tuple[str, str], event: dict[str, Any]) -> None:
        """One answer between failures is no recovery; its time is that of the first answer."""
        failed = self._failed.get(key)
        if failed is None or event["t"] < failed:
            return
        since = self._well_since.setdefault(key, event["t"])
        if event["t"] > since + CALM_NS:
            del self._failed[key]
            by = f", by {event['region']}" if event["region"] else ""
            self._say(since, f"{_name(key)}: answered again{by}")

    def _bad(self, key: tuple[str, str], event: dict[str, Any]) -> None:
        """Requests end out of order: a failure that began before the recovery is old news."""
        if event["t"] < self._well_since.get(key, 0):
            return
        self._well_since.pop(key, None)
        if key not in self._failed:
            known = event.get("end") or event["t"]
            what = f"{event['outcome']} {event['detail']}".rstrip()
            if key[1] == OWN_CLIENT and event["detail"]:
                what = event["detail"]  # "timed out" says it all
            self._say(known, f"{_name(key)}: first failure, {what}")
        self._failed[key] = max(event["t"], self._failed.get(key, 0))

    def _tell_daemon(self, event: dict[str, Any]) -> None:
        """Of daemons only the WAN's wire: the others' ends show in what they did."""
        words = {
            "ended": f"ended ({event['detail']}): nothing moves until it is started anew",
            "started": f"moves packets ({event['detail']})",
            "stuck": f"stands still: {event['detail']}",
            "moving": "moves again",
            "given up": f"{event['detail']}; it is not started again: make the lab anew",
        }
        if event["host"] == "wan" and event["state"] in words:
            self._say(event["t"], f"the WAN's wire {words[event['state']]}")

    def _tell_wire(self, event: dict[str, Any]) -> None:
        """When an overload begins, and when it is over."""
        is_overloaded = event["dropped"] > 0
        if is_overloaded and not self._is_overloaded:
            self._say(event["t"], f"the WAN is overloaded: {event['dropped']:,} packets dropped")
        elif self._is_overloaded and not is_overloaded:
            self._say(event["t"], "the WAN keeps up again")
        self._is_overloaded = is_overloaded

    def _tell_wait(self, event: dict[str, Any]) -> None:
        self._say(event["t"], wait_line(Wait.from_json(event)))

    def _tell_command(self, event: dict[str, Any]) -> None:
        self._say(event["t"], command_line(Command.from_json(event)))

    def _tell_lost(self, event: dict[str, Any]) -> None:
        self._say(event["t"], f"{event['count']} events were lost at {event['where']}")

    def _pulse(self, t: int) -> None:
        if self._served:
            counts = ", ".join(f"{name}: {n}" for name, n in sorted(self._served.items()))
            self._say(t, f"requests {counts}")
            self._served.clear()
        self._pulse_at = t + PULSE_NS


def _name(key: tuple[str, str]) -> str:
    city, client = key
    return f"{city}, {KINDS[client]}"
