"""The daemons of one host: started once, never restarted, killed with all that they started."""

from __future__ import annotations

import fcntl
import os
import signal
import time

from emulator.node.init.processes import family
from emulator.node.lines import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from emulator.node.children import Children
    from emulator.node.loop import Loop, Timer

LOG_LIMIT = 1 << 20  # a log grown past this keeps its last LOG_KEEP bytes
LOG_KEEP = 1 << 18
_LOG_CHECK_S = 2.0
_WAIT_S, _POLL_S = 10.0, 0.02
_EVENTS_FD = 3
_F_SETPIPE_SZ = 1031
_PIPE_SIZE = 1 << 18  # a second of a busy client's events
_LONGEST_EVENT = 1 << 20
_PACE_S = 0.01  # far below what the pipe holds


class Daemon:
    """One program, over all its lives."""

    def __init__(self, name: str, argv: list[str], waits_for: str, log: str) -> None:
        self.name = name
        self.argv = argv
        self.waits_for = waits_for
        self.log = log
        self.cut = 0  # bytes of its log that are not kept any more
        self.pid = 0
        self.state = "stopped"
        self.stdin: Output | None = None
        self.waiting: Timer | None = None


class Daemons:
    """All daemons of the host by name, in the order in which they are started."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        log_directory: str,
        forward: Callable[[bytes], object],
        tell: Callable[..., object],
    ) -> None:
        self._loop = loop
        self._children = children
        self._log_directory = log_directory
        self._forward = forward
        self._tell = tell
        self._daemons: dict[str, Daemon] = {}
        loop.after(_LOG_CHECK_S, self._check_logs)

    def configure(self, daemons: list[dict[str, Any]]) -> None:
        """Say what there is to start. A daemon that runs keeps running as it was started."""
        os.makedirs(self._log_directory, exist_ok=True)
        running = {name: daemon for name, daemon in self._daemons.items() if daemon.pid}
        named = [self._daemon(**spec) for spec in daemons]
        self._daemons = {d.name: running.get(d.name, d) for d in named} | running

    def _daemon(self, name: str, argv: list[str], waits_for: str = "") -> Daemon:
        return Daemon(name, argv, waits_for, f"{self._log_directory}/{name}")

    def _named(self, names: list[str] | None) -> list[Daemon]:
        return [self._get(name) for name in (self._daemons if names is None else names)]

    def _get(self, name: str) -> Daemon:
        if name not in self._daemons:
            known = ", ".join(self._daemons) or "none"
            raise ValueError(f"no daemon {name!r} here; there are: {known}")
        return self._daemons[name]

    def start(self, names: list[str] | None) -> dict[str, Any]:
        """Start what does not run. What must wait for a path starts when it is there."""
        chosen = [daemon for daemon in self._named(names) if not self._is_active(daemon)]
        for daemon in chosen[1:]:
            # Left by an earlier life of the one that makes it: it says nothing about this life.
            if daemon.waits_for and os.path.exists(daemon.waits_for):
                os.unlink(daemon.waits_for)
        for daemon in chosen:
            if daemon.waits_for:
                self._start_when_there(daemon, time.monotonic() + _WAIT_S)
            else:
                self._spawn(daemon)
        return {
            "started": [daemon.name for daemon in chosen if daemon.pid],
            "waiting": [daemon.name for daemon in chosen if daemon.waiting],
        }

    def _is_active(self, daemon: Daemon) -> bool:
        if daemon.pid and daemon.state == "killed":
            self._children.reap_killed(daemon.pid)
        return bool(daemon.pid or daemon.waiting)

    def _start_when_there(self, daemon: Daemon, until: float) -> None:
        daemon.waiting = None
        if os.path.exists(daemon.waits_for):
            try:
                self._spawn(daemon)
            except OSError as error:
                self._ended(daemon, str(error))
        elif time.monotonic() > until:
            self._ended(daemon, f"{daemon.waits_for} was not there after {_WAIT_S:g} s")
        else:
            daemon.waiting = self._loop.after(
                _POLL_S, lambda: self._start_when_there(daemon, until)
            )

    def _spawn(self, daemon: Daemon) -> None:
        stdin, to_stdin = os.pipe2(os.O_CLOEXEC)
        from_events, events = os.pipe2(os.O_CLOEXEC)
        log = os.open(daemon.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _enlarge(events)
        try:
            daemon.pid = self._children.spawn(
                daemon.argv,
                {0: stdin, 1: log, 2: log, _EVENTS_FD: events},
                lambda code: self._ended(daemon, _why(code)),
                {**os.environ, "NETEMU_EVENTS": str(_EVENTS_FD)},
            )
        except OSError:
            os.close(to_stdin)
            os.close(from_events)
            raise
        finally:
            for fd in (stdin, events, log):
                os.close(fd)
        daemon.state = "running"
        daemon.stdin = Output(self._loop, to_stdin, lambda: None)
        EventPipe(self._loop, from_events, self._forward)
        self._tell("daemon", name=daemon.name, state="started", detail="")

    def _ended(self, daemon: Daemon, why: str) -> None:
        if daemon.stdin is not None:
            daemon.stdin.close()
            daemon.stdin = None
        daemon.pid = 0
        daemon.state = f"ended {why}"
        self._tell("daemon", name=daemon.name, state="ended", detail=why)

    def kill(self, names: list[str] | None) -> int:
        """SIGKILL daemons and all that came from them; the instant (ns) before the first."""
        chosen = self._named(names)
        for daemon in chosen:
            if daemon.waiting:
                daemon.waiting.cancel()
                daemon.waiting = None
        roots = {daemon.pid for daemon in chosen if daemon.pid}
        victims = family(roots)  # before the first dies: its orphans would have another parent
        killed: set[int] = set()
        began = time.monotonic_ns()
        while victims:
            for pid in victims:
                _kill(pid)
            killed |= victims
            victims = family(roots) - killed  # one may have forked meanwhile
        for daemon in chosen:
            if daemon.pid:
                daemon.state = "killed"
        return began

    def signal(self, name: str, number: int) -> None:
        daemon = self._get(name)
        if not daemon.pid:
            raise ValueError(f"{name} does not run ({daemon.state})")
        os.kill(daemon.pid, number)

    def send(self, name: str, line: str) -> None:
        """One line to a daemon's stdin. Raises ValueError when it runs not or reads not."""
        daemon = self._get(name)
        if daemon.stdin is None:
            raise ValueError(f"{name} does not run ({daemon.state})")
        if daemon.stdin.pending > LOG_LIMIT:
            raise ValueError(f"{name} does not read its commands")
        daemon.stdin.write(line.encode() + b"\n")

    def log(self, name: str, size: int) -> str:
        """The last `size` bytes of a daemon's stdout and stderr."""
        return _tail(self._get(name).log, size).decode(errors="replace")

    def log_since(self, name: str, at: int, size: int) -> tuple[str, int]:
        """Whole lines of the log from this byte on, counted from the daemon's first one ever, and
        the byte behind them. Below 0: the last `size` bytes; beyond the end: from the beginning,
        as of a host that was booted anew."""
        daemon = self._get(name)
        there = os.path.getsize(daemon.log) if os.path.exists(daemon.log) else 0
        end = daemon.cut + there
        begin = end - size if at < 0 else at if at <= end else daemon.cut
        begin = max(begin, daemon.cut)
        if begin == end:
            return "", end
        with open(daemon.log, "rb") as file:
            file.seek(begin - daemon.cut)
            data = file.read(size)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == size:
            whole = data  # a line longer than that
        return whole.decode(errors="replace"), begin + len(whole)

    def status(self) -> dict[str, str]:
        return {name: daemon.state for name, daemon in self._daemons.items()}

    def _check_logs(self) -> None:
        self._loop.after(_LOG_CHECK_S, self._check_logs)
        for daemon in self._daemons.values():
            if os.path.exists(daemon.log) and os.path.getsize(daemon.log) > LOG_LIMIT:
                tail = _tail(daemon.log, LOG_KEEP)
                daemon.cut += os.path.getsize(daemon.log) - len(tail)
                os.truncate(daemon.log, 0)
                with open(daemon.log, "ab") as file:
                    file.write(tail)


class EventPipe:
    """Reads a daemon's event lines until every holder of the pipe is gone."""

    def __init__(self, loop: Loop, fd: int, forward: Callable[[bytes], object]) -> None:
        self._fd = fd
        self._forward = forward
        self._partial = b""
        os.set_blocking(fd, False)
        loop.watch_paced(fd, self._ready, _PACE_S)

    def _ready(self) -> bool:
        data = os.read(self._fd, _PIPE_SIZE)
        if not data or len(self._partial) > _LONGEST_EVENT:
            os.close(self._fd)
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line:
                self._forward(line)
        return True


def _enlarge(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_SIZE)
    except PermissionError:
        return  # over the user's share of pipe memory: the usual 64 KB then


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _why(code: int) -> str:
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name


def _tail(path: str, size: int) -> bytes:
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - size))
        return file.read(size)
