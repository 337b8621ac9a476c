"""A test's verbs that run programs in containers of the lab."""

from __future__ import annotations

import subprocess

from emulator.clock import NS_PER_S
from emulator.controller.commands import Ran, run_command
from emulator.controller.inject import sites_and_hosts
from emulator.errors import NetemuError
from emulator.harness.network import NetworkVerbs, read
from emulator.harness.words import Quantity, seconds
from emulator.scenario.commandsteps import OWN, container
from emulator.scenario.model import Count, Exec


class CommandVerbs(NetworkVerbs):
    """What a test runs inside. In a container of the user's that is a step like a kill, for it may
    change what comes of one; to look around from netemu's own is none."""

    def exec(
        self, host: str, *argv: str, timeout: Quantity = 10
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a host, a city's client or a site's first host, or with
        `eu-west/db-1:image` in the container of your own there; what it said. Raises NetemuError
        for one that has not ended in time."""
        wait_s = seconds(timeout, "timeout")
        if host.endswith(OWN):
            return self._exec_in_own(host, argv, wait_s)
        site = next((s for s in self.lab.plan.sites if s.name == host), None)
        _, hosts = sites_and_hosts(self.lab, host)
        where = f"{host}/client" if site and site.kind == "client" else hosts[0]
        answer = self.lab.wan.host(where, "run", wait_s, argv=list(argv))
        return subprocess.CompletedProcess(argv, answer["rc"], answer["out"], answer["err"])

    def count(self, host: str, *argv: str, timeout: Quantity = 30) -> frozenset[str]:
        """What a program there prints of what the service holds, the ID of a write a line. Of the
        writes that were acknowledged before, `writes_lost` tells how many are not among them.
        Raises NetemuError for a program that fails."""
        where, within_s = read(container, host), seconds(timeout, "timeout")
        with self._step(lambda at_s, is_after: Count(at_s, where, argv, within_s, is_after)):
            ran = self._ran("count", where, argv, within_s)
        if not ran.is_good:
            raise NetemuError(f"cannot count {where}: {' '.join(argv)}: {ran.told.said}")
        held = ran.held()
        if self._recording is not None:
            self._recording.add(held.to_json())
        return frozenset(held.ids)

    def _exec_in_own(
        self, host: str, argv: tuple[str, ...], within_s: float
    ) -> subprocess.CompletedProcess[str]:
        where = read(container, host)
        with self._step(lambda at_s, is_after: Exec(at_s, where, argv, within_s, is_after)):
            ran = self._ran("exec", where, argv, within_s)
        if ran.told.code is None:
            raise NetemuError(f"cannot run {' '.join(argv)} in {host}: {ran.told.said}")
        out = ran.out.decode(errors="replace")
        return subprocess.CompletedProcess(argv, ran.told.code, out, ran.err)

    def _ran(self, verb: str, host: str, argv: tuple[str, ...], within_s: float) -> Ran:
        """To its end; the history tells of it."""
        ran = run_command(self.lab, verb, host, argv, within_s, self._pass_until)
        self.lab.wan.mark(ran.told.to_json())
        return ran

    def _pass_until(self, moment_ns: int) -> None:
        clock = self.lab.clock
        clock.sleep(max(0, moment_ns - clock.now_ns()) / NS_PER_S)
