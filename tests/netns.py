"""Network namespaces joined by a real wire process, for tests that carry the marker `netns`.

Namespaces are made by `unshare` and entered by `nsenter --net`: no mount namespace, which would
pin other programs' namespaces for as long as it lives. The wire itself needs none of them: its
ports are sockets, opened where the links end.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import hashlib
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulator.impairment import Impairment
from emulator.node.wan.capture import Capture
from emulator.node.wan.compiled import CHOICE
from emulator.node.wan.ports import open_port
from emulator.node.wan.records import Record, decode
from emulator.node.wan.table import MOVERS, PathTable

CORE = Path(__file__).parent.parent / "emulator" / "node" / "wan" / "core"
CLONE_NEWNET = 0x40000000
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h
_SOL_PACKET, _PACKET_VNET_HDR = 263, 15  # linux/if_packet.h
_LIBC = ctypes.CDLL(None, use_errno=True)
_DEADLINE_S = 10.0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = _DEADLINE_S) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return value


@contextmanager
def inside(path: str) -> Iterator[None]:
    """This thread is in the network namespace at `path`."""
    with open("/proc/thread-self/ns/net") as home, open(path) as there:  # noqa: PTH123 (file numbers)
        assert _LIBC.setns(there.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _LIBC.setns(home.fileno(), CLONE_NEWNET) == 0


class Namespace:
    """A network namespace that lives as long as the `sleep` in it."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self.path = f"/proc/{self._holder.pid}/ns/net"
        own = Path("/proc/self/ns/net").readlink()
        wait_until(lambda: self._link() not in (None, own), "unshare made a namespace")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def _link(self) -> Path | None:
        is_sleeping = Path(f"/proc/{self.pid}/comm").read_text() == "sleep\n"
        return Path(self.path).readlink() if is_sleeping else None

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(["nsenter", f"--net={self.path}", *argv], text=True, **options)

    def run(self, *argv: str) -> str:
        """What a command says that must succeed."""
        done = subprocess.run(
            ["nsenter", f"--net={self.path}", *argv],
            check=False, text=True, capture_output=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def counter(self, name: str) -> int:
        """One of the kernel's network counters, as `nstat` names it."""
        for line in self.run("nstat", "-asz", name).splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        raise AssertionError(f"no counter {name}")

    def end(self) -> None:
        self._holder.kill()
        self._holder.wait()


def core_choice(mover: str) -> str:
    """What the environment must say for this mover: the core of this checkout, compiled once."""
    return built_core("-O2") if mover == "compiled" else "none"


def built_core(*options: str) -> str:
    """The core of this checkout as a library, made by gcc with these options."""
    return built(sorted(CORE.glob("*.[ch]")), *options, "-fPIC", "-shared")


def built(sources: list[Path], *options: str) -> str:
    """What gcc makes of these sources with these options; once."""
    said = " ".join(options).encode()
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources) + said)
    made = CORE.parents[3] / ".build" / f"{sources[0].stem}-{digest.hexdigest()[:16]}.so"
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        own = made.with_suffix(f".{os.getpid()}")
        code = [str(source) for source in sources if source.suffix == ".c"]
        argv = ["gcc", *options, "-Wall", "-Wextra", "-Werror", "-o", str(own), *code]
        subprocess.run(argv, check=True)
        own.rename(made)
    return str(made)


class WireLab:
    """Sites 1..n, each a namespace with eth0 100.64.0.<n>/16, and a wire between them."""

    def __init__(self, sites: int, base: Impairment, mover: str = "compiled") -> None:
        self._environment = {**os.environ, CHOICE: core_choice(mover)}
        self.mover = mover
        self.capture_path = f"/dev/shm/netemu-test-{os.getpid()}-{id(self)}"  # noqa: S108
        self.table = PathTable.create()
        self.records: list[Record] = []
        self.sites: dict[int, Namespace] = {}
        self._numbers = range(1, sites + 1)
        for source, target in itertools.permutations(self._numbers, 2):
            self.table.set(source, target, base)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open = stack
            self.wan = self._namespace()
            self.wan.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            self._start_wire()
            for number in self._numbers:
                self.sites[number] = self._namespace()
                self.attach(number)
            wait_until(lambda: self.table.state().mover, "the wire is there")
            assert MOVERS[self.table.state().mover] == self.mover
            assert self.ask(op="macs", macs={mac(n): n for n in self._numbers}) == {"ok": True}
            self._open = stack.pop_all()  # nothing failed: open until we leave
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        self.table.close()
        assert self.process.returncode == 0, "the wire ends with its control socket"

    def _namespace(self) -> Namespace:
        namespace = Namespace()
        self._open.callback(namespace.end)
        return namespace

    def _start_wire(self) -> None:
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._inbox, records = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._inbox.setblocking(False)
        self._open.enter_context(self._inbox)
        names = {"control": control.fileno(), "records": records.fileno(), "table": self.table.fd}
        Capture.create(self.capture_path).close()
        self._open.callback(os.unlink, self.capture_path)
        names["capture"] = os.open(self.capture_path, os.O_RDWR)
        argv = [word for name, fd in names.items() for word in (f"--{name}", str(fd))]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emulator.node.wan.wire", *argv],
            pass_fds=names.values(),
            env=self._environment,
        )
        os.close(names["capture"])
        control.close()
        records.close()
        self._open.callback(self.process.wait, _DEADLINE_S)
        self._open.callback(self._control.close)

    def attach(self, number: int) -> None:
        """Make a site's link and give the wire its port."""
        port, site = f"w{number}", self.sites[number]
        self.wan.run(
            *f"ip link add {port} type veth peer name eth0 address {mac(number)}".split(),
            *f"netns {site.pid}".split(),
        )
        site.run(*f"ip address add 100.64.0.{number}/16 dev eth0".split())
        site.run("ip", "link", "set", "eth0", "up")
        self.wan.run("ip", "link", "set", port, "up")
        with inside(self.wan.path):
            opened = open_port(port)
        self._open.enter_context(opened)  # the keeper's duplicate
        socket.send_fds(self._control, [request(op="port", site=number)], [opened.fileno()])
        assert self._answer() == {"ok": True}

    def raw_port(self, number: int) -> socket.socket:
        """Sends whole frames from a site, virtio header first."""
        with inside(self.sites[number].path):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        raw.bind(("eth0", 0))
        return raw

    def ask(self, **message: Any) -> dict[str, Any]:
        """A control message and its answer."""
        self._control.send(request(**message))
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        self._control.settimeout(_DEADLINE_S)
        answer: dict[str, Any] = json.loads(self._control.recv(1 << 16))
        return answer

    def collect(self) -> list[Record]:
        """All records so far."""
        while True:
            try:
                self.records += decode(self._inbox.recv(1 << 16))
            except BlockingIOError:
                return self.records

    def without_offload(self, number: int) -> None:
        """Make the kernel segment and sum in software what the wire sends to a site: the site
        then checks every checksum, which it would not do for a partial one."""
        with inside(self.wan.path), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
            value = array.array("I", [_ETHTOOL_STXCSUM, 0])
            request_ = struct.pack("16sP", f"w{number}".encode(), value.buffer_info()[0])
            fcntl.ioctl(any_, _SIOCETHTOOL, request_)

    def remove_link(self, number: int) -> None:
        self.wan.run("ip", "link", "delete", f"w{number}")


def mac(number: int) -> str:
    return f"02:00:00:00:{number:02x}:01"


def request(**message: Any) -> bytes:
    return json.dumps(message).encode()
