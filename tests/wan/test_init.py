"""init, as a process of its own: what the keeper can ask of a host, and what it hears."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


class Keeper:
    """The other end of init's socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        while self._socket.connect_ex(str(path)):
            time.sleep(0.002)  # until it listens; the fixture's process is ours to wait for
        self._file = self._socket.makefile("rb")
        self._events: list[dict[str, Any]] = []

    def ask(self, op: str, **arguments: object) -> dict[str, Any]:
        self._socket.sendall(json.dumps({"id": 7, "op": op, **arguments}).encode() + b"\n")
        while True:
            message: dict[str, Any] = json.loads(self._file.readline())
            if "event" not in message:
                assert message.pop("id") == 7
                return message
            self._events.append(message["event"])

    def ok(self, op: str, **arguments: object) -> Any:
        return self.ask(op, **arguments)["ok"]

    def event(self, **fields: object) -> dict[str, Any]:
        """The next event with these values."""
        while True:
            event: dict[str, Any] = (
                self._events.pop(0) if self._events else json.loads(self._file.readline())["event"]
            )
            if all(event.get(key) == value for key, value in fields.items()):
                return event

    def leave(self) -> None:
        """Until init has seen it: what is told before that would go to the one who leaves."""
        self._socket.shutdown(socket.SHUT_WR)
        while self._file.readline():
            pass
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def init(tmp_path):
    """Its directory."""
    environment = {"NETEMU_HOST": "east/edge", "PATH": "/usr/bin:/bin", "PYTHONPATH": "."}
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "emulator.node.init", str(tmp_path)], env=environment
    )
    yield tmp_path
    process.terminate()
    assert process.wait(5) == 0


@pytest.fixture
def keeper(init):
    keeper = Keeper(init / "init.sock")
    yield keeper
    keeper.ask("kill")
    keeper.close()


def daemon(name: str, script: str, waits_for: str = "") -> dict[str, object]:
    return {"name": name, "argv": ["sh", "-c", script], "waits_for": waits_for}


def configure(
    keeper: Keeper, *daemons: dict[str, object], files: dict[str, str] | None = None
) -> None:
    assert keeper.ok("configure", files=files or {}, daemons=daemons) == {}


def test_files_are_written_with_their_directories(keeper, tmp_path):
    """`configure` makes what the daemons will read."""
    path = tmp_path / "etc" / "deep" / "app.json"
    configure(keeper, files={str(path): "{}\n"})
    assert path.read_text() == "{}\n"


def test_a_daemons_life_is_told(keeper):
    """Started and ended, with why; never started again."""
    configure(keeper, daemon("brief", "exit 3"))
    assert keeper.ok("start")["started"] == ["brief"]
    started = keeper.event(kind="daemon", state="started")
    ended = keeper.event(kind="daemon", state="ended")
    assert (started["host"], started["name"]) == ("east/edge", "brief")
    assert ended["detail"] == "exit 3"
    assert started["t"] <= ended["t"]
    assert keeper.ok("status") == {"daemons": {"brief": "ended exit 3"}}


def test_a_daemon_waits_for_what_an_earlier_one_makes(keeper, tmp_path):
    """And not for what an earlier life of it has left."""
    path = tmp_path / "socket"
    path.touch()
    maker = daemon("maker", f"read line; touch {path}; cat")
    configure(keeper, maker, daemon("user", "cat", waits_for=str(path)))
    assert keeper.ok("start") == {"started": ["maker"], "waiting": ["user"]}
    assert keeper.ok("start") == {"started": [], "waiting": []}
    keeper.ok("send", daemon="maker", line="go")
    keeper.event(kind="daemon", name="user", state="started")


def test_kill_takes_the_whole_family(keeper, tmp_path):
    """Children in sessions of their own too; a daemon that only waits will not start."""
    script = f"setsid sleep 1000 & echo $! > {tmp_path}/child; sleep 1000 & wait"
    configure(keeper, daemon("parent", script), daemon("never", "cat", waits_for="/nowhere/at/all"))
    keeper.ok("start")
    child = tmp_path / "child"
    while not (child.exists() and child.read_text().strip()):
        keeper.ok("status")
    before = time.monotonic_ns()
    at = keeper.ok("kill")["t"]
    assert before <= at <= keeper.event(name="parent", state="ended")["t"]
    stat = Path(f"/proc/{child.read_text().strip()}/stat")
    while stat.exists() and stat.read_text().split()[2] not in "ZX":
        keeper.ok("status")
    assert keeper.ok("status")["daemons"]["never"] == "stopped"


def test_killed_daemons_can_be_started_at_once(keeper):
    """`start` right behind `kill` does not mistake the dying for the living."""
    configure(keeper, daemon("app", "cat"))
    for _ in range(3):
        assert keeper.ok("start")["started"] == ["app"]
        keeper.ok("kill")


def test_event_lines_pass_unchanged(keeper):
    """From the descriptor that NETEMU_EVENTS names."""
    line = '{"kind":"note",  "t":5,"text":"as it came"}'
    configure(keeper, daemon("app", f"echo '{line}' >&$NETEMU_EVENTS; cat"))
    keeper.ok("start")
    assert keeper.event(kind="note") == json.loads(line)


def test_events_wait_for_a_keeper_that_is_away(init):
    """And a new keeper takes the place of the old."""
    away = init / "away"
    script = f'until [ -e {away} ]; do sleep 0.01; done; echo \'{{"kind":"note","t":1}}\' >&3; cat'
    first = Keeper(init / "init.sock")
    configure(first, daemon("app", script))
    first.ok("start")
    first.leave()
    away.touch()
    second = Keeper(init / "init.sock")
    assert second.event(kind="note")["t"] == 1
    second.ok("kill")
    second.close()


def test_commands_run_with_a_deadline(keeper):
    """Their output comes back; one that is late is an error; others are served meanwhile."""
    assert keeper.ok("run", argv=["cat"], stdin="hi") == {"rc": 0, "out": "hi", "err": ""}
    assert "did not end" in keeper.ask("run", argv=["sleep", "9"], timeout_s=0.02)["error"]


def test_signals_reach_the_daemon(keeper):
    """By name."""
    configure(keeper, daemon("app", "trap 'exit 7' USR1; while :; do read x; done"))
    keeper.ok("start")
    keeper.ok("signal", daemon="app", signal="TERM")
    assert keeper.event(name="app", state="ended")["detail"] == "SIGTERM"


@pytest.mark.parametrize(
    ("op", "arguments", "message"),
    [
        ("fly", {}, "init knows no 'fly'"),
        ("send", {"daemon": "app", "line": "x"}, "app does not run"),
        ("signal", {"daemon": "web", "signal": "TERM"}, "no daemon 'web' here; there are: app"),
        ("run", {"argv": ["no-such-program"]}, "No such file"),
    ],
)
def test_what_cannot_be_done_is_said(keeper, op, arguments, message):
    """An answer, never silence."""
    configure(keeper, daemon("app", "cat"))
    assert message in keeper.ask(op, **arguments)["error"]


def test_logs_are_told_from_where_one_left_off(keeper, tmp_path):
    """Whole lines, each once, also over the cutting of a log that has grown too long; from the
    beginning where the place is beyond the end, as after a boot."""
    more = tmp_path / "more"
    configure(keeper, daemon("talker", f"echo one; printf tw; until test -e {more}; do sleep 0.01;"
                                       f" done; echo o; seq 1 300000; exec sleep 60"))  # fmt: skip
    keeper.ok("start", daemons=["talker"])

    def new(at: int, size: int = 100_000) -> tuple[str, int]:
        found = keeper.ok("new_logs", at={"talker": at}, bytes=size)["talker"]
        return found["text"], found["end"]

    text, end = "", -1
    while not text:
        text, end = new(-1)
    assert (text, end) == ("one\n", 4)
    assert new(end) == ("", 4)
    more.touch()
    said, deadline = "", time.monotonic() + 20
    while "300000\n" not in said[-10:]:
        assert time.monotonic() < deadline
        text, end = new(end)
        said += text
    assert said == "two\n" + "".join(f"{number}\n" for number in range(1, 300_001))
    log = next(path for path in tmp_path.rglob("talker") if path.is_file())
    while log.stat().st_size > 1 << 20:  # until init cuts it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert new(end) == ("", end)
    text, again = new(end + 1)
    assert (text.endswith("\n"), again < end) == (True, True)
    assert new(-1, 7) == ("300000\n", end)


def test_a_line_that_never_ends_is_told_in_pieces(keeper):
    """Else nothing would ever come of it."""
    configure(keeper, daemon("talker", "printf 0123456789; exec sleep 60"))
    keeper.ok("start", daemons=["talker"])
    found = {"text": ""}
    while not found["text"]:
        found = keeper.ok("new_logs", at={"talker": 0}, bytes=4)["talker"]
    assert found == {"text": "0123", "end": 4}


def test_a_secret_is_roots_alone(keeper, tmp_path):
    """As a private key must lie, and all else must be readable for daemons that are not root."""
    secret, plain = tmp_path / "run" / "key.pem", tmp_path / "etc" / "app.json"
    files = {str(plain): "{}"}
    assert keeper.ok("configure", files=files, daemons=[], secrets={str(secret): "key"}) == {}
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("key", 0o600)
    assert plain.stat().st_mode & 0o777 == 0o644
