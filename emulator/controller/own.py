"""What users put into a lab: containers of their images, and what is the matter with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.clock import Clock
from emulator.controller.ready import SERVICES_S, missing_proxies, unwell_servers, wait_until
from emulator.controller.wellness import Starts, vouch
from emulator.engine.base import ContainerSpec, Engine
from emulator.errors import NotReady, UsageError
from emulator.plan.model import HostSpec, OwnSpec, Plan
from emulator.plan.own import patience_s
from emulator.wan.base import Wan

LAST_LINES = 5
WIDEST = 300  # characters of one


class _EndedByItself(NotReady):
    """With its last lines already."""


def refuse_missing_images(plan: Plan, engine: Engine) -> None:
    """Raises UsageError naming every image of the plan that the engine lacks, and who wants it."""
    wanted: dict[str, str] = {}
    for host in plan.hosts:
        if host.own is not None:
            wanted.setdefault(host.own.image, host.name)
    if missing := engine.lacks(wanted):
        raise UsageError(
            "the engine does not have "
            + ", ".join(f"the image {image} (for {wanted[image]})" for image in missing)
            + "; build it or get it first: docker build -t NAME DIRECTORY, docker pull NAME"
        )


def own_spec(plan: Plan, host: HostSpec, own: OwnSpec) -> ContainerSpec:
    """The user's container: no more rights than Docker gives anybody, and no network but the
    host's."""
    return ContainerSpec(
        lab=plan.lab,
        host=own.name,
        name=own.container,
        image=own.image,
        entrypoint=own.entrypoint,
        command=own.command,
        environment=own.environment,
        cpu_shares=host.cpu_shares,
        network_of=host.name,
        cpus=own.cpus,
        memory=own.memory,
        volumes=own.volumes,
    )


def wait_until_servers_are_well(
    plan: Plan, engine: Engine, wan: Wan, clock: Clock, starts: Starts
) -> None:
    """By their balancers' checks; the user's as seen from beside them, which is sooner, and each
    starts when those are well that it waits for. Raises NotReady, with the last words of what is
    the user's."""
    own = {host.name for host in plan.hosts if host.own is not None and host.role == "server"}

    def missing() -> list[str]:
        unwell = unwell_servers(plan, wan)
        if own:
            refuse_own_that_ended(plan, engine)
            starts.well |= own - unwell.keys() - starts.waiting.keys()
            vouch(plan, wan, own & starts.look(wan, own))
            starts.go_on()
        good = own & starts.well | starts.waiting.keys()
        return [said for server, said in unwell.items() if server not in good] + [
            f"{server} waits for {', '.join(sorted(needed - starts.well))}"
            for server, needed in starts.waiting.items()
        ]

    with _last_words_of_the_unwell(plan, engine):
        wait_until(missing, clock, _patience_s(plan))


def wait_until_balancers_agree(plan: Plan, engine: Engine, wan: Wan, clock: Clock) -> None:
    """By their own checks, whoever vouched for a server. Raises NotReady as above."""
    with _last_words_of_the_unwell(plan, engine):
        wait_until(lambda: missing_proxies(plan, wan), clock, _patience_s(plan))


def _patience_s(plan: Plan) -> float:
    return max(SERVICES_S, patience_s(plan))


@contextmanager
def _last_words_of_the_unwell(plan: Plan, engine: Engine) -> Iterator[None]:
    """To follow a NotReady that names them: those of the first."""
    try:
        yield
    except _EndedByItself:
        raise
    except NotReady as error:
        own = {host.name: host.own for host in plan.hosts if host.own is not None}
        unwell = [own[word] for word in re.findall(r"[^\s;]+", str(error)) if word in own]
        raise NotReady(
            str(error) + "".join(last_words(plan, engine, each) for each in unwell[:1])
        ) from None


def refuse_own_that_ended(plan: Plan, engine: Engine) -> None:
    """Raises NotReady where a container of the user's has ended: nothing restarts it. A client may
    have done what it was there for."""
    if not any(host.own for host in plan.hosts):
        return
    ended = {c.host: c.ended for c in engine.containers(plan.lab) if c.ended}
    for host in plan.hosts:
        is_done = host.role == "client" and host.own and ended.get(host.own.name) == "exit 0"
        if host.own is not None and host.own.name in ended and not is_done:
            how = ended[host.own.name]
            raise _EndedByItself(
                f"the image {host.own.image} on {host.name} ended by itself ({how})"
                + last_words(plan, engine, host.own)
            )


def last_words(plan: Plan, engine: Engine, own: OwnSpec) -> str:
    """The end of what it wrote, to follow a message."""
    lines = engine.log(plan.lab, own.name, last=LAST_LINES)
    if not lines:
        return f"\n  {own.image} wrote nothing"
    words = [line.text if len(line.text) <= WIDEST else f"{line.text[:WIDEST]} …" for line in lines]
    return f"\n  the last lines of {own.image}:" + "".join(f"\n    {text}" for text in words)
