"""The real engine: each verb of `base.py` as calls of the Docker API, errors told with a remedy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount
from requests.exceptions import RequestException, Timeout

from emulator.engine.archive import archive
from emulator.engine.attach import AttachedProgram
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
from emulator.engine.said import inspected, listed, log_line, volume
from emulator.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")

CALL_TIMEOUT_S = 60.0
REMOVE_DEADLINE_S = 30.0
REMOVE_POLL_S = 0.05
# Calls side by side gain nothing past 4 to 8 on two cores; with more connections none waits.
THREADS = 8
CONNECTIONS = 32

# A program that writes without end must not fill the disk.
LOG = LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "2"})


class DockerEngine:
    """`Engine` on the Docker engine of the environment (DOCKER_HOST, or the local socket)."""

    def __init__(self) -> None:
        self._client = connect(CALL_TIMEOUT_S)
        self._api = self._client.api
        self._ids: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back; open streams live on."""
        self._client.close()

    def create(self, spec: ContainerSpec) -> None:
        with attempt(f"create {spec.name}"):
            for name in filter(None, spec.volumes.values()):
                self._claim_volume(spec.lab, name)
            made = self._api.create_container(
                image=spec.image,
                name=spec.name,
                hostname=None if spec.network_of else spec.name,
                entrypoint=list(spec.entrypoint) or None,
                command=list(spec.command) or None,
                environment=dict(spec.environment),
                labels={**spec.labels, LAB_LABEL: spec.lab, HOST_LABEL: spec.host},
                host_config=self._host_config(spec),
            )
        self._remember(spec.lab, spec.host, made["Id"])

    def _host_config(self, spec: ContainerSpec) -> Any:
        joined = self._id(spec.lab, spec.network_of) if spec.network_of else ""
        return self._api.create_host_config(
            network_mode=f"container:{joined}" if joined else "none",
            sysctls=dict(spec.sysctls),
            cap_drop=list(spec.cap_drop),
            cap_add=list(spec.cap_add),
            cpu_shares=spec.cpu_shares,
            pid_mode="host" if spec.pid_host else None,
            nano_cpus=round(spec.cpus * 1e9) or None,
            mem_limit=spec.memory or None,
            log_config=LOG,
            mounts=[
                Mount(path, name or None, labels={LAB_LABEL: spec.lab})
                for path, name in spec.volumes.items()
            ],
        )

    def _claim_volume(self, lab: str, name: str) -> None:
        """The engine gives what is there, whoever made it; another's data is none of ours."""
        made = self._api.create_volume(name, labels={LAB_LABEL: lab})
        if (made["Labels"] or {}).get(LAB_LABEL) != lab:
            raise EngineError(
                f"the engine has a volume {name} that is not of lab {lab}; give the lab another "
                f"--name, or remove it: docker volume rm {name}"
            )

    def put(self, lab: str, host: str, files: Mapping[str, bytes]) -> None:
        with attempt(f"put {', '.join(files)} into {host} of {lab}"):
            self._api.put_archive(self._id(lab, host), "/", archive(files))

    def start(self, lab: str, host: str) -> ContainerHandle:
        with attempt(f"start {host} of {lab}"):
            container = self._id(lab, host)
            self._api.start(container)  # 304 if it runs already: no error
            return inspected(self._api.inspect_container(container))

    def kill(self, lab: str, host: str) -> None:
        with attempt(f"kill {host} of {lab}"):
            container = self._id(lab, host)
            try:
                self._api.kill(container)
            except APIError as error:
                if error.status_code != 409 and "is paused" not in str(error):
                    raise
                self._kill_unless_dead(container)

    def _kill_unless_dead(self, container: str) -> None:
        """Some engines refuse to kill what is paused, all of them what does not run.

        Where it must be resumed first, its processes run for some milliseconds: whoever wants
        silence cuts the host's ports before.
        """
        state = self._api.inspect_container(container)["State"]
        if state["Paused"]:
            self._api.unpause(container)
        if state["Running"]:
            self._api.kill(container)

    def pause(self, lab: str, host: str) -> None:
        self._freezer(lab, host, wanted=ContainerState.PAUSED, verb=self._api.pause)

    def resume(self, lab: str, host: str) -> None:
        self._freezer(lab, host, wanted=ContainerState.RUNNING, verb=self._api.unpause)

    def _freezer(
        self, lab: str, host: str, wanted: ContainerState, verb: Callable[[str], object]
    ) -> None:
        with attempt(f"bring {host} of {lab} to {wanted}"):
            container = self._id(lab, host)
            try:
                verb(container)
            except APIError:
                if inspected(self._api.inspect_container(container)).state is not wanted:
                    raise

    def containers(self, lab: str | None = None) -> tuple[ContainerHandle, ...]:
        label = LAB_LABEL if lab is None else f"{LAB_LABEL}={lab}"
        with attempt("list containers"):
            found = self._api.containers(all=True, filters={"label": label})
            handles = _side_by_side(self._handle, found)
        return tuple(sorted((h for h in handles if h), key=lambda h: (h.lab, h.host)))

    def _handle(self, facts: Mapping[str, Any]) -> ContainerHandle | None:
        """The list has no pid, nor how it ended: all but the new are inspected, and may be gone by
        then."""
        if facts["State"] == "created":
            return listed(facts)
        try:
            return inspected(self._api.inspect_container(facts["Id"]))
        except NotFound:
            return None

    def remove(self, containers: Iterable[ContainerHandle]) -> None:
        handles = tuple(containers)
        _side_by_side(self._remove, handles)
        with self._lock:
            for handle in handles:
                self._ids.pop((handle.lab, handle.host), None)

    def _remove(self, handle: ContainerHandle) -> None:
        with attempt(f"remove {handle.name}"):
            _until_gone(lambda: self._api.remove_container(handle.id, force=True, v=True))

    def volumes(self, lab: str | None = None) -> tuple[VolumeHandle, ...]:
        label = LAB_LABEL if lab is None else f"{LAB_LABEL}={lab}"
        with attempt("list volumes"):
            found = self._api.volumes(filters={"label": label})["Volumes"]
        return tuple(sorted(map(volume, found or ()), key=lambda v: (v.lab, v.name)))

    def remove_volumes(self, volumes: Iterable[VolumeHandle]) -> None:
        for each in tuple(volumes):
            with attempt(f"remove the volume {each.name}"):
                _until_gone(partial(self._api.remove_volume, each.name))

    def stream(self, lab: str, host: str, command: tuple[str, ...]) -> Stream:
        what = f"run {' '.join(command)} in {host} of {lab}"
        with attempt(what):
            made = self._api.exec_create(
                self._id(lab, host), list(command), stdin=True, stdout=True, stderr=True
            )
            return AttachedProgram(
                socket=self._api.exec_start(made["Id"], socket=True),
                what=what,
                exit_code=lambda: self._api.exec_inspect(made["Id"])["ExitCode"],
            )

    def log(
        self, lab: str, host: str, since: int = 0, last: int | None = None
    ) -> tuple[LogLine, ...]:
        with attempt(f"read the log of {host} of {lab}"):
            # The engine takes fractions of seconds, and gives what was written at that instant too.
            text = self._api.logs(
                self._id(lab, host),
                timestamps=True,
                since=since / 1e9 if since else None,
                tail="all" if last is None else last,
            )
        lines = [log_line(line) for line in text.decode(errors="replace").splitlines()]
        return tuple(line for line in lines if line.t > since)

    def lacks(self, images: Iterable[str]) -> tuple[str, ...]:
        return tuple(image for image in dict.fromkeys(images) if not self._has(image))

    def _has(self, image: str) -> bool:
        with attempt(f"look for the image {image}"):
            try:
                self._client.images.get(image)
            except ImageNotFound:
                return False
        return True

    def memory_bytes(self, lab: str) -> Mapping[str, int]:
        running = [h for h in self.containers(lab) if h.pid]
        with attempt(f"read the memory of {lab}"):
            # Docker 20.10 takes a second for each, one-shot or not: all of them at once.
            sizes = _side_by_side(self._memory, running, threads=CONNECTIONS)
        return {handle.host: size for handle, size in zip(running, sizes, strict=True)}

    def _memory(self, handle: ContainerHandle) -> int:
        try:
            stats = self._api.stats(handle.id, stream=False, one_shot=True)
        except NotFound:
            return 0
        # cgroup v2 calls it anon, v1 rss; a container that has just died has neither.
        charged = stats.get("memory_stats", {}).get("stats", {})
        return int(charged.get("anon", charged.get("rss", 0)))

    def _remember(self, lab: str, host: str, container: str) -> None:
        with self._lock:
            self._ids[lab, host] = container

    def _id(self, lab: str, host: str) -> str:
        """By label, once: another process may have made the container."""
        with self._lock:
            known = self._ids.get((lab, host))
        if known:
            return known
        labels = [f"{LAB_LABEL}={lab}", f"{HOST_LABEL}={host}"]
        found = self._api.containers(all=True, filters={"label": labels})
        if not found:
            raise EngineError(f"there is no host {host} in {lab}; see: netemu status")
        container: str = found[0]["Id"]
        self._remember(lab, host, container)
        return container


def connect(timeout_s: float) -> docker.DockerClient:
    """A client of the engine that the environment names. EngineError if none answers."""
    with attempt("connect"):
        return docker.from_env(timeout=timeout_s, max_pool_size=CONNECTIONS)  # type: ignore[arg-type]


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """Turns whatever the SDK raises inside into an EngineError: what was tried, what to do."""
    try:
        yield
    except ImageNotFound as error:
        raise EngineError(f"cannot {what}: {_said(error)}; make it: netemu image build") from error
    except APIError as error:
        raise EngineError(f"cannot {what}: {_said(error)}{_remedy(_said(error))}") from error
    except Timeout as error:
        raise EngineError(
            f"cannot {what}: the Docker engine did not answer in time; is the machine overloaded?"
        ) from error
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(_not_answering(what, error)) from error


REMEDIES = (
    ("no space left", "the engine's disk is full; docker system df shows what fills it"),
    ("is already in use by container", "see: netemu status; remove it with netemu down"),
    (
        "unable to apply caps",
        "this engine refuses a capability that netemu needs; see: netemu doctor",
    ),
    ("no such image", "make it: netemu image build"),
    ("no such container", "it is gone; see: netemu status"),
    ("is not running", "it is down; see: netemu status"),
    ("is paused", "it is frozen; netemu heal brings it back"),
    ("/proc/sys/", "this engine's kernel refuses a setting that netemu needs; see: netemu doctor"),
    ("operation not permitted", "this engine refuses something netemu needs; see: netemu doctor"),
)


def _remedy(said: str) -> str:
    lowered = said.lower()
    for sign, remedy in REMEDIES:
        if sign in lowered:
            return f"; {remedy}"
    return ""


def _said(error: APIError) -> str:
    return str(error.explanation or error).strip()


def _not_answering(what: str, error: Exception) -> str:
    reason = _root(error)
    where = os.environ.get("DOCKER_HOST", "")
    if "permission denied" in f"{reason} {error}".lower():
        remedy = "you may not use it: sudo usermod -aG docker $USER, then log in again"
    elif where:
        remedy = "start that engine, or unset DOCKER_HOST for the local one"
    else:
        remedy = (
            "start it: sudo systemctl start docker; install it: sudo apt-get install docker.io; "
            "or make setup in a checkout of netemu"
        )
    where = where or "the local socket, /var/run/docker.sock"
    return f"cannot {what}: no Docker engine answers at {where} ({reason}); {remedy}"


def _root(error: BaseException) -> str:
    """What the system said, below the layers of libraries that each wrapped it."""
    while below := error.__cause__ or error.__context__:
        error = below
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()


def _until_gone(remove: Callable[[], object]) -> None:
    """409 says that somebody else removes it too, or that it is in use still, 500 that it is
    busy."""
    deadline = time.monotonic() + REMOVE_DEADLINE_S
    while True:
        try:
            remove()
        except NotFound:
            return
        except APIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(REMOVE_POLL_S)


def _side_by_side(
    call: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> list[Result]:
    """Every call is made, also after one has failed; then the first failure is raised."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(call, item) for item in items]
    return [future.result() for future in futures]
