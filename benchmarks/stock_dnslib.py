"""`python -m benchmarks.stock_dnslib PORT`: dnslib's own server, which ours is compared with."""

from __future__ import annotations

import sys

from dnslib import RR
from dnslib.server import BaseResolver, DNSLogger, DNSServer


class OneZone(BaseResolver):  # type: ignore[misc]
    """Answers every A query with the one record there is, as dnslib's own examples do."""

    def __init__(self) -> None:
        self._records = RR.fromZone("www.shop.test. 5 IN A 198.18.1.1")

    def resolve(self, request, handler):
        reply = request.reply()
        for record in self._records:
            if record.rname == request.q.qname and record.rtype == request.q.qtype:
                reply.add_answer(record)
        return reply


if __name__ == "__main__":
    quiet = DNSLogger(log="-recv,-send,-request,-reply,-truncated,-error,-data")
    DNSServer(OneZone(), "127.0.0.1", int(sys.argv[1]), logger=quiet).start()
