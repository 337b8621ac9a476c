"""The seam to the WAN container: wiring, overlays, hosts' inits, the journal, the events.

`remote.py` speaks to a real keeper over one exec stream, `fake.py` is the public fake; the
contract suite in `tests/contracts/wan.py` runs on both. Everything that the lab must remember
(plan, active faults, events) lives in the keeper, so any netemu process can attach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.impairment import Overlay, Pulse, Trace
from emulator.plan.wiring import HostWiring, WanSetup

__all__ = ["Event", "FaultRecord", "HostWiring", "Wan", "WanSetup"]

Event = dict[str, Any]  # the language of emulator/events.py


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """The journal's line for one active fault: the intent, written before the first step."""

    id: str
    kind: str
    target: tuple[str, ...]
    sites: tuple[str, ...] = ()  # whose paths are touched
    hosts: tuple[str, ...] = ()  # whose containers or daemons are touched
    peers: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


class Wan(Protocol):
    """One lab's WAN. Every call raises WanError saying what was tried; none waits for ever."""

    def setup(self, setup: WanSetup) -> None:
        """Bridges, path table, wire process. Once a life."""

    def plan(self) -> Mapping[str, str]:
        """What `setup` was told as `plan`; empty before."""

    def wire(self, hosts: Sequence[tuple[HostWiring, int]]) -> None:
        """Join running containers (with their pids): links, addresses, routes, neighbours, and
        the control connection to their init. A host wired before is first taken apart."""

    def unwire(self, hosts: Sequence[str]) -> None:
        """Forget hosts that died: close their sockets, delete what is left of their links."""

    def host(self, host: str, op: str, timeout_s: float = 5.0, **arguments: Any) -> dict[str, Any]:
        """Ask a host's init (configure, start, kill, signal, send, run, probe, status).
        `timeout_s` is also the deadline of a command that it runs. Raises HostSilent when it does
        not answer in time."""

    def hosts(
        self, requests: Mapping[str, tuple[str, dict[str, Any]]], timeout_s: float = 5.0
    ) -> dict[str, dict[str, Any]]:
        """`host` for many at once, side by side; a silent host's answer is {"silent": True},
        a failed one's {"error": message}."""

    def lay(
        self,
        overlay_id: str,
        paths: Sequence[tuple[int, int]],
        overlay: Overlay,
        ports: Sequence[str] = (),
        pulse: Pulse | None = None,
    ) -> int:
        """Put an overlay on paths and cut the LAN ports of hosts. Returns the instant (ns) of its
        first effect. Laying the same id again replaces it. With a pulse it comes and goes by
        itself; at the pulse's end it is lifted, and the fault of that id is healed."""

    def lift(self, overlay_id: str) -> int:
        """Take an overlay away again; the instant it was gone. An unknown id is fine."""

    def change(self, paths: Sequence[tuple[int, int]], values: Mapping[str, Any]) -> int:
        """Set values of an Impairment, by the names of its fields; those not named stay, as does
        all that is on its way. Below every overlay. Returns the instant of effect (ns)."""

    def clear(self, paths: Sequence[tuple[int, int]]) -> int:
        """Undo `change` and a trace that was played by hand: as the file says. When that was."""

    def play(
        self, paths: Sequence[tuple[int, int]], trace: Trace, *, is_of_file: bool = False
    ) -> int:
        """Let a trace change the paths from now on, in place of the one that plays: the file's
        own, which `clear` leaves alone, or one by hand. One without steps ends it. Its start."""

    def paths(self) -> Mapping[str, dict[str, Any]]:
        """Per "a->b": `file` and `now` (values of an Impairment), `changed` (by hand), `overlays`
        (ids), `plays` (a trace), `packets`, `bytes`, `drops` by cause, `corrupted`, `duplicated`,
        `reordered`, `queue_ms` (waiting for the rate)."""

    def flows(self) -> None:
        """Have an event told, now, of each direction of a flow that moved since its last one."""

    def journal(self) -> tuple[FaultRecord, ...]:
        """Active faults, oldest first."""

    def record(self, fault: FaultRecord) -> None:
        """Write the intent, before the first step of an injection. The same id replaces."""

    def forget(self, fault_id: str) -> None:
        """The fault is healed."""

    def lock(self, owner: str) -> None:
        """Take the lab's one lock for commands that change something; released by `unlock` or
        when this connection ends. Raises WanError naming the holder."""

    def unlock(self) -> None: ...

    def mark(self, event: Event) -> int:
        """Append an event to the lab's history; `t` is now on the lab's clock unless given.
        Returns `t`."""

    def now_ns(self) -> int:
        """The lab's clock."""

    def events(self, since: int | None = None) -> Iterator[Event | None]:
        """Every event from sequence number `since` on (None: from now on), for ever; each has
        `seq`. Yields None about every 100 ms of silence so that a reader can stop. A reader that
        fell behind the ring gets an event of kind `lost`."""

    def latest(self) -> tuple[Event, ...]:
        """The last event of each state (health, proxy, generation, lookup, schedule, daemon; a
        host's init is its daemon `init`), for `status`."""

    def stats(self) -> dict[str, Any]:
        """`paths`: per "a->b" packets, bytes, drops by cause; `wire`: alive, pid, mover (who
        moves its frames), ended (how often), last_end, trouble (why packets do not move, after
        "the WAN's wire"; "": they do), overload (dropped for want of CPU), lag_ms_max; `seq`: the
        newest event's number, -1: none; `hosts`: whether each init is connected; `overlays`:
        the ids of those that lie."""

    def close(self) -> None: ...
