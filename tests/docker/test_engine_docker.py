"""The real engine keeps the contract, and what only a real one can show."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import docker
import pytest

from emulator.engine.base import ContainerSpec, Engine, Executable
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.engine.probe import engine_report
from emulator.errors import EngineError
from tests.capture import wait_until
from tests.contracts.engine import SLEEP, EngineContract, lab, spec

__all__ = ["lab"]

pytestmark = pytest.mark.docker

# cgroup v2, or v1
MEMORY_LIMIT = (
    "/sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
)


@pytest.fixture
def read_file() -> Callable[[Engine, str, str, str], bytes]:
    return lambda engine, lab, host, path: everything(engine, lab, host, "cat", path)


@pytest.fixture
def write_log(image: str) -> Callable[[Engine, str, list[str]], str]:
    def write(engine: Engine, lab: str, lines: list[str]) -> str:
        said = "; ".join(f"echo '{line}'; sleep 0.01" for line in lines)
        engine.create(replace(spec(lab, "api", image), command=("sh", "-c", f"{said}; sleep 600")))
        engine.start(lab, "api")
        wait_until(lambda: len(engine.log(lab, "api")) == len(lines), "it wrote them")
        return "api"

    return write


class TestDockerEngine(EngineContract):
    """The contract on the real engine."""


@pytest.fixture
def started(engine: Engine, lab: str, image: str) -> str:
    engine.create(spec(lab, "us-east/edge", image))
    engine.start(lab, "us-east/edge")
    return "us-east/edge"


def output(engine: Engine, lab: str, host: str, *command: str) -> str:
    return everything(engine, lab, host, *command).decode()


def everything(engine: Engine, lab: str, host: str, *command: str) -> bytes:
    stream = engine.stream(lab, host, command)
    received = b""
    while part := stream.read(65536):
        received += part
    stream.close()
    return received


def test_what_is_put_into_it_is_for_any_user_and_takes_nothing_over(engine, lab, image):
    """Root's files that all may read, and run where the content says so; a directory that was there
    keeps its rights, one that was made lets everybody in."""
    engine.create(spec(lab, "api", image))
    script = Executable(b"#!/bin/sh\necho ran\n")
    files = {"/root/made/text": b"one", "/root/made/run": script}
    engine.put(lab, "api", files)
    engine.start(lab, "api")
    paths = ("/root/made/text", "/root/made/run", "/root/made", "/root")
    said = output(engine, lab, "api", "stat", "-c", "%a %u", *paths).splitlines()
    assert said == ["644 0", "755 0", "755 0", "700 0"]
    assert output(engine, lab, "api", "/root/made/run") == "ran\n"


def test_a_container_has_no_network_but_its_own_loopback(engine, lab, started):
    """`network_mode: none`: nothing leads out of a host until the WAN wires it."""
    assert output(engine, lab, started, "ls", "/sys/class/net").split() == ["lo"]


def test_sysctls_capabilities_and_environment_arrive(engine, lab, image):
    """Every field of the spec is seen from inside."""
    engine.create(
        ContainerSpec(
            lab=lab,
            host="ns1",
            name=f"{lab}-ns1",
            image=image,
            command=SLEEP,
            environment={"ROLE": "dns"},
            sysctls={"net.ipv4.tcp_syn_retries": "3"},
            cap_drop=("ALL",),
            cap_add=("NET_ADMIN",),
        )
    )
    engine.start(lab, "ns1")
    assert output(engine, lab, "ns1", "cat", "/proc/sys/net/ipv4/tcp_syn_retries") == "3\n"
    assert "ROLE=dns" in output(engine, lab, "ns1", "env")
    status = output(engine, lab, "ns1", "grep", "CapEff", "/proc/self/status")
    assert int(status.split()[1], 16) == 1 << 12  # CAP_NET_ADMIN, linux/capability.h


def test_an_entrypoint_takes_the_place_of_the_images_own(engine, lab, image):
    """The command is what it is given; `/bin/echo` prints and ends."""
    engine.create(replace(spec(lab, "a", image), entrypoint=("/bin/echo", "-n"), command=("a b",)))
    engine.start(lab, "a")
    wait_until(lambda: engine.containers(lab)[0].ended == "exit 0", "it ended")
    assert [line.text for line in engine.log(lab, "a")] == ["a b"]


def test_limits_and_a_joined_network_are_seen_from_inside(engine, lab, image, started):
    """By the cgroup's own files; the joined network is the very one of the host."""
    limited = replace(spec(lab, "own", image), network_of=started, cpus=0.5, memory=64 * 2**20)
    engine.create(limited)
    engine.start(lab, "own")
    networks = {output(engine, lab, h, "readlink", "/proc/self/ns/net") for h in ("own", started)}
    assert len(networks) == 1
    [memory] = output(engine, lab, "own", "sh", "-c", f"cat {MEMORY_LIMIT}").split()
    assert int(memory) == 64 * 2**20


def test_a_volume_is_one_directory_for_all_that_name_it(engine, lab, image):
    """A container's own goes with it, one with a name is seen by the others, and files that are
    put there before the start are in it."""
    name = f"{lab}_here_shared"
    for host in ("a", "b"):
        volumes = {"/shared": name, "/own": ""}
        engine.create(replace(spec(lab, host, image), volumes=volumes))
        engine.start(lab, host)
    engine.put(lab, "a", {"/shared/text": b"s", "/own/text": b"o"})
    assert output(engine, lab, "b", "ls", "/shared", "/own").split() == [
        "/own:", "/shared:", "text",
    ]  # fmt: skip
    assert len(engine.volumes(lab)) == 3
    engine.remove(engine.containers(lab))
    assert [volume.name for volume in engine.volumes(lab)] == [name]


def test_a_volume_of_somebody_elses_is_left_alone(engine, lab, image):
    """One without our label is neither used nor removed."""
    client = docker.from_env()
    theirs = client.volumes.create(f"{lab}_here_theirs")
    try:
        with pytest.raises(EngineError, match=f"docker volume rm {theirs.name}"):
            engine.create(replace(spec(lab, "a", image), volumes={"/data": theirs.name}))
        assert engine.volumes(lab) == ()
    finally:
        theirs.remove()
        client.close()


def test_pid_host_sees_the_processes_of_others(engine, lab, image, started):
    """`pid_host`: the handle's pid names a process there, so that it can be wired from there."""
    pid = engine.start(lab, started).pid
    engine.create(
        ContainerSpec(
            lab=lab, host="wan", name=f"{lab}-wan", image=image, command=SLEEP, pid_host=True
        )
    )
    engine.start(lab, "wan")
    assert output(engine, lab, "wan", "cat", f"/proc/{pid}/comm") == "sleep\n"


def test_stderr_is_kept_out_of_the_stream(engine, lab, started):
    """Only stdout arrives; a program that succeeds may complain."""
    said = output(engine, lab, started, "sh", "-c", "echo bad >&2; echo good")
    assert said == "good\n"


def test_a_program_that_fails_at_once_says_why(engine, lab, started):
    """No output and an exit code: the error carries the program's stderr."""
    stream = engine.stream(lab, started, ("sh", "-c", "echo no such plan >&2; exit 3"))
    with pytest.raises(EngineError, match=r"ended with 3: no such plan"):
        stream.read(1)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("echo one; exit 4", 4), ("kill -9 $$", 137)]
)
def test_a_program_that_fails_has_its_code(engine, lab, started, script, code):
    """Whether it said anything, and when the engine itself tells of it."""
    stream = engine.stream(lab, started, ("sh", "-c", script))
    with contextlib.suppress(EngineError):
        while stream.read(100):
            pass
    wait_until(lambda: stream.exit_code() is not None, "the engine knows")
    assert stream.exit_code() == code
    stream.close()


def test_a_program_that_does_not_exist_is_named(engine, lab, started):
    """A command that is not in the image is an error at the first read at the latest."""
    with pytest.raises(EngineError, match=r"no-such-program.*not found"):
        engine.stream(lab, started, ("no-such-program",)).read(1)


def test_closing_a_stream_ends_the_program(engine, lab, started):
    """`close` is the end of stdin: a reader in another thread returns, the program goes."""
    stream = engine.stream(lab, started, ("sh", "-c", "echo $$; cat"))
    assert stream.read(100).strip().isdigit()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(stream.read, 1)
        stream.close()
        assert reading.result(timeout=5) == b""


def test_two_removing_at_once_both_succeed(engine, lab, started):
    """`down` beside `down`: whoever comes second waits until the container is gone."""
    handles = engine.containers(lab)
    other = DockerEngine()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda e: e.remove(handles), (engine, other)))
    assert other.containers(lab) == ()
    other.close()


def test_another_process_finds_hosts_by_label(lab, started):
    """An engine that did not create a host acts on it as well."""
    other = DockerEngine()
    other.kill(lab, started)
    assert other.containers(lab)[0].pid == 0
    other.close()


def test_a_setting_that_is_refused_points_to_doctor(engine, lab, image):
    """A sysctl that the kernel does not have: the error names the host and the way on."""
    engine.create(
        ContainerSpec(
            lab=lab,
            host="ns1",
            name=f"{lab}-ns1",
            image=image,
            command=SLEEP,
            sysctls={"net.ipv4.no_such_setting": "1"},
        )
    )
    with pytest.raises(EngineError, match=r"start ns1 of .*netemu doctor"):
        engine.start(lab, "ns1")


def test_an_engine_that_does_not_answer_says_how_to_start_one(monkeypatch):
    """The message names where it was looked for and what to do."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        where = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", where)
        with pytest.raises(EngineError, match=rf"{where}.*start that engine"):
            DockerEngine()


def test_doctor_tries_what_the_wan_must_be_allowed_to_do():
    """`engine_report` names the engine and the outcome of each trial, and leaves nothing."""
    ensure_node_image(lambda _stage, _fraction: None)
    report = engine_report()
    assert report.image.present
    assert report.trials == {"links": "ok", "namespaces": "ok", "frames": "ok"}
    assert report.can_run_labs
    assert report.storage_driver
    left = DockerEngine()
    assert not [h for h in left.containers() if h.lab.startswith("doctor-")]
    left.close()
