"""The commands on a running lab, as a person or a script uses them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from emulator.drivers import DRIVERS
from emulator.errors import Exit
from tests.cli import MINIMAL, PATIENCE_S, PROGRAM, TWO_REGION, Running, Said, netemu

pytestmark = pytest.mark.docker

STAGES = [
    "image",
    "containers",
    "links",
    "daemons",
    "paths",
    "balancers",
    "name servers",
    "clients",
]


@pytest.fixture(scope="module")
def up(image: str) -> Iterator[tuple[str, Said]]:
    """A small lab, made and removed by the command line itself; its name, and what `up` said."""
    name = f"cli-{uuid.uuid4().hex[:6]}"
    try:
        yield name, netemu("up", MINIMAL, "--name", name, "--json")
    finally:
        assert netemu("down", name).code == Exit.PASSED


@pytest.fixture
def lab(up: tuple[str, Said]) -> str:
    name, said = up
    assert said.code == Exit.PASSED, said.err
    return name


def status(lab: str) -> dict[str, object]:
    said = netemu("status", lab, "--json")
    assert said.code == Exit.PASSED, said.err
    found: dict[str, object] = json.loads(said.out)
    return found


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_up_says_what_it_built_and_where_the_time_went(up):
    """Documented values; every path measured; each stage in ms, in order."""
    name, said = up
    made = json.loads(said.out)
    assert (made["lab"], made["already_up"], made["containers"]) == (name, False, 7)
    assert all(path["rtt_measured_ms"] for path in made["paths"])
    assert list(made["timings"]) == STAGES
    assert sum(made["timings"].values()) <= made["ready_s"] * 1000 + 100
    assert "\x1b" not in said.out + said.err


def test_up_again_is_a_no_op_and_another_plan_is_refused(lab):
    """The lab that runs is never lost by mistake; what to do instead is said."""
    again = netemu("up", MINIMAL, "--name", lab)
    assert (again.code, "runs already" in again.out) == (Exit.PASSED, True)
    other = netemu("up", TWO_REGION, "--name", lab)
    assert other.code == Exit.USAGE
    assert "another plan" in other.err and "--replace" in other.err


def test_two_labs_of_one_file_run_side_by_side(lab, lab_name):
    """Same addresses, two worlds; --replace makes one anew and leaves the other."""
    try:
        assert netemu("up", MINIMAL, "--name", lab_name).code == Exit.PASSED
        replaced = netemu("up", MINIMAL, "--name", lab_name, "--replace", "--json")
        assert json.loads(replaced.out)["already_up"] is False
        for each in (lab, lab_name):
            page = netemu("exec", "berlin", "--lab", each, "--", "curl", "-s", "www.minimal.test")
            assert json.loads(page.out)["region"] == "here"
        assert {lab, lab_name} <= set(json.loads(netemu("status", "--json").out)["labs"])
    finally:
        assert netemu("down", lab_name).code == Exit.PASSED
    assert status(lab)["faults"] == []


def test_exec_is_transparent(lab):
    """Exit codes, stdin, stdout and stderr pass as they are; so does a closed stdin."""
    assert netemu("exec", "berlin", "--lab", lab, "--", "sh", "-c", "exit 7").code == 7
    big = "line\n" * 200_000
    assert netemu("exec", "berlin", "--lab", lab, "--", "cat", stdin=big).out == big
    both = netemu("exec", "here/edge", "--lab", lab, "--", "sh", "-c", "echo out; echo err >&2")
    assert (both.out, both.err) == ("out\n", "err\n")
    script = '"$1" exec berlin --lab "$2" -- echo fine <&-'
    closed = subprocess.run(
        ["bash", "-c", script, "bash", PROGRAM, lab], capture_output=True, text=True, check=False
    )
    assert closed.stdout == "fine\n"
    assert netemu("exec", "berlin", "--lab", lab, "--", "nosuchprogram").code in {126, 127}


def test_a_mistyped_name_is_answered_with_the_nearest(lab):
    """For hosts, sites and targets of faults; nothing was broken."""
    for words in (("exec", "berlni", "--", "true"), ("kill", "heer"), ("heal", "here/www-2")):
        said = netemu(words[0], "--lab", lab, *words[1:])
        assert (said.code, "did you mean" in said.err) == (Exit.USAGE, True), said
    assert netemu("pcap", "beriln", "--lab", lab).code == Exit.USAGE
    assert status(lab)["faults"] == []


def test_shell_is_a_terminal(lab):
    """With the exit code of the shell; what was typed before the prompt is not lost."""
    ours, theirs = pty.openpty()
    words = [PROGRAM, "shell", "here/edge", "--lab", lab]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as shell:
        os.close(theirs)
        os.write(ours, b"tty; exit 3\n")
        said = _read_terminal(ours)
        shell.kill()  # does nothing to one that has ended, as it must have
    os.close(ours)
    assert shell.returncode == 3, said
    assert b"/dev/pts/" in said


def _read_terminal(terminal: int) -> bytes:
    """Until its other end closes, or nothing comes for too long."""
    said = b""
    while select.select([terminal], [], [], 10.0)[0]:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # how Linux tells the end of a terminal
            break
    return said


def test_logs_are_those_of_one_daemon_or_of_all(lab):
    """The name of the daemon stands before the line only where there are several."""
    one = netemu("logs", "here/edge", "haproxy", "--lab", lab)
    every = netemu("logs", "here/edge", "--lab", lab)
    assert one.code == every.code == Exit.PASSED
    assert set(every.out.splitlines()) >= {f"haproxy: {line}" for line in one.out.splitlines()[:3]}
    wrong = netemu("logs", "here/edge", "nosuch", "--lab", lab)
    assert (wrong.code, "haproxy" in wrong.err) == (Exit.USAGE, True)
    assert netemu("logs", "wan", "--lab", lab).code == Exit.USAGE


def test_logs_of_several_hosts_are_followed_at_once(lab):
    """Each line with who wrote it; Ctrl-C ends it."""
    following = Running("logs", "ns1", "berlin/access", "here/www-1", "-f", "--lab", lab)
    following.until("ns1 dns: ns1 serves ")
    netemu("kill", "here/www-1", "--how", "freeze", "--detach", "--lab", lab)
    try:
        following.until("here/www-1: does not answer")
    finally:
        netemu("heal", "here/www-1", "--lab", lab)
    following.until("here/www-1: answers again")
    following.send(signal.SIGINT)
    said = following.end()
    assert (said.code, "Traceback" in said.out) == (Exit.INTERRUPTED, False), said.out
    last = netemu("logs", "-n", "1", "--lab", lab).out.splitlines()
    whose = [line.partition(": ")[0] for line in last]
    assert {"ns1 dns", "berlin/access unbound"} <= set(whose)
    assert len(whose) == len(set(whose))


def test_killing_twice_and_healing_twice_are_fine(lab):
    """Each second time says so and changes nothing."""
    kill = ("kill", "here/www-1", "--how", "crash", "--detach", "--lab", lab)
    assert "is active; undo it" in netemu(*kill).out
    again = netemu(*kill)
    assert (again.code, "active already" in again.out) == (Exit.PASSED, True)
    assert [f["kind"] for f in json.loads(netemu("status", lab, "--json").out)["faults"]] == [
        "crash"
    ]
    heal = ("heal", "here/www-1", "--lab", lab)
    assert netemu(*heal).out == "crash on here/www-1 healed\n"
    assert netemu(*heal).out == "nothing was broken there\n"


@pytest.mark.parametrize(("how", "state"), [("freeze", "paused"), ("power", "exited")])
def test_a_fallen_host_is_shown_and_never_waited_for(lab, how, state):
    """status, exec and logs say what is the matter, in less than twice the time that they take
    with nothing the matter: 3.3 s here, of which starting three programs is nearly all."""

    def ask() -> tuple[float, Said, Said, Said]:
        began = time.monotonic()
        said = netemu("status", lab)
        logs = netemu("logs", "here/www-1", "--lab", lab)
        tried = netemu("exec", "here/www-1", "--lab", lab, "--", "true")
        return time.monotonic() - began, said, logs, tried

    whole_s, *_ = ask()
    netemu("kill", "here/www-1", "--how", how, "--detach", "--lab", lab)
    try:
        fallen_s, said, logs, tried = ask()
        assert fallen_s < 2 * whole_s
        assert state in said.out and f"{how} on here/www-1" in said.out
        word = "frozen" if how == "freeze" else "no power"
        assert logs.code == tried.code == Exit.ENVIRONMENT
        assert word in logs.err and word in tried.err
    finally:
        assert netemu("heal", "here/www-1", "--lab", lab).code == Exit.PASSED


def test_traffic_stops_and_starts(lab):
    """What the clients then do is seen in status."""

    def started() -> int:
        rows: object = status(lab)["traffic"]
        assert isinstance(rows, list)
        return sum(row["started"] for row in rows)

    assert netemu("traffic", "stop", lab).code == Exit.PASSED
    eventually(lambda: started() == 0, "the traffic stops")
    assert netemu("traffic", "start", lab, "--rate", "5/s").code == Exit.PASSED
    eventually(lambda: started() == 20, "5/s of 4 kinds")


def test_ctrl_c_ends_watch_and_changes_nothing(lab):
    """130, no traceback, the lab as it was."""
    watching = Running("watch", lab)
    watching.until("requests")
    watching.send(signal.SIGINT)
    said = watching.end()
    assert (said.code, "Traceback" in said.out) == (Exit.INTERRUPTED, False)
    assert status(lab)["faults"] == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)],
)
def test_a_stop_while_kill_follows_leaves_the_fault_and_says_so(lab, number, code):
    """Following is watching: what was broken stays broken until heal."""
    following = Running("kill", "here/www-1", "--how", "crash", "--lab", lab)
    following.until("crash here/www-1")
    eventually(lambda: bool(status(lab)["faults"]), "the fault is in the journal")
    following.send(number)
    said = following.end()
    assert said.code == code
    assert f"netemu heal here/www-1 --lab {lab}" in said.out
    assert netemu("heal", "--all", "--lab", lab).out == "crash on here/www-1 healed\n"


def test_doctor_finds_this_machine_good():
    """Where these tests run, a lab can run."""
    said = netemu("doctor", "--json")
    assert said.code == Exit.PASSED
    findings = {finding.pop("what"): finding for finding in json.loads(said.out)}
    assert all(finding["ok"] or not finding["needed"] for finding in findings.values())
    assert {what.split()[2] for what in findings if what.startswith("WAN driver")} == set(DRIVERS)
