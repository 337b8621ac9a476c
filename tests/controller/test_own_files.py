"""`files:`: what is read on this machine, put into a container before it starts, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator.controller import own_files as module
from emulator.controller.own_files import own_files
from emulator.engine.base import Executable
from emulator.errors import FileProblems, UsageError
from emulator.plan import make_plan
from emulator.topology.parse import load_topology, parse_topology
from tests.controller.world import World

TOPOLOGY = """\
netemu: 1
name: two-region
regions:
  us-east: {{location: aws:us-east-1, servers: 2}}
clients:
  paris: {{location: city:Paris/FR, image: my/client, files: {{/ask: ./www/run}}}}
services:
  www: {{image: my/www, files: {files}}}
"""
CLIENT = "paris/client:image"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file, and a directory with another below it, one to be run and a link."""
    (tmp_path / "www" / "css").mkdir(parents=True)
    (tmp_path / "app.conf").write_bytes(b"conf")
    (tmp_path / "www" / "css" / "a.css").write_bytes(b"css")
    (tmp_path / "www" / "run").write_bytes(b"run")
    (tmp_path / "www" / "run").chmod(0o700)
    (tmp_path / "www" / "link").symlink_to("css/a.css")
    os.mkfifo(tmp_path / "www" / "fifo")
    return tmp_path


def written(folder: Path, files: str) -> Path:
    file = folder / "lab.yaml"
    file.write_text(TOPOLOGY.format(files=files))
    return file


def read(folder: Path, files: str) -> dict[str, dict[str, bytes]]:
    return own_files(make_plan(load_topology(written(folder, files)), "two-region"))


def test_a_file_and_a_directory_are_read_with_their_places(folder):
    """What is executable here is so there; a link is what it leads to; a pipe is no file."""
    found = read(folder, "{/etc/app.conf: app.conf, /srv/www: ./www}")
    assert found["us-east/www-1:image"] == {
        "/etc/app.conf": b"conf", "/srv/www/css/a.css": b"css", "/srv/www/link": b"css",
        "/srv/www/run": b"run",
    }  # fmt: skip
    runs = [p for p, c in found["us-east/www-2:image"].items() if isinstance(c, Executable)]
    assert runs == ["/srv/www/run"]
    assert found[CLIENT] == {"/ask": b"run"}


def test_they_are_put_before_the_container_starts(folder):
    """Into that of every server and of a city's client."""
    world = World()
    file = written(folder, "{/etc/app.conf: app.conf}")
    world.plan = make_plan(load_topology(file), "two-region")
    world.up()
    for own in ("us-east/www-1:image", "us-east/www-2:image", CLIENT):
        verbs = [verb for verb, _, host in world.engine.calls if host == own]
        assert verbs[:3] == ["create", "put", "start"]
    assert world.engine.files["two-region", "us-east/www-2:image"] == {"/etc/app.conf": b"conf"}


def test_a_lab_outlives_the_files_that_it_copied(folder):
    """Its text can be read anywhere, also when they are gone: who attaches copies nothing."""
    topology = load_topology(written(folder, "{/srv/www: ./www}"))
    (folder / "www").rename(folder / "moved")
    again = parse_topology(topology.source, "lab two-region")
    assert make_plan(again, "x").digest == make_plan(topology, "x").digest


def test_a_file_that_is_not_there_is_a_problem_of_the_topology(folder):
    """With its line, like any other."""
    with pytest.raises(
        FileProblems, match=r"lab\.yaml:8: services\.www\.files\./a: there is no 'b'"
    ):
        read(folder, "{/a: b}")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ("{/a: /nowhere/a}", "www-1: /nowhere/a: No such file or directory; look at `files:`"),
        ("{/a: ./empty}", "empty to /a: there is no file in it"),
        ("{/a: app.conf, /b: ./www}", "they are 0 MB, and 0 MB is the most; put them into"),
    ],
)
def test_what_cannot_be_copied_is_told_before_anything_is_made(
    folder, monkeypatch, files, complaint
):
    """What is missing, an empty directory, too much: three files of 3 bytes and one of 4."""
    (folder / "empty").mkdir()
    monkeypatch.setattr(module, "MOST", 12)
    world = World()
    world.plan = make_plan(load_topology(written(folder, files)), "two-region")
    with pytest.raises(UsageError, match=complaint):
        world.up()
    assert world.engine.calls == []
