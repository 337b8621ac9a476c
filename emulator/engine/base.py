"""The seam to the container engine: a dozen verbs and a handle, nothing of the network.

Everything that netemu makes carries the label `netemu.lab=<lab>`; it is found and removed by
that label only. `docker.py` is the real engine, `fake.py` the public fake; the contract suite
in `tests/contracts/engine.py` runs on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

LAB_LABEL = "netemu.lab"
HOST_LABEL = "netemu.host"


class ContainerState(StrEnum):
    """What the engine says of a container."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container to create, on no network of the engine's. Without a command it runs its
    image's."""

    lab: str
    host: str  # "us-east/edge"; "wan" for the WAN container
    name: str  # engine-wide unique: "two-region-us-east-edge"
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    cap_drop: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    cpu_shares: int = 1024
    pid_host: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    network_of: str = ""  # the host whose network it joins; "": one of its own
    cpus: float = 0.0  # 0: no limit
    memory: int = 0  # bytes; 0: no limit
    entrypoint: tuple[str, ...] = ()  # (): its image's; else its image's command is not used either
    volumes: Mapping[str, str] = field(default_factory=dict)  # path -> name; "": its own


@dataclass(frozen=True, slots=True)
class ContainerHandle:
    """One container as the engine sees it now."""

    lab: str
    host: str
    name: str
    id: str
    state: ContainerState
    pid: int  # 0 unless running or paused; in the engine's own process namespace
    ended: str = ""  # how it ended: "exit 1", "out of memory"; "" unless exited
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeHandle:
    """A volume that the engine made for a lab."""

    lab: str
    name: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a container's own program wrote, to either stream."""

    t: int  # ns, the engine's wall clock
    text: str


class Executable(bytes):
    """A file's content that may be run: its mode is 0755, any other's 0644."""


class Stream(Protocol):
    """Both ends of a program started in a container: bytes in, bytes out (stdout only)."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; blocks; empty at the end of the stream."""

    def take(self) -> bytes | None:
        """What is there, without waiting, perhaps nothing; None at the end of the stream."""

    def fileno(self) -> int:
        """Of a descriptor that is readable when `take` has something to say."""

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """Nothing more is written: the program sees the end of its stdin."""

    def exit_code(self) -> int | None:
        """How the program ended; None: it runs, or the engine does not know yet."""

    def stderr(self) -> str:
        """The end of what the program wrote to stderr so far, as far as `read` has come."""

    def close(self) -> None: ...


class Engine(Protocol):
    """Containers by host name within a lab. Every call raises EngineError saying what was tried."""

    def create(self, spec: ContainerSpec) -> None:
        """Make one container, not started. An existing one of that name is an error."""

    def put(self, lab: str, host: str, files: Mapping[str, bytes]) -> None:
        """Write files into a container, absolute path to content, whether it runs or not: root's,
        readable by all, `Executable` ones to be run by all. Directories are made as needed, what
        is there is replaced."""

    def start(self, lab: str, host: str) -> ContainerHandle:
        """Start it and return its handle, with the pid. Already running: the same handle."""

    def kill(self, lab: str, host: str) -> None:
        """SIGKILL everything in it. Safe to call twice; a paused container dies too."""

    def pause(self, lab: str, host: str) -> None:
        """Freeze every process in it. Safe to call twice."""

    def resume(self, lab: str, host: str) -> None:
        """Undo `pause`. Safe to call twice."""

    def containers(self, lab: str | None = None) -> tuple[ContainerHandle, ...]:
        """Every container of one lab, or of all labs, by label, in any state."""

    def remove(self, containers: Iterable[ContainerHandle]) -> None:
        """Kill and remove these, with the volumes of their own, side by side; one that is already
        gone is fine."""

    def volumes(self, lab: str | None = None) -> tuple[VolumeHandle, ...]:
        """Every volume of one lab, or of all labs, by label."""

    def remove_volumes(self, volumes: Iterable[VolumeHandle]) -> None:
        """Remove these, whose containers are gone; one that is already gone is fine."""

    def stream(self, lab: str, host: str, command: tuple[str, ...]) -> Stream:
        """Start a program in a running container with its stdin and stdout joined to us."""

    def log(
        self, lab: str, host: str, since: int = 0, last: int | None = None
    ) -> tuple[LogLine, ...]:
        """What its program wrote after this instant (ns, wall clock), or the last so many lines."""

    def lacks(self, images: Iterable[str]) -> tuple[str, ...]:
        """Which of these images it does not have."""

    def memory_bytes(self, lab: str) -> Mapping[str, int]:
        """Anonymous memory charged to each container (cgroup rss or anon), by host."""
