"""An engine without containers: hosts are plain processes in namespaces of their own.

It is what the WAN needs of an engine, for kernels on which no container engine runs. Each host has
a network namespace, its own /run/netemu and its own view of /sys; the rest is this machine's.
Needs root. Nothing outlives `remove`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from emulator.engine.base import (
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    LogLine,
    VolumeHandle,
)
from emulator.errors import EngineError
from emulator.wan.remote import ATTACH
from tests.netns import wait_until

_ROOT = Path(__file__).resolve().parents[1]
_KEEPER_SOCKET = "run/netemu/keeper.sock"
# A new mount namespace copies every mount, those of other programs' network namespaces too: they
# could not be removed as long as we live.
_ENTER = """
umount -a -t nsfs 2>/dev/null
mount -t sysfs none /sys
mkdir -p /run/netemu && mount -t tmpfs none /run/netemu || exit 1
for setting in $NETEMU_SYSCTLS; do
    echo "${setting#*=}" >"/proc/sys/$(echo "${setting%%=*}" | tr . /)" || exit 1
done
: >/run/netemu/entered
exec "$@"
"""


class ProcessStream:
    """A program's stdin and stdout as a `Stream`."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        # A descriptor that is closed under a reader may be another program's by the time it reads.
        self._reading = threading.Lock()

    def read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        with self._reading:
            return b"" if self._process.stdout.closed else self._process.stdout.read(size) or b""

    def take(self) -> bytes | None:
        if not select.select([self], [], [], 0)[0]:
            return b""
        return self.read(1 << 16) or None

    def fileno(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            view = memoryview(data)
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except OSError as error:
            raise EngineError(f"cannot write to a program that has ended: {error}") from error

    def finish(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def exit_code(self) -> int | None:
        return self._process.poll()

    def stderr(self) -> str:
        return ""  # it goes where ours goes

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with self._reading:  # the end of the program has ended the read
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()


class ProcessEngine:
    """`Engine` for one lab, as far as a WAN and its hosts need it."""

    def __init__(self) -> None:
        self._specs: dict[str, ContainerSpec] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._namespaces: dict[str, Path] = {}
        self._paused: set[str] = set()

    def create(self, spec: ContainerSpec) -> None:
        self._specs[spec.host] = spec

    def put(self, lab: str, host: str, files: Mapping[str, bytes]) -> None:
        raise AssertionError("processes have this machine's files")

    def start(self, lab: str, host: str) -> ContainerHandle:
        if not self._runs(host):
            spec = self._specs[host]
            process = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-c", _ENTER, "sh", *_here(spec.command)],
                env={**os.environ, "PYTHONPATH": str(_ROOT), **spec.environment,
                     "NETEMU_SYSCTLS": " ".join(f"{k}={v}" for k, v in spec.sysctls.items())},
                cwd=_ROOT,
                start_new_session=True,
            )  # fmt: skip
            entered = Path(f"/proc/{process.pid}/root/run/netemu/entered")
            wait_until(entered.exists, f"{host} entered its namespaces")
            self._processes[host] = process
            self._namespaces[host] = Path(f"/proc/{process.pid}/ns/net").readlink()
        return self._handle(host)

    def _runs(self, host: str) -> bool:
        process = self._processes.get(host)
        return process is not None and process.poll() is None

    def _handle(self, host: str) -> ContainerHandle:
        spec, state, pid = self._specs[host], ContainerState.EXITED, 0
        if host not in self._processes:
            state = ContainerState.CREATED
        elif self._runs(host):
            state = ContainerState.PAUSED if host in self._paused else ContainerState.RUNNING
            pid = self._processes[host].pid
        return ContainerHandle(spec.lab, host, spec.name, spec.name, state, pid)

    def kill(self, lab: str, host: str) -> None:
        if self._runs(host):
            self._signal(host, signal.SIGKILL)
            self._processes[host].wait()
        self._paused.discard(host)

    def pause(self, lab: str, host: str) -> None:
        self._signal(host, signal.SIGSTOP)
        self._paused.add(host)

    def resume(self, lab: str, host: str) -> None:
        self._signal(host, signal.SIGCONT)
        self._paused.discard(host)

    def _signal(self, host: str, number: signal.Signals) -> None:
        """To every process of its network namespace."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if (entry / "ns/net").readlink() == self._namespaces[host]:
                        os.kill(int(entry.name), number)
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    continue  # it ended while we looked

    def containers(self, lab: str | None = None) -> tuple[ContainerHandle, ...]:
        return tuple(self._handle(host) for host in self._specs)

    def remove(self, containers: Iterable[ContainerHandle]) -> None:
        for container in containers:
            self.kill(container.lab, container.host)
            self._specs.pop(container.host, None)

    def stream(self, lab: str, host: str, command: tuple[str, ...]) -> ProcessStream:
        if not self._runs(host):
            raise EngineError(f"{host} does not run")
        pid = self._processes[host].pid
        if command == ATTACH:
            attach = str(_ROOT / "emulator/node/wan/attach.py")
            return ProcessStream(
                [sys.executable, "-I", "-S", attach, f"/proc/{pid}/root/{_KEEPER_SOCKET}"]
            )
        return ProcessStream(["nsenter", f"--target={pid}", "--net", "--mount", *command])

    def log(
        self, lab: str, host: str, since: int = 0, last: int | None = None
    ) -> tuple[LogLine, ...]:
        return ()

    def lacks(self, images: Iterable[str]) -> tuple[str, ...]:
        return ()

    def volumes(self, lab: str | None = None) -> tuple[VolumeHandle, ...]:
        return ()

    def remove_volumes(self, volumes: Iterable[VolumeHandle]) -> None: ...

    def memory_bytes(self, lab: str) -> Mapping[str, int]:
        return {}


def _here(command: tuple[str, ...]) -> list[str]:
    """With this interpreter, which is the one that can import the code at hand."""
    return [sys.executable if word == "python3" else word for word in command]
