"""`netemu init`: four answers become a good file."""

from __future__ import annotations

import subprocess

import pytest

from emulator.errors import Exit
from emulator.plan import make_plan
from emulator.topology.parse import load_topology
from tests.cli import PROGRAM, caller


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


def asked(directory, answers: str, *words: str) -> subprocess.CompletedProcess[str]:
    """With these lines typed."""
    return subprocess.run(
        [PROGRAM, "init", *words],
        cwd=directory,
        input=answers,
        capture_output=True,
        text=True,
        check=False,
    )


def test_four_times_enter_is_a_lab(tmp_path):
    """The defaults can be planned, and every question was asked once."""
    done = asked(tmp_path, "\n\n\n\n")
    assert done.returncode == Exit.PASSED, done.stderr
    assert done.stdout.count("?") == 4
    topology = load_topology(tmp_path / "lab.yaml")
    assert (topology.name, topology.zone) == ("lab", "shop.test")
    plan = make_plan(topology, "lab")
    assert [site.name for site in plan.sites][:4] == ["us-east-1", "eu-west-1", "new-york", "paris"]
    assert plan.services[0].fqdn == "www.shop.test"
    assert "# A region is a datacenter" in (tmp_path / "lab.yaml").read_text()


def test_a_wrong_answer_is_explained_and_asked_again(tmp_path):
    """With what to write instead."""
    done = asked(tmp_path, "aws:us-est-1\naws:us-east-1,aws:us-east-1\naws:us-east-1\nSão Paulo\n"
                           "shop\napi.shop.test\n2.5s\n1m\n", "one.yaml")  # fmt: skip
    assert done.returncode == Exit.PASSED, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "or aws:us-east-1?" in said and "us-east-1 is there twice" in said
    assert "2.5s" in said
    topology = load_topology(tmp_path / "one.yaml")
    assert [city.name for city in topology.cities] == ["sao-paulo"]
    assert make_plan(topology, "one").services[0].ttl_s == 60


def test_options_answer_without_a_question(call, tmp_path):
    """For scripts."""
    words = ("--regions", "Tokyo, gcp:us-west1", "--cities", "Lagos", "--service", "a.b.test")
    said = call("init", "here.yaml", *words, "--ttl", "30s")
    assert (said.code, "?" in said.out) == (Exit.PASSED, False), said.err
    assert call("validate", "here.yaml").code == Exit.PASSED


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--regions", "Atlantis"), "no place is called 'Atlantis'"),
        (("--regions", " , "), "at least one place"),
        (("--service", "shop"), "shop"),
        (("--ttl", "5"), "5"),
        (("My Lab.yaml",), "cannot be a lab's name"),
        (("no-such-directory/lab.yaml",), "cannot write"),
        (("--regions", "Paris/FR"), "paris would be a region and a city"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(call, tmp_path, words, complaint):
    """Exit 2; an option is not asked again."""
    fine = {"--regions": "Tokyo", "--cities": "Paris/FR", "--service": "a.b.test", "--ttl": "5s"}
    fine |= dict(zip(words[::2], words[1::2], strict=False))
    rest = words if not words[0].startswith("--") else ()
    said = call("init", *rest, *(word for pair in fine.items() for word in pair))
    assert (said.code, complaint in said.err) == (Exit.USAGE, True), said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_left_alone(call, tmp_path):
    """Before anything is asked."""
    (tmp_path / "lab.yaml").write_text("mine")
    said = call("init")
    assert (said.code, "lab.yaml is there already" in said.err) == (Exit.USAGE, True)
    assert (tmp_path / "lab.yaml").read_text() == "mine"


def test_an_end_of_input_writes_nothing(tmp_path):
    """As Ctrl-D: it was not answered."""
    done = asked(tmp_path, "\n")
    assert done.returncode not in {Exit.PASSED, Exit.MISSED}
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lab.yaml").exists()
