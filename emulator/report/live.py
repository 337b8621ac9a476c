"""Events as they come, as lines a person can follow: what happened, not every packet of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

KINDS = {"http": "http", "keepalive": "keep-alive", "stream": "stream", "udp": "udp"}
CALM_NS = 1_000_000_000  # one answer between failures is no recovery
PULSE_NS = 5_000_000_000


class Narrator:
    """Feed it events; it prints the telling ones, with seconds since it began."""

    def __init__(
        self,
        console: Console,
        preferred: Mapping[str, Sequence[str]],
        *,
        quiet: bool = False,
        pulse: bool = False,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._pulse_at = 0 if pulse else None
        self._zero: int | None = None
        self._answered = {city: regions[0] for city, regions in preferred.items()}
        self._failed: dict[tuple[str, str], int] = {}  # (city, client) -> last failed start
        self._well_since: dict[tuple[str, str], int] = {}
        self._served: Counter[str] = Counter()

    def feed(self, event: dict[str, Any]) -> None:
        """Take one event; most say nothing."""
        if self._zero is None:
            self._zero = event["t"]
        tell = getattr(self, f"_tell_{event['kind']}", None)
        if tell is not None and not self._quiet:
            tell(event)
        if self._pulse_at is not None and event["t"] > self._pulse_at:
            self._pulse(event["t"])

    def _say(self, t: int, text: str) -> None:
        self._console.print(f"{(t - (self._zero or t)) / 1e9:7.1f} s  {text}", soft_wrap=True)

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
        self._say(event["t"], f"{event['server']} marks {event['region']} {event['state']}{reason}")

    def _tell_proxy(self, event: dict[str, Any]) -> None:
        what = event["server"] or f"{event['region']}'s balancer"
        self._say(event["t"], f"{event['region']}'s edge: {what} is {event['state']}")

    def _tell_answer(self, event: dict[str, Any]) -> None:
        city = event["target"]
        region = event.get("region", "")
        if not region or self._answered.get(city) == region:
            return
        self._answered[city] = region
        self._say(event["t"], f"{city}'s resolver is given {region} by {event['source']}")

    def _tell_request(self, event: dict[str, Any]) -> None:
        """Requests end out of order: a failure that began before the recovery is old news."""
        key = (event["city"], event["client"])
        name = f"{event['city']}, {KINDS[event['client']]}"
        ended = event.get("end") or event["t"]
        if event["outcome"] == "ok":
            self._served[f"{event['city']} from {event['region']}"] += 1
            if event["t"] > self._failed.get(key, event["t"]) + CALM_NS:
                del self._failed[key]
                self._well_since[key] = event["t"]
                self._say(ended, f"{name}: answered again, by {event['region']}")
            return
        self._served[f"{event['city']} failed"] += 1
        if event["t"] < self._well_since.get(key, 0):
            return
        if key not in self._failed:
            self._say(ended, f"{name}: first failure, {event['outcome']} {event['detail']}")
        self._failed[key] = max(event["t"], self._failed.get(key, 0))

    def _tell_lost(self, event: dict[str, Any]) -> None:
        self._say(event["t"], f"{event['count']} events were lost at {event['where']}")

    def _pulse(self, t: int) -> None:
        if self._served:
            counts = ", ".join(f"{name}: {n}" for name, n in sorted(self._served.items()))
            self._say(t, f"requests {counts}")
            self._served.clear()
        self._pulse_at = t + PULSE_NS
