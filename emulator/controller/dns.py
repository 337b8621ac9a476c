"""Name servers by hand: hold a region for down, up or drained; what they hold, why, how much.

Each name server tells all of it by HTTP inside its own host, so a question needs its host's init
and its `dns` daemon; one that does not answer in `ASK_S` is named, never waited for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab, locked
from emulator.engine.base import ContainerState
from emulator.errors import UsageError, WanError, suggest

ADMIN = "http://127.0.0.1:9153"
ASK_S = 2.0
CONFIRM_S = 3.0  # a forced state reaches answers in 50 ms; the rest is a busy machine's
POLL_S = 0.1
HTTP_ERROR = 22  # curl's exit code for a status of 400 or above
FORCED_STATES = ("down", "up", "drain", "auto")

State = dict[str, Any]  # of one name server, as its /state says; {"error": why} of one that is mute


def name_servers(lab: Lab) -> list[str]:
    """Every name server of the plan, dead or alive."""
    return [host.name for host in lab.plan.hosts if host.role == "ns"]


def tell_force(
    lab: Lab, region: str, service: str | None, state: str, until_ns: int | None = None
) -> int:
    """Tell every name server that lives; the instant (ns) before the first was told.

    `state` auto: its checks decide again. A frozen server hears it when it wakes, a dead one never.
    Raises UsageError for what the plan does not have, WanError when not one could be told.
    """
    began = lab.wan.now_ns()
    _tell(lab, region, service, state, until_ns)
    return began


def _tell(
    lab: Lab, region: str, service: str | None, state: str, until_ns: int | None
) -> dict[str, str]:
    """Those that could not be told, and why."""
    services_with(lab, region, service)
    deaf = _fallen(lab, hearing=(ContainerState.RUNNING, ContainerState.PAUSED))
    command = {"op": "force", "region": region, "service": service, "state": state,
               "until": until_ns}  # fmt: skip
    send = {"daemon": "dns", "line": json.dumps(command)}
    hear = [server for server in name_servers(lab) if server not in deaf]
    answers = lab.wan.hosts(dict.fromkeys(hear, ("send", send)), ASK_S)
    deaf |= {server: _unheard(server, a) for server, a in answers.items() if _failure(a)}
    if len(deaf) == len(name_servers(lab)):
        raise WanError(f"no name server could be told: {_each(deaf)}")
    return deaf


def services_with(lab: Lab, region: str, service: str | None = None) -> list[str]:
    """The services that this region has; `service`: only that one. Raises UsageError."""
    regions = [r.name for r in lab.plan.topology.regions]
    if region not in regions:
        raise UsageError(f"{region} is no region of lab {lab.name}; {near(region, regions)}")
    names = [s.name for s in lab.plan.services]
    if service is not None and service not in names:
        raise UsageError(f"{service} is no service of lab {lab.name}; {near(service, names)}")
    having = [s.name for s in lab.plan.services if region in s.addresses]
    chosen = [name for name in having if service in (None, name)]
    if not chosen:
        raise UsageError(f"{region} does not have {service or 'any service'}")
    return chosen


def force(
    lab: Lab,
    region: str,
    state: str,
    service: str | None = None,
    for_s: float | None = None,
    is_sure: bool = False,  # noqa: FBT001, FBT002
) -> dict[str, Any]:
    """Tell every name server, and wait until each that lives says that it holds it.

    Returns lab, region, state, service, services, for_s, now_ns, states (as name_server_states)
    and deaf: name server -> why it could not be told. Raises UsageError where `down` or `drain`
    would leave a name server nothing to offer, unless `is_sure`; WanError when one that was told
    does not say so in time.
    """
    chosen = services_with(lab, region, service)
    with locked(lab, f"dns force {region} {state}"):
        if state in {"down", "drain"} and not is_sure:
            _refuse_to_strand(name_server_states(lab), region, chosen, state)
        until = None if for_s is None else lab.wan.now_ns() + round(for_s * NS_PER_S)
        deaf = _tell(lab, region, service, state, until)
        told = [server for server in name_servers(lab) if server not in deaf]
        states = _wait_until_held(lab, told, region, chosen, state, until)
    return {
        "lab": lab.name,
        "region": region,
        "state": state,
        "service": service,
        "services": chosen,
        "for_s": for_s,
        "now_ns": lab.wan.now_ns(),
        "states": states,
        "deaf": deaf,
    }


def _refuse_to_strand(
    states: Mapping[str, State], region: str, services: Sequence[str], state: str
) -> None:
    left: dict[str, list[str]] = {}
    for server, name in stranded(states, region, services):
        left.setdefault(name, []).append(server)
    if left:
        what = "; ".join(
            f"{' and '.join(servers)} would have no other region of {name} to offer"
            for name, servers in left.items()
        )
        verb = "draining" if state == "drain" else "forcing down"
        raise UsageError(f"not {verb} {region}: {what}. If that is meant: --yes")


def stranded(
    states: Mapping[str, State], region: str, services: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Each (name server, service) that would have no other region that is UP or forced up."""
    for server, held in states.items():
        for name in services:
            regions = held.get("services", {}).get(name, {}).get("regions")
            if regions is None:  # a server that is mute is not judged
                continue
            others = (r for other, r in regions.items() if other != region)
            if not any(_is_offered(r) for r in others):
                yield server, name


def _is_offered(region: Mapping[str, Any]) -> bool:
    forced = region["forced"]
    return bool(forced == "up" if forced else region["health"] == "UP")


def _wait_until_held(
    lab: Lab,
    told: Sequence[str],
    region: str,
    services: Sequence[str],
    state: str,
    until: int | None,
) -> dict[str, State]:
    """All of their states, once each that can answer holds what it was told."""
    deadline = lab.clock.now_ns() + round(CONFIRM_S * NS_PER_S)
    wanted = (None, None) if state == "auto" else (state, until)
    while True:
        states = name_server_states(lab)
        late = [
            server
            for server in told
            if "error" not in states[server]
            and any(_forced(states[server], name, region) != wanted for name in services)
        ]
        if not late or (until is not None and lab.wan.now_ns() >= until):
            return states
        if lab.clock.now_ns() > deadline:
            raise WanError(f"{' and '.join(late)} did not say within {CONFIRM_S:g} s that it holds "
                           f"{region} for {state}; see: netemu logs {late[0]}")  # fmt: skip
        lab.clock.sleep(POLL_S)


def _forced(state: State, service: str, region: str) -> tuple[str | None, int | None]:
    held = state["services"][service]["regions"][region]
    return held["forced"], held["until"]


def name_server_states(
    lab: Lab, servers: Iterable[str] = (), within_s: float = ASK_S
) -> dict[str, State]:
    """What each name server holds about every region: its /state, or {"error": why it is mute}.
    `servers` (): all; UsageError for one that is none."""
    replies = ask(lab, "/state", servers, within_s)
    return {server: decoded(reply) for server, reply in replies.items()}


def metrics(
    lab: Lab, servers: Iterable[str] = (), within_s: float = ASK_S
) -> dict[str, dict[str, Any]]:
    """What each name server counted: {"text": in Prometheus' format}, or {"error": why}."""
    return ask(lab, "/metrics", servers, within_s)


def ask(
    lab: Lab, path: str, servers: Iterable[str] = (), within_s: float = ASK_S
) -> dict[str, dict[str, Any]]:
    """Each server's page by HTTP as {"text": ...}, or {"error": why there is none}."""
    argv = ["curl", "-sS", "--fail-with-body", "--max-time", f"{within_s:g}", ADMIN + path]
    return run_in(lab, lambda _: argv, servers, within_s)


def run_in(
    lab: Lab,
    argv: Callable[[str], list[str]],
    servers: Iterable[str] = (),
    within_s: float = ASK_S,
) -> dict[str, dict[str, Any]]:
    """What a program prints in each name server's host: {"text": ...}, or {"error": why not}."""
    known = name_servers(lab)
    chosen = list(servers) or known
    for server in chosen:
        if server not in known:
            raise UsageError(f"{server} is no name server of lab {lab.name}; {near(server, known)}")
    mute = {server: {"error": why} for server, why in _fallen(lab).items()}
    runs = {server: ("run", {"argv": argv(server)}) for server in chosen if server not in mute}
    told = {server: _text(a) for server, a in lab.wan.hosts(runs, within_s).items()}
    return {server: told.get(server) or mute[server] for server in chosen}


def _text(answer: Mapping[str, Any]) -> dict[str, Any]:
    if why := _failure(answer):
        return {"error": why}
    if answer.get("rc") == HTTP_ERROR and answer.get("out"):
        return {"error": answer["out"].strip()}
    if answer.get("rc"):
        last = answer.get("err", "").strip().rpartition("\n")[2]
        return {"error": f"its dns daemon does not answer: {last}"}
    return {"text": answer.get("out", "")}


def decoded(reply: Mapping[str, Any]) -> dict[str, Any]:
    """JSON out of an answer's text; an error stays one."""
    if "error" in reply:
        return dict(reply)
    try:
        told = json.loads(reply["text"])
    except ValueError:
        return {"error": f"it said: {reply['text'].strip()[:200] or 'nothing'}"}
    return told if isinstance(told, dict) else {"error": f"it said: {told}"}


def _fallen(
    lab: Lab, hearing: Sequence[ContainerState] = (ContainerState.RUNNING,)
) -> dict[str, str]:
    """Name servers that nobody can ask, and why."""
    words = {ContainerState.PAUSED: "it is frozen", ContainerState.EXITED: "it has no power"}
    states = {c.host: c.state for c in lab.engine.containers(lab.name)}
    return {
        server: words.get(states[server], f"it is {states[server]}") if server in states
        else "its container is missing"
        for server in name_servers(lab)
        if states.get(server) not in hearing
    }  # fmt: skip


def _unheard(server: str, answer: Mapping[str, Any]) -> str:
    """A line that a frozen host was sent waits for it."""
    if answer.get("silent"):
        return f"{_failure(answer)}; it hears of it when it wakes"
    return f"{_failure(answer).removeprefix(f'{server}: send: ')}; tell it when it is back"


def _failure(answer: Mapping[str, Any]) -> str:
    if answer.get("silent"):
        return f"it did not answer within {ASK_S:g} s"
    return str(answer.get("error", ""))


def near(word: str, known: Iterable[str]) -> str:
    names = list(known)
    return suggest(word, names) or f"there are {', '.join(names)}"


def _each(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())
