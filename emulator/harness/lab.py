"""The lab that a test breaks: verbs that act on it, and figures of what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from emulator.analysis.headline import headline_of
from emulator.analysis.verdict import Verdict, verdicts
from emulator.controller.inject import heal, heal_everything, heal_fault, inject, sites_and_hosts
from emulator.controller.lab import Lab, begin_traces, end_traces
from emulator.controller.paths import clear_paths
from emulator.controller.ready import wait_until_ready
from emulator.controller.recorder import Listener
from emulator.controller.repeat import run_once, run_repeatedly
from emulator.controller.runner import default_directory
from emulator.controller.traffic import flush_caches, stop_traffic, wait_until_idle
from emulator.errors import FileProblems, Inconclusive, UsageError, suggest
from emulator.harness.commands import CommandVerbs
from emulator.harness.figures import Count, Recovery, Seconds, Share, seconds_of
from emulator.harness.network import read
from emulator.harness.recording import Recording, new_directory, random_seed
from emulator.harness.result import Result
from emulator.harness.script import Script
from emulator.harness.waiting import hold_until, scene_without_traffic
from emulator.harness.words import (
    Quantity,
    Words,
    cities_of,
    seconds,
    settings_of,
    traffic_of,
)
from emulator.scenario.model import (
    Condition,
    FaultKind,
    Heal,
    Kill,
    WaitUntil,
)
from emulator.scenario.objectives import MEASURED, WRITES, parse_objective
from emulator.scenario.parse import load_scenario
from emulator.scenario.steps import read_condition, read_sides
from emulator.scenario.targets import check_targets, resolve_targets
from emulator.wan.base import Event

Read = TypeVar("Read")


class Missed(AssertionError):
    """A promise that was not kept, in one line."""


class LabUnderTest(CommandVerbs):
    """A running lab. Names of sites and hosts are those of its topology; times are seconds, or
    texts like `250ms`. `title` names its recordings, which are kept under `directory`.

    Figures are those of the last recording, which one `traffic` block makes; they may be asked for
    while it runs or afterwards. One that cannot be told raises Inconclusive.
    """

    def __init__(self, lab: Lab, directory: Path, title: str, say: Listener | None = None) -> None:
        super().__init__(lab)
        self.directory = directory
        self.title = title
        self.results: list[Result] = []  # of scenarios that were run
        self._say = say or _in_silence

    @property
    def name(self) -> str:
        """As `netemu status` calls it."""
        return self.lab.name

    @property
    def recording(self) -> Recording:
        """The last one. Raises UsageError where there is none."""
        if self._recording is None:
            raise UsageError("nothing was recorded yet; break things inside `with lab.traffic():`")
        return self._recording

    @contextmanager
    def traffic(
        self,
        rate: Quantity = 50,
        sites: Words = "all",
        over: Words | None = None,
        connections: int | None = None,
        cache: Quantity | None = None,
    ) -> Iterator[Recording]:
        """Load and its recording, from the steady state on to the end of the block.

        `rate`: requests a second of each city, shared out among the kinds `over` (http, keepalive,
        stream, udp; all of them unless said). `sites`: the cities. `connections`: that keepalive
        and stream keep open. `cache`: what clients do with a DNS answer, a time or one of
        scenarios' names, as ttl or jvm-30s. Raises Inconclusive when the world is not steady,
        UsageError when it is broken.
        """
        if self._recording is not None and self._recording.is_running:
            raise UsageError("traffic is on already; one block inside another changes nothing")
        if broken := [" ".join(fault.target) for fault in self.lab.wan.journal()]:
            raise UsageError(f"{', '.join(broken)} is broken already; a recording begins with a"
                             " whole lab: lab.heal()")  # fmt: skip
        cities = cities_of(self.lab.plan, self._members(sites))
        script = Script(
            self.title, random_seed(), traffic_of(rate, cities, over, connections, cache)
        )
        directory = new_directory(self.directory, self.title)
        self._recording = Recording(self.lab, directory, script, self._say)
        with self._recording.running():
            self._recording.wait_until_steady()
            yield self._recording

    def kill(  # noqa: PLR0913 - as many words as a step may have
        self,
        target: Words,
        how: str = "power",
        for_s: Quantity | None = None,
        *,
        from_: Words | None = None,
        direction: str | None = None,
        delay: Quantity | None = None,
        loss: Quantity | None = None,
        rate: Quantity | None = None,
        **worse: Quantity,
    ) -> None:
        """Break a site or host, or several as one fault. `how`: power, crash, freeze, drain,
        partition, brownout. With `for_s` it returns after so long, when this fault is healed.

        `from_` and `direction` (both, out, in) are a partition's; `delay` (added each way), `loss`
        (`2%` or 0.02) and `rate` (`10mbit` or bits a second) a brown-out's, as are `jitter`,
        `duplicate`, `corrupt` and `reorder`.
        """
        names, peers = self._members(target), self._members(from_)
        lasts_s = None if for_s is None else seconds(for_s, "for_s")
        given = {"direction": direction, "delay": delay, "loss": loss, "rate": rate, **worse}
        settings = settings_of(how, given)
        if peers and how != "partition":
            raise UsageError(f"from_ is for partition, not for {how}")
        kind = cast(FaultKind, how)

        with self._step(
            lambda at_s, is_after: Kill(at_s, names, kind, peers, settings, is_after=is_after)
        ):
            fault = inject(self.lab, names, how, peers, settings)
            if self._recording is not None:
                self._recording.faults.append(fault.id)
        if lasts_s is not None:
            self.lab.clock.sleep(lasts_s)
            with self._step(partial(_healing, names)):
                heal_fault(self.lab, fault.id)

    def partition(
        self, target: Words, from_: Words | None = None, direction: str | None = None
    ) -> None:
        """Cut a site off from others, from everyone unless said; both ways, `out` or `in`. Both
        sides may stand in one text: `us-east, new-york | eu-west`."""
        if isinstance(target, str) and "|" in target:
            if from_ is not None:
                raise UsageError(f"{target!r} names the other side already; leave from_ out")
            target, from_ = read(read_sides, target)
        self.kill(target, "partition", from_=from_, direction=direction)

    def heal(self, *targets: str) -> None:
        """Undo every fault on these targets; without a target, every fault there is."""
        wanted = set(self._members(targets))
        for name in wanted:
            sites_and_hosts(self.lab, name)
        active = self.lab.wan.journal()
        chosen = [f for f in active if not wanted or wanted.issuperset(f.target)
                  or (f.peers and wanted.issuperset(f.peers))]  # fmt: skip
        for target in dict.fromkeys(fault.target for fault in reversed(chosen)):
            with self._step(partial(_healing, target)):
                heal(self.lab, target)

    def wait_recovered(self, timeout: Quantity = 30) -> None:
        """Wait until every client has recovered from every fault so far, or proved unaffected.
        Raises Missed when one has not in time, with what happened to it."""
        self.wait_until("recovered", timeout)

    def wait_until(self, condition: str, timeout: Quantity = 30) -> None:
        """Wait for `ready`, `recovered`, `steady`, `us-east down`, `us-east up` or `paris served by
        eu-west`. Raises Missed when it is not so in time, UsageError for anything else."""
        wanted = read(read_condition, condition)
        within_s = seconds(timeout, "timeout")
        with self._step(lambda at_s, is_after: WaitUntil(at_s, wanted, within_s, is_after)):
            lacking = self._wait(wanted, within_s)
        if lacking:
            who = self._headline() if wanted.kind == "recovered" else ""
            more = f"; and {len(lacking) - 2} more" if len(lacking) > 2 else ""
            raise Missed(
                f"not {wanted.text} within {within_s:g} s: {who or '; '.join(lacking[:2]) + more}"
            )

    def recovery(self, city: str | None = None, over: str | None = None) -> Recovery:
        """How long the clients of a city, over one kind, took to recover; all of them unless said.
        Raises Inconclusive where a measurement failed or no fault took effect; a comparison does
        where this machine was too busy to tell."""
        self._check_scope(city, over)
        measured = self.recording.measured()
        if measured.inconclusive:
            raise Inconclusive("; ".join(measured.inconclusive))
        rows = tuple(
            row for row in measured.rows()
            if city in (None, row.client.city) and over in (None, row.client.kind)
        )  # fmt: skip
        if not rows:
            raise Inconclusive("no fault took effect while these clients sent requests")
        for row in rows:
            seconds_of(row)
        with self.recording.held() as history:
            return Recovery(rows, headline_of(rows, history), measured.off_by_s)

    def requests_lost(self, city: str | None = None, over: str | None = None) -> Count:
        """How many requests failed because of the faults."""
        return self._count("requests_lost", city, over)

    def resets(self, city: str | None = None, over: str | None = None) -> Count:
        """How many connections were ended by an RST."""
        return self._count("resets", city, over)

    def writes_lost(self, city: str | None = None) -> Count:
        """How many writes that clients of your own were told of are not among those that the last
        `count` found; `city`: those of one city. Ask after the `traffic` block."""
        return self._count("writes_lost", city, None)

    def rpo(self, city: str | None = None) -> Seconds:
        """From the oldest lost write to the fault, or to the newest lost write where that was
        acknowledged after it; 0.0 where nothing is lost. Ask after the `traffic` block."""
        verdict = self._judge(_objective("rpo_s >= 0 s", city, None))
        if verdict.outcome == "inconclusive" or verdict.measured is None:
            raise Inconclusive(verdict.reason)
        said = f"{_objective('rpo_s', city, None)} was {verdict.measured:.2f} s"
        return Seconds(verdict.measured, said, self.recording.measured().off_by_s)

    def availability(
        self, city: str | None = None, over: str | None = None, period: str = ""
    ) -> Share:
        """The share of requests that were answered well; `period`: `during us-east-down`,
        `outside faults` and the like, all of the recording unless said."""
        self._check_scope(city, over)
        verdict = self._judge(_objective("availability >= 0 %", city, over, period))
        if verdict.outcome == "inconclusive" or verdict.measured is None:
            raise Inconclusive(verdict.reason)
        said = _objective("availability", city, over, period)
        return Share(verdict.measured, f"{said} was {verdict.measured:.3%}", verdict.between)

    def check(self, objective: str) -> None:
        """Assert an objective as scenarios write it: `recovery_s.p100 <= 15 s from paris over
        http`. Raises Missed, or Inconclusive where nobody can tell."""
        verdict = self._judge(objective)
        self.recording.must(read(parse_objective, objective))
        if verdict.outcome == "inconclusive":
            raise Inconclusive(f"{objective}: {verdict.reason}")
        if verdict.outcome == "failed":
            raise Missed(self.recording.result().why(verdict))

    def run(self, scenario: Path | str, seed: int | None = None) -> Result:
        """Run a scenario file on this lab, whatever topology it names, as often as it says. A
        missed objective, and that nobody can tell, is in the result; what stopped it is raised."""
        path = Path(scenario)
        read = load_scenario(path)
        if read.vary:
            what = f"{read.name} varies {read.vary.setting}, each value in a lab of its own"
            raise UsageError(f"{what}: netemu run {path}")
        if problems := check_targets(read, self._names):
            raise FileProblems(str(path), problems)
        read = resolve_targets(read, self._names)
        chosen = next(s for s in (seed, read.seed, random_seed()) if s is not None)
        directory = default_directory(read, self.directory)
        if read.runs == 1:
            once, history = run_once(read, self.lab, directory, chosen, self._say)
            result = Result(path, chosen, directory, (once,), history)
        else:
            many = run_repeatedly(
                read, self.lab, directory, chosen, read.runs, self._say, lambda _: None
            )
            result = Result(path, chosen, directory, tuple(many))
        self.results.append(result)
        return result

    def report(self) -> str:
        """The report of the last recording, for people."""
        return self.recording.result().report()

    def make_whole(self) -> None:
        """As it was when it came up: nothing broken, no traffic, clients idle, caches empty, and
        ready, which is checked. Raises NetemuError when it cannot be brought back."""
        heal_everything(self.lab)
        clear_paths(self.lab)
        end_traces(self.lab)
        stop_traffic(self.lab)
        flush_caches(self.lab)
        wait_until_ready(self.lab.plan, self.lab.wan, self.lab.clock)
        begin_traces(self.lab)
        wait_until_idle(self.lab)
        flush_caches(self.lab)
        self.results.clear()
        self._recording = None

    def disconnect(self) -> None:
        """Let go of the lab, which goes on without us; safe to call twice."""
        self.lab.wan.close()

    def all_results(self) -> tuple[Result, ...]:
        """Every scenario that was run, and the last recording if it got to its traffic."""
        recorded = self._recording
        return (*self.results, *([recorded.result()] if recorded and recorded.has_begun else ()))

    def _wait(self, wanted: Condition, within_s: float) -> tuple[str, ...]:
        recording = self._recording
        if recording is not None and recording.is_running:
            return recording.wait_until(wanted, within_s)
        if wanted.kind in {"recovered", "steady", "served"}:
            raise UsageError(f"without traffic nobody can tell {wanted.text!r};"
                             " wait inside `with lab.traffic():`")  # fmt: skip
        return hold_until(wanted, scene_without_traffic(self.lab), within_s)

    def _count(self, figure: str, city: str | None, over: str | None) -> Count:
        self._check_scope(city, over)
        verdict = self._judge(_objective(f"{figure} >= 0", city, over))
        if verdict.outcome == "inconclusive" or verdict.measured is None:
            raise Inconclusive(verdict.reason)
        value = int(verdict.measured)
        story = f"{_objective(figure, city, over)} was {value}: {self._headline()}"
        return Count(value, story, verdict.between)

    def _judge(self, text: str) -> Verdict:
        """One objective, decided on what is known by now."""
        objective = read(parse_objective, text)
        self._check_scope(objective.city, objective.client)
        if objective.figure in WRITES and self.recording.is_running:
            raise UsageError(f"{objective.figure} is known when all clients have told what they"
                             " wrote; ask for it after `with lab.traffic():`")  # fmt: skip
        measured = self.recording.measured()
        with self.recording.held() as history:
            header = history.run
            assert header is not None  # noqa: S101 - every recording begins with it
            history.run = replace(header, objectives=[asdict(objective)])
            try:
                return verdicts(measured, history)[0]
            finally:
                history.run = header

    def _headline(self) -> str:
        measured = self.recording.measured()
        with self.recording.held() as history:
            return headline_of(measured.rows(), history)

    def _check_scope(self, city: str | None, over: str | None) -> None:
        cities = [each.name for each in self.lab.plan.topology.cities]
        if city is not None and city not in cities:
            advice = suggest(city, cities) or f"there are {', '.join(cities)}"
            raise UsageError(f"no city of the lab is called {city!r}; {advice}")
        if over is not None and over not in MEASURED:
            raise UsageError(f"there is no traffic over {over!r}; there is {', '.join(MEASURED)}")


def _healing(target: tuple[str, ...], at_s: float, is_after: bool) -> Heal:  # noqa: FBT001 - as MakeStep
    return Heal(at_s, target, is_after)


def _objective(figure: str, city: str | None, over: str | None, period: str = "") -> str:
    scope = (f"from {city}" if city else "", f"over {over}" if over else "", period)
    return " ".join((figure, *(part for part in scope if part)))


def _in_silence(event: Event) -> None: ...
