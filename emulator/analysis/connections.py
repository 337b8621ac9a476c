"""What became of a client's requests and connections, and where it went after the heal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from emulator.analysis.measurements import Fate, Loss, Reversion
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.analysis.windows import WINDOW_NS, WINDOW_REQUESTS, Evidence
from emulator.analysis.wire import Senders
from emulator.clock import NS_PER_S
from emulator.events import Connection, Request, Run

# How a client's own close came about when it had waited in vain (Connection.detail).
_SILENT = ("stalled", "timeout", "response", "connect", "handshake", "silent")


def losses(senders: Senders, city: str, failed: Sequence[Request]) -> tuple[Loss, ...]:
    """Failed requests counted by how they ended, the most frequent first."""
    counts = Counter(
        (r.outcome, r.detail, r.closed_by, senders.of(city, r) if r.closed_by != "us" else "")
        for r in failed
    )
    return tuple(Loss(*ended, count) for ended, count in counts.most_common())


def fates(history: History, client: Client, began: int, until: int) -> tuple[dict[str, int], int]:
    """What became, until then, of the connections that were open at the fault; and how many
    connections of any age an RST ended."""
    last: dict[int, Connection] = {}
    became: Counter[str] = Counter()
    reset = 0
    for event in sorted(history.connections[client], key=lambda c: c.t):
        if event.phase not in ("open", "close", "failed"):
            continue
        if began <= event.t < until:
            reset += event.closed_by == "peer-rst"
            if event.phase == "close" and _was_open(last.get(event.conn), began):
                became[_fate(event)] += 1
        if event.t < until:
            last[event.conn] = event
    survived = sum(c.phase == "open" and c.t < began for c in last.values())
    if survived:
        became["survived"] = survived
    return dict(became), reset


def _preferred(run: Run, city: str) -> list[str]:
    """The regions that a city is sent to, in order; none where a draw decides among several."""
    is_drawn = len(run.sent_to.get(city, {}).get("regions", ())) > 1
    return [] if is_drawn else run.preferred.get(city, [])


def reversion(
    history: History, life: FaultLife, client: Client, seen: Evidence, until: int | None
) -> Reversion | None:
    """When a client that prefers a healed region was served by it again, for 3 s and 10 requests.

    None when it does not apply: not healed, another or no single region preferred, or never left.
    """
    preferred = _preferred(history.run, client.city) if history.run else []
    if life.healed is None or not preferred or preferred[0] not in life.sites:
        return None
    if all(r.region == preferred[0] for r in _answered(seen.between(life.began, life.healed))):
        return None
    after = _answered(seen.between(life.healed, until))
    run: list[Request] = []
    for request in after:
        if request.region != preferred[0]:
            run = []
            continue
        run.append(request)
        if len(run) >= WINDOW_REQUESTS and request.t - run[0].t >= WINDOW_NS:
            return Reversion((run[0].t - life.healed) / NS_PER_S, preferred[0])
    tail = after[-WINDOW_REQUESTS:]
    if run or len(tail) < WINDOW_REQUESTS or tail[-1].t - life.healed < WINDOW_NS:
        return Reversion(None, "")
    return Reversion(None, Counter(r.region for r in tail).most_common(1)[0][0])


def _answered(requests: Sequence[Request]) -> list[Request]:
    return [r for r in requests if r.outcome == "ok"]


def _was_open(before: Connection | None, began: int) -> bool:
    """True for a connection older than the fault; one that the history did not see open is."""
    return before is None or (before.phase == "open" and before.t < began)


def _fate(event: Connection) -> Fate:
    if event.closed_by == "peer-rst":
        return "reset"
    if event.closed_by == "peer-fin":
        return "closed by peer"
    return "silent" if event.detail in _SILENT else "closed by us"
