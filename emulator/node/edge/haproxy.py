"""HAProxy's runtime socket: what it thinks of its servers, and the variables we set.

Source: HAProxy 3.0 management guide, section 9.3 (unix socket commands).
"""

from __future__ import annotations

import csv
import io
import socket

TIMEOUT_S = 1.0
STATES = {"UP": "UP", "DOWN": "DOWN", "NOLB": "DRAIN", "DRAIN": "DRAIN", "MAINT": "MAINT"}


def ask(path: str, command: str) -> str:
    """One command, the whole answer. Raises OSError when HAProxy is not there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(command.encode() + b"\n")
        chunks = []
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks).decode()


def parse_stat(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """`show stat` as {(backend, server): (state, last check)}.

    A server that was not checked yet is not UP yet, whatever HAProxy assumes of it.
    """
    states = {}
    for row in csv.DictReader(io.StringIO(text.lstrip("# "))):
        if row["svname"] in {"FRONTEND", "BACKEND"}:
            continue
        check, code = row.get("check_status") or "", row.get("check_code") or ""
        state = STATES.get(row["status"].split()[0], "UP" if "UP" in row["status"] else "DOWN")
        if state == "UP" and not check.lstrip("* ").startswith(("L4OK", "L6OK", "L7OK")):
            state = "DOWN"
        reason = check.lstrip("* ") or "not checked yet"
        if reason == "L7STS" and code:
            reason = f"{reason}/{code}"  # as HAProxy's own log has it
        states[row["pxname"], row["svname"]] = (state, reason)
    return states


def set_variable(path: str, name: str, *, value: bool) -> None:
    """Set `proc.<name>`, which the rendered configuration asks. Raises OSError when refused."""
    word = "true" if value else "false"
    answer = ask(path, f"experimental-mode on; set var proc.{name} bool({word})")
    if answer.strip():
        raise OSError(f"HAProxy refused to set proc.{name}: {answer.strip()}")


def vouch(path: str, backend: str, server: str) -> None:
    """Have it take a server for UP until its next check of it. Raises OSError when refused."""
    answer = ask(path, f"set server {backend}/{server} health up")
    if answer.strip():
        raise OSError(f"HAProxy refused to take {server} for UP: {answer.strip()}")


def haproxy_pid(path: str) -> int:
    """The process that serves, as HAProxy itself says."""
    for line in ask(path, "show info").splitlines():
        if line.startswith("Pid:"):
            return int(line.split(":")[1])
    raise OSError("HAProxy did not tell its pid")
