"""A capture of one port of a LAN: a kernel bridge carries it, so tcpdump sees it, not the ring."""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess

_BYE_S = 2.0  # tcpdump writes out what it has and ends


def watch(options: argparse.Namespace) -> int:
    """Let tcpdump write to our stdout, under the same rules for its end as `tap`. Its exit code.
    Raises FileNotFoundError without one."""
    argv = ["tcpdump", "-Z", "root", "-n", "-i", options.port, "-s", str(options.snap)]
    argv += ["-c", str(options.count)] if options.count else []
    argv += ["-l"] if options.text else ["-U", "-w", "-"]
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: program.send_signal(signal.SIGINT))
    ended = os.pidfd_open(program.pid)
    select.select([0, ended], [], [], options.seconds or None)
    program.send_signal(signal.SIGINT)
    try:
        return program.wait(_BYE_S)
    except subprocess.TimeoutExpired:  # nobody takes its output
        program.kill()
        return program.wait()
