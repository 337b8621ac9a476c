"""A program in a container joined to our own terminal or pipes, as `docker exec` does it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import struct
import sys
import termios
import tty as terminal
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.engine.base import ContainerHandle, ContainerState
from emulator.engine.docker import CALL_TIMEOUT_S, DockerEngine, attempt, connect
from emulator.errors import EngineError

FRAME = struct.Struct(">BxxxI")  # which stream (1 stdout, 2 stderr), payload length
CHUNK = 65536


def run_program(lab: str, host: str, command: Sequence[str], *, tty: bool) -> int:
    """Runs until the program ends; returns its exit code. Raises EngineError."""
    container = running_container(lab, host)
    client = connect(CALL_TIMEOUT_S)
    api = client.api
    with attempt(f"run {command[0]} on {host}"):
        made = api.exec_create(
            container.id, list(command), stdin=True, tty=tty, environment=_words()
        )
        opened: Any = api.exec_start(made["Id"], tty=tty, socket=True)
        connection: socket.socket = getattr(opened, "_sock", opened)
        connection.settimeout(None)
        with _raw_terminal() if tty else contextlib.nullcontext():
            if tty:
                _fit(api, made["Id"])
            _join(connection, _plain if tty else _Frames().write)
        code = api.exec_inspect(made["Id"])["ExitCode"]
    client.close()
    return int(code or 0)


def running_container(lab: str, host: str) -> ContainerHandle:
    """The host's container. Raises EngineError, without waiting, where it does not run."""
    engine = DockerEngine()
    found = next((c for c in engine.containers(lab) if c.host == host), None)
    engine.close()
    if found is None:
        raise EngineError(f"{host} has no container any more; see: netemu status {lab}")
    if found.ended and ":" in host:
        raise EngineError(f"{host} has ended ({found.ended}); see: netemu status {lab}")
    if found.state is ContainerState.PAUSED:
        powered = host.partition(":")[0]
        raise EngineError(f"{host} is frozen; wake it first: netemu heal {powered} --lab {lab}")
    if found.state is not ContainerState.RUNNING:
        raise EngineError(f"{host} has no power ({found.state}); see: netemu status {lab}")
    return found


def _words() -> dict[str, str]:
    return {"TERM": os.environ.get("TERM", "dumb"), "LANG": "C.UTF-8"}


def _join(connection: socket.socket, show: Any) -> None:
    """Our stdin to the program, the program to us, until the program's end."""
    if sys.stdin is None:  # closed by whoever started us: the same as an empty one
        connection.shutdown(socket.SHUT_WR)
    typing = [] if sys.stdin is None else [sys.stdin.fileno()]
    inputs = [connection, *typing]
    while True:
        ready, _, _ = select.select(inputs, [], [])
        if connection in ready:
            data = connection.recv(CHUNK)
            if not data:
                return
            show(data)
        for source in set(typing).intersection(ready):
            if typed := os.read(source, CHUNK):
                connection.sendall(typed)
            else:
                inputs.remove(source)
                connection.shutdown(socket.SHUT_WR)


def _plain(data: bytes) -> None:
    os.write(sys.stdout.fileno(), data)


class _Frames:
    """Without a terminal the engine interleaves stdout and stderr in frames."""

    def __init__(self) -> None:
        self._pending = b""

    def write(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= FRAME.size:
            kind, length = FRAME.unpack_from(self._pending)
            end = FRAME.size + length
            if len(self._pending) < end:
                return
            target = sys.stderr if kind == 2 else sys.stdout
            target.buffer.write(self._pending[FRAME.size : end])
            target.buffer.flush()
            self._pending = self._pending[end:]


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    before = termios.tcgetattr(sys.stdin)
    try:
        terminal.setraw(sys.stdin, termios.TCSADRAIN)  # what was typed meanwhile is kept
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _fit(api: Any, exec_id: str) -> None:
    """Give the far terminal our size, now and whenever ours changes."""

    def resize(*_: object) -> None:
        size = shutil.get_terminal_size()
        with contextlib.suppress(Exception):
            api.exec_resize(exec_id, height=size.lines, width=size.columns)

    resize()
    signal.signal(signal.SIGWINCH, resize)
