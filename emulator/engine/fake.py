"""An engine in memory, for tests of whatever drives one: same states, same errors, no Docker."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from emulator.engine.base import (
    HOST_LABEL,
    LAB_LABEL,
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    LogLine,
    Stream,
    VolumeHandle,
)
from emulator.errors import EngineError

Script = Callable[[str, tuple[str, ...]], Stream]
"""Host and command to the stream of the program that a test wants to have there."""

IDLE_BYTES = 8_000_000  # about what a host of the real lab takes


def no_programs(host: str, command: tuple[str, ...]) -> Stream:
    """The script of an engine whose containers have no program to run."""
    raise EngineError(f"cannot run {' '.join(command)} in {host}: no such program")


class FakeEngine:
    """`Engine` without an engine. What it holds is in `specs`, `files` by container and path; what
    it was told, in `calls`; what its programs wrote, in `logs`."""

    def __init__(self, script: Script = no_programs, images: Iterable[str] | None = None) -> None:
        """`images`: the only ones it has; None: whatever is asked for."""
        self.calls: list[tuple[str, str, str]] = []
        self.specs: dict[tuple[str, str], ContainerSpec] = {}
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.logs: dict[tuple[str, str], list[LogLine]] = {}
        self._volumes: dict[str, VolumeHandle] = {}
        self._script = script
        self._images = None if images is None else frozenset(images)
        self._handles: dict[tuple[str, str], ContainerHandle] = {}
        self._pids = itertools.count(1000)
        self._failures: dict[tuple[str, str], EngineError] = {}

    def fail(self, verb: str, host: str, error: EngineError) -> None:
        """From now on `verb` on `host` raises `error`, in every lab."""
        self._failures[verb, host] = error

    def create(self, spec: ContainerSpec) -> None:
        self._called("create", spec.lab, spec.host)
        if any(handle.name == spec.name for handle in tuple(self._handles.values())):
            raise EngineError(f"cannot create {spec.name}: the name is already in use")
        if self._images is not None and spec.image not in self._images:
            raise EngineError(f"cannot create {spec.name}: No such image: {spec.image}")
        if spec.network_of and (spec.lab, spec.network_of) not in self._handles:
            raise EngineError(f"cannot create {spec.name}: there is no host {spec.network_of}")
        for name in filter(None, spec.volumes.values()):
            if self._volumes.setdefault(name, VolumeHandle(spec.lab, name)).lab != spec.lab:
                raise EngineError(f"cannot create {spec.name}: the volume {name} is another lab's")
        self.specs[spec.lab, spec.host] = spec
        self._handles[spec.lab, spec.host] = ContainerHandle(
            lab=spec.lab,
            host=spec.host,
            name=spec.name,
            id=f"{next(self._pids):064x}",
            state=ContainerState.CREATED,
            pid=0,
            labels={**spec.labels, LAB_LABEL: spec.lab, HOST_LABEL: spec.host},
        )

    def put(self, lab: str, host: str, files: Mapping[str, bytes]) -> None:
        self._known("put", lab, host)
        self.files.setdefault((lab, host), {}).update(files)

    def start(self, lab: str, host: str) -> ContainerHandle:
        handle = self._known("start", lab, host)
        if handle.state is ContainerState.PAUSED:
            raise EngineError(f"cannot start {host} of {lab}: it is paused")
        if handle.state is ContainerState.RUNNING:
            return handle
        return self._put(handle, ContainerState.RUNNING, next(self._pids))

    def ends(self, lab: str, host: str, how: str) -> None:
        """The program of this container ends by itself."""
        handle = self._known("ends", lab, host)
        self._handles[lab, host] = replace(handle, state=ContainerState.EXITED, pid=0, ended=how)

    def kill(self, lab: str, host: str) -> None:
        handle = self._known("kill", lab, host)
        if handle.pid:
            self._put(handle, ContainerState.EXITED, 0)

    def pause(self, lab: str, host: str) -> None:
        self._freezer("pause", lab, host, ContainerState.PAUSED)

    def resume(self, lab: str, host: str) -> None:
        self._freezer("resume", lab, host, ContainerState.RUNNING)

    def containers(self, lab: str | None = None) -> tuple[ContainerHandle, ...]:
        held = tuple(self._handles.values())  # others may start side by side meanwhile
        chosen = (h for h in held if lab is None or h.lab == lab)
        return tuple(sorted(chosen, key=lambda h: (h.lab, h.host)))

    def remove(self, containers: Iterable[ContainerHandle]) -> None:
        for handle in tuple(containers):
            self._called("remove", handle.lab, handle.host)
            current = self._handles.get((handle.lab, handle.host))
            if current is not None and current.id == handle.id:
                del self._handles[handle.lab, handle.host]
                del self.specs[handle.lab, handle.host]
                self.files.pop((handle.lab, handle.host), None)

    def volumes(self, lab: str | None = None) -> tuple[VolumeHandle, ...]:
        """Those with a name; of a container's own it knows nothing."""
        chosen = (v for v in self._volumes.values() if lab is None or v.lab == lab)
        return tuple(sorted(chosen, key=lambda v: (v.lab, v.name)))

    def remove_volumes(self, volumes: Iterable[VolumeHandle]) -> None:
        for volume in tuple(volumes):
            self.calls.append(("remove_volume", volume.lab, volume.name))
            users = [s.name for s in self.specs.values() if volume.name in s.volumes.values()]
            if users:
                raise EngineError(f"cannot remove the volume {volume.name}: {users[0]} uses it")
            self._volumes.pop(volume.name, None)

    def stream(self, lab: str, host: str, command: tuple[str, ...]) -> Stream:
        handle = self._known("stream", lab, host)
        if handle.state is not ContainerState.RUNNING:
            raise EngineError(
                f"cannot run {' '.join(command)} in {host} of {lab}: it is {handle.state}"
            )
        return self._script(host, command)

    def log(
        self, lab: str, host: str, since: int = 0, last: int | None = None
    ) -> tuple[LogLine, ...]:
        self._known("log", lab, host)
        lines = [line for line in self.logs.get((lab, host), ()) if line.t > since]
        return tuple(lines if last is None else lines[max(0, len(lines) - last) :])

    def lacks(self, images: Iterable[str]) -> tuple[str, ...]:
        here = self._images
        return tuple(i for i in dict.fromkeys(images) if here is not None and i not in here)

    def memory_bytes(self, lab: str) -> Mapping[str, int]:
        return {h.host: IDLE_BYTES for h in self.containers(lab) if h.pid}

    def _freezer(self, verb: str, lab: str, host: str, wanted: ContainerState) -> None:
        handle = self._known(verb, lab, host)
        if not handle.pid:
            raise EngineError(f"cannot {verb} {host} of {lab}: it is not running")
        self._put(handle, wanted, handle.pid)

    def _called(self, verb: str, lab: str, host: str) -> None:
        self.calls.append((verb, lab, host))
        if error := self._failures.get((verb, host)):
            raise error

    def _known(self, verb: str, lab: str, host: str) -> ContainerHandle:
        self._called(verb, lab, host)
        try:
            return self._handles[lab, host]
        except KeyError:
            raise EngineError(f"cannot {verb}: there is no host {host} in {lab}") from None

    def _put(self, handle: ContainerHandle, state: ContainerState, pid: int) -> ContainerHandle:
        ended = "exit 137" if state is ContainerState.EXITED else ""
        changed = replace(handle, state=state, pid=pid, ended=ended)
        self._handles[handle.lab, handle.host] = changed
        return changed
