"""What iproute2's `tc` is told of a port, and whether this kernel can do all that is needed.

python3 -m emulator.node.wan.netem_lines    tries it on `lo`: exit 0, or 1 and why
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

# No class is ever held back: netem and the bucket do that. 8 ms of it are the burst.
_CLASS = "htb rate 100gbit burst 100m cburst 100m quantum 60000"


def port_lines(interface: str, site: int, sources: Iterable[int]) -> list[str]:
    """Frames that enter by a port get its site's priority, which is a class of every other port."""
    return [
        f"qdisc add dev {interface} root handle 1: htb",
        *(f"class add dev {interface} parent 1: classid 1:{n:x} {_CLASS}" for n in sources),
        f"qdisc add dev {interface} clsact",
        (
            f"filter add dev {interface} ingress protocol all matchall "
            f"action skbedit priority 1:{site:x}"
        ),
    ]


def trial_lines(interface: str = "lo") -> list[str]:
    """All that ports and paths need of the kernel, made and removed again."""
    return [
        f"qdisc add dev {interface} root netem delay 1ms",  # first: it is what most often lacks
        f"qdisc del dev {interface} root",
        *port_lines(interface, 1, [1]),
        f"qdisc add dev {interface} parent 1:1 handle 101: netem delay 1ms",
        f"qdisc add dev {interface} parent 101:1 handle 201: tbf rate 1mbit burst 4k limit 9k",
        f"qdisc add dev {interface} parent 201:1 codel",
        f"qdisc del dev {interface} clsact",
        f"qdisc del dev {interface} root",
    ]


def what_failed(program: str, said: str, lines: list[str]) -> str:
    """The kernel's complaint and the line it is about, from the errors of iproute2 -batch."""
    text, _, number = " ".join(said.split()).partition("Command failed -:")
    text = text.replace("We have an error talking to the kernel", "")
    at = number.partition(" ")[0]
    return f"{text.strip()} ({program} {lines[int(at) - 1]})" if at.isdigit() else text.strip()


def main() -> None:
    lines = trial_lines()
    text = "".join(f"{line}\n" for line in lines)
    argv = ["tc", "-batch", "-"]
    tried = subprocess.run(argv, check=False, input=text, capture_output=True, text=True)
    if tried.returncode:
        subprocess.run(
            ["tc", "qdisc", "del", "dev", "lo", "root"], check=False, capture_output=True
        )
        sys.exit(what_failed("tc", tried.stderr, lines))


if __name__ == "__main__":
    main()
