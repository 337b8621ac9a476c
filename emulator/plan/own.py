"""A user's image in a server's place or beside a city's clients: what it is told, whom it finds.

Both containers of such a host share `/etc/hosts` and `/etc/resolv.conf`, as Docker has it, so an
image that nobody changed finds the services of its region by their names, as it would in a compose
file, and in a city asks the city's resolver.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.plan.model import HostSpec, OwnSpec, Plan, ServiceSpec
from emulator.plan.tls import ROOT_FILE, has_tls, trusting
from emulator.topology.model import Image, Service

IMAGE = "image"  # what logs and tables call the user's container beside a host's daemons
HOSTS_FILE = "/etc/hosts"
BUILT = "netemu-own"  # the repository of what is built


def own_of(plan: Plan, host: HostSpec) -> OwnSpec | None:
    """The container of the user's that joins this host; None: it has none."""
    if host.role == "server":
        service = service_of(plan, host.name)
        written = next(s for s in plan.topology.services if s.name == service.name)
        image, told = image_of(plan, host.site, written), _told_server(plan, host, service)
        name, patience_s = _built(plan, host, service), written.start_timeout_s
    elif host.role == "client":
        city = next(c for c in plan.topology.cities if c.name == host.site)
        image, told = city.image, {"NETEMU_CITY": city.name}
        name, patience_s = f"{BUILT}/{plan.topology.name}-{city.name}:latest", 0.0
    else:
        return None
    return None if image is None else _own(plan, host, image, name, told, patience_s)


def _own(
    plan: Plan, host: HostSpec, image: Image, built: str, told: dict[str, str], patience_s: float
) -> OwnSpec:
    trust = trusting(ROOT_FILE) if has_tls(plan) else {}
    everybody = {
        "NETEMU_LAB": plan.lab,
        "NETEMU_HOST": host.name,
        "NETEMU_ADDRESS": _addresses(plan)[host.name],
    }
    return OwnSpec(
        name=f"{host.name}:{IMAGE}",
        container=f"{host.container}-{IMAGE}",
        image=image.name or built,
        build=image.build,
        entrypoint=image.entrypoint,
        command=image.command,
        environment={**trust, **image.environment, **everybody, **told},
        cpus=image.cpus,
        memory=image.memory,
        files=image.files,
        # A region is like one machine. No label has a _ in it, so no two names can be one.
        volumes={
            v.path: f"{plan.lab}_{host.site}_{v.name}" if v.name else "" for v in image.volumes
        },
        start_timeout_s=patience_s,
    )


def _built(plan: Plan, host: HostSpec, service: ServiceSpec) -> str:
    """What a built image is called: as compose does it, and apart where a region has its own."""
    here = next(r for r in plan.topology.regions if r.name == host.site)
    changed = here.images.get(service.name)
    region = f"-{host.site}" if changed and changed.build else ""
    return f"{BUILT}/{plan.topology.name}-{service.name}{region}:latest"


def builds(plan: Plan) -> dict[str, str]:
    """What must be built for this lab: image -> directory."""
    return {h.own.image: h.own.build for h in plan.hosts if h.own is not None and h.own.build}


def image_of(plan: Plan, region: str, service: Service) -> Image | None:
    """What this service's servers run there; None: the built-in server."""
    here = next(r for r in plan.topology.regions if r.name == region)
    return here.image_of(service)


def service_of(plan: Plan, server: str) -> ServiceSpec:
    """The service that this host is a server of."""
    return next(s for s in plan.services if any(server in all_ for all_ in s.servers.values()))


def _told_server(plan: Plan, host: HostSpec, service: ServiceSpec) -> dict[str, str]:
    addresses = _addresses(plan)
    peers = [name for servers in service.servers.values() for name in servers if name != host.name]
    return {
        "NETEMU_REGION": host.site,
        "NETEMU_SERVICE": service.name,
        "NETEMU_PEERS": " ".join(f"{name}={addresses[name]}" for name in peers),
    }


def render_hosts(plan: Plan, host: HostSpec) -> str:
    """`/etc/hosts`. `db` is the service as this region's balancer gives it, `db-1` a server of this
    region, `db-1.us-east` one of any."""
    lines = ["127.0.0.1 localhost", *_names(plan, host)]
    return "".join(f"{line}\n" for line in lines)


def _names(plan: Plan, host: HostSpec) -> Iterator[str]:
    addresses = _addresses(plan)
    for service in plan.services:
        if host.site in service.addresses:
            yield f"{service.addresses[host.site]} {service.name}"
        for region, servers in service.servers.items():
            for name in servers:
                short = name.partition("/")[2]
                nearby = f" {short}" if region == host.site else ""
                yield f"{addresses[name]} {short}.{region}{nearby}"


def _addresses(plan: Plan) -> dict[str, str]:
    return {
        host.name: address.split("/")[0]
        for host in plan.hosts
        for interface in host.interfaces
        if interface.name == "lan0"
        for address in interface.addresses
    }
