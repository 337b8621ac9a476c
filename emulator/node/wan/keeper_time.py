"""What the keeper does by itself as time goes by: traces of values, and overlays that pulse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from emulator.clock import NS_PER_S
from emulator.impairment import Pair, Pulse, Trace, Values
from emulator.node.loop import Loop, Timer

Key = tuple[str, Pair]  # whose trace ("file" or "hand"), and the path


class Traces:
    """At most one trace a key; its steps are counted from its start, so that none is late for good
    because one before it was."""

    def __init__(self, loop: Loop, step: Callable[[Key, Values], object]) -> None:
        self._loop = loop
        self._step = step
        self._timers: dict[Key, Timer] = {}

    def playing(self) -> tuple[Key, ...]:
        """Of the traces that have steps to come."""
        return tuple(self._timers)

    def begin(self, key: Key, trace: Trace) -> None:
        """In place of the one that plays. The steps of its first instant come now."""
        self.end([key])
        if trace.steps:
            self._go_on(key, trace, time.monotonic_ns(), 0)

    def end(self, keys: Iterable[Key]) -> None:
        """Values stay as the last step set them. One that does not play is fine."""
        for key in keys:
            timer = self._timers.pop(key, None)
            if timer is not None:
                timer.cancel()

    def _go_on(self, key: Key, trace: Trace, start: int, index: int) -> None:
        self._timers.pop(key, None)
        steps = trace.steps
        while True:
            if index == len(steps):
                if not trace.repeat_ns:
                    return
                start, index = start + trace.repeat_ns, 0
            at, values = steps[index]
            wait = start + at - time.monotonic_ns()
            if wait > 0:
                break
            self._step(key, values)
            index += 1
        self._timers[key] = self._loop.after(
            wait / NS_PER_S, lambda: self._go_on(key, trace, start, index)
        )


class Pulses:
    """Overlays that come and go, by their ids."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._timers: dict[str, Timer] = {}

    def begin(
        self,
        overlay_id: str,
        pulse: Pulse,
        switch: Callable[[bool], object],
        over: Callable[[], object],
    ) -> None:
        """It was laid just now: `switch` is told when it goes and when it comes, `over` when its
        time is up."""
        start = time.monotonic_ns()

        def turn(at: int, *, is_on: bool) -> None:
            self._timers.pop(overlay_id, None)
            if at >= start + pulse.for_ns:
                over()
                return
            switch(is_on)
            wait_for(at, is_on=is_on)

        def wait_for(since: int, *, is_on: bool) -> None:
            until = since + (pulse.on_ns if is_on else pulse.off_ns)
            until = min(until, start + pulse.for_ns)
            self._timers[overlay_id] = self._loop.after(
                max(0, until - time.monotonic_ns()) / NS_PER_S,
                lambda: turn(until, is_on=not is_on),
            )

        wait_for(start, is_on=True)

    def end(self, overlay_id: str) -> None:
        """It stays as it is. An unknown id is fine."""
        timer = self._timers.pop(overlay_id, None)
        if timer is not None:
            timer.cancel()


def healed_event(fault: dict[str, Any], phase: str, t: int) -> dict[str, Any]:
    """The history's word for a step of a fault's end, from its line in the journal."""
    return {
        "kind": "fault",
        "t": t,
        "id": fault["id"],
        "how": fault["kind"],
        "phase": phase,
        **{name: list(fault[name]) for name in ("target", "sites", "hosts", "peers")},
        "detail": "its time was over" if phase == "healed" else "",
    }
