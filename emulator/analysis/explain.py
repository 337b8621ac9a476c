"""Why it took that long, in plain words. Nothing is said that the history does not show."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.analysis.measurements import FaultMeasured, Measurements, Milestones, Row, ServerView
from emulator.analysis.own import asked_in_vain, kept_its_answer
from emulator.analysis.timeline import History
from emulator.analysis.words import (
    asker_name,
    client_name,
    forced_words,
    kind_name,
    listed,
    own_cache,
    plural,
)
from emulator.clock import NS_PER_S
from emulator.events import OWN_CLIENT, Generation
from emulator.units import show_duration

# Shorter parts explain nothing.
_TELLING_S = 0.25
# The share of the TTL that the advice tries; 5 s becomes 2 s.
_SHORTER_TTL = 0.4
# After a TTL the next question has to come and to be answered.
_REFETCH_S = 0.3
# Unbound before 1.24 held an answer up to 1 s longer than its TTL, and a little more until then.
_ROUNDING_S = 1.1
# Longer than that after the TTL, with no answer from anywhere, is a resolver's back-off.
_BACK_OFF_S = 2.0
# A client that failed first this long after the fault was not hit by it but by what came of it:
# a drain's end, an answer that moved.
_WORKED_ON_S = 2.0


def explain(measured: Measurements, history: History) -> tuple[str, ...]:
    """One paragraph a fault."""
    return tuple(_fault(fault, history) for fault in measured.faults)


def _fault(fault: FaultMeasured, history: History) -> str:
    affected = [row for row in fault.rows if row.state != "unaffected"]
    said = [_how(fault, history)]
    if not fault.rows:
        said.append("No client sent a request after it.")
    elif not affected:
        said.append(_hidden(fault, history))
    for city in dict.fromkeys(row.client.city for row in affected):
        said += _city([row for row in affected if row.client.city == city], history)
    said += [_held(fault, history), _pinned(fault, affected), *_steady(fault)]
    notes = dict.fromkeys(f"{_sentence(note)}" for row in affected for note in row.notes)
    return " ".join([*(s for s in said if s), *notes])


def _held(fault: FaultMeasured, history: History) -> str:
    """What name servers held for down, up or drained by hand while the fault was there."""
    if fault.life.how == "force":
        return ""
    lasting = {(e.server, e.service): e for e in _by_time(history) if e.t <= fault.life.began}
    during = [e for e in _by_time(history) if fault.life.began < e.t <= fault.ends]
    held: dict[str, dict[str, None]] = {}
    for event in (*lasting.values(), *during):
        for region, state in event.forced.items():
            held.setdefault(f"{region} {forced_words(state)}", {})[event.server] = None
    said = [f"{what} ({listed(list(servers))})" for what, servers in held.items()]
    return f"Name servers held by hand, whatever their checks said: {'; '.join(said)}." * bool(said)


def _by_time(history: History) -> list[Generation]:
    return sorted(history.generations, key=lambda generation: generation.t)


def _pinned(fault: FaultMeasured, affected: Sequence[Row]) -> str:
    """UDP goes to servers by conntrack, which holds a flow to its first one."""
    lost = [r for r in affected if r.client.kind == "udp" and r.from_region == r.to_region]
    if fault.life.sites or fault.life.how not in {"power", "crash", "freeze"} or not lost:
        return ""
    return (
        "The lost datagrams belong to flows that were pinned to the dead server: the edge's"
        " conntrack keeps a flow on its server as long as datagrams come; new flows go to another."
    )


def _how(fault: FaultMeasured, history: History) -> str:
    """What the target did to those who spoke to it; the wire's counts where it has them."""
    target = listed(fault.life.target)
    resets, fins = fault.wire.target_resets, fault.wire.target_fins
    silent = not (resets or fins)
    goodbye = f"{resets} RST and {fins} FIN of it were seen on the wire"
    if not fault.life.sites:  # a host's own packets end at its site's edge
        silent, goodbye = True, "who was connected to it heard that at once"
    shaken = plural(fault.wire.target_synacks, "handshake")
    ways = {
        "power": f"{target} lost power, "
        + ("so nothing said goodbye." if silent else f"yet {goodbye}."),
        "crash": f"On {target} the programs died while the kernel lived: {goodbye}.",
        "freeze": f"{target} was frozen: "
        + (f"its kernel still completed {shaken}, but " if fault.wire.target_synacks else "")
        + "nothing answered"
        + _green_checks(fault, history),
        "drain": f"{target} was drained: it told the name servers first and closed last.",
        "partition": f"{target} was cut off"
        + (f" from {listed(fault.life.peers)}" if fault.life.peers else "")
        + ": silence, while both sides lived.",
        "flap": f"{target} was cut off and came back, again and again: silence each time, while it"
        " lived.",
        "brownout": f"The paths of {target} got worse, but it never went away:"
        f" {plural(fault.wire.data_again, 'data segment')} had to be sent again.",
        "force": _forced(fault, history),
    }
    return ways.get(fault.life.how, f"{fault.life.name}.")


def _forced(fault: FaultMeasured, history: History) -> str:
    """Nothing was broken: what changed is what name servers say."""
    told = {
        event.state
        for event in history.forced
        if fault.life.began <= event.t <= fault.ends
        and event.region in fault.life.sites
        and event.state != "auto"
    }
    how = " and ".join(forced_words(state) for state in sorted(told)) or "forced"
    moved = "new lookups are answered with it whatever its checks say"
    if told != {"up"}:
        moved = "new lookups go elsewhere, open connections stay"
    return f"{listed(fault.life.target)} was {how} in DNS: {moved}."


def _green_checks(fault: FaultMeasured, history: History) -> str:
    noticed = any(
        event.state == "DOWN"
        and fault.life.began <= event.t <= fault.ends
        and event.region in fault.life.sites
        for event in history.health
    )
    if noticed or not fault.life.sites:
        return "."
    return ", and no health check of the name servers noticed."


def _hidden(fault: FaultMeasured, history: History) -> str:
    """Nobody noticed: say what hid it, when the history knows."""
    requests = sum(row.requests for row in fault.rows)
    calm = f"No request failed ({requests} were made)"
    stayed = [row for row in fault.rows if row.to_region in fault.life.sites]
    if fault.life.how == "drain" and not stayed:
        return f"{calm}: every client had moved before the connections were closed."
    marked = sorted(
        (event.t, event.region, event.server)
        for event in history.proxies
        if event.state == "DOWN"
        and event.server in fault.life.hosts
        and fault.life.began <= event.t <= fault.ends
    )
    if not fault.life.sites and marked:
        t, region, server = marked[0]
        after = show_duration((t - fault.life.began) / NS_PER_S)
        return (
            f"{calm}: the balancer of {region} hid it, sent requests to another server"
            f" and marked {server} DOWN after {after}."
        )
    if not any(row.from_region in fault.life.sites for row in fault.rows):
        return f"{calm}: no client was served by it."
    return f"{calm}."


def _city(rows: Sequence[Row], history: History) -> list[str]:
    city = rows[0].client.city
    said = []
    moved = [row for row in rows if row.milestones.server]
    if moved:
        lead = max(moved, key=lambda row: row.parts()["detection_s"] + row.parts()["cache_s"])
        said += [_detection(lead), _cache(lead, history), _disagreement(lead, history)]
    prompt = [row for row in moved if not _because(row, history)]
    if prompt:
        took = [f"{kind_name(r.client.kind)} ({show_duration(r.recovery_s or 0)})" for r in prompt]
        said.append(f"{city}'s {listed(took)} followed at once.")
    said += [_row(row, city, history) for row in rows if row not in prompt]
    if heeding := [row for row in moved if not kept_its_answer(row, history)]:
        said.append(_advice(heeding))
    return [sentence for sentence in said if sentence]


def _detection(row: Row) -> str:
    path, parts = row.milestones, row.parts()
    if path.down is None:
        return ""
    view = f"{path.server} needed {show_duration(parts['detection_s'])} to notice"
    checks = path.checks
    if checks:
        span = show_duration(parts["detection_s"])
        view = f"{path.server} needed {plural(checks, 'check')} ({span}) to notice"
    return f"For {row.client.city}: {view}."


def _cache(row: Row, history: History) -> str:
    path, span = row.milestones, row.parts()["cache_s"]
    if span < _TELLING_S:
        return ""
    who = asker_name(history.run, row.client.city)
    if path.held is None:
        return f"{who} was given the new answer {show_duration(span)} later."
    held, ttl = path.held.held_s, path.held.ttl
    if held > ttl + _BACK_OFF_S and not _answered_between(path, row, history):
        return (
            f"{who} got no answer from any name server for {held:.1f} s: after a dark time Unbound"
            f" waits longer and longer before it asks again ({show_duration(span)} of it here)."
        )
    rest = f"{who} then held the old answer for the rest of its {ttl} s TTL"
    rounded = ttl + _REFETCH_S < held <= ttl + _ROUNDING_S
    why = f"; it counts whole seconds, so it held it {held:.1f} s in all" if rounded else ""
    return f"{rest} ({show_duration(span)}{why})."


def _answered_between(path: Milestones, row: Row, history: History) -> bool:
    since, until = (path.held.since, path.held.until) if path.held else (0, 0)
    return any(since < a.t < until for a in history.answers_to(row.client.city))


def _disagreement(row: Row, history: History) -> str:
    said = [_differs(other, row, history) for other in row.milestones.others]
    return f"The name servers disagreed: {'; '.join(said)}." if said else ""


def _differs(other: ServerView, row: Row, history: History) -> str:
    told = []
    if other.down is not None and row.milestones.down is not None:
        apart = (other.down - row.milestones.down) / NS_PER_S
        when = f"{show_duration(abs(apart))} {'later' if apart > 0 else 'earlier'}"
        told.append(f"{other.server} noticed {when} than {row.milestones.server}")
    if other.old_answer is not None:
        at = history.seconds(other.old_answer)
        told.append(f"{other.server} still named {row.from_region} at {at:.1f} s")
    return " and ".join(told)


def _row(row: Row, city: str, history: History) -> str:
    name = f"{city}'s {kind_name(row.client.kind)}"
    if row.state == "inconclusive":
        return f"Of {name} nothing can be said: {row.reason}."
    if row.state == "not_recovered":
        return f"{name} did not recover: {row.reason}."
    took = f"{name} took {show_duration(row.recovery_s or 0.0)}"
    because = _because(row, history)
    return f"{took}: {', and '.join(because)}." if because else f"{took}."


def _because(row: Row, history: History) -> list[str]:
    """What is to be told of a recovered row beside what its name servers and resolver did."""
    because = _own_part(row, history)
    if row.with_heal:
        because.append("it recovered only once the fault was healed")
    if row.relapses:
        because.append(f"it relapsed {plural(row.relapses, 'time')} on the way")
    return because


def _own_part(row: Row, history: History) -> list[str]:
    """The parts that are the client's own."""
    parts = row.parts()
    if row.from_region == row.to_region:
        stayed = f"it stayed on {row.to_region}" if row.to_region else ""
        return [f"{stayed}, so no name server had a part in it"] if stayed else []
    worked_on = (row.recovery_s or 0.0) - row.outage_s
    if worked_on > _WORKED_ON_S:
        span, gap = show_duration(worked_on), show_duration(row.outage_s)
        return [f"it went on with {row.from_region} for {span} and was without an answer for {gap}"]
    said = []
    if parts["client_s"] >= _TELLING_S:
        span = show_duration(parts["client_s"])
        waits = {
            "stream": f"{span} went by in its own wait: stall timeout, attempts at the old address"
            " and back-off",
            "keepalive": f"{span} went by while it still used connections to {row.from_region}",
        }
        if row.client.kind == OWN_CLIENT:
            said.append(_asked_in_vain(row, history) or f"{span} went by before it asked elsewhere")
        elif cache := own_cache(history.run, row.client):
            said.append(f"{cache} held the old answer for {span}")
        else:
            said.append(waits.get(row.client.kind, f"{span} went by before it asked again"))
    if parts["connect_s"] >= _TELLING_S:
        span = show_duration(parts["connect_s"])
        said.append(f"{span} until its first handshake with {row.to_region}")
    if parts["resume_s"] >= _TELLING_S:
        last = _late_connections(row, history)
        until = f"the last of its {last} new connections was open" if last > 1 else ""
        span = show_duration(parts["resume_s"])
        said.append(f"{span} until {until or 'everything was answered again'}")
    return said


def _asked_in_vain(row: Row, history: History) -> str:
    """What an own client did while its resolver had the new answer already; empty where the
    history shows no attempt."""
    asked = asked_in_vain(row, history)
    if not asked:
        return ""
    who, span = asker_name(history.run, row.client.city), show_duration(row.parts()["client_s"])
    said = (
        f"it went on asking {row.from_region}'s address for {span} after {who} had"
        f" {row.to_region}'s ({plural(len(asked), 'attempt')})"
    )
    if not kept_its_answer(row, history):
        return said
    return (
        f"{said}; whoever asked the resolver by then was told the new one, so it kept the old one"
        " itself"
    )


def _late_connections(row: Row, history: History) -> int:
    """How many connections it opened to the new region up to its recovery, if that was what
    the recovery waited for: the last of them was opened in the part's last quarter second."""
    recovered = row.recovered or 0
    opened = [
        c.t
        for c in history.connections[row.client]
        if c.phase == "open"
        and row.began <= c.t <= recovered
        and history.region_of(c.address) == row.to_region
    ]
    return len(opened) if opened and recovered - max(opened) < _TELLING_S * NS_PER_S else 0


def _advice(rows: Sequence[Row]) -> str:
    """What a shorter TTL would have saved: the same share of the wait as of the TTL."""
    lead = max(rows, key=lambda row: row.parts()["cache_s"])
    held, span = lead.milestones.held, lead.parts()["cache_s"]
    if held is None or held.ttl < 2 or span < 1 or held.held_s > held.ttl + _BACK_OFF_S:
        return ""
    if not any(row.outage_s > span for row in rows):
        return ""
    ttl = max(1, round(held.ttl * _SHORTER_TTL))
    saved = span * (1 - ttl / held.ttl)
    return (
        f"A TTL of {ttl} s would have saved about {saved:.0f} s,"
        f" for {held.ttl / ttl:g} times the DNS queries."
    )


def _steady(fault: FaultMeasured) -> list[str]:
    unsteady = [row for row in fault.rows if row.baseline is not None and row.baseline < 1]
    if not unsteady:
        return []
    said = [f"{client_name(row.client)}: {row.baseline:.1%} answered" for row in unsteady]
    return [f"Requests failed before the fault already ({'; '.join(said)}); they are not counted."]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
