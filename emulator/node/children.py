"""Child processes of a PID 1: start, wait without blocking, reap whatever else is handed to us."""

from __future__ import annotations

import os
import signal

from emulator.node.lines import Output
from emulator.node.loop import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emulator.node.loop import Loop

OUTPUT_LIMIT = 1 << 20  # bytes of a command's output that are kept, of each stream
_TAIL_S = 0.2  # a grandchild may hold the pipe open after the command ended


class Children:
    """Every child of this process by pid."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ended: dict[int, Callable[[int], object]] = {}
        loop.on_signal(signal.SIGCHLD, self.reap)

    def spawn(
        self,
        argv: Sequence[str],
        descriptors: Mapping[int, int],
        on_end: Callable[[int], object],
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start a program in a session of its own, `descriptors` (its number -> ours) and nothing
        else open. `on_end` gets the exit code, or minus the signal. Raises OSError."""
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            dict(os.environ if environment is None else environment),
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, its) for its, ours in descriptors.items()],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE,),
        )
        self._ended[pid] = on_end
        return pid

    def reap(self) -> None:
        """Wait for every child that ended, ours and those whose parents died before them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._end(pid, status)

    def reap_killed(self, pid: int) -> None:
        """Block until one child that was sent SIGKILL is gone: milliseconds."""
        if pid in self._ended:
            self._end(*os.waitpid(pid, 0))

    def _end(self, pid: int, status: int) -> None:
        on_end = self._ended.pop(pid, None)
        if on_end is not None:
            on_end(os.waitstatus_to_exitcode(status))

    async def run(
        self, argv: Sequence[str], stdin_data: bytes = b"", timeout_s: float = 5.0
    ) -> tuple[int, bytes, bytes]:
        """Exit code (minus the signal), stdout, stderr. Raises OSError if it cannot be started,
        TimeoutError after `timeout_s`; its whole session is then killed."""
        ended = Future()
        (stdin, to_child), (from_out, stdout), (from_err, stderr) = (
            os.pipe2(os.O_CLOEXEC) for _ in range(3)
        )
        captures = [_Capture(self._loop, fd) for fd in (from_out, from_err)]
        feed = Output(self._loop, to_child, lambda: None)
        feed.on_drained = feed.close
        try:
            try:
                pid = self.spawn(argv, {0: stdin, 1: stdout, 2: stderr}, ended.set)
            finally:
                for fd in (stdin, stdout, stderr):
                    os.close(fd)
            feed.write(stdin_data)
            if not feed.pending:
                feed.close()
            await self._ended_within(ended, pid, argv[0], timeout_s)
        finally:
            feed.close()
            for capture in captures:
                self._loop.after(_TAIL_S, capture.close)
        out, err = [await capture.end for capture in captures]
        return ended.result(), out, err

    async def _ended_within(self, ended: Future, pid: int, name: str, timeout_s: float) -> None:
        late = Future()
        timer = self._loop.after(timeout_s, late.set)
        ended.then(late.set)
        await late
        timer.cancel()
        if not ended.done:
            os.killpg(pid, signal.SIGKILL)
            raise TimeoutError(f"{name} did not end within {timeout_s:g} s")


class _Capture:
    """Reads a pipe to its end; `end` is what came, cut at OUTPUT_LIMIT."""

    def __init__(self, loop: Loop, fd: int) -> None:
        self.end = Future()
        self._loop = loop
        self._fd = fd
        self._data = bytearray()
        os.set_blocking(fd, False)
        loop.watch(fd, self._ready)

    def _ready(self, _: int) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        self._data += data[: OUTPUT_LIMIT - len(self._data)]
        if not data:
            self.close()

    def close(self) -> None:
        if not self.end.done:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self.end.set(bytes(self._data))
