"""A user's image in a server's place or beside a city's clients: what it is told, whom it finds.

Both containers of such a host share `/etc/hosts` and `/etc/resolv.conf`, as Docker has it, so an
image that nobody changed finds the services of its region by their names, as it would in a compose
file, and in a city asks the city's resolver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from emulator.plan.model import HostSpec, OwnSpec, Plan, ServiceSpec
from emulator.plan.tls import ROOT_FILE, has_tls, trusting
from emulator.topology.images import TCP
from emulator.topology.model import Image, Service

IMAGE = "image"  # what logs and tables call the user's container beside a host's daemons
HOSTS_FILE = "/etc/hosts"
# Which statuses of a check are well. The built-in server says 200; of an image's own every success
# and redirection counts.
GOOD, GOOD_OF_OWN = (200, 200), (200, 399)
BUILT = "netemu-own"  # the repository of what is built


def own_of(plan: Plan, host: HostSpec) -> OwnSpec | None:
    """The container of the user's that joins this host; None: it has none."""
    if host.role == "server":
        return _of_server(plan, host)
    return _of_client(plan, host) if host.role == "client" else None


def _of_server(plan: Plan, host: HostSpec) -> OwnSpec | None:
    service = service_of(plan, host.name)
    written = next(s for s in plan.topology.services if s.name == service.name)
    image = image_of(plan, host.site, written)
    if image is None:
        return None
    own = _own(plan, host, image, _built(plan, host, service), _told_server(plan, host, service))
    here = {s.name: s.servers.get(host.site, ()) for s in plan.services}
    waits_for = tuple(server for name in written.depends_on for server in here[name])
    return replace(own, start_timeout_s=written.start_timeout_s, waits_for=waits_for)


def _of_client(plan: Plan, host: HostSpec) -> OwnSpec | None:
    city = next(c for c in plan.topology.cities if c.name == host.site)
    if city.image is None:
        return None
    built = f"{BUILT}/{plan.topology.name}-{city.name}:latest"
    return _own(plan, host, city.image, built, {"NETEMU_CITY": city.name})


def _own(plan: Plan, host: HostSpec, image: Image, built: str, told: dict[str, str]) -> OwnSpec:
    trust = trusting(ROOT_FILE) if has_tls(plan) else {}
    everybody = {
        "NETEMU_LAB": plan.lab,
        "NETEMU_HOST": host.name,
        "NETEMU_ADDRESS": _addresses(plan)[host.name],
    }
    return OwnSpec(
        name=own_name(host.name),
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
    )


def _built(plan: Plan, host: HostSpec, service: ServiceSpec) -> str:
    """What a built image is called: as compose does it, and apart where a region has its own."""
    here = next(r for r in plan.topology.regions if r.name == host.site)
    changed = here.images.get(service.name)
    region = f"-{host.site}" if changed and changed.build else ""
    return f"{BUILT}/{plan.topology.name}-{service.name}{region}:latest"


def own_name(host: str) -> str:
    """What the user's container of a host is called, if there is one."""
    return f"{host}:{IMAGE}"


def builds(plan: Plan) -> dict[str, str]:
    """What must be built for this lab: image -> directory."""
    return {h.own.image: h.own.build for h in plan.hosts if h.own is not None and h.own.build}


def image_of(plan: Plan, region: str, service: Service) -> Image | None:
    """What this service's servers run there; None: the built-in server."""
    here = next(r for r in plan.topology.regions if r.name == region)
    return here.image_of(service)


def check_of(plan: Plan, server: str) -> dict[str, object]:
    """What its balancer's check asks of it, for one who asks from beside it: `address`, `port`,
    `path` ("": only a connection), `host_header`, and `good`, the least and the greatest status."""
    service, addresses = service_of(plan, server), _addresses(plan)
    written = next(s for s in plan.topology.services if s.name == service.name)
    is_own = image_of(plan, server.partition("/")[0], written) is not None
    return {
        "address": addresses[server],
        "port": written.target_port,
        # Of a server that speaks HTTP/2 only the balancer asks more than a connection.
        "path": "" if written.health == TCP or written.target_protocol == "h2c" else written.health,
        "host_header": service.fqdn,
        "good": GOOD_OF_OWN if is_own else GOOD,
    }


def patience_s(plan: Plan) -> float:
    """How long `up` waits at most until every server of the user's is well, one after the other
    where they wait for each other; 0 without any."""
    own = {host.name: host.own for host in plan.hosts if host.own is not None}

    def of(server: str) -> float:
        if server not in own:
            return 0.0
        first = max((of(other) for other in own[server].waits_for), default=0.0)
        return first + own[server].start_timeout_s

    return max((of(server) for server in own), default=0.0)


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
