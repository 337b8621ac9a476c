"""`python -m tests.dns.fuzz --seconds N [--seed S]`: damaged queries for the name server's core.

Every answer is held to the promises of tests/dns/promises.py. Ends with the first that is broken:
exit code 1, with the bytes, and the seed that leads to them. Nothing but the number of messages
depends on the machine's speed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from emulator.node.dns.authority import Authority
from tests.dns.promises import SOURCES, TRANSPORTS, check_answer, make_message, states


@dataclass(slots=True)
class Tally:
    """What the answers were, for whoever wonders how much of the server was reached."""

    messages: int = 0
    rcodes: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    drawn: int = 0


class BrokenError(AssertionError):
    """A promise was broken, by these bytes."""


def fuzz(seconds: float, seed: int) -> Tally:
    """Messages for so long; BrokenError for one that breaks a promise."""
    dice, authorities, tally = random.Random(seed), states(), Tally()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            _try_one(dice, authorities[tally.messages % len(authorities)], tally)
    return tally


def _try_one(dice: random.Random, state: Authority, tally: Tally) -> None:
    data, source, transport = make_message(dice), dice.choice(SOURCES), dice.choice(TRANSPORTS)
    tally.messages += 1
    try:
        answered = check_answer(data, source, transport, state)
    except Exception as error:
        raise BrokenError(
            f"message {tally.messages} from {source} over {transport}: {data.hex()}"
        ) from error
    tally.rcodes[answered.facts.rcode if answered else "silence"] += 1
    if answered:
        tally.truncated += answered.facts.is_truncated
        tally.drawn += not answered.is_fixed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    chosen = parser.parse_args()
    began = time.monotonic()
    try:
        tally = fuzz(chosen.seconds, chosen.seed)
    except BrokenError as broken:
        print(f"seed {chosen.seed}: {broken}\n{broken.__cause__!r}", file=sys.stderr)  # noqa: T201
        return 1
    rate = tally.messages / (time.monotonic() - began)
    rcodes = ", ".join(f"{name} {count}" for name, count in tally.rcodes.most_common())
    print(  # noqa: T201
        f"seed {chosen.seed}: {tally.messages} messages, {rate:.0f}/s, no promise broken; "
        f"{rcodes}; truncated {tally.truncated}, not fixed {tally.drawn}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
