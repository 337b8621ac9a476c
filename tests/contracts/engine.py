"""What every engine promises; run on the fake without Docker and on the real one with it.

A module that runs the suite provides the fixtures `engine`, `lab` (a name that nobody else uses,
removed afterwards), `image` (one whose containers can run `command`s of a usual system),
`read_file` (engine, lab, host, path to the content that a program there would read) and `write_log`
(engine, lab, lines to a host whose program wrote them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emulator.engine.base import (
    HOST_LABEL,
    LAB_LABEL,
    ContainerSpec,
    ContainerState,
    Engine,
    Stream,
    VolumeHandle,
)
from emulator.errors import EngineError
from tests.capture import wait_until

SLEEP = ("sleep", "600")


@pytest.fixture
def lab(engine: Engine, lab_name: str) -> Iterator[str]:
    yield lab_name
    engine.remove(engine.containers(lab_name))
    engine.remove_volumes(engine.volumes(lab_name))


def spec(lab: str, host: str, image: str) -> ContainerSpec:
    name = f"{lab}-{host.replace('/', '-')}"
    return ContainerSpec(
        lab=lab, host=host, name=name, image=image, command=SLEEP, labels={"role": "test"}
    )


def _ended(stream: Stream, parts: list[bytes]) -> bool:
    """Whether there is no more to come; what there was is added."""
    part = stream.take()
    parts.append(part or b"")
    return part is None


class EngineContract:
    """Collected by subclassing it in a test module."""

    @pytest.fixture
    def started(self, engine: Engine, lab: str, image: str) -> str:
        """A running host."""
        engine.create(spec(lab, "us-east/edge", image))
        engine.start(lab, "us-east/edge")
        return "us-east/edge"

    def test_a_created_container_is_listed_with_labels_and_no_pid(self, engine, lab, image):
        """`create` makes it, does not start it, and labels it with its lab and host."""
        engine.create(spec(lab, "us-east/www-1", image))
        (handle,) = engine.containers(lab)
        assert (handle.lab, handle.host) == (lab, "us-east/www-1")
        assert handle.name == f"{lab}-us-east-www-1"
        assert (handle.state, handle.pid) == (ContainerState.CREATED, 0)
        assert handle.labels["role"] == "test"
        assert handle.labels[LAB_LABEL] == lab
        assert handle.labels[HOST_LABEL] == "us-east/www-1"

    def test_a_name_is_taken_once(self, engine, lab, image):
        """Creating an existing container again is an error that names it."""
        engine.create(spec(lab, "ns1", image))
        with pytest.raises(EngineError, match=f"create {lab}-ns1"):
            engine.create(spec(lab, "ns1", image))

    def test_start_gives_the_pid_and_twice_is_the_same(self, engine, lab, started):
        """`start` of what runs returns the same handle."""
        first = engine.start(lab, started)
        assert first.state is ContainerState.RUNNING
        assert first.pid > 0
        assert engine.start(lab, started) == first
        assert engine.containers(lab) == (first,)

    def test_kill_ends_it_and_the_next_start_has_another_pid(self, engine, lab, started):
        """After `kill` it is EXITED at once; it can be started again, with another pid."""
        before = engine.start(lab, started).pid
        engine.kill(lab, started)
        (dead,) = engine.containers(lab)
        assert (dead.state, dead.pid) == (ContainerState.EXITED, 0)
        assert engine.start(lab, started).pid not in (0, before)

    def test_kill_twice_is_fine(self, engine, lab, started):
        """The second kill of a dead container does nothing."""
        engine.kill(lab, started)
        engine.kill(lab, started)

    def test_a_paused_container_keeps_its_pid_and_can_be_resumed(self, engine, lab, started):
        """Pause and resume, each twice, change the state and nothing else."""
        running = engine.start(lab, started)
        engine.pause(lab, started)
        engine.pause(lab, started)
        (paused,) = engine.containers(lab)
        assert (paused.state, paused.pid) == (ContainerState.PAUSED, running.pid)
        engine.resume(lab, started)
        engine.resume(lab, started)
        assert engine.containers(lab) == (running,)

    def test_a_paused_container_can_be_killed(self, engine, lab, started):
        """A frozen host dies too."""
        engine.pause(lab, started)
        engine.kill(lab, started)
        assert [h.state for h in engine.containers(lab)] == [ContainerState.EXITED]

    def test_a_dead_container_cannot_be_paused(self, engine, lab, started):
        """Pausing what does not run is an error that names the host."""
        engine.kill(lab, started)
        with pytest.raises(EngineError, match="us-east/edge"):
            engine.pause(lab, started)

    def test_remove_takes_running_paused_and_dead_ones(self, engine, lab, image):
        """`remove` leaves nothing of the lab, whatever its containers were doing."""
        for host in ("a", "b", "c", "d"):
            engine.create(spec(lab, host, image))
        for host in ("b", "c", "d"):
            engine.start(lab, host)
        engine.pause(lab, "c")
        engine.kill(lab, "d")
        engine.remove(engine.containers(lab))
        assert engine.containers(lab) == ()

    def test_remove_twice_is_fine_and_frees_the_name(self, engine, lab, image, started):
        """Removing what is already gone does nothing; the host can be made again."""
        handles = engine.containers(lab)
        engine.remove(handles)
        engine.remove(handles)
        engine.create(spec(lab, started, image))
        assert engine.start(lab, started).state is ContainerState.RUNNING

    def test_labs_do_not_see_each_other(self, engine, lab, image, started):
        """One host name in two labs is two containers; each lab lists its own, None lists both."""
        other = f"{lab}-other"
        engine.create(spec(other, started, image))
        try:
            assert [h.lab for h in engine.containers(lab)] == [lab]
            assert [h.state for h in engine.containers(other)] == [ContainerState.CREATED]
            assert {lab, other} <= {h.lab for h in engine.containers()}
        finally:
            engine.remove(engine.containers(other))

    @pytest.mark.parametrize("verb", ["start", "kill", "pause", "resume"])
    def test_an_unknown_host_is_named(self, engine, lab, verb):
        """A host that the lab does not have is an error that says so."""
        with pytest.raises(EngineError, match=f"no host atlantis in {lab}"):
            getattr(engine, verb)(lab, "atlantis")

    def test_files_are_put_into_a_container_that_has_not_started(
        self, engine, lab, image, read_file
    ):
        """Directories are made; a later file of that path replaces it; it outlives a kill."""
        engine.create(spec(lab, "api", image))
        engine.put(lab, "api", {"/srv/a/b/text": b"one", "/srv/raw": bytes(range(256))})
        engine.put(lab, "api", {"/srv/a/b/text": b"two"})
        engine.start(lab, "api")
        assert read_file(engine, lab, "api", "/srv/a/b/text") == b"two"
        assert read_file(engine, lab, "api", "/srv/raw") == bytes(range(256))
        engine.kill(lab, "api")
        engine.start(lab, "api")
        assert read_file(engine, lab, "api", "/srv/a/b/text") == b"two"

    def test_files_are_put_only_into_what_is_there(self, engine, lab):
        """A host that the lab does not have is an error that says so."""
        with pytest.raises(EngineError, match=f"no host atlantis in {lab}"):
            engine.put(lab, "atlantis", {"/a": b""})

    def test_a_volume_with_a_name_is_shared_and_outlives_its_containers(self, engine, lab, image):
        """It is the lab's, is made with its first container, and goes when it is told to."""
        name = f"{lab}_here_data"
        for host in ("a", "b"):
            engine.create(replace(spec(lab, host, image), volumes={"/data": name}))
        assert engine.volumes(lab) == (VolumeHandle(lab, name),)
        assert VolumeHandle(lab, name) in engine.volumes()
        engine.remove(engine.containers(lab))
        assert engine.volumes(lab) == (VolumeHandle(lab, name),)
        engine.remove_volumes(engine.volumes(lab))
        engine.remove_volumes([VolumeHandle(lab, name)])
        assert engine.volumes(lab) == ()

    def test_a_volume_of_another_lab_is_not_taken(self, engine, lab, image):
        """Whoever made it keeps its data for itself."""
        name, other = f"{lab}_here_data", f"{lab}-other"
        engine.create(replace(spec(other, "a", image), volumes={"/data": name}))
        try:
            with pytest.raises(EngineError, match=name):
                engine.create(replace(spec(lab, "a", image), volumes={"/data": name}))
        finally:
            engine.remove(engine.containers(other))
            engine.remove_volumes(engine.volumes(other))

    def test_what_joins_another_container_needs_it(self, engine, lab, image):
        """`network_of`: a host of the same lab, by its name; one that is not there is named."""
        with pytest.raises(EngineError, match="no host us-east/edge"):
            engine.create(replace(spec(lab, "own", image), network_of="us-east/edge"))

    def test_limits_are_taken_and_change_nothing_else(self, engine, lab, image, started):
        """`cpus`, `memory`, `network_of`: it runs beside the host that it joins."""
        limited = replace(spec(lab, "own", image), network_of=started, cpus=0.5, memory=64 * 2**20)
        engine.create(limited)
        assert engine.start(lab, "own").state is ContainerState.RUNNING
        assert [c.host for c in engine.containers(lab)] == ["own", started]

    def test_how_it_ended_is_told_until_it_runs_again(self, engine, lab, started):
        """`ended`: of a killed one its signal's exit code; nothing of one that runs."""
        engine.kill(lab, started)
        assert [c.ended for c in engine.containers(lab)] == ["exit 137"]
        assert engine.start(lab, started).ended == ""

    def test_a_log_is_what_it_wrote_since_then_or_the_last_of_it(self, engine, lab, write_log):
        """In order, each line with its instant; `since` leaves out what was written by then."""
        host = write_log(engine, lab, ["one", "", "three", "four"])
        lines = engine.log(lab, host)
        assert [line.text for line in lines] == ["one", "", "three", "four"]
        assert [line.t for line in lines] == sorted(line.t for line in lines)
        assert engine.log(lab, host, since=lines[1].t) == lines[2:]
        assert engine.log(lab, host, last=1) == lines[3:]
        assert engine.log(lab, host, since=lines[3].t) == ()

    def test_a_log_of_nobody_is_an_error(self, engine, lab):
        with pytest.raises(EngineError, match=f"no host atlantis in {lab}"):
            engine.log(lab, "atlantis")

    def test_images_that_are_missing_are_named_once_each(self, engine, image):
        """`lacks`: in the order asked."""
        asked = ["netemu/b:none", image, "netemu/a:none", "netemu/b:none"]
        assert engine.lacks(asked) == ("netemu/b:none", "netemu/a:none")

    def test_a_missing_image_is_named(self, engine, lab):
        """Creating from an image that is not there names it."""
        with pytest.raises(EngineError, match="netemu/absent"):
            engine.create(spec(lab, "ns1", "netemu/absent:none"))

    def test_a_stream_carries_bytes_both_ways(self, engine, lab, started):
        """What is written reaches the program's stdin; what it prints comes back, unchanged."""
        stream = engine.stream(lab, started, ("cat",))
        sent = bytes(range(256)) * 800
        stream.write(sent)
        received = b""
        while len(received) < len(sent) and (part := stream.read(7000)):
            received += part
        stream.close()
        assert received == sent

    def test_a_program_ends_with_its_stdin_and_says_how(self, engine, lab, started):
        """What it says up to then comes; while it runs it has no exit code."""
        stream = engine.stream(lab, started, ("cat",))
        stream.write(b"the last of it")
        assert stream.exit_code() is None
        stream.finish()
        parts: list[bytes] = []
        wait_until(lambda: _ended(stream, parts), "it ends")
        wait_until(lambda: stream.exit_code() is not None, "the engine knows how")
        assert (b"".join(parts), stream.exit_code()) == (b"the last of it", 0)
        stream.close()

    @pytest.mark.parametrize("put", ["kill", "pause"])
    def test_no_stream_to_a_host_that_does_not_run(self, engine, lab, started, put):
        """Neither a dead nor a frozen host starts programs."""
        getattr(engine, put)(lab, started)
        with pytest.raises(EngineError, match="us-east/edge"):
            engine.stream(lab, started, ("cat",))

    def test_memory_is_counted_by_host(self, engine, lab, started):
        """Each running host has a positive figure; dead ones have none."""
        assert all(size > 0 for size in engine.memory_bytes(lab).values())
        assert set(engine.memory_bytes(lab)) == {started}
        engine.kill(lab, started)
        assert engine.memory_bytes(lab) == {}
