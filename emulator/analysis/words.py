"""The words of the reports: one name for one thing, everywhere."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from emulator.analysis.measurements import FlowLog, Loss
from emulator.analysis.timeline import Client
from emulator.clock import NS_PER_S
from emulator.events import Command, Forced, Run, Wait

KIND_NAMES = {
    "http": "http, new connections",
    "keepalive": "http, keep-alive",
    "stream": "tcp stream",
    "udp": "udp",
    "own": "own client",
}
_ERRORS = {
    "EOF": "closed (FIN)",
    "ECONNRESET": "reset",
    "ECONNREFUSED": "refused",
    "EHOSTUNREACH": "host unreachable",
    "wrong-region": "answered by a wrong region",
    "stalled": "silence on the stream",
    "unconnected": "while not connected",
    "NXDOMAIN": "no such name",
    "SERVFAIL": "SERVFAIL of the resolver",
    "certificate": "its certificate is not to be trusted",
}
_LISTED = 8  # kinds of losses that a table names
_WIDEST = 80  # characters of a command that are shown
_FORCED = {"down": "forced down", "up": "forced up", "drain": "drained"}
_TIMEOUTS = {
    "lookup": "name not resolved in time",
    "connect": "silence, no handshake",
    "handshake": "silence in the TLS handshake",
    "response": "silence, no answer",
}


def kind_name(kind: str) -> str:
    """`http, new connections` for `http`."""
    return KIND_NAMES.get(kind, kind)


def client_name(client: Client) -> str:
    """`new-york, http, keep-alive`."""
    return f"{client.city}, {kind_name(client.kind)}"


def loss_name(loss: Loss) -> str:
    """What a failed request met: `reset by us-east`."""
    if loss.outcome == "timeout":
        return _TIMEOUTS.get(loss.detail, loss.detail or "no answer in time")
    by = f" by {loss.sender}" if loss.sender else ""
    if loss.detail.isdigit():
        return f"HTTP status {loss.detail}"
    if loss.closed_by == "peer-rst" and loss.detail in ("", "ECONNRESET", "EPIPE"):
        return "reset (RST)" + (by or " by the peer")
    return _ERRORS.get(loss.detail, loss.detail or "failed") + by


def loss_lines(losses: Sequence[Loss]) -> list[str]:
    """`12 reset by us-east`, the most frequent first; those of rare kinds together, since clients
    of the user's may say something else each time."""
    told = [f"{loss.count} {loss_name(loss)}" for loss in losses[:_LISTED]]
    rest = sum(loss.count for loss in losses[_LISTED:])
    return [*told, f"{rest} otherwise"] if rest else told


def wait_line(wait: Wait) -> str:
    """`waited 6.2 s for: recovered`."""
    took = (wait.t - wait.began) / NS_PER_S
    if wait.met:
        return f"waited {took:.1f} s for: {wait.text}"
    missing = f": {wait.detail}" if wait.detail else ""
    return f"waited {took:.1f} s in vain for: {wait.text}{missing}"


def command_text(command: Command) -> str:
    """`exec eu-west/db-1:image: pg_ctl promote -w`."""
    words = shlex.join(command.argv)
    shown = words if len(words) <= _WIDEST else f"{words[:_WIDEST]} …"
    return f"{command.verb} {command.host}: {shown}"


def command_line(command: Command) -> str:
    """The same with how it ended: `..., 0.2 s`."""
    took = f"{(command.t - command.began) / NS_PER_S:.1f} s"
    if command.code == 0:
        return f"{command_text(command)} ({took})"
    how = "no end" if command.code is None else f"exit {command.code}"
    said = f": {command.said}" if command.said else ""
    return f"{command_text(command)} FAILED ({how}, {took}){said}"


def asker_name(run: Run | None, city: str) -> str:
    """Who asks the name servers for a city's clients: `paris's resolver`."""
    asked = run.resolvers.get(city, {}) if run else {}
    site = asked.get("site", city)
    return f"{site}'s resolver" if site else f"the stub resolver in {city}"


def own_cache(run: Run | None, client: Client) -> str:
    """How a client keeps DNS answers, where it does: `its own DNS cache of 30 s`."""
    load = run.loads.get(client.city, {}).get(client.kind, {}) if run else {}
    kept = load.get("cache_s", 0)
    if kept == 0:
        return ""
    held = "for ever" if kept is None else "of the answer's TTL" if kept < 0 else f"of {kept:g} s"
    return f"its own DNS cache {held}"


def forced_words(state: str) -> str:
    """What a region is that name servers hold so, whatever its checks say: `drained`."""
    return _FORCED.get(state, f"forced {state}")


def forced_line(servers: Sequence[str], event: Forced, *, with_service: bool) -> str:
    """`ns1 and ns2 hold us-east drained for 20 s`; `with_service`: one of several."""
    region = f"{event.region} ({event.service})" if with_service else event.region
    who, one = listed(servers), len(servers) == 1
    if event.state == "auto":
        why = " (its time is over)" if event.reason == "expired" else ""
        return f"{who} follow{'s' * one} the checks of {region} again{why}"
    lasts = "" if event.until is None else f" for {show_span((event.until - event.t) / NS_PER_S)}"
    again = ", as before its restart" if event.reason.startswith("restored") else ""
    return f"{who} hold{'s' * one} {region} {forced_words(event.state)}{lasts}{again}"


def show_span(seconds: float) -> str:
    """A time that a person waits: `45 s`, `9 min 58 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (
        (*divmod(whole, 60), ("min", "s"))
        if whole < 3600
        else (*divmod(round(whole / 60), 60), ("h", "min"))
    )
    return f"{large} {names[0]}" + (f" {small} {names[1]}" if small else "")


def plural(count: int, thing: str) -> str:
    """`1 check`, `3 checks`."""
    return f"{count} {thing}" + ("" if count == 1 else "s")


def amount(octets: float) -> str:
    """`812 B`, `2.4 kB`, `124 MB`, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if octets < 999.5:
            return f"{octets:.{0 if unit == 'B' or octets >= 9.95 else 1}f} {unit}"
        octets /= 1000
    return f"{octets:.1f} GB"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def flow_log_words(log: FlowLog) -> str:
    """What the flow log adds in a sentence or three; empty where it adds nothing."""
    told = []
    if log.longest is not None:
        silence = log.longest
        told.append(
            f"On {plural(log.silent, 'connection')} {silence.site} gave no answer while the other"
            f" side went on sending, for up to {silence.seconds:.1f} s"
            f" ({silence.end} to {silence.peer_site}'s {silence.peer_end})."
        )
    if log.strangers:
        by = ", ".join(f"{site} {count}" for site, count in sorted(log.strangers.items()))
        told.append(f"RST from hosts that never had the connection: {by}.")
    if log.unanswered:
        asked = plural(log.questions, "DNS question")
        told.append(f"{log.unanswered} of {asked} found no answer.")
    return " ".join(told)
