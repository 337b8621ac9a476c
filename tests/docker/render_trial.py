"""Runs inside a container of the node image, as `python3 -c <this text> <inputs as JSON>`.

Lays the addresses of a region and a city on lo, starts small servers, HAProxy and Unbound with the
rendered files, tries them, and prints what it saw as one JSON object on stdout.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dnslib

DEADLINE_S = 15.0
CHECKED = Path("/run/checked")
HAPROXY_FILE = Path("/run/haproxy.cfg")
UNBOUND_FILE = Path("/run/unbound.conf")


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """HAProxy resets a check's connection once it has the status: no news."""


class Server(BaseHTTPRequestHandler):
    """Answers every path with its own address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = str(self.connection.getsockname()[0])
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(address), address.encode())
        )

    def log_message(self, *_: object) -> None:
        pass


def serve(address: str, port: int) -> None:
    socketserver.TCPServer.request_queue_size = 64
    Quiet((address, port), Server).serve_forever()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def ask_haproxy(command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/haproxy.sock")
        connection.sendall(command.encode() + b"\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer.decode()


def states() -> dict[str, str]:
    """Server state by backend/server; "UP" only once a check said so."""
    rows = [line.split(",") for line in ask_haproxy("show stat").splitlines() if "," in line]
    columns = {name.lstrip("# "): index for index, name in enumerate(rows[0])}
    found = {}
    for row in rows[1:]:
        checked = row[columns["check_status"]].startswith("L7OK")
        state = row[columns["status"]]
        found[f"{row[0]}/{row[1]}"] = "unchecked" if state == "UP" and not checked else state
    return found


def get(address: str, port: int = 80, path: str = "/", **headers: str) -> dict[str, Any]:
    """One request on a connection of its own."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(address, port, timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return {
        "status": answer.status,
        "body": body,
        "headers": {name.lower(): value for name, value in answer.getheaders()},
        "seconds": time.monotonic() - began,
    }


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def check_files(files: dict[str, str]) -> dict[str, list[Any]]:
    """What the programs themselves say of each file: exit status and words."""
    said: dict[str, list[Any]] = {}
    for name, text in files.items():
        CHECKED.write_text(text)
        checker = ("haproxy", "-c", "-f") if "haproxy" in name else ("unbound-checkconf",)
        done = run(*checker, CHECKED)
        said[name] = [done.returncode, done.stdout + done.stderr]
    return said


def try_haproxy(text: str, servers: list[tuple[str, int]]) -> dict[str, Any]:
    processes = {
        address: multiprocessing.Process(target=serve, args=(address, port), daemon=True)
        for address, port in servers
    }
    for process in processes.values():
        process.start()
    HAPROXY_FILE.write_text(text)
    haproxy = subprocess.Popen(["haproxy", "-db", "-f", HAPROXY_FILE])
    wait_until(Path("/run/haproxy.sock").exists, "HAProxy's socket")
    rows = ("/www-", "/api-", "/raw-")
    wait_until(
        lambda: all(s == "UP" for name, s in states().items() if any(r in name for r in rows)),
        "every server UP",
    )
    seen: dict[str, Any] = {"calm": calm(), "drain": drain()}
    seen["frozen"] = lose(processes["10.1.0.12"], signal.SIGSTOP)
    wait_until(lambda: states()["be-www/www-2"].startswith("DOWN"), "the frozen server is DOWN")
    wait_until(lambda: states()["be-echo/www-2"].startswith("DOWN"), "its echo is DOWN")
    os.kill(processes["10.1.0.12"].pid or 0, signal.SIGCONT)
    wait_until(lambda: states()["be-www/www-2"] == "UP", "the thawed server is UP")
    seen["killed"] = lose(processes["10.1.0.11"], signal.SIGKILL)
    os.kill(processes["10.1.0.12"].pid or 0, signal.SIGKILL)
    wait_until(lambda: get("198.18.1.254", 9001, "/healthz")["status"] == 503, "region is bad")
    seen["nobody left"] = {"raw health": get("198.18.1.254", 9003, "/healthz")}
    haproxy.send_signal(signal.SIGUSR1)
    seen["soft stop"] = haproxy.wait(DEADLINE_S)
    return seen


def calm() -> dict[str, Any]:
    return {
        "plain": get("198.18.1.1"),
        "health": get("198.18.1.254", 9001, "/healthz"),
        "routed": get("198.18.1.1", path="/api/x"),
        "denied": get("198.18.1.1", X_Agent='a "b" $HOME \\ c'),
        "not denied": get("198.18.1.1", X_Agent='a "b" $HOME'),
        "routed first": get("198.18.1.1", path="/api", X_Agent='a "b" $HOME \\ c'),
        "redirected": get("198.18.1.1", path="/old/x", Cookie="beta=1"),
        "not redirected": get("198.18.1.1", path="/old/x", Cookie="beta=2"),
        "l4": get("198.18.1.3", 8082),
    }


def drain() -> dict[str, Any]:
    seen: dict[str, Any] = {
        "said": ask_haproxy("experimental-mode on; set var proc.draining bool(true)").strip()
    }
    seen |= {"health": get("198.18.1.254", 9001, "/healthz"), "answer": get("198.18.1.1")}
    ask_haproxy("experimental-mode on; set var proc.closing bool(true)")
    seen |= {"closing": get("198.18.1.1"), "closing denial": get("198.18.1.1", X_Agent="")}
    ask_haproxy("experimental-mode on; set var proc.draining bool(false)")
    ask_haproxy("experimental-mode on; set var proc.closing bool(false)")
    return seen | {"healed": get("198.18.1.254", 9001, "/healthz"), "after": get("198.18.1.1")}


def lose(process: multiprocessing.Process, how: signal.Signals) -> list[dict[str, Any]]:
    """Four requests right after one of two servers froze or died."""
    os.kill(process.pid or 0, how)
    return [get("198.18.1.1") for _ in range(4)]


def try_unbound(text: str, address: str) -> dict[str, Any]:
    UNBOUND_FILE.write_text(text)
    unbound = subprocess.Popen(["unbound", "-d", "-c", UNBOUND_FILE])
    control = ("unbound-control", "-c", UNBOUND_FILE)
    wait_until(lambda: run(*control, "status").returncode == 0, "Unbound's control socket")
    seen = {name: look_up(address, name) for name in ("example.com", "other.test", ".")}
    flushed = run(*control, "flush_zone", "shop.test")
    unbound.terminate()
    return {"names": seen, "flushed": flushed.stdout, "ended": unbound.wait(DEADLINE_S)}


def look_up(address: str, name: str) -> list[Any]:
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.bind((address, 0))
        asking.sendto(dnslib.DNSRecord.question(name).pack(), (address, 53))
        answer = dnslib.DNSRecord.parse(asking.recv(4096))
    return [dnslib.RCODE[answer.header.rcode], time.monotonic() - began]


def main() -> None:
    inputs = json.loads(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in inputs["addresses"]:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    seen = {
        "files": check_files(inputs["files"]),
        "haproxy": try_haproxy(inputs["haproxy"], inputs["servers"]),
        "unbound": try_unbound(inputs["unbound"], inputs["resolver"]),
    }
    print(json.dumps(seen), flush=True)  # noqa: T201 - what this program is for


if __name__ == "__main__":
    main()
