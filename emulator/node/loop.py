"""A small event loop for PID 1 and the keeper: descriptors, timers, tasks; nothing else.

asyncio would cost each of a dozen hosts 10 MB and 80 ms of start-up on two shared cores.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # the real one costs an import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any


class Future:
    """A value that comes later; `await` it in a task of the loop."""

    def __init__(self) -> None:
        self.done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future], object]] = []

    def set(self, value: Any = None) -> None:
        """Deliver; what comes after the first delivery is ignored."""
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        self._finish(None, error)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
        for callback in self._callbacks:
            callback(self)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, callback: Callable[[Future], object]) -> None:
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def __await__(self) -> Generator[Future, None, Any]:
        if not self.done:
            yield self
        return self.result()


class Timer:
    """A callback that is due; `cancel` is safe at any time."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """One thread, one epoll. Callbacks must tolerate being called with nothing to read."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._running = False

    def watch(
        self, fd: int, callback: Callable[[int], object], events: int = select.EPOLLIN
    ) -> None:
        """Call `callback(events)` whenever one of `events`, an error or a hang-up is there."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = callback

    def watch_paced(
        self, fd: int, callback: Callable[[], bool], pause_s: float
    ) -> Callable[[], None]:
        """As `watch`, at once but at most every `pause_s`: a wake-up costs more than what a busy
        writer has to say each time. The callback's False ends it, with the descriptor forgotten;
        so does a call of what is returned, which must precede the descriptor's closing."""
        pause = Timer(lambda: None)

        def ready(_: int) -> None:
            nonlocal pause
            self.forget(fd)
            if callback():
                pause = self.after(pause_s, lambda: self.watch(fd, ready))

        def end() -> None:
            pause.cancel()  # else it would watch whatever has this number by then
            self.forget(fd)

        self.watch(fd, ready)
        return end

    def forget(self, fd: int) -> None:
        """Stop watching; do it before the descriptor is closed. Safe to call twice."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(callback)
        due = time.monotonic() + seconds
        heapq.heappush(self._timers, (due, next(self._order), timer))
        return timer

    def sleep(self, seconds: float) -> Future:
        future = Future()
        self.after(seconds, future.set)
        return future

    def within(self, future: Future, seconds: float, error: BaseException) -> Future:
        """`future`, failed with `error` if it is not done in time."""
        timer = self.after(seconds, lambda: future.fail(error))
        future.then(lambda _: timer.cancel())
        return future

    def start(self, coroutine: Coroutine[Future, None, Any]) -> Future:
        """Run a task; the future is its end. Only futures of this module can be awaited in it."""
        end = Future()

        def step(_: Future | None = None) -> None:
            try:
                waited = coroutine.send(None)
            except StopIteration as stop:
                end.set(stop.value)
            except Exception as error:  # noqa: BLE001  (the task's awaiter gets it)
                end.fail(error)
            else:
                waited.then(step)

        step()
        return end

    def on_signal(self, number: int, callback: Callable[[], object]) -> None:
        """Call back in the loop, not in the signal handler, when a signal arrived."""
        if not hasattr(self, "_signals"):
            self._watch_signals()
        self._signals[number] = callback
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)  # noqa: FBT003

    def _watch_signals(self) -> None:
        self._signals: dict[int, Callable[[], object]] = {}
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def arrived(_: int) -> None:
            for number in set(os.read(reader, 4096)):
                if number in self._signals:
                    self._signals[number]()

        self.watch(reader, arrived)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Until `stop`. A callback's exception is printed and ends nothing: PID 1 lives."""
        self._running = True
        while self._running:
            self.turn()

    def turn(self, longest_s: float = 3600.0) -> None:
        """Wait for the next thing to do, and do what is there."""
        wait = longest_s
        if self._timers:
            wait = min(wait, max(0.0, self._timers[0][0] - time.monotonic()))
        for fd, events in self._epoll.poll(wait):
            callback = self._watched.get(fd)
            if callback is not None:
                _guarded(callback, events)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                _guarded(timer.callback)


def _guarded(callback: Callable[..., object], *arguments: object) -> None:
    try:
        callback(*arguments)
    except Exception:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())


async def gather(futures: list[Future]) -> list[Any]:
    """Every result, in order; the first error once all are done."""
    for future in futures:
        if not future.done:
            ended = Future()
            future.then(ended.set)
            await ended
    return [future.result() for future in futures]
