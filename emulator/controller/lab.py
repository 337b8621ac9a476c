"""A lab from nothing to ready and back to nothing, and how to attach to one that runs.

State lives in the lab: containers by label in the engine, everything else in the WAN's keeper.
A `Lab` here is three references and forgets nothing of importance when its process dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator.clock import MONOTONIC, Clock
from emulator.controller.ca import Certificates, certify
from emulator.controller.own import (
    own_spec,
    refuse_missing_images,
    refuse_own_that_ended,
    wait_until_balancers_agree,
    wait_until_servers_are_well,
)
from emulator.controller.own_files import own_files
from emulator.controller.probing import Delays
from emulator.controller.ready import (
    SERVICES_S,
    decided_s,
    missing_generations,
    missing_lookups,
    missing_servers,
    wait_until,
    wait_until_paths_fit,
)
from emulator.controller.signals import undisturbed
from emulator.controller.wellness import Starts
from emulator.engine.base import ContainerHandle, ContainerSpec, ContainerState, Engine
from emulator.errors import EngineError, FileProblems, NetemuError, UsageError
from emulator.impairment import Pair, Trace
from emulator.plan import make_plan
from emulator.plan.hosts import VANTAGE
from emulator.plan.model import HostSpec, Plan, Role
from emulator.plan.tls import ROOT_FILE, has_tls, trusting
from emulator.plan.wiring import host_wiring, wan_setup
from emulator.topology.parse import parse_topology
from emulator.wan.base import Wan

WAN = "wan"
WAN_CPU_SHARES = 262144  # all the weight there is: wake-ups of the wire within 2.5 ms at p99
WAN_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "NET_RAW")
ROLES: tuple[Role, ...] = ("edge", "server", "access", "client", "ns")
POOL = 6  # containers started side by side; more is not faster on 2 cores
# The same while clients keep a schedule: 11 containers die in 0.3 s either way, and of the
# requests that were due meanwhile a third as many are late.
GENTLE = 2

Connect = Callable[[Engine, str], Wan]
Progress = Callable[[str, float | None], None]  # what is being done, how far it is (0 to 1)


@dataclass(slots=True)
class Lab:
    """A running lab: what was planned, the engine it runs on, its WAN."""

    plan: Plan
    engine: Engine
    wan: Wan
    measured_ns: dict[tuple[str, str], int] = field(default_factory=dict)  # one-way, by path
    clock: Clock = MONOTONIC
    certificates: Certificates = field(default_factory=Certificates)

    @property
    def name(self) -> str:
        return self.plan.lab

    def spec(self, host: str) -> HostSpec:
        return next(spec for spec in self.plan.hosts if spec.name == host)

    def boot(self, hosts: Sequence[str]) -> None:
        """Start these hosts' containers and join them to the network; no daemon runs yet."""
        with ThreadPoolExecutor(GENTLE) as pool:
            handles = list(pool.map(lambda host: self.engine.start(self.name, host), hosts))
        self.wan.wire([(host_wiring(self.plan, self.spec(h.host)), h.pid) for h in handles])
        told = {host: configuration(self.spec(host), self.certificates) for host in hosts}
        self._ask_all("configure", told)

    def run_daemons(self, hosts: Iterable[str]) -> None:
        """Start every daemon of these hosts that does not run, and what users put beside them, in
        the order in which it waits for each other."""
        chosen = list(hosts)
        self._ask_all("start", {host: {} for host in chosen})
        self.starts(chosen).finish(self.wan, self.clock)

    def run_early_daemons(self, hosts: Iterable[str]) -> None:
        """Only the daemons, and no vantages: their first check decides, so it waits for the
        regions."""
        vantages = set(self.vantages())
        early = {
            host: {"daemons": [d.name for d in self.spec(host).daemons if d.name != VANTAGE]}
            for host in vantages
        }
        self._ask_all("start", {host: dict(early.get(host, {})) for host in hosts})

    def starts(self, hosts: Iterable[str]) -> Starts:
        """What users put beside these hosts, on its way up."""
        return Starts(self.plan, hosts, lambda own: self.each(own, self.engine.start))

    def own(self, hosts: Iterable[str], state: ContainerState | None = None) -> list[str]:
        """The containers of the user's that share the network of these hosts: all of them, or
        those in this state, since what is the user's may end by itself."""
        specs = [self.spec(host).own for host in hosts]
        names = [own.name for own in specs if own is not None]
        if state is None or not names:
            return names
        states = {c.host: c.state for c in self.engine.containers(self.name)}
        return [name for name in names if states.get(name) is state]

    def vantages(self) -> list[str]:
        """The hosts that check regions for the name servers."""
        return [h.name for h in self.plan.hosts if any(d.name == VANTAGE for d in h.daemons)]

    def each(self, hosts: Iterable[str], act: Callable[[str, str], object]) -> None:
        """Do one engine verb on many hosts, side by side."""
        with ThreadPoolExecutor(GENTLE) as pool:
            for _ in pool.map(lambda host: act(self.name, host), list(hosts)):
                pass

    def _ask_all(self, op: str, arguments: Mapping[str, dict[str, object]]) -> None:
        answers = self.wan.hosts({host: (op, args) for host, args in arguments.items()}, 15.0)
        bad = {host: str(a.get("error", "silent")) for host, a in answers.items()
               if "error" in a or a.get("silent")}  # fmt: skip
        if bad:
            host, why = next(iter(bad.items()))
            raise NetemuError(f"{op} failed on {len(bad)} host(s), first on {host}: {why}")


def configuration(spec: HostSpec, certificates: Certificates) -> dict[str, object]:
    """What a host's init is told of its files and daemons, at every boot."""
    return {
        "files": {**spec.files, **certificates.public()},
        "secrets": certificates.secret(spec),
        "daemons": [
            {"name": d.name, "argv": list(d.argv), "waits_for": d.waits_for} for d in spec.daemons
        ],
    }


def bring_up(
    plan: Plan,
    engine: Engine,
    connect: Connect,
    image: str,
    progress: Progress,
    clock: Clock = MONOTONIC,
) -> Lab:
    """Make every container of the plan and wait until the world is ready.

    Whatever interrupts it, what was made is removed again before the error goes on. Raises
    UsageError, and touches nothing, when a lab of this name is here already.
    """
    refuse_missing_images(plan, engine)
    files = own_files(plan)
    if engine.containers(plan.lab):
        raise UsageError(
            f"a lab {plan.lab!r} is here already; remove it: netemu down {plan.lab}, "
            f"or give this one another --name"
        )
    lab = Lab(plan, engine, connect(engine, plan.lab), clock=clock, certificates=certify(plan))
    progress("containers", 0.0)
    _claim(lab, image)
    try:
        _make(lab, image, files, progress)
        lab.measured_ns = get_ready(lab, progress)
        begin_traces(lab)
        progress("ready", 1.0)
    except BaseException as error:
        _give_up(lab, error)
        raise
    return lab


def _claim(lab: Lab, image: str) -> None:
    """The WAN's name is the lock: of two `up` of one name in one instant, one gets it, and the
    other must not clean up what is not its own."""
    try:
        lab.engine.create(wan_spec(lab.plan, image))
    except EngineError:
        lab.wan.close()
        raise
    except BaseException as error:
        _give_up(lab, error)
        raise


def _give_up(lab: Lab, error: BaseException) -> None:
    """Remove a lab that did not come up; `error` stays the one that is told."""
    lab.wan.close()
    try:
        with undisturbed():
            remove_lab(lab.engine, lab.name)
    except NetemuError as failure:
        error.add_note(f"cleaning up failed too ({failure}); then: netemu down {lab.name}")


def _make(
    lab: Lab, image: str, files: Mapping[str, Mapping[str, bytes]], progress: Progress
) -> None:
    plan, engine = lab.plan, lab.engine
    # What a `down` left that was killed: a lab's volumes begin empty.
    engine.remove_volumes(engine.volumes(plan.lab))

    def make(host: HostSpec) -> ContainerHandle:
        engine.create(host_spec(plan, host, image))
        handle = engine.start(plan.lab, host.name)
        if host.own is not None:
            engine.create(own_spec(plan, host, host.own))
            given = {path: text.encode() for path, text in lab.certificates.public().items()}
            given |= files.get(host.own.name, {})
            if given:
                engine.put(plan.lab, host.own.name, given)
        return handle

    with ThreadPoolExecutor(POOL) as pool:
        made = [pool.submit(engine.start, plan.lab, WAN)]
        made += [pool.submit(make, host) for host in plan.hosts]
        try:
            made[0].result()
            lab.wan.setup(wan_setup(plan, lab.certificates.told()))
            for done, future in enumerate(made, start=1):
                future.result()
                progress("containers", 0.6 * done / len(made))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress("links", 0.6)
    lab.boot([host.name for host in plan.hosts])


def get_ready(lab: Lab, progress: Progress) -> Delays:
    """Start the daemons in the order in which they need each other, and see every promise kept.

    The first check decides, of a balancer as of a name server: so servers listen before they are
    checked, and a region stands before it is. Clients begin when there is something to ask.
    """
    by_role = {role: [h.name for h in lab.plan.hosts if h.role == role] for role in ROLES}
    progress("daemons", 0.65)
    lab.run_early_daemons([*by_role["server"], *by_role["access"]])
    starts = lab.starts(by_role["server"])
    starts.go_on()
    progress("paths", 0.7)
    measured = wait_until_paths_fit(lab.plan, lab.wan, lab.clock)
    progress("balancers", 0.8)
    wait_until(lambda: missing_servers(lab.plan, lab.wan), lab.clock)
    lab.run_early_daemons(by_role["edge"])
    wait_until_servers_are_well(lab.plan, lab.engine, lab.wan, lab.clock, starts)
    progress("name servers", 0.9)
    lab.run_early_daemons(by_role["ns"])
    lab.run_daemons(lab.vantages())  # they report to name servers that listen already
    wait_until(
        lambda: missing_generations(lab.plan, lab.wan), lab.clock, SERVICES_S + decided_s(lab.plan)
    )
    progress("clients", 0.95)
    lab.run_daemons(by_role["client"])
    wait_until(lambda: missing_lookups(lab.plan, lab.wan, lab.clock), lab.clock)
    wait_until_balancers_agree(lab.plan, lab.engine, lab.wan, lab.clock)
    refuse_own_that_ended(lab.plan, lab.engine)
    return measured


def begin_traces(lab: Lab) -> None:
    """Let the file's traces play, each from its beginning."""
    numbers = {site.name: site.number for site in lab.plan.sites}
    played: list[tuple[Trace, list[Pair]]] = []
    for path in lab.plan.paths:
        if path.trace is not None:
            pair = (numbers[path.source], numbers[path.target])
            same = next((pairs for trace, pairs in played if trace == path.trace), None)
            played += [(path.trace, [pair])] if same is None else []
            (same or []).append(pair)
    for trace, pairs in played:
        lab.wan.play(pairs, trace, is_of_file=True)


def end_traces(lab: Lab) -> None:
    """Every path that has a trace is as the file says beside it."""
    numbers = {site.name: site.number for site in lab.plan.sites}
    traced = [path for path in lab.plan.paths if path.trace is not None]
    pairs = [(numbers[path.source], numbers[path.target]) for path in traced]
    if pairs:
        lab.wan.play(pairs, Trace(), is_of_file=True)


def attach(name: str, engine: Engine, connect: Connect) -> Lab:
    """Join a lab that runs. Raises UsageError when there is none, NetemuError when it was never
    finished, lost its WAN or was made by another version of netemu."""
    containers = engine.containers(name)
    wan_container = next((c for c in containers if c.host == WAN), None)
    if wan_container is None:
        raise UsageError(f"no lab {name!r} runs here; `netemu status` lists the labs there are")
    if wan_container.state is not ContainerState.RUNNING:
        raise NetemuError(
            f"the WAN of lab {name!r} is {wan_container.state}; remove the lab: netemu down {name}"
        )
    wan = connect(engine, name)
    try:
        told = wan.plan()
        return Lab(_plan_told(name, told), engine, wan, certificates=Certificates.of(told))
    except BaseException:
        wan.close()
        raise


def _plan_told(name: str, told: Mapping[str, str]) -> Plan:
    if not told:
        raise NetemuError(f"lab {name!r} was never finished; remove it: netemu down {name}")
    try:
        plan: Plan | None = make_plan(parse_topology(told["topology"], f"lab {name}"), name)
    except (FileProblems, UsageError):  # a topology that this version would not have brought up
        plan = None
    if plan is None or plan.digest != told["digest"]:
        raise NetemuError(
            f"lab {name!r} was made by another version of netemu; make it anew: "
            f"netemu down {name}, then netemu up"
        )
    return plan


def remove_lab(engine: Engine, name: str) -> int:
    """Remove everything labelled as this lab's, until a second look finds nothing: an engine may
    still be finishing a call of a process that was killed. Returns how many containers went."""
    removed = 0
    while True:
        containers, volumes = engine.containers(name), engine.volumes(name)
        if not containers and not volumes:
            return removed
        engine.remove(containers)
        engine.remove_volumes(volumes)
        removed += len(containers)


def lab_names(engine: Engine) -> tuple[str, ...]:
    """Every lab that has a container here."""
    return tuple(sorted({container.lab for container in engine.containers()}))


def left_names(engine: Engine) -> tuple[str, ...]:
    """Every lab of which anything is here: of a `down` that was killed perhaps only volumes."""
    volumes = {volume.lab for volume in engine.volumes()}
    return tuple(sorted({*lab_names(engine), *volumes}))


def wan_spec(plan: Plan, image: str) -> ContainerSpec:
    """The one container that all links end in. Not privileged: some machines refuse that."""
    return ContainerSpec(
        lab=plan.lab,
        host=WAN,
        name=f"{plan.lab}-wan",
        image=image,
        command=("python3", "-s", "-m", "emulator.node.wan.keeper"),
        sysctls={"net.ipv6.conf.all.disable_ipv6": "1"},
        cap_drop=("ALL",),
        cap_add=WAN_CAPABILITIES,
        cpu_shares=WAN_CPU_SHARES,
        pid_host=True,
        labels={"netemu.digest": plan.digest},
    )


def host_spec(plan: Plan, host: HostSpec, image: str) -> ContainerSpec:
    """A host's container: our init, the plan's kernel settings, nothing else."""
    trust = trusting(ROOT_FILE) if has_tls(plan) else {}
    return ContainerSpec(
        lab=plan.lab,
        host=host.name,
        name=host.container,
        image=image,
        command=("python3", "-s", "-m", "emulator.node.init"),
        environment={"NETEMU_HOST": host.name, "NETEMU_SITE": host.site, **trust},
        sysctls=host.sysctls,
        cap_add=host.cap_add,
        cpu_shares=host.cpu_shares,
    )


@contextmanager
def locked(lab: Lab, what: str) -> Iterator[None]:
    """The lab's one lock, for a command that changes something."""
    lab.wan.lock(f"{what} (pid {os.getpid()})")
    try:
        yield
    finally:
        lab.wan.unlock()
