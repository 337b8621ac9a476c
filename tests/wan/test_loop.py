"""The event loop of PID 1 and the keeper: descriptors, timers, tasks, children."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from emulator.node.children import Children
from emulator.node.lines import Lines
from emulator.node.loop import Future, Loop, gather


@pytest.fixture
def loop():
    old = signal.getsignal(signal.SIGCHLD)
    yield Loop()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, old)


def finish(loop: Loop, coroutine: Coroutine[Future, None, Any]) -> Any:
    """Run the loop until a task has ended; its value."""
    end = loop.start(coroutine)
    while not end.done:
        loop.turn(5.0)
    return end.result()


def test_timers_come_in_the_order_in_which_they_are_due(loop):
    """A cancelled one does not."""
    seen = []
    loop.after(0.002, lambda: seen.append("late"))
    loop.after(0.0, lambda: seen.append("soon"))
    loop.after(0.001, lambda: seen.append("never")).cancel()
    loop.after(0.003, loop.stop)
    loop.run()
    assert seen == ["soon", "late"]


def test_a_failing_callback_ends_nothing(loop, capsys):
    """PID 1 must live: the traceback is printed."""
    loop.after(0.0, lambda: 1 / 0)
    loop.after(0.001, loop.stop)
    loop.run()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_paced_watch_that_was_ended_leaves_the_descriptors_next_owner_alone(loop):
    """Also when it was in its pause: a socket made then often gets the number of the closed one."""
    near, far = socket.socketpair()
    seen: list[int] = []
    far.send(b"x")
    end = loop.watch_paced(near.fileno(), lambda: bool(near.recv(10)), 0.01)
    loop.turn(1.0)  # it has read, and pauses
    number = near.fileno()
    end()
    other, peer = socket.socketpair()
    near.close()
    os.dup2(other.fileno(), number)
    loop.watch(number, seen.append)
    loop.after(0.02, loop.stop)
    loop.run()
    peer.send(b"y")
    loop.turn(1.0)
    assert seen
    loop.forget(number)
    os.close(number)
    for sock in (far, other, peer):
        sock.close()


def test_gather_gives_results_in_order_and_the_first_error(loop):
    """Whichever is done first."""
    first, second = Future(), Future()
    loop.after(0.0, lambda: second.set(2))
    loop.after(0.001, lambda: first.set(1))
    assert finish(loop, gather([first, second])) == [1, 2]
    broken = Future()
    broken.fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        finish(loop, gather([first, broken]))


def test_a_late_future_fails(loop):
    """`within` gives up on time; what comes later is ignored."""
    future = Future()

    async def wait() -> None:
        await loop.within(future, 0.001, TimeoutError("late"))

    with pytest.raises(TimeoutError, match="late"):
        finish(loop, wait())
    future.set(1)


def test_lines_arrive_whole_in_both_directions(loop):
    """However the stream cuts them, and also when it takes only a part of what is written."""
    ours, theirs = socket.socketpair()
    got: list[object] = []
    sent = b"x" * 1_000_000 + b"\n"
    lines = Lines(loop, ours, got.append, lambda: got.append("end"))
    theirs.sendall(b"one\ntw")
    loop.turn(1.0)
    theirs.sendall(b"o\nrest")
    loop.turn(1.0)
    assert got == [b"one", b"two"]
    lines.write(sent)
    assert lines.pending
    received = b""
    while len(received) < len(sent):
        received += theirs.recv(1 << 16)
        loop.turn(0.0)
    assert received == sent
    assert not lines.pending
    theirs.close()
    loop.turn(1.0)
    assert got[-1] == "end"


def test_a_command_runs_with_its_stdin_and_its_output(loop):
    """Exit code, stdout, stderr; a signal is its number below zero."""
    children = Children(loop)
    script = "cat; echo oops >&2; exit 3"
    assert finish(loop, children.run(["sh", "-c", script], b"in")) == (3, b"in", b"oops\n")
    assert finish(loop, children.run(["sh", "-c", "kill -9 $$"]))[0] == -signal.SIGKILL


def test_a_command_that_does_not_end_is_killed(loop):
    """With all it started; the caller is told. One that cannot be started is an OSError."""
    children = Children(loop)
    with pytest.raises(TimeoutError, match="sh did not end"):
        finish(loop, children.run(["sh", "-c", "sleep 100; true"], timeout_s=0.02))
    with pytest.raises(FileNotFoundError):
        finish(loop, children.run(["no-such-program"]))


def test_no_descriptor_is_left_behind(loop):
    """A keeper runs for days."""
    children = Children(loop)
    finish(loop, children.run(["true"]))
    gc.collect()  # what earlier tests left may go at any moment
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        finish(loop, children.run(["true"], b"unread" * 10000))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
